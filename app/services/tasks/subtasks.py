"""Subtasks: where a task may stand, and what a write of a task does to those below it.

A subtask is in its parent's project. Trees are at most MAX_LEVELS deep, so that walking one is bounded.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, null, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER, REVISION, TAKEN
from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import TooDeep, UndoConflict, UnknownReference
from app.models.tasks import TASKS
from app.services.tasks.reminders import remind_at
from app.services.tasks.statements import DONE, GONE, LIVE, NOW, OPEN, SET, TASK_ID, numbered_task

MAX_LEVELS = 5
child = TASKS.alias("below")


def _below(start: Any, *, together: bool = False, itself: bool = True) -> Any:
    """Ids of the tasks below TASK_ID, and its own: live ones, or those that went into the trash ``together`` with it.

    UNION, not UNION ALL: it would end even if there were a circle.
    """
    tree = select(TASKS.c.id, TASKS.c.deleted_at).where(TASKS.c.user_id == OWNER, TASKS.c.id == TASK_ID, start)
    found = tree.cte("tree", recursive=True)
    same = child.c.deleted_at == found.c.deleted_at if together else child.c.deleted_at.is_(None)
    found = found.union(
        select(child.c.id, child.c.deleted_at).where(child.c.user_id == OWNER, child.c.parent_id == found.c.id, same)
    )
    ids = select(found.c.id)
    return ids if itself else ids.where(found.c.id != TASK_ID)


@lru_cache
def write_below(*, moves: bool, completed: bool | None) -> Prepared:
    """What the write of a task does to those below it, as part of it: into its project, and completed or open again.

    One statement, since no row may be written twice. What was done of a recurring subtask stays done.
    """
    turned = TASKS.c.completed & TASKS.c.series_id.is_(None) if completed is False else ~TASKS.c.completed
    write = update(TASKS).where(TASKS.c.user_id == OWNER, LIVE, TASKS.c.id.in_(_below(LIVE, itself=False)))
    values: dict[str, Any] = {"project_id": bindparam("project_id", type_=BigInteger)} if moves else {}
    if completed is not None:
        write = write if moves else write.where(turned)
        for name, value in (DONE if completed else OPEN).items():
            values[name] = case((turned, value), else_=TASKS.c[name])
    write = write.values(version=TAKEN, updated_at=NOW, **values)
    return numbered_task(write, "updated" if completed is None else SET, answer=["id"], revision=TAKEN)


DELETE_TREE = numbered_task(
    update(TASKS)
    .where(TASKS.c.user_id == OWNER, LIVE, TASKS.c.id.in_(_below(LIVE)))
    .values(**GONE, version=TAKEN, updated_at=NOW),
    "deleted",
    revision=TAKEN,
)
RESTORE_TREE = numbered_task(
    update(TASKS)
    .where(TASKS.c.user_id == OWNER, ~LIVE, TASKS.c.id.in_(_below(~LIVE, together=True)))
    .values(
        deleted_at=null(),
        remind_at=remind_at(deleted_at=None),
        project_id=bindparam("project_id", type_=BigInteger),
        parent_id=case((TASKS.c.id == TASK_ID, bindparam("parent_id", type_=BigInteger)), else_=TASKS.c.parent_id),
        version=REVISION,
        updated_at=NOW,
    ),
    "restored",
)
_UP = """up as (
    select id, parent_id, project_id, 1 as level from tasks
    where user_id = :owner and id = {start} and deleted_at is null
    union all select t.id, t.parent_id, t.project_id, up.level + 1
    from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.level < 10)"""
_DOWN = """down as (
    select id, deleted_at, 1 as level from tasks where user_id = :owner and id = :task_id
    union all select t.id, t.deleted_at, down.level + 1
    from down join tasks t on t.user_id = :owner and t.parent_id = down.id
         and t.deleted_at is not distinct from down.deleted_at where down.level < 10)"""
PLACE = Prepared(
    text(f"""
    with recursive {_UP.format(start=":parent_id")}, {_DOWN}
    select (select project_id from up where level = 1) as project_id, (select max(level) from up) as depth,
           coalesce((select max(level) from down), 1) as height,
           exists (select from up where id = :task_id) as is_below""")  # noqa: S608 - constants
)
RETURN = Prepared(
    text(f"""
    with recursive {_UP.format(start="(select parent_id from tasks where user_id = :owner and id = :task_id)")}, {_DOWN}
    select t.parent_id, (select max(level) from up) as depth, (select max(level) from down) as height,
           (select project_id from up where level = 1) as parents_project, j.id as project_id
    from tasks t left join projects j on j.user_id = :owner and j.id = t.project_id and j.deleted_at is null
    where t.user_id = :owner and t.id = :task_id and t.deleted_at is not null""")  # noqa: S608
)
TORN = Prepared(
    text("""
    select t.id from tasks t
    left join tasks p on p.user_id = t.user_id and p.id = t.parent_id
    left join projects j on j.user_id = t.user_id and j.id = t.project_id
    where t.user_id = :owner and t.deleted_at is null
      and (t.id = any(:tasks) or t.parent_id = any(:tasks) or t.project_id = any(:projects))
      and (p.deleted_at is not null or j.deleted_at is not null or p.project_id is distinct from t.project_id
           and p.id is not null)
    limit 1""").bindparams(bindparam("tasks", type_=ARRAY(BigInteger)), bindparam("projects", type_=ARRAY(BigInteger)))
)
TOO_DEEP = Prepared(
    text(f"""
    with recursive up as (
        select id as root, parent_id, 1 as level from tasks where user_id = :owner and id = any(:tasks)
        union all select up.root, t.parent_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.level <= {MAX_LEVELS}),
    down as (
        select id as root, id, 1 as level from tasks where user_id = :owner and id = any(:tasks)
        union all select down.root, t.id, down.level + 1
        from down join tasks t on t.user_id = :owner and t.parent_id = down.id and t.deleted_at is null
        where down.level <= {MAX_LEVELS})
    select root from (select root, max(level) as depth from up group by root) u
    join (select root, max(level) as height from down group by root) d using (root)
    where depth + height - 1 > {MAX_LEVELS} limit 1""").bindparams(bindparam("tasks", type_=ARRAY(BigInteger)))  # noqa: S608
)


class Place(NamedTuple):
    project_id: int | None
    parent_id: int | None


async def find_parent(session: Session, owner: str, parent_id: int, task_id: int = 0) -> int | None:
    """The project of a task that may be the parent of ``task_id`` (0: of a new one). The owner must be locked.

    Raises UnknownReference and TooDeep.
    """
    loc = ("body", "parent_id")
    values = {"owner": owner, "parent_id": parent_id, "task_id": task_id}
    found = (await session.exec(PLACE, values)).one()
    if found.depth is None:
        raise UnknownReference("parent_id: there is no such task.", loc=loc)
    if found.is_below:
        raise UnknownReference("parent_id: a task cannot be below itself.", loc=loc)
    if found.depth + found.height > MAX_LEVELS:
        raise TooDeep(loc=loc)
    project_id: int | None = found.project_id
    return project_id


async def find_depth(session: Session, owner: str, task_id: int) -> Any:
    """``depth`` (1 is the top) and ``project_id`` of a live task, else None."""
    found = (await session.exec(PLACE, {"owner": owner, "parent_id": task_id, "task_id": 0})).one()
    return found if found.depth is not None else None


def place_of_return(found: Any, height: int) -> Place:
    """Under its parent if that is there, and into its project if that is: else to the top, and into the inbox.

    ``found`` is a row of RETURN, or of ``bulk_statements.RETURNS``; ``height`` how many levels come back together.
    """
    if found.depth is not None and found.depth + height <= MAX_LEVELS:
        return Place(found.parents_project, found.parent_id)
    return Place(found.project_id, None)


async def find_return(session: Session, owner: str, task_id: int) -> Place | None:
    """Where a task goes when it leaves the trash; None when it is not in it."""
    found = (await session.exec(RETURN, {"owner": owner, "task_id": task_id})).first()
    return None if found is None else place_of_return(found, found.height)


async def require_whole(session: Session, owner: str, tasks: list[int], projects: list[int]) -> None:
    """After an undo: no live task is below a deleted one or in a deleted project. Raises UndoConflict."""
    values = {"owner": owner, "tasks": tasks, "projects": projects}
    if (await session.exec(TORN, values)).first() or (await session.exec(TOO_DEEP, values)).first():
        raise UndoConflict("Changed since: the project or the parent of a task is another or has been deleted.")
