"""The OpenAPI document: FastAPI's own, completed with the parts that all operations of this service share.

Routes declare what is specific to them; errors, their shape, shared headers and the security scheme are added here, by
functions from a document to a document. The same routes give the same bytes in every process.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from fastapi import FastAPI
from pydantic import MISSING, BaseModel, ConfigDict, Field

from app import errors
from app.config import Settings
from app.http.idempotency import IDEMPOTENCY_KEY
from app.http.openapi.schemas import apply_settings, restore_examples
from app.http.openapi.texts import API_DESCRIPTION, TAG_DESCRIPTIONS
from app.http.paths import SNAPSHOT_EXAMPLE
from app.http.problems import STATUS_TITLES, problem
from app.http.rate_limits import UNLIMITED_PATHS
from app.http.responses import REVISION_HEADER
from app.models.types import MAX_ID, LocationPart
from app.schemas.webhooks import MESSAGE_EXAMPLE, WebhookMessage
from app.version import VERSION

Json = dict[str, Any]

PROBLEM_JSON = "application/problem+json"
# FastAPI keeps a route's methods in a set, whose order differs from process to process.
METHOD_ORDER = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
UNSAFE_METHODS = {"post", "put", "patch", "delete"}
BEARER_SCHEME_NAME = "bearerAuth"
NUMBER_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
PUBLISHER_INFO: Json = {"contact": {"name": "the Todo contributors"}, "license": {"name": "MIT", "identifier": "MIT"}}


class InvalidInput(BaseModel):
    """One input that is not acceptable."""

    loc: list[LocationPart] = Field(description="Where it is: the part of the request, then names and indices.")
    msg: str
    type: str = Field(description="Stable name of the violated rule; docs/errors.md lists them.")
    column: int | MISSING = Field(MISSING, description="Only of a filter: the position in its text, from 1.")
    found: str | MISSING = Field(MISSING, description="Only of a filter: what is there.")
    expected: list[str] | MISSING = Field(MISSING, description="Only of a filter: what may be there.")


class ConflictingField(BaseModel):
    """A field that two writes have changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"field": "title", "base": "Buy milk", "theirs": "Buy oat milk", "yours": "Buy bread"}]
        }
    )

    field: str
    base: Any = Field(description="Its value at `base_version`; null as well if that is no longer kept.")
    theirs: Any = Field(description="Its value now.")
    yours: Any = Field(description="The value in the request. Of a field that was not sent: that of the base.")


class NeededFactor(BaseModel):
    """The second factor that a request needs: any of ``methods``."""

    challenge: str | None = Field(
        description="Continues a login at `/api/auth/login/factor`, within 5 minutes. Null if the caller is logged in:"
        " then `/api/auth/factors/proof`, and the request again."
    )
    methods: list[str]


class Problem(BaseModel):
    """The reason why a request failed (RFC 9457). Only documents the shape: ``app.http.problems`` renders it."""

    type: str
    title: str = Field(description="The status in words.")
    status: int
    status_code: int = Field(description="The same as `status`.")
    detail: str = Field(description="What happened, for a person.")
    code: str = Field(description="What happened, for a program; stable.")
    request_id: str = Field(description="The same as in the X-Request-ID header and in the log.")
    errors: list[InvalidInput] | MISSING = Field(MISSING, description="With 422: each input that is not acceptable.")
    conflicts: list[ConflictingField] | MISSING = Field(
        MISSING, description="With `field_conflict`: each field that another write has changed since `base_version`."
    )
    snapshot: str | MISSING = Field(MISSING, description="With 410: the path of a snapshot, to begin again.")
    second_factor: NeededFactor | MISSING = Field(MISSING, description="With `second_factor_required`: what is needed.")


class Failure(NamedTuple):
    """The condition of an error response, and the code and detail of its example."""

    when: str
    code: str
    detail: str


def _failure(when: str, error: type[errors.AppError]) -> Failure:
    return Failure(when, error.code, error.message)


