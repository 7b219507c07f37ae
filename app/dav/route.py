"""Routes of CalDAV: their login, their bodies, and their refusals, which are XML (RFC 4918, 16)."""

import binascii
from base64 import b64decode
from typing import Annotated

from fastapi import Depends, Request, Response

from app.auth.opaque_tokens import API_TOKEN_PREFIX
from app.auth.token_verifier import bearer_token
from app.dav.names import Name
from app.dav.properties import Surroundings
from app.dav.xml_writer import MULTISTATUS_END, MULTISTATUS_HEAD, XML_TYPE, error_document
from app.errors import (
    AppError,
    BodyTooLarge,
    CalendarDataRefused,
    DavRefusal,
    ErrorKind,
    InsufficientScope,
    NoEntityTag,
    ObjectTooLarge,
    RefusalReason,
    TokenInvalid,
    UnsupportedMediaType,
)
from app.http.body import read_body
from app.http.dependencies import ME_PATH, Caller, Owner, authenticate
from app.http.etags import expected_versions
from app.http.paths import dav_path
from app.http.problems import STATUS_BY_KIND
from app.http.routing import OwnErrorsRoute
from app.observability.refusals import log_refusal
from app.services.caldav.put import ObjectCondition

DAV_CLASSES = "1, 3, calendar-access, extended-mkcol"
DAV_HEADERS = {"DAV": DAV_CLASSES, "Cache-Control": "private, no-cache"}
ROOT_METHODS = "OPTIONS, PROPFIND, REPORT"
COLLECTION_METHODS = "OPTIONS, PROPFIND, PROPPATCH, REPORT, MKCALENDAR, MKCOL, DELETE"
OBJECT_METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, MOVE, PROPFIND, PROPPATCH"
NEEDED_PRIVILEGES: Name = ("DAV:", "need-privileges")
BASIC_CHALLENGE = 'Basic realm="Todo", charset="UTF-8"'
BASIC_MAX = 2_048  # characters of the header


def read_app_password(header: str | None) -> str:
    """Returns the API token in the password of Basic, or a bearer token. The user name may be anything.

    Raises TokenMissing, TokenNotBearer and TokenInvalid.
    """
    scheme, _, encoded = (header or "").strip(" ").partition(" ")
    if scheme.lower() != "basic":
        return bearer_token(header)
    try:
        if len(encoded) > BASIC_MAX:
            raise ValueError
        _, colon, password = b64decode(encoded.strip(" "), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise TokenInvalid(reason=RefusalReason.API_TOKEN_MALFORMED) from None
    if not colon or not password.startswith(API_TOKEN_PREFIX):  # above all, an account's own password is none
        raise TokenInvalid(reason=RefusalReason.API_TOKEN_MALFORMED)
    return password


async def authenticate_app(request: Request) -> None:
    """Reads who calls. It comes before all other dependencies, which find the identity there."""
    request.scope["identity"] = await authenticate(request, read_token=read_app_password, quota="caldav")


async def read_root_body(request: Request, caller: Caller) -> bytes:
    """Reads the body of a caller who is known. Raises BodyTooLarge, UnsupportedMediaType."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without Content-Encoding: compressed bodies are not read.")
    return await read_body(request, request.app.state.settings.body_limit)


async def read_dav_body(request: Request, owner: Owner, caller: Caller) -> bytes:
    """Reads the body of a request to the caller's own path. Raises what ``read_root_body`` raises."""
    return await read_root_body(request, caller)


async def read_condition(request: Request) -> ObjectCondition:
    """Reads If-Match and If-None-Match of a write. A tag that is not of this service matches nothing."""
    match = ", ".join(request.headers.getlist("if-match"))
    try:
        versions = expected_versions(match or None)
    except NoEntityTag:
        versions = []
    return ObjectCondition(
        versions=versions,
        must_exist=bool(match),
        must_be_new=request.headers.get("if-none-match", "").strip() == "*",
    )


async def describe_surroundings(request: Request, caller: Caller) -> Surroundings:
    named = ME_PATH if request.path_params.get("user_id") == ME_PATH else caller.subject
    return Surroundings(dav_path(request, named), dav_path(request), caller.scope == "write")


RootBody = Annotated[bytes, Depends(read_root_body)]
DavBody = Annotated[bytes, Depends(read_dav_body)]
Condition = Annotated[ObjectCondition, Depends(read_condition)]
Around = Annotated[Surroundings, Depends(describe_surroundings)]


def multistatus(*responses: str) -> Response:
    """Returns a multistatus of a few responses."""
    return xml_response("".join((MULTISTATUS_HEAD, *responses, MULTISTATUS_END)), 207)


def options_response(methods: str) -> Response:
    return Response(headers={**DAV_HEADERS, "Allow": methods})


def xml_response(body: str, status: int) -> Response:
    return Response(body, status, DAV_HEADERS, media_type=XML_TYPE)


def dav_error(error: AppError) -> Response:
    """Returns a refusal in the form that calendar apps read."""
    status = STATUS_BY_KIND[error.kind]
    if error.reason:
        log_refusal(error.reason, {"code": error.code, **error.details})
    condition: Name | None = error.condition if isinstance(error, DavRefusal) else None
    if isinstance(error, InsufficientScope):
        condition = NEEDED_PRIVILEGES
    elif isinstance(error, BodyTooLarge):
        condition = ObjectTooLarge.condition
    elif error.kind is ErrorKind.INVALID:  # of data that passed the reader: 422 would be of another method
        status, condition = 403, CalendarDataRefused.condition
    made = xml_response(error_document(condition, error.detail), status)
    if status == 401:
        made.headers["WWW-Authenticate"] = BASIC_CHALLENGE
    if error.retry_after is not None:
        made.headers["Retry-After"] = str(error.retry_after)
    return made


class DavRoute(OwnErrorsRoute):
    """A route whose refusals calendar apps can read."""

    def format_error(self, request: Request, error: AppError) -> Response:
        return dav_error(error)
