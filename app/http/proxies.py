"""Changes that proxies in front of the service make to requests: the client IP address, scheme and path prefix."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.config.rules import PREFIX_PATTERN
from app.net.addresses import unmap_address

PREFIX_HEADER = b"x-forwarded-prefix"
PREFIX_MAX = 256  # characters


class ProxyMiddleware(ProxyHeadersMiddleware):
    """uvicorn's, and the prefix: the path of PUBLIC_URL, or X-Forwarded-Prefix of a trusted proxy.

    A proxy may remove the prefix or pass it on. Both become what ASGI specifies: the path with its ``root_path``.
    """

    def __init__(self, app: ASGIApp, *, trusted: str, public_path: str, routes: Iterable[Any]) -> None:
        super().__init__(app, trusted)  # type: ignore[arg-type]  # uvicorn has types of its own
        self._public_path = public_path
        self._own_paths = {route.path for route in routes}
        self._own_names = {_first_segment(path) for path in self._own_paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        if scope["type"] == "http":
            address, port = scope.get("client") or (None, None)
            if address and address.startswith("::ffff:"):  # HOST=::
                address = unmap_address(address)
                scope["client"] = address, port
            sent = _sent_prefix(scope) if address in self.trusted_hosts else None
            if prefix := self._public_path if sent is None else sent:
                self._set_prefix(scope, prefix)
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _set_prefix(self, scope: Scope, prefix: str) -> None:
        path, raw = scope["path"], scope.get("raw_path") or quote(scope["path"]).encode()
        if self._is_passed_on(path, prefix):
            below = path[len(prefix) :] or "/"
            scope["path"] = prefix + below
            if not raw.startswith(prefix.encode()):  # a client may encode any character
                raw = (prefix + quote(below)).encode()
        else:
            scope["path"], raw = prefix + path, prefix.encode() + raw
        scope["root_path"], scope["raw_path"] = prefix, raw

    def _is_passed_on(self, path: str, prefix: str) -> bool:
        """Returns whether ``path`` begins with the prefix, rather than with a path of this service that is equal.

        Below a prefix such as /api, a proxy that removes it sends /api/me/tasks also, and /me/tasks leads nowhere.
        Below /app it sends /app for the web client: as the home page, that would redirect to itself for ever.
        """
        if path == prefix:
            return path not in self._own_paths
        if not path.startswith(f"{prefix}/"):
            return False
        return _first_segment(path[len(prefix) :]) in self._own_names or _first_segment(path) not in self._own_names


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _sent_prefix(scope: Scope) -> str | None:
    """Returns the prefix in the header; None without one, or for none that can be a prefix.

    Each of several proxies adds what it has removed. "/" is the root of the host.
    """
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == PREFIX_HEADER]
    parts = [part.strip().strip("/") for line in lines for part in line.split(",")]
    prefix = "".join(f"/{part}" for part in parts if part)
    if not any(lines) or len(prefix) > PREFIX_MAX or not re.fullmatch(f"({PREFIX_PATTERN})?", prefix):
        return None
    return prefix
