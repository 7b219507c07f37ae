"""Letting go of what has been in the trash for long enough."""

from typing import Any

from sqlalchemy import Integer, bindparam, exists, func, text
from sqlalchemy import delete as sql_delete

from app.db.changes import OWNER
from app.db.session import Session
from app.db.statements import Prepared
from app.services.task_statements import TASKS, TRASH, numbered_task
from app.services.users import lock_owner

BATCH = 1_000  # tasks: far from the time limit of a statement, also on a machine that has much else to do
# By the worker's role, which reads of the trash whose it is and since when, and of other tasks nothing.
DUE = Prepared(
    text("""
    select distinct user_id from (
        select user_id from tasks where deleted_at < now() - make_interval(days => cast(:days as integer))
            and user_id <> all(cast(:but as text[]))
        order by deleted_at limit 1000) as old""")
)
KEPT_SINCE: Any = func.now() - func.make_interval(0, 0, 0, bindparam("days", type_=Integer))
REFERRER = TASKS.alias("referrer")
# A parent goes after its subtasks, and a series' first task after the others: the foreign keys want it so.
# Two look-ups rather than one with "or", for which no index serves.
LEAF = ~exists().where(
    REFERRER.c.user_id == OWNER, REFERRER.c.parent_id == TASKS.c.id, REFERRER.c.id != TASKS.c.id
) & ~exists().where(REFERRER.c.user_id == OWNER, REFERRER.c.series_id == TASKS.c.id, REFERRER.c.id != TASKS.c.id)
OLD: Any = TRASH.where(TASKS.c.deleted_at < KEPT_SINCE, LEAF)
IS_OLD = Prepared(OLD.limit(1))
PURGE_OLD = numbered_task(
    sql_delete(TASKS).where(
        TASKS.c.user_id == OWNER, TASKS.c.id.in_(OLD.order_by(TASKS.c.deleted_at, TASKS.c.id).limit(BATCH))
    ),
    "purged",
    answer=["id"],
)


async def find_old_trash(session: Session, owner: str, *, days: int, but: list[str]) -> list[str]:
    """Owners, none of ``but``, of tasks that were deleted more than ``days`` ago; if there are many, some of them."""
    found: list[str] = (await session.exec(DUE, {"days": days, "but": but})).all()
    return found


async def purge_old(session: Session, owner: str, *, days: int) -> int:
    """Delete for good what was deleted more than ``days`` ago, one batch and one number; how many tasks.

    Call it until it says 0: what other tasks refer to comes after them, or stays as long as they do.
    """
    await lock_owner(session, owner)  # nobody restores what is about to go, and no number is taken for nothing
    values = {"owner": owner, "days": days}
    if (await session.exec(IS_OLD, values)).first() is None:
        return 0
    return len((await session.exec(PURGE_OLD, values)).all())