SHARED_FAILURES = {
    400: _failure("The request cannot be parsed.", errors.MalformedBody),
    401: _failure("There is no valid token.", errors.TokenMissing),
    403: _failure("The token does not allow this.", errors.NotYourPath),
    404: _failure("It does not exist, or belongs to another user.", errors.NotFound),
    409: _failure("The request conflicts with what is stored or still running.", errors.Conflict),
    410: _failure("What it continues from is no longer kept.", errors.ChangesGone),
    412: _failure("It has changed since the version in If-Match.", errors.VersionConflict),
    413: _failure("The body is too large.", errors.BodyTooLarge),
    415: _failure("The body is of another content type.", errors.UnsupportedMediaType),
    422: Failure("The request was understood but is not acceptable.", "validation_error", "title: This is required."),
    429: _failure("There were too many requests.", errors.RateLimited),
    500: Failure("The service failed; it was logged.", "internal_error", "Something went wrong on our side."),
    503: _failure("The service is not available right now.", errors.Unavailable),
    507: _failure("The database has no space left.", errors.StorageFull),
}
RATE_LIMIT_HEADERS = ("RateLimit-Policy", "RateLimit")
EXTRA_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After", *RATE_LIMIT_HEADERS), 503: ("Retry-After",)}
SHARED_HEADERS: Json = {
    "X-Request-ID": {"description": "Names this request, also in the log.", "schema": {"type": "string"}},
    REVISION_HEADER: {
        "description": "The revision of the write, the last one if it took several. Absent if nothing changed that "
        "`/changes` shows, and of a stream.",
        "schema": {"type": "integer"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Policy": {
        "description": "The limits that this request met: `q` requests in `w` seconds.",
        "schema": {"type": "string"},
        "example": '"default";q=1200;w=60',
    },
    "RateLimit": {
        "description": "What is left of each: `r` requests now, the whole quota in `t` seconds.",
        "schema": {"type": "string"},
        "example": '"default";r=1199;t=1',
    },
    "WWW-Authenticate": {"description": "`Bearer`, and what is wrong with the token.", "schema": {"type": "string"}},
}


def install_openapi(app: FastAPI) -> None:
    """Makes ``app.openapi()`` return the completed document, which is built again only when routes were added."""
    build: Callable[[], Json] = app.openapi
    settings: Settings = app.state.settings
    plain: Json = {}
    completed: Json = {}

    def openapi() -> Json:
        nonlocal plain, completed
        latest = build()
        if latest is not plain:
            plain, completed = latest, complete_document(latest)
            apply_settings(completed, settings)
        return completed

    app.openapi = openapi  # type: ignore[method-assign]


def complete_document(document: Json) -> Json:
    """Returns a copy of the document with errors, shared headers, security scheme, tags and info."""
    done = deepcopy(document)
    done["info"] |= {"title": "Todo", "version": VERSION, "description": API_DESCRIPTION, **PUBLISHER_INFO}
    done["servers"] = [{"url": "/"}]
    components: Json = done.setdefault("components", {})
    schemes = components.get("securitySchemes", {})
    for path, item in done["paths"].items():
        done["paths"][path] = {
            method: _operation(path, method, item[method]) for method in METHOD_ORDER if method in item
        }
    done["components"] = {
        **components,
        "schemas": _schemas(components.get("schemas", {})),
        "responses": {_component_name(status): _error_response(status, {}) for status in SHARED_FAILURES},
        "headers": SHARED_HEADERS,
        "securitySchemes": {BEARER_SCHEME_NAME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}, **schemes},
    }
    done["webhooks"] = {"change": {"post": _webhook()}}
    done["tags"] = _tags(done["paths"])
    _restore_integers(done)
    return done


def _webhook() -> Json:
    """Returns the operation that a webhook's endpoint implements."""
    message = {"schema": {"$ref": "#/components/schemas/WebhookMessage"}, "example": MESSAGE_EXAMPLE}
    return {
        "tags": ["webhooks"],
        "operationId": "receive_change",
        "summary": "Receive Change",
        "description": "What this service sends to the URL of a webhook, signed by Standard Webhooks.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": message}},
        "responses": {
            "2XX": {"description": "Received."},
            "4XX": {"description": "Not received: it is sent again, with growing pauses."},
        },
    }


def _restore_integers(node: Any) -> None:
    """Turns bounds back into whole numbers: FastAPI makes them floats, so that 2^63 - 1 becomes 2^63."""
    if isinstance(node, dict):
        for bound in NUMBER_BOUNDS & node.keys():
            if isinstance(node[bound], float) and node[bound].is_integer():
                node[bound] = max(-MAX_ID, min(int(node[bound]), MAX_ID))
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _restore_integers(child)


def _operation(path: str, method: str, operation: Json) -> Json:
    """Completes the security and the responses of one operation."""
    done = dict(operation)
    writes = "{user_id}" in path and method in UNSAFE_METHODS
    if writes:
        done["parameters"] = [*done.get("parameters", []), IDEMPOTENCY_KEY]
    if "parameters" in done:
        done["parameters"] = [_parameter(parameter) for parameter in done["parameters"]]
    # Below a user's path open only where the route declares so, elsewhere closed only where it does.
    done.setdefault("security", [{BEARER_SCHEME_NAME: []}] if "{user_id}" in path else [])
    declared: Json = {**{str(status): {} for status in _expected(path, method, done)}, **done["responses"]}
    done["responses"] = {
        status: _response(path, status, declared[status], writes=writes) for status in sorted(declared)
    }
    return done


