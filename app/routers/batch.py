"""``/api/{user_id}/batch``: parameters in, one service call, status out."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response, Security
from fastapi.exceptions import RequestValidationError

from app.errors import AppError, NoEntityTag
from app.errors.findings import locate_errors
from app.http.dependencies import Owner, WriteSession, bearer
from app.http.etags import expected_versions
from app.http.problems import problem_from_error, problem_from_validation
from app.http.rate_limits import Limits
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.batch import Batch, BatchResult, InvalidOperation, Operation
from app.services.batch.operations import Done
from app.services.batch.runs import run_batch

router = APIRouter(
    prefix="/api/{user_id}/batch", tags=["batch"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.post(
    "",
    response_model=BatchResult,
    responses={
        404: {"description": "An atomic batch names what is not there."},
        412: {"description": "An `if_match` of an atomic batch does not hold."},
    },
)
async def write_batch(request: Request, owner: Owner, session: WriteSession, batch: Batch) -> Response:
    """Runs up to 500 operations, each as its own route would: as one write or none, or with `atomic: false` each alone.

    Atomic, all share one revision, so that one undo reverts them, and the refusal of one is the response: its `errors`
    name the operation. `if_match` is about the version before the batch.
    """
    limits: Limits = request.app.state.limits
    limits.consume_operations(request.scope, owner, len(batch.operations))
    versions: list[list[int] | None] = []
    invalid: dict[int, Exception] = {}
    for number, operation in enumerate(batch.operations):
        accepted = None
        try:
            accepted = _accepted_versions(operation, number)
        except (RequestValidationError, NoEntityTag) as error:
            if batch.atomic:
                raise
            invalid[number] = error
        versions.append(accepted)
    outcome = await run_batch(session, owner, batch, versions, invalid)
    results = [_result(request, result) for result in outcome.results]
    return Json({"results": results, "revision": outcome.revision})


def _accepted_versions(operation: Operation | InvalidOperation, number: int) -> list[int] | None:
    """Returns what ``if_match`` accepts. Raises NoEntityTag; RequestValidationError for an InvalidOperation."""
    place = ("body", "operations", number)
    if isinstance(operation, InvalidOperation):
        raise RequestValidationError(locate_errors(operation.error, operation.sent, *place))
    wanted: int | str | None = getattr(operation, "if_match", None)
    loc = (*place, "if_match")
    return [wanted] if isinstance(wanted, int) else expected_versions(wanted, loc=loc)


def _result(request: Request, result: Done | Exception) -> dict[str, Any]:
    if isinstance(result, Done):
        return {"status": result.status, "body": result.body, "problem": None}
    if isinstance(result, RequestValidationError):
        refusal = problem_from_validation(result)
    else:
        assert isinstance(result, AppError)
        refusal = problem_from_error(result, request)
    return {"status": refusal.status_code, "body": None, "problem": msgspec.Raw(refusal.body)}
