"""The binding of a route's parameters, and the end of its transaction.

FastAPI documents every route and validates with its own fields; ``DirectRoute`` only replaces the machinery between
the socket and the endpoint, which costs 100 to 250 microseconds a request (``bench/``). Signatures stay FastAPI's.
The differences:

* the body is read after the dependencies have run, so a client without a token cannot make the service parse one;
* JSON is read strictly: UTF-8, no duplicate keys, no NaN (RFC 8259, 4 and 6);
* the session of the request is committed before the response is sent, and rolled back when the endpoint raises.
"""

import json
from collections.abc import Awaitable, Callable, Coroutine, Set
from functools import cache
from typing import Any, get_args

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.db.contention import retry_on_contention
from app.errors import AppError, ChangesGone, Contention, SyncTokenInvalid
from app.errors.findings import FINDING_NAME_MAX, locate_errors
from app.http.body import read_json
from app.http.dependencies import TOKEN_DEPENDENCIES
from app.http.etags import AHEAD_KEY
from app.http.idempotency import IdempotentRequest, begin_idempotent_request
from app.http.responses import REVISION_HEADER
from app.jobs.owner_epochs import begin_owner_epoch
from app.services.changes.revisions import get_written_revision
from app.services.uids import NamedRow, find_named_row

# Puts a value into the dict by its name, or findings into the list. A coroutine function only where it must wait.
Bind = Callable[[Request, dict[str, Any], list[Any]], Awaitable[None] | None]
Endpoint = Callable[..., Awaitable[Response]]
MAX_CACHED_QUERIES, MAX_CACHED_QUERY_BYTES = 1024, 256
IGNORED_FIELDS_KEY, IGNORED_FIELDS_MAX = "ignored_fields", 20  # in the scope; names in a response


