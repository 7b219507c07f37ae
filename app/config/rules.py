"""Rules about the values of settings, and the error that names every one that is broken."""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import InitErrorDetails
from pydantic_settings import NoDecode

from app.errors.findings import describe_errors

DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # which browsers leave out of an origin
# What browsers send has no path. Packaged front-ends have schemes of their own, some without a host:
# capacitor://localhost, tauri://localhost, app://, chrome-extension://<id>, file://. A sandboxed frame, and most local
# files, are null.
_ORIGIN_PATTERN = re.compile(
    r"https?://(?:[^\x00-,/:-@\[-^`{-\x7f\s]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"  # of ASCII: letters, digits, - . _
    r"|(?!https?:)[a-z][a-z0-9+.-]*://[^/?#@\s]*|null"
)

# The last label is no number.
_HOST_NAME_PATTERN = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_-]+\.)*[A-Za-z_-][A-Za-z0-9_-]*\.?")

# Segments of a path prefix. No dots alone, which clients resolve, nor what a cookie's path or a header cannot hold.
PREFIX_PATTERN = r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+=:@-]+)+"

URL_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"}
_DATABASE_URLS, _WEB_URLS = tuple(f"{scheme}://" for scheme in URL_SCHEMES), ("http://", "https://")
URL_BEGINNINGS = {
    "database_url": _DATABASE_URLS,
    "direct_database_url": _DATABASE_URLS,
    "jwks_url": _WEB_URLS,
    "better_auth_url": _WEB_URLS,
    "llm_base_url": _WEB_URLS,
    "rate_limit_url": ("redis://", "rediss://", "unix://"),
    "smtp_url": ("smtp://", "smtps://"),
}

CommaSeparated = Annotated[list[str], NoDecode]
SettingProblem = tuple[tuple[int | str, ...], str]  # where, as in Pydantic's errors, and what is wrong


def find_contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields what is wrong with settings together. They may be text that was not validated."""
    issuer = values.get("jwt_issuer") or values.get("better_auth_url")
    secret = values.get("jwt_secret") or values.get("better_auth_secret")
    if values.get("jwks_url") and not issuer:
        yield "JWKS_URL needs JWT_ISSUER: a key set without an issuer would accept tokens of any issuer"
    if values.get("database_url") and not (secret or values.get("better_auth_url") or values.get("jwks_url")):
        yield "with DATABASE_URL set JWT_SECRET, or BETTER_AUTH_URL, or JWKS_URL and JWT_ISSUER"
    if values.get("public_url") and str(values["public_url"]).rstrip("/") == str(issuer or "").rstrip("/"):
        yield "PUBLIC_URL names this service: it cannot be the URL of another issuer"
    if bool(values.get("oidc_issuer")) != bool(values.get("oidc_client_id")):
        yield "OIDC_ISSUER and OIDC_CLIENT_ID are set together"
    if values.get("metrics_token") and str(values.get("web_concurrency", 1)) != "1":
        yield "METRICS_TOKEN shows one process: with WEB_CONCURRENCY set METRICS_PORT instead"
    if str(values.get("otel")).lower() in {"true", "1", "yes", "on"} and find_spec("opentelemetry.sdk") is None:
        yield "OTEL needs the extra: pip install 'todo[otel]'"


def split_list(value: object) -> object:
    """Splits the text of a setting with several values, without the slashes that people add to URLs."""
    if not isinstance(value, str):
        return value
    return [re.sub(r"(?<=[^:/])/+$", "", part.strip()) for part in value.split(",") if part.strip()]


def check_beginning(name: str, url: str) -> None:
    """Raises ValueError if the ``url`` of a setting, unless it is empty, has a scheme that is not supported."""
    known = URL_BEGINNINGS[name]
    if url and not url.strip().lower().startswith(known):
        raise ValueError(f"begins with {'postgresql://' if known is _DATABASE_URLS else ' or '.join(known)}")


def check_opened(entries: list[str]) -> None:
    """Raises ValueError for an entry of OUTBOUND_ALLOW that is neither a name nor an IP address or network."""
    for entry in entries:
        try:
            ip_network(entry, strict=False)
        except ValueError:
            if not _HOST_NAME_PATTERN.fullmatch(entry):
                raise ValueError(f"a host name, *.name, IP address or network, without a port: {entry!r}") from None


def check_proxies(proxies: str) -> None:
    """Raises ValueError for names and the like: uvicorn knows IP addresses only, and would never find them."""
    for entry in [] if proxies == "*" else proxies.split(","):
        try:
            ip_network(entry.strip() or "::1")
        except ValueError:
            raise ValueError(f"IP addresses and networks, or * alone: {entry.strip()!r} is none of these") from None


def list_problems(error: ValidationError) -> list[SettingProblem]:
    """Returns what is wrong with each setting by itself, in words of this service."""
    return [
        (found["loc"], str(found["ctx"]["error"]) if found["type"] == "value_error" else describe_errors([found])[1])
        for found in error.errors(include_url=False)
    ]


def combine_problems(title: str, problems: list[SettingProblem]) -> ValidationError:
    """Returns one error for all ``problems``, without the values, which may be secrets."""
    lines = [
        InitErrorDetails(type="value_error", loc=loc, input=None, ctx={"error": ValueError(text)})
        for loc, text in problems
    ]
    return ValidationError.from_exception_data(title, lines)


def origin_as_sent(origin: str) -> str:
    """Returns an origin as browsers send it: a host in lower case and ASCII, no default port. Raises ValueError."""
    scheme, separator, host = origin.partition("://")
    origin = f"{scheme.lower()}{separator}{host}"
    if not _ORIGIN_PATTERN.fullmatch(origin):
        raise ValueError(f"an origin has a scheme, a host and perhaps a port: {origin!r}")
    if not origin.startswith(("http:", "https:")):
        return origin
    name, colon, port = host.lower().partition(":") if not host.startswith("[") else (host.lower(), "", "")
    try:
        sent = f"{scheme.lower()}://{name.encode('idna').decode()}{colon}{port}"
        if urlsplit(sent).port == 0:
            raise ValueError
        return without_default_port(sent)
    except ValueError:  # no name, or no port
        raise ValueError(f"an origin has a scheme, a host and perhaps a port: {origin!r}") from None


def without_default_port(origin: str) -> str:
    """Returns ``origin`` as browsers send it."""
    scheme, _, _ = origin.partition(":")
    return origin.removesuffix(DEFAULT_PORTS.get(scheme, "\0"))


def public_url_as_used(url: str) -> str:
    """Returns PUBLIC_URL as the beginning of the URLs in responses, or a urn, which is a name in tokens and no more.

    Raises ValueError for what would be half believed: the issuer of tokens, but no URL.
    """
    if not url or url.lower().startswith("urn:"):
        return url
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    try:
        origin = origin_as_sent(f"{scheme}{separator}{host}")
    except ValueError:
        origin = ""  # the text of the error has the host, before which a password may stand
    if not origin.startswith(("http:", "https:")) or "?" in path or "#" in path:
        raise ValueError("a URL of a host, as https://todo.example.com, perhaps with a port and a path")
    if slash and not re.fullmatch(PREFIX_PATTERN, slash + path):
        raise ValueError(f"this path cannot be a prefix: {slash + path!r}")
    return url if url.isascii() else origin + slash + path
