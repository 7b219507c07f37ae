"""``/api/{user_id}/tasks``: quick add, many at once, and reminders that are put off."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response, Security

from app.http.dependencies import IfMatch, Owner, Session, TaskId, bearer
from app.http.entity_responses import ENTITY, ETAG, entity_answer, location_of, version_headers
from app.http.etags import expected_versions
from app.http.responses import Json, header
from app.http.routing import DirectRoute
from app.models.task_reminders import Snooze
from app.models.tasks import TaskRead
from app.schemas.quick_add import QUICK, QuickAdded, QuickTask
from app.schemas.task_bulk import BulkResult, BulkWrite
from app.services import quick_add
from app.services.tasks import bulk, firing

router = APIRouter(
    prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=DirectRoute, dependencies=[Security(bearer)]
)
CREATED: dict[str, Any] = {"headers": ETAG | location_of("task")}
BULK: dict[str, Any] = {
    "headers": header("X-Revision", "The number of the write, when anything was written.", "integer")
}
COMPLETED = {"description": "The task is completed, or has as many reminders as there can be."}


@router.post("/quick", status_code=201, response_model=QuickAdded, responses={200: QUICK, 201: CREATED})
async def quick_add_task(request: Request, owner: Owner, session: Session, wanted: QuickTask) -> Response:
    """A task from a line of text, such as "Pay rent every month on the 1st at 9 #home p:high @bank".

    Days, times and repeats are read in English, in your time zone. `#` names a project, which is created when new;
    `@` a tag; `p:high` or `p1` to `p4` the priority. What is not understood stays in the title.
    """
    done = await quick_add.quick_add_task(session, owner, wanted)
    if wanted.dry_run:
        return Json(done)
    task = done["task"]
    location = quote(f"{request.scope['path'].removesuffix('/quick')}/{task.id}")
    return Json(done, 201, version_headers(task, Location=location))


@router.post("/bulk", response_model=BulkResult, responses={200: BULK})
async def write_tasks(owner: Owner, session: Session, wanted: BulkWrite) -> Response:
    """Do the same to up to 1,000 tasks: all of them in one write, or none. Undoing its number takes all of it back.

    Each action means what it means for one task, with all that follows for subtasks and series. Where a task and one
    below it are both named, the upper one decides for both. `move` puts them behind all others, in the order of `ids`.
    Ids that are not there are `not_found` and keep nobody else from being written.
    """
    results, revision = await bulk.write_tasks(session, owner, wanted)
    return Json({"results": results}, headers={} if revision is None else {"X-Revision": str(revision)})


@router.post("/{task_id}/snooze", response_model=TaskRead, responses={200: ENTITY, 409: COMPLETED})
async def snooze_task(
    owner: Owner, session: Session, task_id: TaskId, snooze: Snooze, if_match: IfMatch = None
) -> Response:
    """Remind once more, at `until` or in so many `minutes`. Reminders at instants that have passed are dropped."""
    task = await firing.snooze_task(session, owner, task_id, snooze, versions=expected_versions(if_match))
    return entity_answer(task)
