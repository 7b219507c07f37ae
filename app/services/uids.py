"""Ids that clients choose: which row has one, and what follows for a new row."""

from typing import Any

from sqlalchemy import Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import AppError, OtherUid, UidInTrash, UidTaken
from app.models.comments import COMMENTS
from app.models.projects import PROJECTS
from app.models.tasks import TASKS
from app.models.views import VIEWS
from app.services.users import lock_or_create_owner

UID_TABLES = {"task": TASKS, "project": PROJECTS, "comment": COMMENTS, "view": VIEWS}
OWN_UIDS = bindparam("uids", type_=ARRAY(Text))


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
    return UidTaken(entity, task_id, row.id) if entity == "comment" else UidTaken(entity, row.id)


def require_own_uid(change: Any, row: Any) -> None:
    """Raises OtherUid if the body ``change`` has the uid of another row than the one that it wrote."""
    if "uid" in change.model_fields_set and change.uid != row.uid:
        raise OtherUid(loc=("body", "uid"))