def _parameter(parameter: Json) -> Json:
    """Removes null, which no URL or header can carry, from a parameter, and adds the example of a path parameter.

    Swagger UI fills in ``example`` only. Headers get none: a filled-in If-Match would make each first request fail.
    """
    schema = dict(parameter["schema"])
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        del schema["anyOf"]
        schema = {**branches[0], **schema}
    elif branches:
        schema["anyOf"] = branches
    example = {"example": schema["examples"][0]} if parameter["in"] == "path" and "examples" in schema else {}
    return {**example, **parameter, "schema": schema}


def _expected(path: str, method: str, operation: Json) -> set[int]:
    """Returns the error statuses that an operation can have, judged by its parameters and body."""
    names = {(p["in"], p["name"].lower()) for p in operation.get("parameters", [])}
    statuses = {500, 503} if path in UNLIMITED_PATHS else {429, 500, 503}
    if "requestBody" in operation:
        statuses |= {400, 413, 415, 422}
    if names:
        statuses.add(422)
    if operation.get("security"):
        statuses |= {401, 403}
    if "{" in path.replace("{user_id}", ""):
        statuses.add(404)
    if ("header", "if-match") in names:
        statuses.add(412)
    if ("query", "cursor") in names:
        statuses.add(410)
    if ("header", "idempotency-key") in names:
        statuses.add(409)
    if method in UNSAFE_METHODS:
        statuses.add(507)
    return statuses


def _response(path: str, status: str, declared: Json, *, writes: bool) -> Json:
    """Adds the shared headers to a declared response; errors become problems, or a reference to the shared one."""
    if not status.isdecimal() or int(status) < 400:
        names = ("X-Request-ID", *(() if path in UNLIMITED_PATHS else RATE_LIMIT_HEADERS))
        shared = _header_references(*names, *((REVISION_HEADER,) if writes else ()))
        return {**declared, "headers": {**shared, **declared.get("headers", {})}}
    automatic = status == "422" and "HTTPValidationError" in str(declared.get("content"))
    if int(status) in SHARED_FAILURES and (not declared or automatic):
        return {"$ref": f"#/components/responses/{_component_name(int(status))}"}
    return _error_response(int(status), declared)


def _error_response(status: int, declared: Json) -> Json:
    """Returns an error response. The route's own description, headers and example take precedence."""
    description, title = declared.get("description", ""), STATUS_TITLES.get(status, "Error")
    when, code, detail = SHARED_FAILURES.get(status, Failure(description, title.lower().replace(" ", "_"), description))
    findings = [{"loc": ["body", "title"], "msg": "This is required.", "type": "missing"}] if status == 422 else None
    snapshot = SNAPSHOT_EXAMPLE if status == 410 else None
    example: Json = json.loads(bytes(problem(status, code, detail, errors=findings, snapshot=snapshot).body))
    example["request_id"] = "01a4d0f2c3b8"
    media: Json = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    for given in declared.get("content", {}).values():
        media |= {key: given[key] for key in ("example", "examples") if key in given}
    if "examples" in media:
        del media["example"]  # OpenAPI: one or the other
    headers = {**_header_references("X-Request-ID", *EXTRA_HEADERS.get(status, ())), **declared.get("headers", {})}
    return {"description": description or when, "headers": headers, "content": {PROBLEM_JSON: media}}


def _header_references(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _component_name(status: int) -> str:
    return STATUS_TITLES[status].replace(" ", "")


def _schemas(found: Json) -> Json:
    """Replaces FastAPI's error schemas by this service's, sorted by name."""
    schemas = restore_examples(found)
    for model in (Problem, WebhookMessage):
        own = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas = {**own.pop("$defs"), **schemas, model.__name__: own}
    return {name: schemas[name] for name in sorted(schemas) if name not in {"HTTPValidationError", "ValidationError"}}


def _tags(paths: Json) -> list[Json]:
    """Returns the tags in use: those with a description in its order, then any others."""
    used = {tag for item in paths.values() for operation in item.values() for tag in operation.get("tags", [])}
    described: list[Json] = [
        {"name": name, "description": text} for name, text in TAG_DESCRIPTIONS.items() if name in used
    ]
    return described + [{"name": name} for name in sorted(used - TAG_DESCRIPTIONS.keys())]
