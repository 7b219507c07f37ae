"""The hosts and origins that may call ``/mcp``: a page of another site must not reach it from a visitor's browser.

A name that an attacker resolves to this machine (DNS rebinding) is in Host, the page itself in Origin: MCP's security
warning on transports. An IP address needs no name resolution, so IP addresses are allowed.
"""

import ipaddress
from urllib.parse import urlsplit

from app.config import Settings
from app.errors import HostRefused, PageRefused
from app.net.addresses import LOCAL_ORIGIN


def check_host_and_origin(settings: Settings, host: str, origin: str | None) -> None:
    """Checks Host and Origin. Raises HostRefused and PageRefused."""
    name = _host_name(f"//{host}")
    known = {"localhost", _host_name(settings.public_url), _host_name(f"//{settings.host}"), *settings.mcp_hosts}
    if not name or not (name in known or _is_address(name)):
        raise HostRefused(details={"host": host})
    if origin is None or origin in {settings.public_origin, *settings.cors_origins, *settings.mcp_origins}:
        return
    if settings.cors_origins or not LOCAL_ORIGIN.fullmatch(origin):
        raise PageRefused(details={"origin": origin})


def _host_name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
