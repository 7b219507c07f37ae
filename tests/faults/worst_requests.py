"""Requests with the worst values, generated from the OpenAPI document and from the schemas of the tools."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.assistant.tools import TOOLS_BY_NAME
from app.http.refresh_cookie import COOKIE_NAME as REFRESH_COOKIE
from app.http.routing import known_names
from tests.faults import worst_values as worst
from tests.faults.worst_values import Body, Shape, Value

Json = dict[str, Any]
Headers = tuple[tuple[bytes, bytes], ...]
JSON_TYPE = (b"Content-Type", b"application/json")
PLACE = "the worst value"
SAMPLES = {"date": "2026-12-01", "date-time": "2026-12-01T09:00:00Z", "email": "ann@example.com"}  # by format


class Case(NamedTuple):
    """One request. ``refused``: only a 4xx is right. ``signed_in``: it has a token, so 401 is wrong."""

    place: str
    kind: str
    refused: bool
    signed_in: bool
    target: bytes
    headers: Headers = ()
    body: tuple[bytes, ...] | None = None
    patience: float = 0.0  # seconds, where the work is allowed to take longer


class Operation(NamedTuple):
    method: str
    path: str
    spec: Json
    document: Json
    query_names: frozenset[str]  # including those that the document omits
    hidden: bool  # from the document

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def secured(self) -> bool:
        return any("bearerAuth" in each for each in self.spec.get("security", ()))

    @property
    def capability(self) -> str | None:
        """Returns the query parameter that is a token of its own."""
        schemes = self.document["components"].get("securitySchemes", {})
        named = [schemes[name] for each in self.spec.get("security", ()) for name in each]
        return next((scheme["name"] for scheme in named if scheme.get("in") == "query"), None)

    @property
    def body(self) -> Json | None:
        content = self.spec.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema") if list(content) == ["application/json"] else None

    def parameters(self, place: str) -> list[Json]:
        return [each for each in self.spec.get("parameters", []) if each["in"] == place]


# Their methods are unknown to OpenAPI, and their bodies are XML and iCalendar: tests/dav/test_fuzz.py.
CALDAV_PATHS = ("/dav", "/.well-known/caldav")


def operations(app: FastAPI) -> list[Operation]:
    """Returns every route, with a document that omits none."""
    routes: dict[tuple[str, str], APIRoute] = {}
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route}: say in tests/faults/worst_requests.py how it is covered"
        if route.path.startswith(CALDAV_PATHS):
            continue
        for method in route.methods or ():
            routes[method, route.path_format] = route
    left_out = {key: route for key, route in routes.items() if not route.include_in_schema}
    hidden = left_out.keys()
    try:
        for route in left_out.values():
            route.include_in_schema = True
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Duplicate Operation ID")
            document = app.openapi()
    finally:
        for route in left_out.values():  # which all applications of this process share
            route.include_in_schema = False
    found = []
    for path, item in document["paths"].items():
        for method, spec in item.items():
            key = (method.upper(), path)
            found.append(Operation(*key, spec, document, _query_names(routes[key]), key in hidden))
    assert {(each.method, each.path) for each in found} == routes.keys()
    return sorted(found, key=lambda each: (each.method == "DELETE", each.path, each.method))


def _query_names(route: APIRoute) -> frozenset[str]:
    models = [field.field_info.annotation for field in route.dependant.query_params]
    shapes = [model for model in models if isinstance(model, type) and issubclass(model, BaseModel)]
    return frozenset().union(*(known_names(shape) for shape in shapes))


# Schemas


def _branches(root: Json, schema: Json) -> Iterator[tuple[str, Json]]:
    """Yields the alternatives of a schema without null, each with the name under which it is shared."""
    if "$ref" in schema:
        _, *steps = schema["$ref"].split("/")
        node: Any = root
        for step in steps:
            node = node[step]
        for name, branch in _branches(root, node):
            yield name or steps[-1], branch
        return
    several = [each for word in ("anyOf", "oneOf", "allOf") for each in schema.get(word, ())]
    if several and "type" not in schema:
        for each in several:
            yield from _branches(root, each)
    elif schema.get("type") != "null":
        yield "", schema


def sample(root: Json, schema: Json) -> Any:
    """Returns a small value that is valid for ``schema``, as far as its examples allow."""
    _, branch = next(iter(_branches(root, schema)))
    for word in ("examples", "enum"):
        if branch.get(word):
            return branch[word][0]
    if "const" in branch:
        return branch["const"]
    match branch.get("type"):
        case "object":
            shape = branch.get("properties", {})
            names = branch.get("required", []) or list(shape)[: branch.get("minProperties", 0)]
            return {name: sample(root, shape[name]) for name in names if name in shape}
        case "array":
            return [sample(root, branch["items"])] * branch.get("minItems", 0)
        case "integer" | "number":
            return max(1, int(branch.get("minimum", 1)))
        case "boolean":
            return True
    return SAMPLES.get(branch.get("format", ""), "correct horse battery")


def _shape(root: Json, schema: Json) -> Shape:
    branches = [branch for _, branch in _branches(root, schema)]
    texts = [each for each in branches if each.get("type") == "string" and not {"enum", "const"} & each.keys()]
    lists = [each for each in branches if each.get("type") == "array"]
    length = max((each.get("maxLength", worst.UNBOUNDED) for each in texts), default=0)
    parsed = any({"format", "pattern"} & each.keys() or "maxLength" not in each for each in texts)
    item = json.dumps(sample(root, lists[0].get("items", {"type": "string"}))).encode() if lists else None
    return Shape(bool(texts), length, parsed, item, max((each.get("maxItems", 20) for each in lists), default=0))


class Field(NamedTuple):
    """A place in a body. ``wrap`` returns the whole body for a value at that place."""

    place: str
    owner: str  # the shared schema that contains it
    schema: Json
    wrap: Callable[[Any], Any]

    def around(self, value: bytes) -> tuple[bytes, ...]:
        before, _, after = json.dumps(self.wrap(PLACE)).encode().partition(b'"%b"' % PLACE.encode())
        return before, value, after


def fields(root: Json, schema: Json, place: str, wrap: Callable[[Any], Any], owner: str = "") -> Iterator[Field]:
    """Yields the value itself, every property below it and the items of every list, at any depth."""
    yield Field(place, owner, schema, wrap)
    for name, branch in _branches(root, schema):
        if branch.get("type") == "object":
            whole = sample(root, schema if "$ref" in schema else branch)
            for key, below in branch.get("properties", {}).items():

                def put(value: Any, key: str = key, whole: Any = whole) -> Any:
                    return wrap({**(whole if isinstance(whole, dict) else {}), key: value})

                yield from fields(root, below, f"{place}.{key}", put, f"{name or owner}.{key}")
        elif branch.get("type") == "array":
            yield from fields(root, branch.get("items", {}), f"{place}[]", lambda value: wrap([value]), f"{owner}[]")


# Requests


class Writer:
    """Generates the cases of one operation after the other; what several share is sent in full only once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def cases(self, operation: Operation, ids: Mapping[str, str]) -> Iterator[Case]:
        """Yields the cases; ``ids`` are the values of the path, and of the query of a capability."""
        path = operation.path.format_map(ids).encode()
        yield from self._paths(operation, ids)
        yield from self._queries(operation, path)
        if operation.capability is not None:
            path = b"%b?%b=%b" % (path, operation.capability.encode(), ids[operation.capability].encode())
        yield from self._headers(operation, path)
        if operation.body is not None:
            yield from self._fields(operation, path)
            yield from self._bodies(operation, path)
        else:
            content = (b'"', b"a" * (worst.MB - 2), b'"')
            yield Case("body that nobody reads", "1 MB", False, operation.secured, path, (JSON_TYPE,), content)

    def _paths(self, operation: Operation, ids: Mapping[str, str]) -> Iterator[Case]:
        for parameter in operation.parameters("path"):
            name = parameter["name"]
            several = worst.URL_TEXTS if self._is_new(f"path {name}") else worst.URL_TEXTS_BRIEF
            for kind, value in several.items():
                target = operation.path.format_map({**ids, name: PLACE}).encode().replace(PLACE.encode(), value)
                yield Case(f"path {name}", kind, True, operation.secured, target)
            if operation.secured:
                yield Case(f"path {name}", kind, True, False, target)

    def _is_new(self, what: str) -> bool:
        new = what not in self._seen
        self._seen.add(what)
        return new

    def _queries(self, operation: Operation, path: bytes) -> Iterator[Case]:
        strict, secured = bool(operation.query_names), operation.secured
        documented = {each["name"]: each["schema"] for each in operation.parameters("query")}
        for name in sorted(operation.query_names | documented.keys()):
            key = name.encode()
            for kind, value in worst.URL_TEXTS.items():
                short = len(value) < 20
                yield Case(f"query {name}", kind, strict and not short, secured, b"%b?%b=%b" % (path, key, value))
            times = worst.QUERY // (len(key) + 3)
            yield Case(f"query {name}", "repeated", strict, secured, path + b"?" + b"&".join([key + b"=a"] * times))
        for kind, query in (("3,800 names", b"&a" * 3800), ("a name of 7 KB", b"a" * 7000), ("no names", b"&" * 7600)):
            refused = strict and kind != "no names"
            yield Case("query", kind, refused, secured, path + b"?" + query)
            if secured:
                yield Case("query", kind, True, False, path + b"?" + query)

    def _headers(self, operation: Operation, path: bytes) -> Iterator[Case]:
        for parameter in operation.parameters("header"):
            name, bounded = parameter["name"].encode(), "maxLength" in parameter["schema"]
            for kind, value in worst.HEADER_TEXTS.items():
                yield Case(f"header {name.decode()}", kind, bounded, operation.secured, path, ((name, value),))
        for kind, value in worst.TOKENS.items():
            yield Case("header Authorization", kind, operation.secured, False, path, ((b"Authorization", value),))
        room = worst.HEADER // len(worst.COMMON_HEADERS) - 30
        for kind, value in worst.HEADER_TEXTS.items():
            several = tuple((name, value[:room]) for name in worst.COMMON_HEADERS)
            yield Case("headers that all may have", kind, False, operation.secured, path, several)
        cookie = (b"Cookie", b"%b=%b" % (REFRESH_COOKIE.encode(), b"a" * worst.HEADER))
        yield Case("header Cookie", "a refresh token", False, operation.secured, path, (cookie,))
        yield Case("headers", "90 of them", False, operation.secured, path, tuple(worst.many_headers()))
        yield from self._once(operation, path)

    def _once(self, operation: Operation, path: bytes) -> Iterator[Case]:
        """Yields the values that middleware reads, in full for one operation with a token and for one without."""
        if operation.method != "GET" or not self._is_new(f"headers {operation.secured}"):
            return
        for name in worst.COMMON_HEADERS:
            for kind, value in worst.HEADER_TEXTS.items():
                yield Case(f"header {name.decode()}", kind, False, operation.secured, path, ((name, value),))

    def _fields(self, operation: Operation, path: bytes) -> Iterator[Case]:
        assert operation.body is not None
        for field in fields(operation.document, operation.body, "body", lambda value: value):
            for value in self._values(operation.document, field):
                yield _with_body(field, value, path, operation.secured)

    def _values(self, root: Json, field: Field) -> Iterator[Value]:
        if self._is_new(f"field {field.owner}"):
            named = {value.name: value for value in (*worst.core(), *worst.values(_shape(root, field.schema)))}
            yield from named.values()
        else:
            yield from worst.brief()

    def _bodies(self, operation: Operation, path: bytes) -> Iterator[Case]:
        assert operation.body is not None
        for body in worst.bodies() if self._is_new(f"bodies {operation.secured}") else worst.bodies_brief():
            yield _whole(body, path, operation.secured)
        for body in worst.bodies_brief():
            yield _whole(body, path, not operation.secured, refused=True)
        whole = sample(operation.document, operation.body)
        pieces = json.dumps(whole).encode() + b" " * 100_000
        for signed_in in {operation.secured, False}:
            headers = (JSON_TYPE, (b"Transfer-Encoding", b"chunked"))
            refused = operation.secured and not signed_in
            yield Case("body", "100,000 chunks", refused, signed_in, path, headers, (worst.chunked(pieces),))
        unread = worst.any_json({**whole, PLACE: 1} if isinstance(whole, dict) else whole).replace(
            PLACE.encode(), b"id"
        )
        before, _, after = unread.rpartition(b"1")
        content = (before, worst.repeated(b"1"), after)
        yield Case("body.id", "500,000 numbers", False, operation.secured, path, (JSON_TYPE,), content)
        if "{user_id}" in operation.path:
            headers = (JSON_TYPE, (b"Idempotency-Key", b"worst"))
            yield Case("body, kept", "90,000 unknown names", True, True, path, headers, (worst.names(90_000),))


