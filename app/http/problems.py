"""Error responses (RFC 9457): the only module that knows both an error's kind and its HTTP status."""

import json
import logging
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from app.errors import AppError, BodyTooLarge, ChangesGone, ErrorKind, FieldConflict, SecondFactorRequired, UidTaken
from app.errors.findings import make_findings
from app.http.paths import row_path, snapshot_path
from app.models.task_aliases import SENT_NAMES
from app.observability.refusals import log_refusal
from app.observability.request_context import request_id
from app.observability.startup_errors import describe_failure

log = logging.getLogger(__name__)

STATUS_BY_KIND = {
    ErrorKind.MALFORMED: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.STALE: 412,
    ErrorKind.GONE: 410,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_MEDIA: 415,
    ErrorKind.INVALID: 422,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.BAD_GATEWAY: 502,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.GATEWAY_TIMEOUT: 504,
    ErrorKind.STORAGE_FULL: 507,
}
STATUS_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    507: "Insufficient Storage",
}
FINDINGS_MAX, FINDINGS_SIZE = 100, 32_768  # of one response, and their bytes: it has 64 KB at most
LIBRARY_ERRORS_MAX = 400  # that become findings: a union has several errors at one place
DETAIL_MAX = 2_000  # characters
# Refusals that an operator can do something about. Others are the client's own business, unless they have a reason.
OPERATOR_KINDS = frozenset(
    {
        ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN, ErrorKind.RATE_LIMITED, ErrorKind.TOO_LARGE,
        ErrorKind.UNSUPPORTED_MEDIA, ErrorKind.UNAVAILABLE, ErrorKind.BAD_GATEWAY, ErrorKind.GATEWAY_TIMEOUT,
        ErrorKind.STORAGE_FULL,
    }
)  # fmt: skip
OPERATOR_CODES = frozenset({"url_refused"})
HTTP_ERROR_CODES = {404: "route_not_found", 405: "method_not_allowed", 413: "body_too_large"}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, Any]] | None = None,
    conflicts: Sequence[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
    snapshot: str | None = None,
    second_factor: dict[str, Any] | None = None,
) -> Response:
    """Returns a response in the shape that all errors share."""
    body: dict[str, Any] = {
        "type": f"urn:todo:problem:{code}",
        "title": STATUS_TITLES.get(status, "Error"),
        "status": status,
        "status_code": status,
        "detail": detail[:DETAIL_MAX],
        "code": code,
        "request_id": request_id(),
    }
    if errors is not None:
        body["errors"] = errors
    if conflicts is not None:
        body["conflicts"] = conflicts
    if snapshot is not None:
        body["snapshot"] = snapshot
    if second_factor is not None:
        body["second_factor"] = second_factor
    return Response(_encode(body), status, headers, media_type="application/problem+json")


def _encode(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # an unknown name may be a lone surrogate, which only JSON escapes can express
        return json.dumps(body).encode()


def problem_from_error(error: AppError, request: Request | None = None) -> Response:
    """Returns the response for an application error, and logs for the operator why it was refused.

    Of a UidTaken it names the path, and of a ChangesGone that of a snapshot, below the user of ``request``.
    """
    status = STATUS_BY_KIND[error.kind]
    if error.reason or error.kind in OPERATOR_KINDS or error.code in OPERATOR_CODES:
        described = {"code": error.code, **({} if error.reason else {"detail": error.detail}), **error.details}
        if error.kind is ErrorKind.UNAVAILABLE and error.__cause__ is not None:
            described["cause"] = describe_failure(error)
        log_refusal(error.reason or error.code, described)
    headers = {}
    if status == 401:
        # RFC 6750, 3.1: no error code when the client sent no credentials at all
        sent = error.code not in {"token_missing", "token_not_bearer"}
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if sent else "Bearer"
    if error.code == "insufficient_scope":
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'  # RFC 6750, 3.1
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UidTaken) and error.ids and request is not None:
        headers["Location"] = row_path(request, error.entity, error.ids)
    in_batch = error.loc[1:2] == ("operations",)  # what is wrong is one of many, whatever the status
    errors = [{"loc": list(error.loc), "msg": error.detail, "type": error.code}] if status == 422 or in_batch else None
    conflicts = error.conflicts if isinstance(error, FieldConflict) else None
    snapshot = snapshot_path(request) if isinstance(error, ChangesGone) and request is not None else None
    second_factor = None
    if isinstance(error, SecondFactorRequired):
        second_factor = {"challenge": error.challenge, "methods": error.methods}
    return problem(
        status,
        error.code,
        error.detail,
        errors=errors,
        conflicts=conflicts,
        headers=headers,
        snapshot=snapshot,
        second_factor=second_factor,
    )


def problem_from_validation(error: RequestValidationError) -> Response:
    """Returns 422 with the first findings, and never the input itself, which may be a password or a title."""
    found = error.errors()
    errors = make_findings(found[:LIBRARY_ERRORS_MAX], SENT_NAMES)
    first, others = errors[0], len(errors) - 1 + len(found[LIBRARY_ERRORS_MAX:])
    where = ".".join(str(part) for part in first["loc"][1:]) or first["loc"][0]
    more = f" There {'is 1 more error' if others == 1 else f'are {others} more errors'}." if others else ""
    detail = f"{where}: {first['msg']}{more}"
    return problem(422, "validation_error", detail, errors=_limit_findings(errors[:FINDINGS_MAX]))


def _limit_findings(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns as many of the first findings as a response may hold."""
    sizes = accumulate(len(_encode(error)) for error in errors)
    return [error for error, size in zip(errors, sizes, strict=True) if size <= FINDINGS_SIZE]


def problem_from_http(error: HTTPException, request: Request) -> Response:
    """Returns the response for an error that the framework raises itself: unknown routes and methods."""
    code = HTTP_ERROR_CODES.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        return method_not_allowed(_methods(request))
    return problem(error.status_code, code, str(error.detail), headers=headers)


def method_not_allowed(methods: set[str]) -> Response:
    """Returns 405 with ``methods``, all that the path supports (RFC 9110, 15.5.6)."""
    allowed = methods | {"HEAD"} if "GET" in methods else methods
    return problem(405, HTTP_ERROR_CODES[405], STATUS_TITLES[405], headers={"Allow": ", ".join(sorted(allowed))})


def _methods(request: Request) -> set[str]:
    """Returns the methods of all routes with this path: Starlette names only those of one route."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in routes if route.path == routes[0].path for method in route.methods}


def log_unexpected_error(error: Exception) -> Response:
    """Logs a bug with its traceback and returns a response that names only the request id."""
    log.error("unhandled error", exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side; the request id finds it in the log.")


def install_problems(app: FastAPI) -> None:
    """Registers the error handlers. All other errors are caught by ``app.http.middleware``."""

    async def application_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return problem_from_error(error, request)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_from_validation(error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_from_error(BodyTooLarge()) if error.status_code == 413 else problem_from_http(error, request)

    async def disconnected(request: Request, error: Exception) -> Response:
        return Response(status_code=400)  # the client does not read it

    app.add_exception_handler(AppError, application_error)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, disconnected)