class DirectRoute(APIRoute):
    """An APIRoute whose parameters are bound by a plan made once. Dependencies are coroutine functions."""

    body_max = 2**63  # bytes; below the setting BODY_LIMIT where a route needs less

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().__init__(path, endpoint, **options)
        self.authenticates = _reads_token(self.dependant)
        handler = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await handler(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        dependencies, plan = _dependencies(self.dependant), _plan(self.dependant, self.body_max)
        endpoint: Endpoint = self.endpoint
        unsafe = not (self.methods or set()) <= {"GET", "HEAD"}

        async def handler(request: Request) -> Response:
            values: dict[str, Any] = {}
            errors: list[Any] = []
            idempotent: IdempotentRequest | None = None
            try:
                for bind in dependencies:
                    if (waiting := bind(request, values, errors)) is not None:
                        await waiting
                if (
                    unsafe
                    and not errors
                    and (idempotent := await begin_idempotent_request(request))
                    and idempotent.response
                ):
                    await request.scope["session"].rollback()
                    return idempotent.response
                for bind in plan:
                    if (waiting := bind(request, values, errors)) is not None:
                        await waiting
                if errors:
                    raise RequestValidationError(errors)
                response = await _call_with_retries(endpoint, values, request)
                if unsafe:
                    await _name_revision(request, response)
                if IGNORED_FIELDS_KEY in request.scope:
                    response.headers["X-Ignored-Fields"] = _ignored_names(request)
                if idempotent:
                    await idempotent.keep(request.scope["session"], response)
            except BaseException as error:
                if session := request.scope.get("session"):
                    await session.rollback()
                if isinstance(error, ChangesGone | SyncTokenInvalid) and error.ahead:
                    await begin_owner_epoch(request.app.state.database, values["owner"], error.ahead)
                if idempotent and (refusal := await idempotent.refuse(request, error)):
                    return refusal
                raise
            if session := request.scope.get("session"):
                await session.commit()
            if AHEAD_KEY in request.scope:  # the list is right, and the client was ahead of it
                await begin_owner_epoch(request.app.state.database, *request.scope[AHEAD_KEY])
            return response

        return handler


class SmallBodyRoute(DirectRoute):
    """Limits the body on routes open to clients without a token: names, e-mail addresses and passwords are short."""

    body_max = 8_192


def _dependencies(dependant: Dependant) -> list[Bind]:
    """Returns the steps that run first. Security schemes only document: ``http.dependencies`` reads the token."""
    return [_dependency(sub) for sub in dependant.dependencies if not isinstance(sub.call, SecurityBase)]


def _reads_token(dependant: Dependant) -> bool:
    """Returns whether the endpoint requires a valid token; then requests are counted where the token is read."""
    return dependant.call in TOKEN_DEPENDENCIES or any(_reads_token(sub) for sub in dependant.dependencies)


async def _call_with_retries(endpoint: Endpoint, values: dict[str, Any], request: Request) -> Response:
    """Calls the endpoint, and again on contention. That fails before COMMIT is sent, so no write happens twice.

    Never repeats it without the request's own session: a service that opens transactions may have committed one.
    """
    session = request.scope.get("session")
    return await (endpoint(**values) if session is None else _call_endpoint(endpoint, values, request))


@retry_on_contention
async def _call_endpoint(endpoint: Endpoint, values: dict[str, Any], request: Request) -> Response:
    session = request.scope["session"]
    try:
        for name in request.path_params:
            if type(named := values.get(name)) is NamedRow:
                values[name] = row_id = await find_named_row(session, session.owner, named)
                request.path_params[name] = str(row_id)  # links and locations name it by its id
        return await endpoint(**values)
    except Contention:
        # The next statement begins a new transaction. The rollback also releases a claimed Idempotency-Key: storing the
        # response fails if another request has claimed it since.
        await session.rollback()
        raise


async def _name_revision(request: Request, response: Response) -> None:
    """Sets X-Revision if the request's own transaction wrote anything: to the last revision that it took."""
    session = request.scope.get("session")
    if session is None or session.revision is None or REVISION_HEADER in response.headers:
        return
    response.headers[REVISION_HEADER] = str(await get_written_revision(session, session.owner))


def _plan(dependant: Dependant, body_max: int) -> list[Bind]:
    """Returns the steps that bind the parameters of ``dependant`` itself, in FastAPI's order."""
    steps: list[Bind] = []
    if dependant.request_param_name:
        steps.append(_request(dependant.request_param_name))
    steps += [_text_field(field, "path") for field in dependant.path_params]
    steps += [_text_field(field, "header") for field in dependant.header_params]
    steps += [_query_model(field) for field in dependant.query_params]
    steps += [_body(field, body_max) for field in dependant.body_params]
    unsupported = dependant.cookie_params or dependant.response_param_name or dependant.background_tasks_param_name
    assert not unsupported, "DirectRoute binds path, query model, headers, body and dependencies"
    return steps


def _dependency(dependant: Dependant) -> Bind:
    call, name = dependant.call, dependant.name
    assert call is not None
    assert not dependant.body_params, "a body belongs to the route"
    plan = _dependencies(dependant) + _plan(dependant, 0)

    async def bind(request: Request, values: dict[str, Any], errors: list[Any]) -> None:
        results: dict[Any, Any] = request.scope.setdefault("dependencies", {})
        if call not in results:
            own: dict[str, Any] = {}
            for step in plan:
                if (waiting := step(request, own, errors)) is not None:
                    await waiting
            if errors:
                return
            results[call] = await call(**own)
        if name is not None:
            values[name] = results[call]

    return bind


def _request(name: str) -> Bind:
    def bind(request: Request, values: dict[str, Any], errors: list[Any]) -> None:
        values[name] = request

    return bind


def _text_field(field: Any, place: str) -> Bind:
    """Binds a path parameter or a header, validated by FastAPI's own field."""
    name, alias = field.name, field.alias
    loc = (place, alias)
    required = field.field_info.is_required()

    def bind(request: Request, values: dict[str, Any], errors: list[Any]) -> None:
        raw = request.path_params.get(alias) if place == "path" else _join_header(request, alias)
        if raw is None and not required:
            values[name] = field.get_default()
            return
        values[name], found = field.validate(raw, values, loc=loc)
        if found:
            errors.extend({**error, "sent": {place: {alias: raw}}} for error in found)

    return bind


def _join_header(request: Request, name: str) -> str | None:
    """Returns all lines of a header as one (RFC 9110, 5.2); None when it was not sent."""
    return ", ".join(lines) if (lines := request.headers.getlist(name)) else None


def _query_model(field: Any) -> Bind:
    """Binds the query as one frozen model. Equal query strings are parsed once: the model depends on the text alone."""
    model: type[BaseModel] = field.field_info.annotation
    assert issubclass(model, BaseModel), "declare the query as one model"
    name = field.name
    parsed: dict[tuple[bytes, bool], BaseModel] = {}

    def bind(request: Request, values: dict[str, Any], errors: list[Any]) -> None:
        lenient: bool = request.app.state.settings.unknown_fields == "ignore"
        key = (request.scope["query_string"], lenient)
        if lenient:
            _note_ignored(request, request.query_params.keys() - known_names(model))
        if (found := parsed.get(key)) is not None:
            values[name] = found
            return
        sent = _query_dict(request, model, lenient)
        try:
            values[name] = model.model_validate(sent)
        except ValidationError as error:
            errors.extend(locate_errors(error, sent, "query"))
            return
        if len(key[0]) <= MAX_CACHED_QUERY_BYTES:
            if len(parsed) >= MAX_CACHED_QUERIES:
                parsed.clear()
            parsed[key] = values[name]

    return bind


def _note_ignored(request: Request, names: Set[str]) -> None:
    """Notes names that UNKNOWN_FIELDS=ignore drops, for the response: a filter that is dropped widens a list."""
    if names:
        request.scope.setdefault(IGNORED_FIELDS_KEY, set()).update(names)


def _ignored_names(request: Request) -> str:
    """Returns the ignored names as a JSON array in ASCII: they are what a client made up."""
    names = sorted(request.scope[IGNORED_FIELDS_KEY])[:IGNORED_FIELDS_MAX]
    return json.dumps([name[:FINDING_NAME_MAX] for name in names]).replace("\x7f", r"\u007f")


@cache
def known_names(model: type[BaseModel]) -> frozenset[str]:
    """Returns the names that a query or a body may use: fields, their aliases, and those that are read-only."""
    others = (getattr(model, name, ()) for name in ("ALIASES", "READ_ONLY"))
    return frozenset(model.model_fields).union(*others)


def _query_dict(request: Request, model: type[BaseModel], lenient: bool) -> dict[str, Any]:
    """Maps each name to its value, or to the list of its values when it is repeated."""
    grouped: dict[str, Any] = {}
    for key, value in request.query_params.multi_items():
        grouped.setdefault(key, []).append(value)
    known = known_names(model)
    return {k: v[0] if len(v) == 1 else v for k, v in grouped.items() if not lenient or k in known}


def _body(field: Any, most: int) -> Bind:
    """Binds the JSON body, parsed strictly, of at most ``most`` bytes."""
    adapter: TypeAdapter[Any] = TypeAdapter(field.field_info.annotation)
    known = _body_names(field.field_info.annotation)
    name, required = field.name, field.field_info.is_required()

    async def bind(request: Request, values: dict[str, Any], errors: list[Any]) -> None:
        if errors:  # the request fails, whatever the body is
            return
        settings = request.app.state.settings
        sent, data = await read_json(request, min(most, settings.body_limit))
        if not sent and not required:
            values[name] = field.get_default()
            return
        if settings.unknown_fields == "ignore" and isinstance(data, dict) and known is not None:
            _note_ignored(request, data.keys() - known)
            data = {key: value for key, value in data.items() if key in known}
        try:
            values[name] = adapter.validate_python(data, context={"description_max": settings.description_max})
        except ValidationError as error:
            errors.extend(locate_errors(error, data, "body"))

    return bind


def _body_names(annotation: Any) -> frozenset[str] | None:
    """Returns the names that a body may use, also of an optional model (``Model | None``); None when it is no model."""
    models = [kind for kind in (get_args(annotation) or (annotation,)) if hasattr(kind, "model_fields")]
    return frozenset().union(*map(known_names, models)) if models else None


class OwnErrorsRoute(DirectRoute):
    """A route whose refusals have a form of their own: that of a protocol."""

    def format_error(self, request: Request, error: AppError) -> Response:
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except AppError as error:
                return self.format_error(request, error)

        return handler
