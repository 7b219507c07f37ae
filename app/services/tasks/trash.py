"""The trash: deleting and restoring, one task or many. ``retention`` deletes permanently.

The subtasks of a task are deleted and restored with it. A restored task is below its parent and in its project again if
those are not in the trash, else at the top level and in the inbox.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import case, exists, null, select, text, update

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TaskNotFound
from app.models.task_rows import TASK_READ_COLUMNS, task_row
from app.models.tasks import TASKS
from app.services.tasks.remind_at import remind_at
from app.services.tasks.statements import (
    DELETED_VALUES,
    HAS_SUBTASK,
    NO_WRITE_BETWEEN,
    OWN_TASKS,
    SELECT_TASK,
    TASK_IDS,
    TASK_WRITTEN_AT,
    Row,
    joined_write,
    recorded_task_write,
    select_for_write,
    table_of_rows,
    update_own_task,
    write_if_alone,
)
from app.services.tasks.subtasks import MAX_LEVELS, update_trees
from app.services.users import lock_owner

DELETE_TREE = joined_write(update_trees(), "deleted", columns=TASK_READ_COLUMNS, **DELETED_VALUES)
DELETE_TREES = joined_write(update_trees(), "deleted", **DELETED_VALUES)
# The number of ancestors of each task, in the trash or not.
SELECT_DEPTHS = CompiledStatement(
    text("""
    with recursive up as (
        select id as task, parent_id, 0 as level from tasks where user_id = :owner and id = any(:ids)
        union select up.task, t.parent_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.level < 10)
    select task, max(level) as depth from up group by task""").bindparams(TASK_IDS)
)
# Of each task in the trash: the depth and project of its parent and its own project, each null if the parent or project
# is not live, and how many levels are restored together. The subtasks are found by ``parent_id``, not by the moment of
# the deletion: any number of tasks may have that in common.
SELECT_RETURNS = CompiledStatement(
    text("""
    with recursive up as (
        select id as task, parent_id, 0 as level from tasks where user_id = :owner and id = any(:ids)
        union select up.task, t.parent_id, up.level + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id and t.deleted_at is null
        where up.level < 10),
    down as (
        select id as task, id, deleted_at, 1 as level from tasks where user_id = :owner and id = any(:ids)
        union select down.task, t.id, t.deleted_at, down.level + 1
        from down join tasks t on t.user_id = :owner and t.parent_id = down.id
            and t.deleted_at is not distinct from down.deleted_at
        where down.level < 10),
    levels as (select task, level, true as above from up union all select task, level, false from down),
    found as (
        select task, max(level) filter (where above) as depth, max(level) filter (where not above) as height
        from levels group by task)
    select t.id, t.parent_id, nullif(f.depth, 0) as depth, f.height, p.project_id as parents_project,
           j.id as project_id
    from found f join tasks t on t.user_id = :owner and t.id = f.task
    left join tasks p on p.user_id = :owner and p.id = t.parent_id and p.deleted_at is null
    left join projects j on j.user_id = :owner and j.id = t.project_id and j.deleted_at is null""").bindparams(TASK_IDS)
)


def _restore(columns: Sequence[str], *, revision: Any) -> CompiledStatement:
    """Returns the UPDATE that restores TASK_IDS, each to its place in ``rows``, with the subtasks deleted with them.

    A subtask keeps its parent and gets the project of the restored task.
    """
    wanted, below = table_of_rows(frozenset({"parent_id", "project_id"})), TASKS.alias("below")
    tree = (
        select(TASKS.c.id, TASKS.c.deleted_at, wanted.c.parent_id, wanted.c.project_id)
        .where(*OWN_TASKS, TASKS.c.id == wanted.c.id)
        .cte("tree", recursive=True)
    )
    together = below.c.deleted_at.is_not_distinct_from(tree.c.deleted_at)
    tree = tree.union(
        select(below.c.id, below.c.deleted_at, below.c.parent_id, tree.c.project_id).where(
            below.c.user_id == OWNER, below.c.parent_id == tree.c.id, together
        )
    )
    # Its name for calendar apps may be that of another task by now: then it has the one by its uid.
    other = TASKS.alias("other")
    namesake = (other.c.user_id == OWNER, other.c.dav_name == TASKS.c.dav_name, other.c.deleted_at.is_(None))
    statement = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id == tree.c.id)
    statement = statement.values(
        deleted_at=null(),
        remind_at=remind_at(deleted_at=None),
        parent_id=tree.c.parent_id,
        project_id=tree.c.project_id,
        dav_name=case((exists().where(*namesake), null()), else_=TASKS.c.dav_name),
        version=revision,
        updated_at=TASK_WRITTEN_AT,
    )
    return recorded_task_write(statement, "restored", columns=columns, revision=revision)


RESTORE_TREE, RESTORE_TREES = (
    _restore(TASK_READ_COLUMNS, revision=NEXT_REVISION),
    _restore(["id"], revision=CURRENT_REVISION),
)


@lru_cache
def delete_statement(*, checks_version: bool) -> CompiledStatement:
    """Returns the UPDATE that moves one task to the trash, if it has no subtask."""
    statement = update_own_task(checks_version=checks_version, deleted_at=TASK_WRITTEN_AT, remind_at=null())
    return recorded_task_write(statement.where(~HAS_SUBTASK, NO_WRITE_BETWEEN), "deleted")


async def delete_task(session: Session, owner: str, task_id: int, *, versions: list[int] | None = None) -> Any:
    """Moves a task to the trash, with its subtasks. Raises TaskNotFound and VersionConflict."""
    statement = delete_statement(checks_version=versions is not None)
    row = await write_if_alone(session, owner, statement, task_id, versions, {})
    if row is not None:
        return row
    await select_for_write(session, owner, task_id, versions)
    rows = (await session.exec(DELETE_TREE, {"owner": owner, "ids": [task_id]})).all()
    return next(task_row(row) for row in rows if row[0] == task_id)


async def delete_tasks(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """Moves tasks to the trash, with their subtasks. The owner must be locked, and the revision taken."""
    await session.exec(DELETE_TREES, {"owner": owner, "ids": list(targets)})


async def restore_task(session: Session, owner: str, task_id: int) -> Any:
    """Restores a task from the trash, with the subtasks deleted with it. Raises TaskNotFound.

    A task that is not in the trash stays as it is, and no revision is taken.
    """
    await lock_owner(session, owner)  # no concurrent write restores it between the lookup and the write
    live = (await session.exec(SELECT_TASK, {"owner": owner, "task_id": task_id})).first()
    if live is not None:
        return task_row(live)
    places = await _find_returns(session, owner, [task_id])
    if not places:
        raise TaskNotFound
    rows = (await session.exec(RESTORE_TREE, {"owner": owner, "ids": [task_id], "rows": places})).all()
    return next(task_row(row) for row in rows if row[0] == task_id)


async def restore_tasks(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """Restores tasks from the trash. The owner must be locked, and the revision taken.

    One level after the other, from the top, so that a parent is restored before its subtasks.
    """
    depths = dict((await session.exec(SELECT_DEPTHS, {"owner": owner, "ids": list(targets)})).all())
    back: set[int] = set()
    for depth in sorted(set(depths.values())):
        roots = [task_id for task_id in targets if depths[task_id] == depth and task_id not in back]
        if roots:  # the others were restored with their parents
            places = await _find_returns(session, owner, roots)
            back.update((await session.exec(RESTORE_TREES, {"owner": owner, "ids": roots, "rows": places})).all())


async def _find_returns(session: Session, owner: str, task_ids: list[int]) -> list[Row]:
    """Returns the id and the place of each task to restore."""
    places = []
    for found in (await session.exec(SELECT_RETURNS, {"owner": owner, "ids": task_ids})).all():
        if found.depth is not None and found.depth + found.height <= MAX_LEVELS:
            place = {"parent_id": found.parent_id, "project_id": found.parents_project}
        else:
            place = {"parent_id": None, "project_id": found.project_id}
        places.append({"id": found.id, **place})
    return places
