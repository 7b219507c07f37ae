"""Saved views: list parameters under a name."""

from functools import lru_cache
from typing import Any

from pydantic import MISSING, ValidationError
from sqlalchemy import BigInteger, Text, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from app.db.changes import NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import OutdatedView, TooManyViews, VersionConflict, ViewNotFound
from app.models.views import VIEWS, ViewRow
from app.schemas.task_query import TaskFilter, TaskQuery
from app.schemas.views import ViewCreate, ViewTasksQuery, ViewUpdate
from app.services.changes.entities import VIEW_ENTITY
from app.services.merge import merge_change
from app.services.row_limits import find_room
from app.services.uids import require_free_uid, require_own_uid, resolve_uids
from app.services.users import lock_or_create_owner, lock_owner

VIEW_FIELDS = ViewRow.__struct_fields__
VIEW_COLUMNS = [VIEWS.c[name] for name in VIEW_FIELDS]
IS_LIVE_VIEW = (VIEWS.c.user_id == OWNER, VIEWS.c.deleted_at.is_(None))
IS_VIEW = (*IS_LIVE_VIEW, VIEWS.c.id == bindparam("view_id", type_=BigInteger))
VIEW_NAME, VIEW_PARAMETERS = bindparam("name", type_=Text), bindparam("parameters", type_=JSONB)


def recorded_view(write: Any, action: str) -> CompiledStatement:
    """Returns a write of views that takes the next revision and returns each row."""
    return recorded_write(write, entity="view", action=action, returning=kept_columns(VIEWS), columns=VIEW_FIELDS)


SELECT_VIEWS = CompiledStatement(
    select(*VIEW_COLUMNS).where(*IS_LIVE_VIEW).order_by(func.lower(VIEWS.c.name), VIEWS.c.id)
)
SELECT_VIEW = CompiledStatement(select(*VIEW_COLUMNS).where(*IS_VIEW))
INSERT_VIEW = recorded_view(
    insert(VIEWS).values(
        user_id=OWNER, uid=bindparam("uid"), name=VIEW_NAME, parameters=VIEW_PARAMETERS, version=NEXT_REVISION
    ),
    "created",
)


@lru_cache
def _update_view(columns: frozenset[str], checks_version: bool) -> CompiledStatement:
    values = {name: bindparam(name, type_=VIEWS.c[name].type) for name in sorted(columns)}
    return recorded_view(update_row(VIEWS, IS_VIEW, checks_version=checks_version, **values), "updated")


@lru_cache
def _delete_view(checks_version: bool) -> CompiledStatement:
    return recorded_view(
        update_row(VIEWS, IS_VIEW, checks_version=checks_version, deleted_at=moment_of(VIEWS)), "deleted"
    )


async def list_views(session: Session, owner: str) -> list[ViewRow]:
    """Returns all of them, by name: there are few."""
    return [ViewRow(*row) for row in (await session.exec(SELECT_VIEWS, {"owner": owner})).all()]


async def get_view(session: Session, owner: str, view_id: int) -> ViewRow:
    """Returns a view. Raises ViewNotFound."""
    row = (await session.exec(SELECT_VIEW, {"owner": owner, "view_id": view_id})).first()
    if row is None:
        raise ViewNotFound
    return ViewRow(*row)


async def create_view(session: Session, owner: str, view: ViewCreate) -> ViewRow:
    """Creates a view. Raises ViewNameTaken, TooManyViews, UidTaken and UidInTrash."""
    await lock_or_create_owner(session, owner)  # no concurrent write adds one after the count
    await require_free_uid(session, owner, "view", view.uid)
    if await find_room(session, owner, VIEW_ENTITY) <= 0:
        raise TooManyViews
    parameters = await _stored(session, owner, view.parameters)
    values = {"owner": owner, "uid": view.uid or new_uuid7(), "name": view.name, "parameters": parameters}
    return ViewRow(*(await session.exec(INSERT_VIEW, values)).one())


async def update_view(
    session: Session, owner: str, view_id: int, change: ViewUpdate, *, versions: list[int] | None = None
) -> ViewRow:
    """Updates a view. Raises ViewNotFound, ViewNameTaken; VersionConflict when ``versions`` lacks the current one.

    Also OtherUid, and what ``merge_change`` raises.
    """
    values: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set - change.ABOUT}
    if "parameters" in values:
        values["parameters"] = await _stored(session, owner, values["parameters"])
    if change.base_version is not MISSING:
        await lock_owner(session, owner)
        row = await get_view(session, owner, view_id)
        values = await merge_change(session, owner, VIEW_ENTITY, change, row=row, yours=values, versions=versions)
        if not values:
            return row
    statement = _update_view(frozenset(values), versions is not None)
    row = await _run_on_view(session, statement, owner, view_id, versions, values)
    require_own_uid(change, row)
    return row


async def delete_view(session: Session, owner: str, view_id: int, *, versions: list[int] | None = None) -> None:
    """Moves a view to the trash. Raises ViewNotFound and VersionConflict."""
    await _run_on_view(session, _delete_view(versions is not None), owner, view_id, versions, {})


async def get_task_query(session: Session, owner: str, view_id: int, page: ViewTasksQuery) -> TaskQuery:
    """Returns the query of the task list of a view. Raises ViewNotFound and OutdatedView."""
    view = await get_view(session, owner, view_id)
    try:
        return TaskQuery.model_validate({**view.parameters, **page.model_dump(exclude_unset=True)})
    except ValidationError as error:
        raise OutdatedView from error


async def _stored(session: Session, owner: str, parameters: TaskFilter) -> dict[str, Any]:
    """Returns the parameters that were sent: defaults are not stored, so that a later version may change them.

    Rows are referred to by their ids, also where a uid was sent. Raises UnknownReference.
    """
    parameters = await resolve_uids(session, owner, parameters, loc=("body", "parameters"))
    return parameters.model_dump(mode="json", exclude_unset=True)


async def _run_on_view(
    session: Session,
    statement: CompiledStatement,
    owner: str,
    view_id: int,
    versions: list[int] | None,
    values: dict[str, Any],
) -> ViewRow:
    params = {"owner": owner, "view_id": view_id, "versions": versions, **values}
    row = (await session.exec(statement, params)).first()
    if row is None:
        await get_view(session, owner, view_id)
        raise VersionConflict("The view has changed since the version in If-Match: get it again.")
    return ViewRow(*row)