def _with_body(field: Field, value: Value, path: bytes, signed_in: bool, headers: Headers = (JSON_TYPE,)) -> Case:
    return Case(field.place, value.name, value.refused, signed_in, path, headers, field.around(value.json))


def _whole(body: Body, path: bytes, signed_in: bool, *, refused: bool = False) -> Case:
    typed = any(name == b"Content-Type" for name, _ in body.headers)
    headers = body.headers if typed else (JSON_TYPE, *body.headers)
    return Case("body", body.name, refused or body.refused, signed_in, path, headers, (body.content,))


def other_cases(path: bytes) -> Iterator[Case]:
    """Yields cases for methods and paths without a route of their own."""
    asked = ((b"Origin", b"http://localhost:3000"), (b"Access-Control-Request-Method", b"POST"))
    for name in (b"Access-Control-Request-Headers", b"Access-Control-Request-Method", b"Origin", b"Authorization"):
        for kind, value in worst.HEADER_TEXTS.items():
            headers = (*(pair for pair in asked if pair[0] != name), (name, value))
            yield Case(f"header {name.decode()}", kind, False, False, path, headers)
    for kind, value in worst.URL_TEXTS.items():
        yield Case("path", kind, False, False, b"%b/%b" % (path, value))
        yield Case("query", kind, False, False, b"%b?%b" % (path, value))
    for body in worst.bodies():
        yield _whole(body, path, False)._replace(refused=False)


