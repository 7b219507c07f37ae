"""Subtasks: where a task may stand, and what a write of tasks does to those below them.

A subtask is in its parent's project. Trees are at most MAX_LEVELS deep, so that walking one is bounded.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import BigInteger, and_, bindparam, case, func, null, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TooDeep, UndoConflict, UnknownReference
from app.models.tasks import CANCELLED_STATE, TASKS, is_open
from app.services.tasks.statements import (
    COMPLETION_ACTION,
    NOT_DELETED,
    OWN_TASKS,
    TASK_IDS,
    Row,
    completion_values,
    joined_write,
)

MAX_LEVELS = 5
# What a write does to the tasks below one, and the columns of those.
Turn = Literal["completed", "cancelled", "reopened"]
TURNED_VALUES: Mapping[Turn, Row] = {
    "completed": completion_values(True),
    "cancelled": {"state": CANCELLED_STATE, "remind_at": null()},
    "reopened": completion_values(False),
}


def update_trees() -> Any:
    """Returns an UPDATE of the tasks TASK_IDS and all below them, in the trash or below something there excepted.

    UNION, not UNION ALL: it would end even if there were a circle. An array: rows are found by their keys, however many
    the planner expects.
    """
    below = TASKS.alias("below")
    tree = select(TASKS.c.id).where(*OWN_TASKS, NOT_DELETED).cte("tree", recursive=True)
    tree = tree.union(
        select(below.c.id).where(below.c.user_id == OWNER, below.c.parent_id == tree.c.id, below.c.deleted_at.is_(None))
    )
    ids: Any = func.array(select(tree.c.id).scalar_subquery())
    return update(TASKS).where(TASKS.c.user_id == OWNER, NOT_DELETED, TASKS.c.id == func.any(ids))


@lru_cache
def write_trees_statement(*, moves: bool = False, turn: Turn | None = None) -> CompiledStatement:
    """Returns the UPDATE that moves TASK_IDS and all below them to ``project_id``, and closes or reopens them.

    One statement, since no row may be written twice; rows that need no change are left out. For the next occurrence of
    a series its subtasks are reopened, except the occurrences kept of a recurring subtask.
    """
    project_id = bindparam("project_id", type_=BigInteger)
    turned = and_(~is_open(), TASKS.c.series_id.is_(None)) if turn == "reopened" else is_open()
    action: Any = "updated"
    wanted: list[Any] = []
    values: Row = {}
    if moves:
        wanted.append(TASKS.c.project_id.is_distinct_from(project_id))
        values["project_id"] = project_id
    if turn is not None:
        action = COMPLETION_ACTION if moves else turn
        wanted.append(turned)
        for name, value in TURNED_VALUES[turn].items():
            values[name] = case((turned, value), else_=TASKS.c[name]) if moves else value
    return joined_write(update_trees().where(or_(*wanted)), action, **values)


# ``(root, id, level)`` of each of TASK_IDS and of what is below it.
SELECT_TREES = CompiledStatement(
    text("""
    with recursive tree as (
        select id as root, id, 1 as level from tasks
        where user_id = :owner and id = any(:ids) and deleted_at is null
        union select tree.root, t.id, tree.level + 1
        from tree join tasks t on t.user_id = :owner and t.parent_id = tree.id and t.deleted_at is null
        where tree.level < 10)
    select root, id, level from tree""").bindparams(TASK_IDS)
)
# Of a parent for TASK_IDS: its project and depth, the number of levels of their trees, and whether one contains it.
# A tree ends at another of TASK_IDS, which is not moved as its subtask.
SELECT_PARENT = CompiledStatement(
    text("""
    with recursive up as (
        select id, parent_id, project_id, 1 as level from tasks
        where user_id = :owner and id = :parent_id and deleted_at is null
        union all select t.id, t.parent_id, t.project_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.level < 10),
    down as (
        select id, 1 as level from tasks where user_id = :owner and id = any(:ids)
        union all select t.id, down.level + 1
        from down join tasks t on t.user_id = :owner and t.parent_id = down.id
            and t.deleted_at is null and t.id <> all(:ids)
        where down.level < 10)
    select (select project_id from up where level = 1) as project_id, (select max(level) from up) as depth,
           coalesce((select max(level) from down), 1) as height,
           exists (select from up where id = any(:ids)) as is_below""").bindparams(TASK_IDS)
)
FIND_TORN = CompiledStatement(
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
FIND_TOO_DEEP = CompiledStatement(
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


async def select_trees(session: Session, owner: str, task_ids: Iterable[int]) -> list[Any]:
    """Returns ``(root, id, level)`` of each task and of all below it; a task can be in the trees of several."""
    found: list[Any] = (await session.exec(SELECT_TREES, {"owner": owner, "ids": list(task_ids)})).all()
    return found


async def find_parent(
    session: Session, owner: str, parent_id: int, task_ids: list[int], *, loc: tuple[str, ...]
) -> int | None:
    """Returns the project of a task that may be the parent of ``task_ids``, or of a new task if there are none.

    The owner must be locked. Raises UnknownReference and TooDeep, at ``loc``.
    """
    found = (await session.exec(SELECT_PARENT, {"owner": owner, "parent_id": parent_id, "ids": task_ids})).one()
    if found.depth is None:
        raise UnknownReference("parent_id: there is no such task.", loc=loc)
    if found.is_below:
        raise UnknownReference("parent_id: a task cannot be below itself.", loc=loc)
    if found.depth + found.height > MAX_LEVELS:
        raise TooDeep(loc=loc)
    project_id: int | None = found.project_id
    return project_id


async def require_whole(session: Session, owner: str, tasks: list[int], projects: list[int]) -> None:
    """Checks after an undo that no live task is below a deleted one or in a deleted project. Raises UndoConflict."""
    values = {"owner": owner, "tasks": tasks, "projects": projects}
    if (await session.exec(FIND_TORN, values)).first() or (await session.exec(FIND_TOO_DEEP, values)).first():
        raise UndoConflict("Changed since: the project or the parent of a task is another or has been deleted.")
