"""One write of many tasks: one transaction, one revision, one change for each task written.

Each action is that of a single task. Where a task and one of its subtasks are both named, the action applies to the
task, as if the subtask had not been named: completing a series leaves its subtasks open for the next occurrence.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, select

from app.db.changes import OWNER, TAKE_NEXT_REVISION
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TooManyMatches
from app.models.changes import CHANGES
from app.schemas.task_bulk import BULK_MAX, BulkAction, BulkChange, BulkStatus, BulkWrite
from app.schemas.task_query import TaskConditions
from app.services.tasks.completion import complete_tasks, reopen_tasks
from app.services.tasks.create_update import Rows, update_tasks
from app.services.tasks.filters import resolve_filter
from app.services.tasks.queries import query_of_matches
from app.services.tasks.reordering import move_tasks
from app.services.tasks.statements import OWN_TASKS, RECORDED_COLUMNS, TASK_IDS, Row, is_closed
from app.services.tasks.trash import delete_tasks, restore_tasks
from app.services.uids import ABSENT_ID, find_ids, resolve_uids
from app.services.users import lock_owner

SELECT_NAMED_TASKS = CompiledStatement(select(*RECORDED_COLUMNS).where(*OWN_TASKS))
SELECT_WRITTEN = CompiledStatement(
    select(CHANGES.c.entity_id, CHANGES.c.action).where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.revision == bindparam("revision", type_=BigInteger),
        CHANGES.c.entity == "task",
        CHANGES.c.entity_id == func.any(TASK_IDS),
    )
)
# Verbs without a change: they write whatever they are given.
PLAIN_VERBS: dict[BulkAction, Callable[[Session, str, Rows], Awaitable[None]]] = {
    BulkAction.COMPLETE: complete_tasks,
    BulkAction.REOPEN: reopen_tasks,
    BulkAction.DELETE: delete_tasks,
    BulkAction.RESTORE: restore_tasks,
}


async def write_tasks(session: Session, owner: str, wanted: BulkWrite) -> tuple[list[dict[str, Any]], int | None]:
    """Returns the status of each task, in the order of ``ids``, and the revision of the write.

    The revision is None when no task changed.
    Raises TooManyMatches, UnknownReference, TooDeep, TooManyTags, DueDateNeeded, NoRoomBetween.
    """
    await lock_owner(session, owner)  # nothing comes between the lookups and the writes
    wanted = await _resolve_uids(session, owner, wanted)
    named = await _find_named(session, owner, wanted)
    ids = [row_id for row_id, _ in named if row_id is not None]
    found = (await session.exec(SELECT_NAMED_TASKS, {"owner": owner, "ids": ids})).all() if ids else []
    rows = {row["id"]: dict(row) for row in found}
    rows = {task_id: rows[task_id] for task_id in ids if task_id in rows}
    trash = wanted.action is BulkAction.RESTORE
    there = {task_id: row for task_id, row in rows.items() if trash or row["deleted_at"] is None}
    targets = {task_id: row for task_id, row in there.items() if _is_target(wanted.action, row)}
    joined_before = len(session.joined.written) if session.joined else 0
    revision = await _write(session, owner, wanted, targets) if targets else None
    done: dict[int, str] = {}
    if session.joined:  # recorded later
        done = {row_id: action for write, row_id, action in session.joined.written[joined_before:] if row_id in rows}
    elif revision is not None:
        written = {"owner": owner, "revision": revision, "ids": ids}
        done = dict((await session.exec(SELECT_WRITTEN, written)).all())
    if wanted.action is BulkAction.MOVE:
        done = dict.fromkeys(done, BulkStatus.MOVED)
    absent = {task_id: BulkStatus.NOT_FOUND for task_id in ids if task_id not in there}
    results = [
        {"id": None, "uid": uid, "status": BulkStatus.NOT_FOUND}
        if row_id is None
        else {
            "id": row_id,
            "uid": rows[row_id]["uid"] if row_id in rows else uid,
            "status": done.get(row_id) or absent.get(row_id) or BulkStatus.UNCHANGED,
        }
        for row_id, uid in named
    ]
    return results, revision


def _is_target(action: BulkAction, row: Row) -> bool:
    """Returns whether there is anything to do."""
    if action is BulkAction.COMPLETE:
        return not row["completed"]
    if action is BulkAction.REOPEN:
        return is_closed(row)
    return action is not BulkAction.RESTORE or row["deleted_at"] is not None


async def _resolve_uids(session: Session, owner: str, wanted: BulkWrite) -> BulkWrite:
    parts: dict[str, Any] = {}
    if isinstance(wanted.change, BulkChange):
        parts["change"] = await resolve_uids(session, owner, wanted.change, loc=("body", "change"))
    if isinstance(wanted.filter, TaskConditions):
        parts["filter"] = await resolve_uids(session, owner, wanted.filter, loc=("body", "filter"), absent=ABSENT_ID)
    return wanted.model_copy(update=parts)


async def _find_named(session: Session, owner: str, wanted: BulkWrite) -> list[tuple[int | None, str | None]]:
    """Returns the id and, as far as sent, the uid of each task; no id for a uid that no task has."""
    if isinstance(wanted.uids, list):
        found = await find_ids(session, owner, "task", wanted.uids)
        return [(found.get(uid), uid) for uid in wanted.uids]
    return [(row_id, None) for row_id in await _find_ids(session, owner, wanted)]


async def _find_ids(session: Session, owner: str, wanted: BulkWrite) -> list[int]:
    if isinstance(wanted.ids, list):
        return wanted.ids
    assert isinstance(wanted.filter, TaskConditions), "one of the two was sent"
    tree = await resolve_filter(session, owner, wanted.filter.filter_tree)
    query = query_of_matches(wanted.filter, tree, in_trash=wanted.action is BulkAction.RESTORE)
    ids: list[int] = (await session.exec(query.ids, {**query.values, "owner": owner, "limit": BULK_MAX + 1})).all()
    if len(ids) > BULK_MAX:
        raise TooManyMatches(loc=("body", "filter"))
    return ids


async def _write(session: Session, owner: str, wanted: BulkWrite, targets: Rows) -> int | None:
    """Returns the revision of the write; None when no task changed."""
    if isinstance(wanted.change, BulkChange):
        write = move_tasks if wanted.action is BulkAction.MOVE else update_tasks
        return await write(session, owner, wanted.change, targets)
    revision: int = (await session.exec(TAKE_NEXT_REVISION, {"owner": owner})).one()
    await PLAIN_VERBS[wanted.action](session, owner, targets)
    return revision
