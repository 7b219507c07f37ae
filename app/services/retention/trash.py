"""Deleting the trash permanently: all of it when the user empties it, what is old enough by the worker."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Text,
    bindparam,
    case,
    delete,
    exists,
    null,
    select,
    text,
    update,
)

from app.clock import now
from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.models.projects import PROJECTS
from app.models.tasks import TASKS
from app.services.changes.entities import ENTITY_REGISTRY
from app.services.tasks.queries import INFINITE_INSTANT
from app.services.tasks.statements import NOT_DELETED, TASK_WRITTEN_AT, recorded_task_write
from app.services.users import lock_owner

PURGE_BATCH = 1_000  # rows: far below the statement timeout, also on a busy machine
_purged = sorted((entity.purge_order, entity.name, entity.table) for entity in ENTITY_REGISTRY if entity.purge_order)
PURGED_TABLES = {name: table for _, name, table in _purged}

# Run by the worker's role, which can read only the owner and time of deletion of rows in the trash. The position is the
# last row of the page before: what stays in the trash is not found again.
_SELECT_OLD_TRASH = """
    (select deleted_at, user_id from {table} where deleted_at < now() - make_interval(days => cast(:days as integer))
        and deleted_at >= :after_time and (deleted_at > :after_time or user_id > :after_owner)
    order by deleted_at, user_id limit 1000)"""
_everywhere = " union all ".join(_SELECT_OLD_TRASH.format(table=table.name) for table in PURGED_TABLES.values())
SELECT_TRASH_OWNERS = CompiledStatement(
    text(f"select deleted_at, user_id from ({_everywhere}) as old order by deleted_at, user_id limit 1000").bindparams(  # noqa: S608
        bindparam("after_time", datetime.min.replace(tzinfo=UTC), DateTime(timezone=True)),
        bindparam("after_owner", "", Text),
    )
)

DELETED_BEFORE = bindparam("deleted_before", type_=DateTime(timezone=True))
# Foreign keys determine the order: subtasks before their parents, occurrences in the trash before their series, tasks
# before their project, and projects before the one that contains them. A row that refers to itself waits for no other.
_child_task, _occurrence = TASKS.alias("below"), TASKS.alias("occurrence")
_child_project = PROJECTS.alias("inside")
IS_UNREFERENCED: dict[str, tuple[Any, ...]] = {
    "task": (
        ~exists().where(
            _child_task.c.user_id == OWNER, _child_task.c.parent_id == TASKS.c.id, _child_task.c.id != TASKS.c.id
        ),
        ~exists().where(
            _occurrence.c.user_id == OWNER,
            _occurrence.c.series_id == TASKS.c.id,
            _occurrence.c.id != TASKS.c.id,
            _occurrence.c.deleted_at.is_not(None),
        ),
    ),
    "project": (
        ~exists().where(TASKS.c.user_id == OWNER, TASKS.c.project_id == PROJECTS.c.id),
        ~exists().where(
            _child_project.c.user_id == OWNER,
            _child_project.c.parent_id == PROJECTS.c.id,
            _child_project.c.id != PROJECTS.c.id,
        ),
    ),
}


def _select_purgeable(entity: str) -> Any:
    """Returns the query of rows that are old enough and not referred to, oldest deletion first."""
    c = PURGED_TABLES[entity].c
    statement = select(c.id).where(c.user_id == OWNER, c.deleted_at < DELETED_BEFORE, *IS_UNREFERENCED.get(entity, ()))
    return statement.order_by(c.deleted_at, c.id)


NEXT_PURGED_ENTITY = CompiledStatement(
    select(case(*((_select_purgeable(entity).exists(), entity) for entity in PURGED_TABLES), else_=null()))
)


def _batch(entity: str) -> Any:
    batch = _select_purgeable(entity).limit(bindparam("batch", type_=BigInteger)).subquery("batch")
    return select(batch.c.id)


def _purge(entity: str, revision: ColumnElement[int] = NEXT_REVISION) -> CompiledStatement:
    table = PURGED_TABLES[entity]
    return recorded_write(
        delete(table).where(table.c.user_id == OWNER, table.c.id.in_(_batch(entity))),
        entity=entity,
        action="purged",
        returning=kept_columns(table),
        columns=["id"],
        revision=revision,
    )


PURGE_ENTITY = {entity: _purge(entity) for entity in PURGED_TABLES}
PURGE_TASKS_TOO = _purge("task", CURRENT_REVISION)
# Completed occurrences stay when their series is deleted.
_left: Any = TASKS.alias("left_over")
LEFT_OCCURRENCES = select(_left.c.id).where(
    _left.c.user_id == OWNER, _left.c.deleted_at.is_(None), _left.c.series_id.in_(_batch("task"))
)
HAS_LEFT_OCCURRENCES = CompiledStatement(LEFT_OCCURRENCES.limit(1))
DETACH_OCCURRENCES = recorded_task_write(
    update(TASKS)
    .where(
        TASKS.c.user_id == OWNER,
        NOT_DELETED,
        TASKS.c.id.in_(LEFT_OCCURRENCES.limit(bindparam("batch", type_=BigInteger))),
    )
    .values(series_id=null(), version=NEXT_REVISION, updated_at=TASK_WRITTEN_AT),
    "updated",
    columns=["id"],
)


class TrashPosition(NamedTuple):
    """The last row of a page of old trash."""

    after_time: datetime
    after_owner: str


async def find_old_trash(
    session: Session, owner: str, *, days: int, after: TrashPosition | None
) -> tuple[list[str], TrashPosition | None]:
    """Returns owners of rows deleted more than ``days`` ago, and the position of the next page; None at the end."""
    values = {"days": days, **(after._asdict() if after else {})}
    rows = (await session.exec(SELECT_TRASH_OWNERS, values)).all()
    return list(dict.fromkeys(row.user_id for row in rows)), TrashPosition(*rows[-1]) if rows else None


async def empty_trash(session: Session, owner: str) -> int:
    """Deletes the trash permanently; returns the number of rows.

    A large trash takes several revisions, none of them empty.
    """
    await lock_owner(session, owner)  # no concurrent write between the query and the deletion
    total = 0
    while purged := await _purge_batch(session, owner, days=None):
        total += purged
    return total


async def purge_old_trash(session: Session, owner: str, *, days: int) -> int:
    """Deletes one batch of rows that were deleted more than ``days`` ago permanently; returns their number.

    To be called until it returns 0: a row comes after those that refer to it, and stays while they are in the trash.
    """
    if not await lock_owner(session, owner):  # no concurrent write restores rows that are about to be deleted
        return 0
    return await _purge_batch(session, owner, days=days)


async def _purge_batch(session: Session, owner: str, *, days: int | None) -> int:
    """Deletes a batch of rows of one entity. Without ``days`` of any age. The owner must be locked."""
    deleted_before = INFINITE_INSTANT if days is None else now() - timedelta(days=days)
    values = {"owner": owner, "deleted_before": deleted_before, "batch": PURGE_BATCH}
    if (entity := (await session.exec(NEXT_PURGED_ENTITY, values)).one()) is None:
        return 0  # without taking a revision
    statement = PURGE_ENTITY[entity]
    while entity == "task" and (await session.exec(HAS_LEFT_OCCURRENCES, values)).first() is not None:
        await session.exec(DETACH_OCCURRENCES, values)
        statement = PURGE_TASKS_TOO
    return len((await session.exec(statement, values)).all())
