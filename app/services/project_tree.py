"""Projects inside of projects: where one may be, and what a write of one does to those below it."""

from typing import Any

from sqlalchemy import BigInteger, DateTime, bindparam, func, null, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import CURRENT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns, moment_of
from app.errors import TooDeep, UndoConflict, UnknownReference
from app.models.projects import PROJECT_LEVELS_MAX, PROJECTS

NO_PROJECT = 0  # in place of the id of a project that is yet to be made
PROJECT_TOO_DEEP = f"Projects can be at most {PROJECT_LEVELS_MAX} levels deep."
PROJECT_IDS = bindparam("ids", type_=ARRAY(BigInteger))
# Of a parent for a project: its depth, the number of levels of the project's tree, and whether that contains it.
SELECT_PARENT_PROJECT = CompiledStatement(
    text("""
    with recursive up as (
        select id, parent_id, 1 as level from projects
        where user_id = :owner and id = :parent_id and deleted_at is null
        union all select p.id, p.parent_id, up.level + 1
        from up join projects p on p.user_id = :owner and p.id = up.parent_id where up.level < 10),
    down as (
        select id, 1 as level from projects where user_id = :owner and id = :project_id
        union all select p.id, down.level + 1
        from down join projects p on p.user_id = :owner and p.parent_id = down.id and p.deleted_at is null
        where down.level < 10)
    select (select max(level) from up) as depth, coalesce((select max(level) from down), 1) as height,
           exists (select from up where id = :project_id) as is_below""")
)
# UNION, not UNION ALL: it would end even if there were a circle.
SELECT_PROJECTS_BELOW = CompiledStatement(
    text("""
    with recursive tree as (
        select id, 1 as level from projects
        where user_id = :owner and parent_id = :project_id and deleted_at is null
        union select p.id, tree.level + 1
        from tree join projects p on p.user_id = :owner and p.parent_id = tree.id and p.deleted_at is null
        where tree.level < 10)
    select id from tree group by id order by min(level), id""")
)
FIND_TORN_PROJECT = CompiledStatement(
    text(f"""
    with recursive near as (
        select id, parent_id from projects
        where user_id = :owner and deleted_at is null and (id = any(:ids) or parent_id = any(:ids))),
    up as (
        select id as root, parent_id, 1 as level from near
        union all select up.root, p.parent_id, up.level + 1
        from up join projects p on p.user_id = :owner and p.id = up.parent_id where up.level <= {PROJECT_LEVELS_MAX}),
    down as (
        select id as root, id, 1 as level from near
        union all select down.root, p.id, down.level + 1
        from down join projects p on p.user_id = :owner and p.parent_id = down.id and p.deleted_at is null
        where down.level <= {PROJECT_LEVELS_MAX})
    select near.id from near
    left join projects p on p.user_id = :owner and p.id = near.parent_id
    where p.deleted_at is not null
       or (select max(level) from up where root = near.id) + (select max(level) from down where root = near.id) - 1
          > {PROJECT_LEVELS_MAX}
    limit 1""").bindparams(PROJECT_IDS)  # noqa: S608 - constants
)


def _joined_project_write(action: str, *where: Any, **values: Any) -> CompiledStatement:
    """Returns an UPDATE of several projects as part of the write that has begun. It returns their ids."""
    statement = update(PROJECTS).where(PROJECTS.c.user_id == OWNER, PROJECTS.c.deleted_at.is_(None), *where)
    return recorded_write(
        statement.values(version=CURRENT_REVISION, updated_at=moment_of(PROJECTS), **values),
        entity="project",
        action=action,
        returning=kept_columns(PROJECTS),
        columns=["id"],
        revision=CURRENT_REVISION,
    )


_IN_IDS = PROJECTS.c.id == func.any(PROJECT_IDS)
_ARCHIVED_MOMENT = bindparam("moment", type_=DateTime(timezone=True))
# They have the moment in common, by which they are brought back together.
ARCHIVE_PROJECTS = _joined_project_write(
    "updated", _IN_IDS, PROJECTS.c.archived_at.is_(None), archived_at=_ARCHIVED_MOMENT
)
BRING_BACK_PROJECTS = _joined_project_write(
    "updated", _IN_IDS, PROJECTS.c.archived_at == _ARCHIVED_MOMENT, archived_at=null()
)
TRASH_PROJECTS = _joined_project_write("deleted", _IN_IDS, deleted_at=moment_of(PROJECTS))
MOVE_PROJECTS_UP = _joined_project_write(
    "updated",
    PROJECTS.c.parent_id == bindparam("project_id", type_=BigInteger),
    parent_id=bindparam("target", type_=BigInteger),
)


async def require_parent_project(session: Session, owner: str, parent_id: int, project_id: int = NO_PROJECT) -> None:
    """Checks that a project may be inside of another one. The owner must be locked.

    Raises UnknownReference and TooDeep.
    """
    values = {"owner": owner, "parent_id": parent_id, "project_id": project_id}
    found = (await session.exec(SELECT_PARENT_PROJECT, values)).one()
    loc = ("body", "parent_id")
    if found.depth is None:
        raise UnknownReference("parent_id: there is no such project.", loc=loc)
    if found.is_below:
        raise UnknownReference("parent_id: a project cannot be below itself.", loc=loc)
    if found.depth + found.height > PROJECT_LEVELS_MAX:
        raise TooDeep(PROJECT_TOO_DEEP, loc=loc)


async def find_projects_below(session: Session, owner: str, project_id: int) -> list[int]:
    """Returns the ids of the projects inside of one, at any depth, archived ones too; a parent before its children."""
    found: list[int] = (await session.exec(SELECT_PROJECTS_BELOW, {"owner": owner, "project_id": project_id})).all()
    return found


async def archive_below(session: Session, owner: str, before: Any, after: Any) -> None:
    """Archives what is inside of a project that was archived, or brings back what was archived together with it.

    ``before`` and ``after`` are the project's rows. Part of the write that has begun.
    """
    if (before.archived_at is None) == (after.archived_at is None):
        return
    ids = await find_projects_below(session, owner, after.id)
    if ids:
        statement = BRING_BACK_PROJECTS if after.archived_at is None else ARCHIVE_PROJECTS
        moment = before.archived_at or after.archived_at
        await session.exec(statement, {"owner": owner, "ids": ids, "moment": moment})


async def require_whole_projects(session: Session, owner: str, ids: list[int]) -> None:
    """Checks after an undo that no live project is inside of a deleted one, of itself, or too deep.

    Raises UndoConflict.
    """
    if ids and (await session.exec(FIND_TORN_PROJECT, {"owner": owner, "ids": ids})).first():
        raise UndoConflict("Changed since: the project that contains one of them is another or has been deleted.")
