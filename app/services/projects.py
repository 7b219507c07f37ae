"""Projects. Each function runs in the caller's transaction and touches only ``owner``'s rows."""

from functools import lru_cache
from typing import Any

from pydantic import MISSING
from sqlalchemy import BigInteger, Boolean, Text, bindparam, case, func, insert, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import AlreadyExists, FieldNeeded, ProjectNotFound, TooManyProjects, UnknownReference, VersionConflict
from app.models.projects import PROJECTS, ProjectCreate, ProjectRead, ProjectRow, ProjectUpdate
from app.models.tasks import TASKS
from app.schemas.projects import ProjectDeletion, ProjectMove, SubprojectsAction
from app.services.changes.entities import PROJECT_ENTITY
from app.services.merge import merge_change
from app.services.ordering import find_key, neighbours_in
from app.services.project_tree import (
    MOVE_PROJECTS_UP,
    TRASH_PROJECTS,
    archive_below,
    find_projects_below,
    require_parent_project,
)
from app.services.row_limits import has_room
from app.services.tasks.statements import DELETED_VALUES, NOT_DELETED, joined_write
from app.services.uids import PutCondition, find_put_target, require_free_uid, require_own_uid, resolve_uids
from app.services.users import get_revision, lock_or_create_owner, lock_owner

PROJECT_FIELDS = list(ProjectRead.model_fields)
PROJECT_ID = bindparam("project_id", type_=BigInteger)
IS_LIVE_PROJECT = PROJECTS.c.deleted_at.is_(None)
IS_PROJECT = (PROJECTS.c.user_id == OWNER, PROJECTS.c.id == PROJECT_ID, IS_LIVE_PROJECT)
PROJECT_MOMENT = moment_of(PROJECTS)
# Fields of which the value of one project depends on others, or that of others on it.
TREE_FIELDS = {"parent_id", "archived"}
PROJECT_NEIGHBOURS = neighbours_in("projects")


def _recorded_project(write: Any, action: str) -> CompiledStatement:
    return recorded_write(
        write, entity="project", action=action, returning=kept_columns(PROJECTS), columns=PROJECT_FIELDS
    )


SELECT_PROJECT = CompiledStatement(select(*(PROJECTS.c[name] for name in PROJECT_FIELDS)).where(*IS_PROJECT))
INSERT_PROJECT = _recorded_project(
    insert(PROJECTS).from_select(
        ["user_id", "uid", "name", "color", "favorite", "parent_id", "archived_at", "version"],
        select(
            OWNER,
            bindparam("uid", type_=Text),
            bindparam("name", type_=Text),
            bindparam("color", type_=Text),
            bindparam("favorite", type_=Boolean),
            bindparam("parent_id", type_=BigInteger),
            case((bindparam("archived", type_=Boolean), func.now()), else_=null()),
            NEXT_REVISION,
        ).where(has_room(PROJECT_ENTITY)),
        include_defaults=False,
    ),
    "created",
)
IN_PROJECTS = (
    TASKS.c.user_id == OWNER,
    TASKS.c.project_id == func.any(bindparam("project_ids", type_=ARRAY(BigInteger))),
    NOT_DELETED,
)
TRASH_TASKS = joined_write(update(TASKS).where(*IN_PROJECTS), "deleted", **DELETED_VALUES)
MOVE_TASKS = joined_write(
    update(TASKS).where(*IN_PROJECTS), "updated", project_id=bindparam("target", type_=BigInteger)
)


@lru_cache
def _select_projects(archived: str) -> CompiledStatement:
    c = PROJECTS.c
    chosen = {"false": [c.archived_at.is_(None)], "true": [c.archived_at.is_not(None)], "all": []}[archived]
    statement = select(*(c[name] for name in PROJECT_FIELDS)).where(c.user_id == OWNER, IS_LIVE_PROJECT, *chosen)
    return CompiledStatement(statement.order_by(c.position, c.id))


@lru_cache
def _update_project(columns: frozenset[str], checks_version: bool, action: str = "updated") -> CompiledStatement:
    values: dict[str, Any] = {name: bindparam(name, type_=PROJECTS.c[name].type) for name in sorted(columns)}
    if "archived_at" in columns:
        asked: Any = bindparam("archived")
        values["archived_at"] = case((asked, func.coalesce(PROJECTS.c.archived_at, PROJECT_MOMENT)), else_=null())
    if "deleted_at" in columns:
        values["deleted_at"] = PROJECT_MOMENT
    return _recorded_project(update_row(PROJECTS, IS_PROJECT, checks_version=checks_version, **values), action)


def to_project_row(record: Any) -> Any:
    """Returns the row of a record of PROJECT_FIELDS, as a GET returns it."""
    return ProjectRow(*record)


async def list_projects(session: Session, owner: str, archived: str) -> tuple[list[Any], int]:
    """Returns the projects in their order, and the owner's revision. ``archived``: true, false or all."""
    rows = (await session.exec(_select_projects(archived), {"owner": owner})).all()
    return [to_project_row(row) for row in rows], await get_revision(session, owner)


async def get_project(session: Session, owner: str, project_id: int) -> Any:
    """Returns a project. Raises ProjectNotFound."""
    row = (await session.exec(SELECT_PROJECT, {"owner": owner, "project_id": project_id})).first()
    if row is None:
        raise ProjectNotFound
    return to_project_row(row)


async def create_project(session: Session, owner: str, project: ProjectCreate) -> Any:
    """Creates a project.

    Raises ProjectNameTaken, TooManyProjects, UidTaken, UidInTrash, UnknownReference, TooDeep.
    """
    await lock_or_create_owner(session, owner)  # no concurrent write adds one after the count
    return await insert_project(session, owner, project)


