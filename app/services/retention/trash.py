"""Deleting for good what was deleted: all of it when the trash is emptied, what is old enough by the worker."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    text,
    update,
)

from app.db.changes import OWNER, REVISION, TAKEN, numbered
from app.db.compiled import Prepared
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.models.projects import PROJECTS
from app.models.tasks import TASKS
from app.services.changes.entities import ENTITY_REGISTRY
from app.services.tasks.statements import NOT_DELETED, TASK_WRITTEN_AT, numbered_task
from app.services.users import lock_owner

PURGE_BATCH = 1_000  # rows: far from the time limit of a statement, also on a machine that has much else to do
_purged = sorted((entity.purge_order, entity.name, entity.table) for entity in ENTITY_REGISTRY if entity.purge_order)
PURGED_TABLES = {name: table for _, name, table in _purged}

# By the worker's role, which reads of what was deleted whose it is and since when, and of other rows nothing.
_OLD = """
    (select user_id from {table} where deleted_at < now() - make_interval(days => cast(:days as integer))
        and user_id <> all(cast(:but as text[]))
    order by deleted_at limit 1000)"""
_everywhere = " union all ".join(_OLD.format(table=table.name) for table in PURGED_TABLES.values())
DUE = Prepared(
    text(f"select distinct user_id from ({_everywhere}) as old")  # noqa: S608 - constants
)

_days: Any = func.make_interval(0, 0, 0, bindparam("days", type_=Integer))
BEFORE: Any = func.coalesce(func.now() - _days, literal_column("timestamptz 'infinity'"), type_=DateTime(timezone=True))


# Foreign keys say who goes first: subtasks before their parents, occurrences in the trash before their series, tasks
# before their project. Who refers to itself waits for nobody.
_below, _occurrence = TASKS.alias("below"), TASKS.alias("occurrence")
FREE: dict[str, tuple[Any, ...]] = {
    "task": (
        ~exists().where(_below.c.user_id == OWNER, _below.c.parent_id == TASKS.c.id, _below.c.id != TASKS.c.id),
        ~exists().where(
            _occurrence.c.user_id == OWNER,
            _occurrence.c.series_id == TASKS.c.id,
            _occurrence.c.id != TASKS.c.id,
            _occurrence.c.deleted_at.is_not(None),
        ),
    ),
    "project": (~exists().where(TASKS.c.user_id == OWNER, TASKS.c.project_id == PROJECTS.c.id),),
}


def _ready(entity: str) -> Any:
    """Ids of what was deleted long enough ago and can go; first what was deleted first."""
    c = PURGED_TABLES[entity].c
    statement = select(c.id).where(c.user_id == OWNER, c.deleted_at < BEFORE, *FREE.get(entity, ()))
    return statement.order_by(c.deleted_at, c.id)


NEXT = Prepared(select(case(*((_ready(entity).exists(), entity) for entity in PURGED_TABLES), else_=null())))


def _batch(entity: str) -> Any:
    batch = _ready(entity).limit(bindparam("batch", type_=BigInteger)).subquery("batch")
    return select(batch.c.id)


def _purge(entity: str, revision: ColumnElement[int] = REVISION) -> Prepared:
    table = PURGED_TABLES[entity]
    return numbered(
        delete(table).where(table.c.user_id == OWNER, table.c.id.in_(_batch(entity))),
        entity=entity,
        action="purged",
        returning=kept_columns(table),
        answer=["id"],
        revision=revision,
    )


PURGE = {entity: _purge(entity) for entity in PURGED_TABLES}
PURGE_TOO = _purge("task", TAKEN)
# Completed occurrences stay when their series goes.
_left: Any = TASKS.alias("left_over")
LEFT = select(_left.c.id).where(
    _left.c.user_id == OWNER, _left.c.deleted_at.is_(None), _left.c.series_id.in_(_batch("task"))
)
HAS_LEFT = Prepared(LEFT.limit(1))
DETACH = numbered_task(
    update(TASKS)
    .where(TASKS.c.user_id == OWNER, NOT_DELETED, TASKS.c.id.in_(LEFT.limit(bindparam("batch", type_=BigInteger))))
    .values(series_id=null(), version=REVISION, updated_at=TASK_WRITTEN_AT),
    "updated",
    answer=["id"],
)


async def find_old_trash(session: Session, owner: str, *, days: int, but: list[str]) -> list[str]:
    """Owners, none of ``but``, of what was deleted more than ``days`` ago; if there are many, some of them."""
    found: list[str] = (await session.exec(DUE, {"days": days, "but": but})).all()
    return found


async def empty_trash(session: Session, owner: str) -> int:
    """Delete for good what was deleted; how many tasks, comments, views and projects.

    A full trash is several numbered changes, none empty.
    """
    await lock_owner(session, owner)  # no write can come between the look and the deletion
    total = 0
    while purged := await _purge_batch(session, owner, days=None):
        total += purged
    return total


async def purge_old(session: Session, owner: str, *, days: int) -> int:
    """Delete for good what was deleted more than ``days`` ago, one batch of it; how many rows.

    Call it until it says 0: what others refer to comes after them, or stays as long as they are in the trash.
    """
    if not await lock_owner(session, owner):  # no concurrent write restores what is about to go
        return 0
    return await _purge_batch(session, owner, days=days)


async def _purge_batch(session: Session, owner: str, *, days: int | None) -> int:
    """Rows of one entity. No ``days``: whenever they were deleted. The owner must be locked."""
    values = {"owner": owner, "days": days, "batch": PURGE_BATCH}
    if (entity := (await session.exec(NEXT, values)).one()) is None:
        return 0  # and no number is taken for nothing
    statement = PURGE[entity]
    while entity == "task" and (await session.exec(HAS_LEFT, values)).first() is not None:
        await session.exec(DETACH, values)
        statement = PURGE_TOO
    return len((await session.exec(statement, values)).all())
