"""Moving tasks in their order by hand: one before or after another, one or many after all others."""

from typing import Any

from pydantic import MISSING

from app.db.session import Session
from app.schemas.task_actions import TaskMove
from app.schemas.task_bulk import BulkChange
from app.services.ordering import find_key, find_keys_after_all, neighbours_in
from app.services.tasks.create_update import Rows, change_task, update_tasks
from app.services.tasks.statements import select_for_write
from app.services.uids import resolve_uids
from app.services.users import lock_owner

TASK_NEIGHBOURS = neighbours_in("tasks")


async def move_task(
    session: Session, owner: str, task_id: int, move: TaskMove, *, versions: list[int] | None = None
) -> Any:
    """Moves a task directly before or after another, else after all others.

    Also into a project or below a task, if sent.

    Raises TaskNotFound, VersionConflict, UnknownReference, OtherProject, TooDeep, NoRoomBetween.
    """
    move = await resolve_uids(session, owner, move)
    await lock_owner(session, owner)
    task = await select_for_write(session, owner, task_id, versions)
    values: dict[str, Any] = {name: getattr(move, name) for name in move.model_fields_set & {"project_id", "parent_id"}}
    before, after = (None if sent is MISSING else sent for sent in (move.before, move.after))
    values["moved_to"] = await find_key(session, owner, TASK_NEIGHBOURS, task_id, before=before, after=after)
    return await change_task(session, owner, task, values, revision_taken=False)


async def move_tasks(session: Session, owner: str, change: BulkChange, tasks: Rows) -> int | None:
    """Moves tasks after all others, in their order, and into a project or below a task. The owner must be locked.

    Returns the revision of the write. Raises UnknownReference, TooDeep, NoRoomBetween.
    """
    keys = await find_keys_after_all(session, owner, TASK_NEIGHBOURS, list(tasks))
    return await update_tasks(session, owner, change, tasks, keys=dict(zip(tasks, keys, strict=True)))
