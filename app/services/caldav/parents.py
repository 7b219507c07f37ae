"""The parents of calendar objects: an app may send a to-do before its parent, or with one in another collection."""

from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TooDeep, UnknownReference
from app.models.tasks import TASKS
from app.services.tasks.create_update import change_task
from app.services.tasks.statements import NOT_DELETED, select_for_write
from app.services.tasks.subtasks import find_parent
from app.services.uids import find_by_uid

SELECT_WAITING_CHILDREN = CompiledStatement(
    select(TASKS.c.id, TASKS.c.project_id)
    .where(
        TASKS.c.user_id == OWNER,
        TASKS.c.parent_wanted == bindparam("uid", type_=Text),
        TASKS.c.parent_wanted.is_not(None),
        TASKS.c.parent_id.is_(None),
        NOT_DELETED,
    )
    .order_by(TASKS.c.id)
    .limit(1_000)
)


class ObjectParent(NamedTuple):
    """The place below a parent; without one ``wanted`` is the uid of the one that is to come."""

    parent_id: int | None
    wanted: str | None

    @property
    def columns(self) -> dict[str, Any]:
        return {"parent_id": self.parent_id, "parent_wanted": self.wanted}


async def place_object(
    session: Session, owner: str, parent_uid: str | None, project_id: int | None, *, task_id: int | None = None
) -> ObjectParent:
    """Returns the place of a to-do in a project. The owner must be locked.

    A parent that is not there, in another project, too deep or below the to-do itself is only wanted.
    """
    if parent_uid is None:
        return ObjectParent(None, None)
    found = await find_by_uid(session, owner, "task", parent_uid)
    if found is None or found.deleted_at is not None or found.id == task_id:
        return ObjectParent(None, parent_uid)
    try:
        parents_project = await find_parent(session, owner, found.id, [task_id] if task_id else [], loc=())
    except (TooDeep, UnknownReference):
        return ObjectParent(None, parent_uid)
    if parents_project != project_id:
        return ObjectParent(None, parent_uid)
    return ObjectParent(found.id, None)


async def link_children(session: Session, owner: str, uid: str, task_id: int, project_id: int | None) -> None:
    """Puts the to-dos that have waited for this parent below it. The owner must be locked."""
    children = (await session.exec(SELECT_WAITING_CHILDREN, {"owner": owner, "uid": uid})).all()
    for child in children:
        if child.project_id != project_id:
            continue
        place = await place_object(session, owner, uid, project_id, task_id=child.id)
        if place.parent_id is not None:
            row = await select_for_write(session, owner, child.id, None)
            await change_task(session, owner, row, place.columns, revision_taken=False)
