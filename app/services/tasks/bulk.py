"""One write of many tasks: one transaction, one number, one change for each task written.

Each action means what it means for a single task. Where a task and one below it are both named, the upper one decides
for both, as if the lower had not been named: completing a series leaves its subtasks open for the next date.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from app.db.changes import TAKE
from app.db.session import Session
from app.errors import TooManyMatches
from app.schemas.task_bulk import BULK_MAX, BulkAction, BulkChange, BulkStatus, BulkWrite
from app.schemas.task_query import TaskConditions
from app.services.tasks.bulk_changes import change_all
from app.services.tasks.bulk_statements import BELOW, DELETE, LOOK_AT_ALL, REOPEN, WRITTEN, matching
from app.services.tasks.completion import complete_all
from app.services.tasks.queries import shape_and_values
from app.services.tasks.trash import restore_all
from app.services.users import lock_owner

Row = dict[str, Any]
Rows = dict[int, Row]


async def write_tasks(session: Session, owner: str, wanted: BulkWrite) -> tuple[list[dict[str, Any]], int | None]:
    """What became of each task, in the order of ``ids``, and the number of the write; None when nothing was written.

    Raises TooManyMatches, UnknownReference, TooDeep, TooManyTags, DueDateNeeded, NoRoomBetween: then nothing is.
    """
    await lock_owner(session, owner)  # nothing comes between the looks and the writes
    ids = await _named(session, owner, wanted)
    found = (await session.exec(LOOK_AT_ALL, {"owner": owner, "ids": ids})).all() if ids else []
    rows = {row["id"]: dict(row) for row in found}
    rows = {task_id: rows[task_id] for task_id in ids if task_id in rows}
    trash = wanted.action is BulkAction.RESTORE
    there = {task_id: row for task_id, row in rows.items() if trash or row["deleted_at"] is None}
    targets = {task_id: row for task_id, row in there.items() if _is_target(wanted.action, row)}
    revision = await _write(session, owner, wanted, targets) if targets else None
    done: dict[int, str] = {}
    if revision is not None:
        written = {"owner": owner, "revision": revision, "ids": ids}
        done = dict((await session.exec(WRITTEN, written)).all())
    if wanted.action is BulkAction.MOVE:
        done = dict.fromkeys(done, BulkStatus.MOVED)
    absent = {task_id: BulkStatus.NOT_FOUND for task_id in ids if task_id not in there}
    return [{"id": i, "status": done.get(i) or absent.get(i) or BulkStatus.UNCHANGED} for i in ids], revision


def _is_target(action: BulkAction, row: Row) -> bool:
    """Whether there is anything to do."""
    if action is BulkAction.COMPLETE:
        return not row["completed"]
    if action is BulkAction.REOPEN:
        return bool(row["completed"])
    return action is not BulkAction.RESTORE or row["deleted_at"] is not None


async def _named(session: Session, owner: str, wanted: BulkWrite) -> list[int]:
    if isinstance(wanted.ids, list):
        return wanted.ids
    assert isinstance(wanted.filter, TaskConditions), "one of the two was sent"
    shape, values = shape_and_values(wanted.filter, sort="position", descending=False)
    shape = shape._replace(trash=wanted.action is BulkAction.RESTORE)
    values |= {"owner": owner, "limit": BULK_MAX + 1}
    ids: list[int] = (await session.exec(matching(shape), values)).all()
    if len(ids) > BULK_MAX:
        raise TooManyMatches(loc=("body", "filter"))
    return ids


async def _write(session: Session, owner: str, wanted: BulkWrite, targets: Rows) -> int | None:
    """The number of the write; None when all were as wanted already."""
    if isinstance(wanted.change, BulkChange):
        to_end = wanted.action is BulkAction.MOVE
        return await change_all(session, owner, wanted.change, targets, to_end=to_end)
    revision: int = (await session.exec(TAKE, {"owner": owner})).one()
    await ACTIONS[wanted.action](session, owner, targets)
    return revision


async def _reopen(session: Session, owner: str, targets: Rows) -> None:
    await session.exec(REOPEN, {"owner": owner, "ids": list(targets)})


async def _delete(session: Session, owner: str, targets: Rows) -> None:
    tree = (await session.exec(BELOW, {"owner": owner, "ids": list(targets)})).all()
    await session.exec(DELETE, {"owner": owner, "ids": list({row.id for row in tree})})


ACTIONS: dict[BulkAction, Callable[[Session, str, Rows], Awaitable[None]]] = {
    BulkAction.COMPLETE: complete_all,
    BulkAction.REOPEN: _reopen,
    BulkAction.DELETE: _delete,
    BulkAction.RESTORE: restore_all,
}