# The tools, which /mcp takes in a protocol of its own

MCP_HEADERS: Headers = (JSON_TYPE, (b"Accept", b"application/json, text/event-stream"))


def tool_cases(name: str) -> Iterator[Case]:
    """Yields the cases for the arguments of one tool."""
    schema = TOOLS_BY_NAME[name].input_schema()

    def call(arguments: Any) -> Any:
        params = {"name": name, "arguments": arguments}
        return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    for number, field in enumerate(fields(schema, schema, "arguments", call)):
        shape = _shape(schema, field.schema)
        for value in (*(worst.core() if number == 0 else worst.brief()), *worst.short_texts(shape)):
            yield _with_body(field, value, b"/mcp", True, MCP_HEADERS)


def mcp_cases() -> Iterator[Case]:
    """Yields the cases for the message around the arguments."""
    properties = {"jsonrpc": {"const": "2.0"}, "id": {"type": "string"}, "method": {"const": "tools/list"}}
    params = {"type": "object", "properties": {"name": {"type": "string"}, "cursor": {}, "_meta": {"type": "object"}}}
    required = [*properties]
    message: Json = {"type": "object", "required": required, "properties": {**properties, "params": params}}
    for field in fields(message, message, "message", lambda value: value):
        for value in worst.core():
            yield _with_body(field, value._replace(refused=False), b"/mcp", True, MCP_HEADERS)
    for body in worst.bodies():
        yield _whole(body, b"/mcp", True)._replace(refused=False)
        yield _whole(body, b"/mcp", False, refused=True)
