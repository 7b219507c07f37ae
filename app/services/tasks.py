"""What can be done with tasks. Each function runs in the caller's transaction and touches only ``owner``'s rows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import MISSING
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER, REVISION, numbered
from app.db.session import Session
from app.db.statements import Prepared
from app.errors import TaskNotFound, VersionConflict
from app.models.task_rows import READ_COLUMNS, task_row
from app.models.tasks import Task, TaskCreate, TaskUpdate
from app.services.users import lock_owner, to_due_columns

TASKS = Task.__table__  # type: ignore[attr-defined]
READ = [TASKS.c[name] for name in READ_COLUMNS]
KEPT = [column for column in TASKS.c if column.computed is None or column.name == "position"]  # in a change
TASK_ID = bindparam("task_id", type_=BigInteger)
MINE = (TASKS.c.user_id == OWNER, TASKS.c.id == TASK_ID)
LIVE = TASKS.c.deleted_at.is_(None)
GUARD = TASKS.c.version == func.any(bindparam("versions", type_=ARRAY(BigInteger)))
COMPLETED = bindparam("completed", type_=Boolean)

# A toggle always turns the task over.
TOGGLED: Any = literal_column("case when written.completed then 'completed' else 'reopened' end")
# Setting may change nothing. What the task was before, the statement's own snapshot shows; that is the row it wrote
# over only if the owner's lock was taken by an earlier statement.
SET: Any = literal_column("""
    case (select old.completed from tasks old where old.user_id = written.user_id and old.id = written.id)
         when written.completed then 'updated' else case when written.completed then 'completed' else 'reopened' end
    end""")
# now() is when the transaction began, and a write that waited for another one may have begun before it.
NOW = func.greatest(func.now(), TASKS.c.updated_at)
PURGE_BATCH = 5_000  # tasks: 0.06 s, so that no statement comes near its time limit, however full the trash is


def numbered_task(
    write: Any, action: Any, *, answer: Sequence[str] = READ_COLUMNS, revision: ColumnElement[int] = REVISION
) -> Prepared:
    """A write of tasks that takes the next number and answers ``answer`` of each row, in that order."""
    return numbered(write, entity="task", action=action, returning=KEPT, answer=answer, revision=revision)


def _changed(*, guarded: bool, live: bool = True, **values: Any) -> Any:
    """An UPDATE of one task of the owner that numbers it."""
    statement = update(TASKS).where(*MINE, LIVE if live else ~LIVE)
    if guarded:
        statement = statement.where(GUARD)
    return statement.values(version=REVISION, updated_at=NOW, **values)


def _completed_at(completed: Any) -> Any:
    return case((completed, func.coalesce(TASKS.c.completed_at, NOW)), else_=null())


GET = Prepared(select(*READ).where(*MINE, LIVE))
EXISTS = Prepared(select(TASKS.c.id).where(*MINE, LIVE))
CREATE = numbered_task(
    insert(TASKS).values(
        user_id=OWNER,
        title=bindparam("title"),
        description=bindparam("description"),
        completed=COMPLETED,
        completed_at=case((COMPLETED, func.now()), else_=null()),
        priority=bindparam("priority"),
        due_on=bindparam("due_on"),
        due_at=bindparam("due_at"),
        tags=bindparam("tags"),
        version=REVISION,
    ),
    "created",
)
RESTORE = numbered_task(_changed(guarded=False, live=False, deleted_at=null()), "restored")
TRASH = select(TASKS.c.id).where(TASKS.c.user_id == OWNER, ~LIVE)
IN_TRASH = Prepared(TRASH.limit(1))
PURGE = numbered_task(
    sql_delete(TASKS).where(
        TASKS.c.user_id == OWNER, TASKS.c.id.in_(TRASH.order_by(TASKS.c.deleted_at, TASKS.c.id).limit(PURGE_BATCH))
    ),
    "purged",
    answer=["id"],
)


@lru_cache
def _delete(guarded: bool) -> Prepared:
    return numbered_task(_changed(guarded=guarded, deleted_at=NOW), "deleted")


@lru_cache
def _complete(toggle: bool, guarded: bool) -> Prepared:
    completed = ~TASKS.c.completed if toggle else COMPLETED
    statement = _changed(guarded=guarded, completed=completed, completed_at=_completed_at(completed))
    return numbered_task(statement, TOGGLED if toggle else SET)


@lru_cache(maxsize=256)
def _update(columns: frozenset[str], guarded: bool) -> Prepared:
    values: dict[str, Any] = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(columns)}
    if "completed" in columns:
        values["completed_at"] = _completed_at(values["completed"])
    action = SET if "completed" in columns else "updated"
    return numbered_task(_changed(guarded=guarded, **values), action)


async def get_task(session: Session, owner: str, task_id: int) -> Any:
    """Raises TaskNotFound, also for a task in the trash or of somebody else."""
    row = (await session.exec(GET, {"owner": owner, "task_id": task_id})).first()
    if row is None:
        raise TaskNotFound
    return task_row(row)


async def create_task(session: Session, owner: str, task: TaskCreate) -> Any:
    due_on, due_at = await to_due_columns(session, owner, task.due_date)
    values = {
        "owner": owner,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "priority": task.priority,
        "due_on": due_on,
        "due_at": due_at,
        "tags": task.tags,
    }
    return task_row((await session.exec(CREATE, values)).one())


async def update_task(
    session: Session, owner: str, task_id: int, change: TaskUpdate, *, versions: list[int] | None = None
) -> Any:
    """Write the fields that were sent. Raises TaskNotFound; VersionConflict when ``versions`` lacks the current."""
    values: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    if (due := values.pop("due_date", MISSING)) is not MISSING:
        values["due_on"], values["due_at"] = await to_due_columns(session, owner, due)
    for name, default in (("priority", "medium"), ("tags", [])):
        if name in values and values[name] is None:
            values[name] = default
    if "completed" in values:
        await lock_owner(session, owner)
    statement = _update(frozenset(values), versions is not None)
    return await _write_one(session, statement, owner, task_id, versions, values)


async def complete_task(
    session: Session, owner: str, task_id: int, completed: bool | None, *, versions: list[int] | None = None
) -> Any:
    """Set, or toggle when ``completed`` is None. Raises TaskNotFound and VersionConflict."""
    if completed is not None:
        await lock_owner(session, owner)
    statement = _complete(completed is None, versions is not None)
    return await _write_one(session, statement, owner, task_id, versions, {"completed": completed})


async def delete_task(session: Session, owner: str, task_id: int, *, versions: list[int] | None = None) -> Any:
    """Move to the trash. Raises TaskNotFound and VersionConflict."""
    return await _write_one(session, _delete(versions is not None), owner, task_id, versions, {})


async def restore_task(session: Session, owner: str, task_id: int) -> Any:
    """Bring back from the trash. A task that is not in it stays as it is, without a number. Raises TaskNotFound."""
    await lock_owner(session, owner)  # nobody else can restore it between the look and the write
    live = (await session.exec(GET, {"owner": owner, "task_id": task_id})).first()
    if live is not None:
        return task_row(live)
    row = (await session.exec(RESTORE, {"owner": owner, "task_id": task_id})).first()
    if row is None:
        raise TaskNotFound
    return task_row(row)


async def empty_trash(session: Session, owner: str) -> int:
    """Delete for good what is in the trash; the number of tasks. A full one is several numbered changes, none empty."""
    await lock_owner(session, owner)  # no write can come between the look and the deletion
    total = 0
    while total % PURGE_BATCH == 0 and (await session.exec(IN_TRASH, {"owner": owner})).first() is not None:
        total += len((await session.exec(PURGE, {"owner": owner})).all())
    return total


async def _write_one(
    session: Session, statement: Prepared, owner: str, task_id: int, versions: list[int] | None, values: dict[str, Any]
) -> Any:
    params = {"owner": owner, "task_id": task_id, "versions": versions, **values}
    row = (await session.exec(statement, params)).first()
    if row is not None:
        return task_row(row)
    # The number this attempt took goes with the rollback that either fact causes.
    if versions is not None and (await session.exec(EXISTS, {"owner": owner, "task_id": task_id})).first():
        raise VersionConflict
    raise TaskNotFound
