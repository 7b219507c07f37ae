"""``/api/{user_id}/tasks/{task_id}/snooze``."""

from typing import Any

from fastapi import APIRouter, Response, Security

from app.deps import IfMatch, Owner, Session, TaskId, bearer
from app.etags import expected_versions, task_etag
from app.models.task_reminders import Snooze
from app.models.tasks import TaskRead
from app.responses import NOT_CACHED_ELSEWHERE, Json, header
from app.routing import DirectRoute
from app.services import reminding

router = APIRouter(
    prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=DirectRoute, dependencies=[Security(bearer)]
)
SNOOZED: dict[str, Any] = {"headers": header("ETag", "The version: send it back in If-Match or If-None-Match.")}
COMPLETED = {"description": "The task is completed, or has as many reminders as there can be."}


@router.post("/{task_id}/snooze", response_model=TaskRead, responses={200: SNOOZED, 409: COMPLETED})
async def snooze_task(
    owner: Owner, session: Session, task_id: TaskId, snooze: Snooze, if_match: IfMatch = None
) -> Response:
    """Remind once more, at `until` or in so many `minutes`. Reminders at instants that have passed are dropped."""
    task = await reminding.snooze_task(session, owner, task_id, snooze, versions=expected_versions(if_match))
    return Json(task, headers={"ETag": task_etag(task.version), "Cache-Control": NOT_CACHED_ELSEWHERE})
