"""Finds the route of a request by its path segments instead of trying one regular expression after another."""

from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.paths import is_for_apps, prefix_of
from app.http.problems import method_not_allowed
from app.http.rate_limits import UNLIMITED_PATHS, Limits
from app.http.routing import DirectRoute

# The MCP endpoint calls ``authenticate``, which counts requests, and the endpoints for apps count by themselves.
# Metadata are constant, and an agent that gets 429 for them gives up.
COUNTED_ELSEWHERE = UNLIMITED_PATHS | {"/mcp"}
STATIC_PREFIXES = ("/app/", "/docs/")  # files from memory, forty for one page of the web client
PARAMETER_SEGMENT, REST_SEGMENTS = "", None  # no literal segment is one of these


class RouteIndex:
    """A tree of path segments over the ``DirectRoute``\\ s. Saves about 19 microseconds a request (``bench/``).

    The framework's router handles all other paths, also 404 and HEAD. A literal segment is no id: an unsupported method
    of ``/tasks/quick`` is 405, where that router would search for a task with this id.
    """

    def __init__(self, routes: list[Any], otherwise: ASGIApp, limits: Limits) -> None:
        self.otherwise, self.limits = otherwise, limits
        self.root: dict[Any, Any] = {}  # segment -> subtree, ("method", name) -> route and names of its parameters
        for route in routes:
            if isinstance(route, DirectRoute):
                self._add(route)

    def _add(self, route: DirectRoute) -> None:
        node, names = self.root, []
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                name, _, converter = segment[1:-1].partition(":")
                names.append(name)
                node = node.setdefault(REST_SEGMENTS if converter == "path" else PARAMETER_SEGMENT, {})
            else:
                node = node.setdefault(segment, {})
        for method in route.methods or ():
            # The first route that was added wins, as in the framework's router.
            node.setdefault(("method", method), (route, names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        node, values = self._find(scope) if scope["type"] == "http" else ({}, [])
        if (leaf := node.get(("method", scope.get("method")))) is None:
            if scope["type"] == "http" and self._is_counted(scope):
                self.limits.consume_address(scope)
            methods = {key[1] for key in node if isinstance(key, tuple)}
            other = methods and not (scope["method"] == "HEAD" and "GET" in methods)
            await (method_not_allowed(methods) if other else self.otherwise)(scope, receive, send)
            return
        route, names = leaf
        params = dict(zip(names, values, strict=True))
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, params
        if (telemetry := scope.get("fastapi.telemetry")) is not None:
            _name_span(telemetry, scope["method"], route.path)
        if not (route.authenticates or route.path in COUNTED_ELSEWHERE or is_for_apps(route.path)):
            self.limits.consume_address(scope)
        await route.app(scope, receive, send)

    def _is_counted(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(prefix_of(scope))
        return path not in UNLIMITED_PATHS and not path.startswith(STATIC_PREFIXES)

    def _find(self, scope: Scope) -> tuple[dict[Any, Any], list[str]]:
        """Returns the node for the path, empty when there is none, and the values of its parameters."""
        values: list[str] = []
        node = self.root
        plain = not scope.get("root_path") and b"%2" not in (scope.get("raw_path") or b"")
        segments = iter(scope["path"].split("/")[1:] if plain else _segments(scope))
        for segment in segments:
            literal = node.get(segment) if segment else None
            if literal is not None:
                node = literal
            elif segment and PARAMETER_SEGMENT in node:
                values.append(segment)
                node = node[PARAMETER_SEGMENT]
            elif REST_SEGMENTS in node:
                values.append("/".join([segment, *segments]))
                return node[REST_SEGMENTS], values
            else:
                return {}, []
        return node, values


def _segments(scope: Scope) -> list[str]:
    """Returns the segments of a path, decoded. An encoded slash belongs to its segment: a user id may have one."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2F" in raw or b"%2f" in raw:
        path = raw.decode("latin-1").rstrip("/").removeprefix(prefix_of(scope))
        return [unquote(segment) for segment in path.split("/")[1:]]
    segments: list[str] = scope["path"].removeprefix(prefix_of(scope)).split("/")[1:]
    return segments


def _name_span(telemetry: Any, method: str, path: str) -> None:
    """Renames the telemetry span to the route's template: ids, users and search words stay out of collected spans."""
    telemetry.route = path
    if telemetry.span is not None:
        telemetry.span.update_name(f"{method} {path}")
        telemetry.span.set_attributes({"http.route": path, "url.path": path, "url.query": ""})
