"""The history of one task: the changes of each write, as old and new values."""

from typing import Any

import msgspec
from sqlalchemy import BigInteger, bindparam, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TaskNotFound
from app.models.changes import CHANGES
from app.models.tasks import TASKS
from app.models.types import MAX_ID
from app.schemas.changes import HistoryRow
from app.services.changes.feed import CHANGE_COLUMNS, change_row

# Left out: they differ in every change, or never.
OMITTED_FIELDS = {"id", "uid", "user_id", "version", "created_at", "updated_at"}
HISTORY_TASK_ID = bindparam("task_id", type_=BigInteger)

SELECT_HISTORY = CompiledStatement(
    select(*CHANGE_COLUMNS)
    .where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.entity == "task",
        CHANGES.c.entity_id == HISTORY_TASK_ID,
        CHANGES.c.revision < bindparam("before", type_=BigInteger),
    )
    .order_by(CHANGES.c.revision.desc())
    .limit(bindparam("limit"))
)

FIND_ANY_TASK = CompiledStatement(
    select(TASKS.c.id).where(TASKS.c.user_id == OWNER, TASKS.c.id == HISTORY_TASK_ID)
)  # the trash included


async def list_history(session: Session, owner: str, task_id: int, *, before: int | None, limit: int) -> list[Any]:
    """Returns the history, latest first; also of a task in the trash. Empty when its changes are no longer kept.

    Raises TaskNotFound when there is neither the task nor a change of it.
    """
    values = {"owner": owner, "task_id": task_id, "before": MAX_ID if before is None else before}
    rows = (await session.exec(SELECT_HISTORY, {**values, "limit": limit + 1})).all()
    if not rows:
        if before is None and not (await session.exec(FIND_ANY_TASK, {"owner": owner, "task_id": task_id})).all():
            raise TaskNotFound
        return []
    changes = [change_row(row) for row in rows]
    earlier = [msgspec.structs.asdict(change.data) for change in changes[1:]] + [{}]
    entries = [
        HistoryRow(change.revision, change.action, change.at, change.through, difference(old, change.data))
        for change, old in zip(changes, earlier, strict=True)
    ]
    return entries[:limit]


def difference(old: dict[str, Any], data: Any) -> list[dict[str, Any]]:
    """Returns the fields whose values differ; without ``old`` every old value is null."""
    return [
        {"field": name, "from": old.get(name), "to": value}
        for name, value in msgspec.structs.asdict(data).items()
        if name not in OMITTED_FIELDS and value != old.get(name)
    ]
