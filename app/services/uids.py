"""Ids that clients choose: in paths, in bodies and queries, and of new rows."""

from typing import Any, NamedTuple, TypeVar, cast

from pydantic import MISSING
from sqlalchemy import Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import (
    AppError,
    CommentNotFound,
    DoesNotExist,
    IdsContradict,
    NotFound,
    OtherUid,
    ProjectNotFound,
    TaskNotFound,
    UidInTrash,
    UidTaken,
    UnknownReference,
    ViewNotFound,
)
from app.models.comments import COMMENTS
from app.models.projects import PROJECTS
from app.models.tasks import TASKS
from app.models.types import MergedUpdate, RequestModel
from app.models.views import VIEWS
from app.services.users import lock_or_create_owner

Body = TypeVar("Body", bound=RequestModel)
ABSENT_ID = 0  # that no row has: a filter by an unknown uid matches nothing, like one by an unknown id
UID_TABLES = {"task": TASKS, "project": PROJECTS, "comment": COMMENTS, "view": VIEWS}
ABSENT_ERRORS: dict[str, type[NotFound]] = {
    "task": TaskNotFound,
    "project": ProjectNotFound,
    "comment": CommentNotFound,
    "view": ViewNotFound,
}
OWN_UIDS = bindparam("uids", type_=ARRAY(Text))


class NamedRow(NamedTuple):
    """``uid:...`` in the place of an id."""

    entity: str
    uid: str


class PutCondition(NamedTuple):
    """The permissions of a PUT: with If-None-Match: * only create, with If-Match only change."""

    may_create: bool
    may_change: bool


def _select_by_uid(entity: str) -> CompiledStatement:
    """Returns the query of the rows with OWN_UIDS, those in the trash included."""
    c = UID_TABLES[entity].c
    columns: list[Any] = [c.uid, c.id, c.version, c.deleted_at]
    if entity == "comment":  # hidden with its task
        columns += [c.task_id, TASKS.c.deleted_at.label("task_deleted_at")]
    statement = select(*columns).where(c.user_id == OWNER, c.uid == OWN_UIDS.any_())
    if entity == "comment":
        statement = statement.join(TASKS, (TASKS.c.user_id == c.user_id) & (TASKS.c.id == c.task_id))
    return CompiledStatement(statement)


SELECT_BY_UID = {entity: _select_by_uid(entity) for entity in UID_TABLES}


async def find_ids(session: Session, owner: str, entity: str, uids: list[str]) -> dict[str, int]:
    """Returns the ids of those ``uids`` that rows have, in the trash or not."""
    rows = (await session.exec(SELECT_BY_UID[entity], {"owner": owner, "uids": uids})).all()
    return {row.uid: row.id for row in rows}


async def find_named_row(session: Session, owner: str, named: NamedRow) -> int:
    """Returns the id of the row, in the trash or not. Raises its error of ABSENT_ERRORS."""
    if (found := await find_by_uid(session, owner, named.entity, named.uid)) is None:
        raise ABSENT_ERRORS[named.entity]
    row_id: int = found.id
    return row_id


async def resolve_uids(
    session: Session, owner: str, body: Body, *, loc: tuple[str, ...] = ("body",), absent: int | None = None
) -> Body:
    """Returns ``body`` with an id in place of each uid that refers to a row; without any it is the same object.

    Called before anything else reads the body. Raises IdsContradict; UnknownReference for a uid that no row outside of
    the trash has. With ``absent``, which stands for an unknown one, it also finds rows in the trash.
    """
    twins = body.model_fields_set & body.TWINS.keys()
    if not twins:
        return body
    sent = {name for name in twins if _is_sent(body, name)}
    ids: dict[str, int | None] = {}
    for name in sorted(sent):
        id_field, entity = body.TWINS[name]
        row_id = None
        if (uid := getattr(body, name)) is not None:
            found = await find_by_uid(session, owner, entity, uid)
            if absent is None and (found is None or found.deleted_at is not None):
                raise UnknownReference(f"{name}: there is no such {entity}.", loc=(*loc, name))
            row_id = absent if found is None else found.id
        if _is_sent(body, id_field) and getattr(body, id_field) != row_id:
            raise IdsContradict(loc=(*loc, name))
        ids[id_field] = row_id
    fields = body.model_fields_set - twins | ids.keys()
    return cast("Body", type(body).model_construct(fields, **{**dict(body), **ids}))


def _is_sent(body: RequestModel, name: str) -> bool:
    """Returns whether the field says anything: null does not where it is the default."""
    left_out = getattr(body, name) is None and type(body).model_fields[name].default is None
    return name in body.model_fields_set and not left_out


async def find_put_target(
    session: Session, owner: str, entity: str, target: int | str, change: MergedUpdate, condition: PutCondition
) -> int | None:
    """Returns the id of the row that a PUT changes; None if it creates one, which locks the owner.

    Raises UidInTrash; DoesNotExist where ``condition`` or a base_version, which only a row has, allow only a change.
    The caller finds out whether an id is one of a row, and may be changed.
    """
    if isinstance(target, int):
        return target
    await lock_or_create_owner(session, owner)  # of two concurrent requests one creates it, the other changes it
    found = await find_by_uid(session, owner, entity, target)
    if found is None:
        if not condition.may_create or change.base_version is not MISSING:
            raise DoesNotExist
        return None
    if found.deleted_at is not None:
        raise taken_error(entity, found)
    row_id: int = found.id
    return row_id


async def require_free_uid(session: Session, owner: str, entity: str, uid: str | None) -> None:
    """Locks the owner, so that the uid is still free when the row is inserted. Raises UidTaken and UidInTrash."""
    if uid is not None:
        await lock_or_create_owner(session, owner)
        if (found := await find_by_uid(session, owner, entity, uid)) is not None:
            raise taken_error(entity, found)


async def find_by_uid(session: Session, owner: str, entity: str, uid: str) -> Any:
    """Returns the row of SELECT_BY_UID; None if there is none."""
    return (await session.exec(SELECT_BY_UID[entity], {"owner": owner, "uids": [uid]})).first()


def taken_error(entity: str, row: Any) -> AppError:
    """Returns the error for a uid that ``row`` has, with how to restore it if it is in the trash."""
    if row.deleted_at is not None and entity != "task":
        return UidInTrash(
            f"The {entity} with this uid is deleted. To restore it, undo that: POST /changes/{row.version}/undo."
        )
    task_id = row.task_id if entity == "comment" else row.id
    if row.deleted_at is not None or (entity == "comment" and row.task_deleted_at is not None):
        what = "The task with this uid" if entity == "task" else "The task of the comment with this uid"
        return UidInTrash(f"{what} is in the trash. To restore it: POST /tasks/{task_id}/restore.")
    ids = (task_id, row.id) if entity == "comment" else (row.id,)
    return UidTaken(*ids, entity=entity)


def require_own_uid(change: Any, row: Any) -> None:
    """Raises OtherUid if the body ``change`` has the uid of another row than the one that it wrote."""
    if "uid" in change.model_fields_set and change.uid != row.uid:
        raise OtherUid(loc=("body", "uid"))
