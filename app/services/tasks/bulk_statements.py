"""Statements about many tasks at once. All of them join the number that TAKE took, and no two write the same row."""

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, null, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER, TAKEN
from app.db.compiled import Prepared
from app.models.changes import CHANGES
from app.models.tasks import TASKS
from app.services.tasks.queries import Shape, conditions
from app.services.tasks.reminders import remind_at, remind_at_after
from app.services.tasks.statements import (
    DONE,
    GOES_ON,
    GONE,
    KEPT,
    LIVE,
    NOW,
    OPEN,
    completed_at,
    numbered_task,
    rows_of,
)

IDS = bindparam("ids", type_=ARRAY(BigInteger))
THESE = (TASKS.c.user_id == OWNER, TASKS.c.id == func.any(IDS))

LOOK_AT_ALL = Prepared(select(*KEPT).where(*THESE))
# What the record says became of them.
WRITTEN = Prepared(
    select(CHANGES.c.entity_id, CHANGES.c.action).where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.revision == bindparam("revision", type_=BigInteger),
        CHANGES.c.entity == "task",
        CHANGES.c.entity_id == func.any(IDS),
    )
)


def _tree(start: str, step: str) -> Prepared:
    """``(root, id, parent_id, level)`` of each of IDS and what is below it. UNION: it would end even in a circle."""
    statement = f"""
        with recursive tree as (
            select id as root, id, parent_id, deleted_at, 1 as level from tasks
            where user_id = :owner and id = any(:ids) and {start}
            union select tree.root, t.id, t.parent_id, t.deleted_at, tree.level + 1
            from tree join tasks t on t.user_id = :owner and t.parent_id = tree.id and {step} where tree.level < 10)
        select root, id, parent_id, level from tree"""  # noqa: S608 - constants
    return Prepared(text(statement).bindparams(bindparam("ids", type_=ARRAY(BigInteger))))


BELOW = _tree("deleted_at is null", "t.deleted_at is null")
BELOW_UNNAMED = _tree("deleted_at is null", "t.deleted_at is null and t.id <> all(:ids)")
# What went into the trash together with them.
TOGETHER = _tree("deleted_at is not null", "t.deleted_at = tree.deleted_at")
# How many tasks each has above itself, in the trash or not.
DEPTHS = Prepared(
    text("""
    with recursive up as (
        select id as task, parent_id, 0 as level from tasks where user_id = :owner and id = any(:ids)
        union select up.task, t.parent_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.level < 10)
    select task, max(level) as depth from up group by task""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
)
# ``depth`` of the parent of each, null where that is not there; its project, and whether the task's own is there.
RETURNS = Prepared(
    text("""
    with recursive up as (
        select id as task, parent_id, 0 as level from tasks where user_id = :owner and id = any(:ids)
        union select up.task, t.parent_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id and t.deleted_at is null
        where up.level < 10),
    depths as (select task, max(level) as depth from up group by task)
    select t.id, t.parent_id, nullif(d.depth, 0) as depth, p.project_id as parents_project, j.id as project_id
    from tasks t join depths d on d.task = t.id
    left join tasks p on p.user_id = :owner and p.id = t.parent_id and p.deleted_at is null
    left join projects j on j.user_id = :owner and j.id = t.project_id and j.deleted_at is null
    where t.user_id = :owner and t.id = any(:ids)""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
)


def _write(action: str, *where: Any, **values: Any) -> Prepared:
    statement = update(TASKS).where(*THESE, *where).values(version=TAKEN, updated_at=NOW, **values)
    return numbered_task(statement, action, answer=["id"], revision=TAKEN)


COMPLETE = _write("completed", LIVE, ~TASKS.c.completed, **DONE)
REOPEN = _write("reopened", LIVE, TASKS.c.completed, **OPEN)
# For the next occurrence of what they are below: what was done of a recurring subtask stays done.
REOPEN_BELOW = _write("reopened", LIVE, TASKS.c.completed, TASKS.c.series_id.is_(None), **OPEN)
DELETE = _write("deleted", LIVE, **GONE)
_project = bindparam("project_id", type_=BigInteger)
MOVE_ALONG = _write("updated", LIVE, TASKS.c.project_id.is_distinct_from(_project), project_id=_project)


@lru_cache(maxsize=256)
def update_all(same: frozenset[str], own: frozenset[str], action: str = "updated") -> Prepared:
    """An UPDATE of the tasks in ``rows``: columns that become the ``same`` for all, and those each has its ``own`` for.

    ``rows`` are objects with an id and the columns of ``own``.
    """
    rows = rows_of(own)
    values: dict[str, Any] = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(same)}
    values |= {name: rows.c[name] for name in sorted(own)}
    there = LIVE
    if action == "restored":
        there, values["deleted_at"] = ~LIVE, null()
    elif "completed" in same:
        values["completed_at"] = completed_at(values["completed"])
    if values.keys() & {"due_on", "reminders", "completed", "deleted_at"}:
        values["remind_at"] = (remind_at if action in GOES_ON else remind_at_after)(**values)
    statement = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id == rows.c.id, there)
    statement = statement.values(version=TAKEN, updated_at=NOW, **values)
    return numbered_task(statement, action, answer=["id"], revision=TAKEN)


@lru_cache(maxsize=512)
def matching(shape: Shape) -> Prepared:
    """Ids of the tasks that a filter matches, in the order of their positions."""
    statement = select(TASKS.c.id).where(*conditions(shape)).order_by(TASKS.c.position, TASKS.c.id)
    return Prepared(statement.limit(bindparam("limit", type_=BigInteger)))
