"""The outermost middleware: request id, headers of every response, log lines, CORS, unhandled errors. Pure ASGI."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.paths import MCP_PATH, is_for_apps, prefix_of
from app.http.problems import log_unexpected_error, problem
from app.http.rate_limits import LIMIT_HEADERS_KEY
from app.net.addresses import unmap_address
from app.net.special_addresses import is_public
from app.observability.metrics import UNMATCHED_ROUTE, Metrics
from app.observability.refusals import RefusalLog, log_refusal
from app.observability.request_context import OWN_TIME_KEY, start_request

access_log = logging.getLogger("app.access")
slow_log = logging.getLogger("app.slow")

# Within a JSON string the quotes would be escaped, so this matches members of objects only.
COMPLETED_MEMBER = re.compile(rb'"completed":(true|false)')
SLOW_LINES = 20  # a second: when all requests are slow, logging each makes them slower (12 % at 1,000 clients)
PICKED_HEADERS = frozenset({b"x-request-id", b"x-forwarded-for", b"origin"})
IGNORED_PROXY_REASON = "forwarded_ignored"
NOSNIFF_HEADER = (b"x-content-type-options", b"nosniff")
# For headers that a response does not set itself. Only /app and /docs are pages: any other response that a browser is
# made to show as a page may load and run nothing, may not be framed, and sends no referrer.
DEFAULT_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestContextMiddleware:
    """Wraps the whole application. ``BaseHTTPMiddleware`` would cost 244 microseconds a request."""

    def __init__(self, app: ASGIApp, *, log_requests: bool, slow_ms: int = 0, metrics: Metrics | None = None) -> None:
        """Accepts ``slow_ms``, the milliseconds from which a request is logged as slow; 0 logs none."""
        self.app = app
        self.log_requests, self.slow_ms, self.metrics = log_requests, slow_ms, metrics
        self.refusals = RefusalLog()
        self._second = self._slow_logged = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = _pick_headers(scope)
        identifier = start_request(sent.get(b"x-request-id"), self.refusals)
        if (forwarded := sent.get(b"x-forwarded-for")) is not None:
            self._check_forwarded(scope, forwarded)
        named = (b"x-request-id", identifier.encode())
        without_origin = b"origin" not in sent
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                inner["answered"] = True
                headers = message["headers"] = [*message.get("headers", ()), named, NOSNIFF_HEADER]
                if (limits := inner.get(LIMIT_HEADERS_KEY)) is not None:
                    headers += limits
                present = {name for name, _ in headers}
                headers += [default for default in DEFAULT_HEADERS if default[0] not in present]
                if without_origin:
                    headers.append((b"vary", b"Origin"))  # with an Origin, CORS adds it
                if b"content-length" not in present:  # a stream: the client or a model determines how long it takes
                    inner.setdefault(OWN_TIME_KEY, time.perf_counter())
            await send(message)

        _strip_trailing_slash(scope)
        # RFC 9110, 9.3.2: HEAD is GET without the content. The server drops that by its own scope, hence the copy.
        inner = {**scope, "method": "GET", "head": True} if scope["method"] == "HEAD" else scope
        try:
            await self.app(inner, receive, send_with_headers)
        finally:
            self._record(inner, status, inner.get(OWN_TIME_KEY, time.perf_counter()) - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template, not the path: ids, users and search words stay out of the log.
        route = getattr(scope.get("route"), "path", None) or UNMATCHED_ROUTE
        if self.metrics is not None:
            self.metrics.observe(route, scope["method"], status, seconds)
        slow = 0 < self.slow_ms <= seconds * 1000
        if self.log_requests or slow:
            fields = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            if self.log_requests:
                access_log.info("request", extra=fields)
            if slow and self._may_log_slow():
                session = scope.get("session")
                slow_log.warning("slow_request", extra={**fields, "round_trips": session.round_trips if session else 0})

    def _check_forwarded(self, scope: Scope, forwarded: str) -> None:
        """Logs a proxy that is not trusted. Of one that is, the client's IP address is one of ``forwarded``."""
        peer = unmap_address(scope["client"][0]) if scope.get("client") else ""
        if peer in forwarded or not self.refusals.is_due(IGNORED_PROXY_REASON):
            return
        details = {"detail": "FORWARDED_ALLOW_IPS does not name this proxy: its clients count as one IP address"}
        with suppress(ValueError):  # a client's own IP address is not logged
            if not is_public(ip_address(peer)):
                details["proxy"] = peer
        self.refusals.record(IGNORED_PROXY_REASON, details)

    def _may_log_slow(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._slow_logged = second, 0
        self._slow_logged += 1
        return self._slow_logged <= SLOW_LINES


class CompletedNameMiddleware:
    """Adds ``is_completed`` to JSON responses below a user's path, for front-ends that read it (COMPLETED_NAME=both).

    Streams and files pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_with_both_names(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_json_of_user(scope, message):
                start = message  # its Content-Length is that of the body to come
                return
            if start is not None:
                if not message.get("more_body"):
                    message = {**message, "body": add_second_name(message.get("body", b""))}
                    MutableHeaders(scope=start)["content-length"] = str(len(message["body"]))
                await send(start)
                start = None
            await send(message)

        await self.app(scope, receive, send_with_both_names)


def add_second_name(body: bytes) -> bytes:
    """Returns the JSON text with ``is_completed`` after each ``completed``."""
    return COMPLETED_MEMBER.sub(rb'"completed":\1,"is_completed":\1', body)


def _is_json_of_user(scope: Scope, start: Message) -> bool:
    return "user_id" in scope.get("path_params", ()) and (b"content-type", b"application/json") in start["headers"]


class Cors(CORSMiddleware):
    """Starlette's CORS, skipped without an Origin header: 15 to 50 microseconds less for other callers.

    Apps that run in a page may read what is for every app, without credentials; and known agents may call ``/mcp``.
    """

    def __init__(self, app: ASGIApp, *, agent_origins: Sequence[str], options: Mapping[str, Any]) -> None:
        """Takes the ``options`` of Starlette's middleware."""
        super().__init__(app, **options)
        self._for_agents = CORSMiddleware(
            app, **{**options, "allow_origins": [*options["allow_origins"], *agent_origins]}
        )
        for_apps = {"allow_origins": ["*"], "allow_origin_regex": None, "allow_credentials": False}
        self._for_apps = CORSMiddleware(app, **{**options, **for_apps})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = _pick_headers(scope).get(b"origin") if scope["type"] == "http" else None
        if origin is None:
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(prefix_of(scope))
        if is_for_apps(path):
            await self._for_apps(scope, receive, send)
            return
        if path == MCP_PATH and self._for_agents.is_allowed_origin(origin):
            await self._for_agents(scope, receive, send)
            return
        if scope["method"] != "OPTIONS" and not self.is_allowed_origin(origin):
            self._log_hidden(origin, Headers(scope=scope))
        await super().__call__(scope, receive, send)

    def _log_hidden(self, origin: str, headers: Headers) -> None:
        """Logs that a browser will hide this response from the page that asked for it."""
        own = headers.get("sec-fetch-site") == "same-origin" or origin.partition("://")[2] == headers.get("host")
        if not own:
            detail = "CORS_ORIGINS does not name this origin: the browser hides the response from its page"
            log_refusal("cors_refused", {"origin": origin, "detail": detail})

    def preflight_response(self, request_headers: Headers) -> Response:
        """Returns a refused preflight as a problem, with Starlette's text: what of the request is not allowed."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        detail = f"{bytes(response.body).decode()}."
        asked = {name: request_headers.get(f"access-control-request-{name}") for name in ("method", "headers")}
        log_refusal("cors_refused", {"origin": request_headers.get("origin"), **asked, "detail": detail})
        return problem(response.status_code, "cors_refused", detail, headers=headers)


class ErrorMiddleware:
    """Turns unhandled errors into responses. Inside CORS: without its headers a browser reports a network error."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http" or "answered" in scope:  # the response has begun: it can only be cut off
                raise
            await log_unexpected_error(error)(scope, receive, send)


def _pick_headers(scope: Scope) -> dict[bytes, str]:
    """Returns the first of each of ``PICKED_HEADERS`` that were sent."""
    return {name: value.decode("latin-1") for name, value in reversed(scope["headers"]) if name in PICKED_HEADERS}


def _strip_trailing_slash(scope: Scope) -> None:
    """Removes a trailing slash: a redirect instead would make some clients drop their Authorization header.

    An encoded slash stays: it belongs to the name of a tag.
    """
    path: str = scope["path"]
    if len(path) > 1 and path.endswith("/") and not scope.get("raw_path", b"").upper().endswith(b"%2F"):
        bare = path.rstrip("/")
        scope["path"] = f"{bare}/" if bare == scope.get("root_path", "") else bare  # the root keeps its slash