async def insert_project(session: Session, owner: str, project: ProjectCreate) -> Any:
    """Returns the new project. The owner must be locked. Raises what ``create_project`` raises."""
    await require_free_uid(session, owner, "project", project.uid)
    project = await resolve_uids(session, owner, project)
    if project.parent_id is not None:
        await require_parent_project(session, owner, project.parent_id)
    names = ("name", "color", "favorite", "parent_id", "archived")
    values = {"owner": owner, "uid": project.uid or new_uuid7(), **{name: getattr(project, name) for name in names}}
    row = (await session.exec(INSERT_PROJECT, values)).first()
    if row is None:
        raise TooManyProjects
    return to_project_row(row)


async def update_project(
    session: Session, owner: str, project_id: int, change: ProjectUpdate, *, versions: list[int] | None = None
) -> Any:
    """Writes the fields that were sent. What is inside of a project is archived and brought back with it.

    Raises ProjectNotFound, VersionConflict, ProjectNameTaken, OtherUid, UnknownReference, TooDeep.
    Also what ``merge_change`` raises.
    """
    change = await resolve_uids(session, owner, change)
    values: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set - change.ABOUT}
    before = None
    if change.base_version is not MISSING or not TREE_FIELDS.isdisjoint(values):
        await lock_owner(session, owner)
        before = await get_project(session, owner, project_id)
    if change.base_version is not MISSING:
        values = await merge_change(session, owner, PROJECT_ENTITY, change, row=before, yours=values, versions=versions)
        if not values:
            return before
    if values.get("parent_id") is not None:
        await require_parent_project(session, owner, values["parent_id"], project_id)
    columns = {"archived_at" if name == "archived" else name for name in values}
    statement = _update_project(frozenset(columns), versions is not None)
    row = await _run_on_project(session, statement, owner, project_id, versions, values)
    if before is not None:
        await archive_below(session, owner, before, row)
    require_own_uid(change, row)
    return row


async def put_project(
    session: Session,
    owner: str,
    target: int | str,
    change: ProjectUpdate,
    *,
    versions: list[int] | None,
    condition: PutCondition,
) -> tuple[Any, bool]:
    """Changes a project, or creates one with the uid if there is none. Returns it, and whether it is new.

    Raises what ``create_project``, ``update_project`` and ``find_put_target`` raise, and FieldNeeded without a name.
    """
    project_id = await find_put_target(session, owner, "project", target, change, condition)
    if project_id is not None:
        if not condition.may_change:
            await get_project(session, owner, project_id)
            raise AlreadyExists
        return await update_project(session, owner, project_id, change, versions=versions), False
    assert isinstance(target, str), "a project that has an id is changed"
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    if "name" not in fields:
        raise FieldNeeded(loc=("body", "name"))
    fields["uid"] = target
    made = await insert_project(session, owner, ProjectCreate.model_construct(set(fields), **fields))
    require_own_uid(change, made)
    return made, True


async def move_project(session: Session, owner: str, project_id: int, move: ProjectMove) -> Any:
    """Moves a project directly before or after another one. Raises ProjectNotFound, UnknownReference, NoRoomBetween."""
    move = await resolve_uids(session, owner, move)
    await lock_owner(session, owner)
    key = await find_key(session, owner, PROJECT_NEIGHBOURS, project_id, before=move.before, after=move.after)
    statement = _update_project(frozenset({"moved_to"}), False)
    return await _run_on_project(session, statement, owner, project_id, None, {"moved_to": key})


async def delete_project(
    session: Session,
    owner: str,
    project_id: int,
    *,
    deletion: ProjectDeletion,
    versions: list[int] | None = None,
) -> None:
    """Moves a project to the trash, and its tasks where ``deletion`` names, else also to the trash.

    The projects inside of it take its place, or are deleted like it. Raises ProjectNotFound, VersionConflict;
    UnknownReference when the project for the tasks does not exist or is one of those that are deleted.
    """
    move_to = (await resolve_uids(session, owner, deletion, loc=("query",))).to
    statement = _update_project(frozenset({"deleted_at"}), versions is not None, "deleted")
    gone = await _run_on_project(session, statement, owner, project_id, versions, {})
    ids = [project_id]
    if below := await find_projects_below(session, owner, project_id):
        if deletion.subprojects is SubprojectsAction.TRASH:
            await session.exec(TRASH_PROJECTS, {"owner": owner, "ids": below})
            ids += below
        else:
            await session.exec(MOVE_PROJECTS_UP, {"owner": owner, "project_id": project_id, "target": gone.parent_id})
    if move_to is None:
        await session.exec(TRASH_TASKS, {"owner": owner, "project_ids": ids})
        return
    target = None if move_to == "inbox" else move_to
    if target is not None:
        await require_project(session, owner, target, loc=("query", "to"))
    await session.exec(MOVE_TASKS, {"owner": owner, "project_ids": ids, "target": target})


async def require_project(session: Session, owner: str, project_id: int, *, loc: tuple[str, ...]) -> None:
    """Raises UnknownReference unless a task may be put there."""
    if not (await session.exec(SELECT_PROJECT, {"owner": owner, "project_id": project_id})).all():
        raise UnknownReference("There is no such project.", loc=loc)


async def _run_on_project(
    session: Session,
    statement: CompiledStatement,
    owner: str,
    project_id: int,
    versions: list[int] | None,
    values: dict[str, Any],
) -> Any:
    params = {"owner": owner, "project_id": project_id, "versions": versions, **values}
    row = (await session.exec(statement, params)).first()
    if row is not None:
        return to_project_row(row)
    if versions is not None and (await session.exec(SELECT_PROJECT, params)).first():
        raise VersionConflict
    raise ProjectNotFound
