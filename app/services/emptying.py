"""Emptying the trash: what is in it is deleted for good."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, delete, exists, null, select, update

from app.db.changes import OWNER, REVISION, TAKEN, numbered
from app.db.session import Session
from app.db.statements import Prepared
from app.models.projects import Project
from app.services.task_statements import NOW, TASKS, TRASH, numbered_task
from app.services.users import lock_owner

PURGE_BATCH = 1_000  # tasks: far from the time limit of a statement, also on a machine that has much else to do
PROJECTS = Project.__table__  # type: ignore[attr-defined]

# Foreign keys say who goes first: subtasks before their parents, occurrences in the trash before their series.
_below, _occurrence = TASKS.alias("below"), TASKS.alias("occurrence")
READY = TRASH.where(
    ~exists().where(_below.c.user_id == OWNER, _below.c.parent_id == TASKS.c.id),
    ~exists().where(
        _occurrence.c.user_id == OWNER,
        _occurrence.c.series_id == TASKS.c.id,
        _occurrence.c.deleted_at.is_not(None),
    ),
).order_by(TASKS.c.deleted_at, TASKS.c.id)
IS_READY = Prepared(READY.limit(1))
BATCH = READY.limit(bindparam("batch", type_=BigInteger)).subquery("batch")


def _purge(revision: ColumnElement[int]) -> Prepared:
    return numbered_task(
        delete(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(select(BATCH.c.id))),
        "purged",
        answer=["id"],
        revision=revision,
    )


# Completed occurrences stay when their series goes.
_left: Any = TASKS.alias("left_over")
HAS_LEFT = Prepared(
    select(_left.c.id).where(_left.c.user_id == OWNER, _left.c.series_id.in_(select(BATCH.c.id))).limit(1)
)
DETACH = numbered_task(
    update(TASKS)
    .where(TASKS.c.user_id == OWNER, TASKS.c.series_id.in_(select(BATCH.c.id)))
    .values(series_id=null(), version=REVISION, updated_at=NOW),
    "updated",
    answer=["id"],
)
PURGE, PURGE_TOO = _purge(REVISION), _purge(TAKEN)
_gone = (
    PROJECTS.c.user_id == OWNER,
    PROJECTS.c.deleted_at.is_not(None),
    ~exists().where(TASKS.c.user_id == OWNER, TASKS.c.project_id == PROJECTS.c.id),  # which would refuse to let it go
)
HAS_PROJECTS = Prepared(select(PROJECTS.c.id).where(*_gone).limit(1))
PURGE_PROJECTS = numbered(
    delete(PROJECTS).where(*_gone),
    entity="project",
    action="purged",
    returning=[c for c in PROJECTS.c if c.computed is None or c.name == "position"],
    answer=["id"],
)


async def empty_trash(session: Session, owner: str) -> int:
    """Delete for good what is in the trash, and the projects that were deleted; the number of tasks.

    A full one is several numbered changes, none empty.
    """
    await lock_owner(session, owner)  # no write can come between the look and the deletion
    values = {"owner": owner, "batch": PURGE_BATCH}
    total = 0
    while (await session.exec(IS_READY, values)).first() is not None:
        statement = PURGE
        if (await session.exec(HAS_LEFT, values)).first() is not None:
            await session.exec(DETACH, values)
            statement = PURGE_TOO
        total += len((await session.exec(statement, values)).all())
    if (await session.exec(HAS_PROJECTS, values)).first() is not None:
        await session.exec(PURGE_PROJECTS, values)
    return total
