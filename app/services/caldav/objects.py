"""The calendar objects of a collection: the tasks of a project, or of the inbox, by the names that apps know."""

from collections.abc import Collection as Names
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, func, select, text, tuple_, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import CalendarDataRefused, DavObjectNotFound, VersionConflict
from app.models.tasks import TASKS
from app.models.types import is_uid
from app.services.caldav.collections import DOT_SEGMENTS, Collection
from app.services.tasks.statements import NOT_DELETED, RECORDED_COLUMNS
from app.services.tasks.trash import delete_task
from app.services.users import lock_owner

OBJECT_SUFFIX = ".ics"
NAME_PAGE_ROWS, DATA_PAGE_ROWS = 5_000, 200
NAME_MAX = 255  # characters of the name of an object
_parent = TASKS.alias("parent")
_is_parent = (_parent.c.user_id == OWNER, _parent.c.id == TASKS.c.parent_id)
PARENT_COLUMNS = [
    select(_parent.c[name]).where(*_is_parent).scalar_subquery().label(f"parent_{name}")
    for name in ("uid", "source_id")
]
OBJECT_COLUMNS = [*RECORDED_COLUMNS, *PARENT_COLUMNS]
NAMED_COLUMNS = [TASKS.c.id, TASKS.c.uid, TASKS.c.dav_name, TASKS.c.version, TASKS.c.project_id, TASKS.c.position]
_names, _uids = bindparam("names", type_=ARRAY(Text)), bindparam("uids", type_=ARRAY(Text))
_named = TASKS.alias("named")
_is_live = (_named.c.user_id == OWNER, _named.c.deleted_at.is_(None))
_by_name = select(_named.c.id).where(*_is_live, _named.c.dav_name == func.any(_names))
_by_uid = select(_named.c.id).where(*_is_live, _named.c.dav_name.is_(None), _named.c.uid == func.any(_uids))
# Each part is a range of an index, however many tasks there are; of one condition with OR it is all tasks of the owner.
_ids: Any = func.array(union_all(_by_name, _by_uid).scalar_subquery())
_IS_NAMED = (TASKS.c.user_id == OWNER, NOT_DELETED, TASKS.c.id == func.any(_ids))
SELECT_NAMED_OBJECTS = CompiledStatement(select(*OBJECT_COLUMNS).where(*_IS_NAMED))
SELECT_OBJECT_TAGS = CompiledStatement(select(*NAMED_COLUMNS).where(*_IS_NAMED))
# In the trash or not.
SELECT_OBJECT_BY_UID = CompiledStatement(
    select(*OBJECT_COLUMNS).where(TASKS.c.user_id == OWNER, TASKS.c.uid == bindparam("uid", type_=Text))
)
# A task that is there, and had this name in a collection at one of the owner's latest changes.
FIND_LEFT_OBJECT = CompiledStatement(
    text("""
    select c.entity_id from changes c
    join tasks t on t.user_id = :owner and t.id = c.entity_id and t.deleted_at is null
    where c.user_id = :owner and c.entity = 'task'
      and c.revision > (select revision from users where id = :owner) - 1000
      and (c.data->>'dav_name' = :name or (c.data->>'dav_name' is null and c.data->>'uid' = :uid))
      and coalesce(c.data->>'project_id', '') = :place
    limit 1""").bindparams(*(bindparam(name, type_=Text) for name in ("name", "uid", "place")))
)


def _select_page(columns: list[Any], *, inbox: bool) -> CompiledStatement:
    """Returns the query of a page of a collection, in the order of an index: how far the page is costs nothing."""
    c = TASKS.c
    place = c.project_id.is_(None) if inbox else c.project_id == bindparam("project_id", type_=BigInteger)
    after = tuple_(bindparam("after_position", type_=Text), bindparam("after_id", type_=BigInteger))
    statement = select(*columns).where(c.user_id == OWNER, NOT_DELETED, place, tuple_(c.position, c.id) > after)
    order = (c.project_id, c.position, c.id)
    return CompiledStatement(statement.order_by(*order).limit(bindparam("limit", type_=BigInteger)))


SELECT_OBJECT_PAGES = {
    (with_data, inbox): _select_page(OBJECT_COLUMNS if with_data else NAMED_COLUMNS, inbox=inbox)
    for with_data in (True, False)
    for inbox in (True, False)
}


class ObjectPlace(NamedTuple):
    """The place after which a page begins."""

    position: str = ""
    id: int = 0


def object_name(row: Any) -> str:
    """Returns the name of a task in its collection."""
    return row["dav_name"] or f"{row['uid']}{OBJECT_SUFFIX}"


def uid_of_name(name: str) -> str | None:
    """Returns the uid of the task that would have this name by itself."""
    uid = name.removesuffix(OBJECT_SUFFIX)
    return uid if uid != name and is_uid(uid) else None


async def find_objects(
    session: Session, owner: str, collection: Collection, names: Names[str], *, with_data: bool = True
) -> dict[str, Any]:
    """Returns the tasks of a collection that have one of ``names``, by their names."""
    possible = [name for name in names if len(name) <= NAME_MAX and "\0" not in name]
    uids = [uid for name in possible if (uid := uid_of_name(name)) is not None]
    statement = SELECT_NAMED_OBJECTS if with_data else SELECT_OBJECT_TAGS
    rows = (await session.exec(statement, {"owner": owner, "names": possible, "uids": uids})).all()
    here = [row for row in rows if row["project_id"] == collection.project_id]
    here.sort(key=lambda row: row["dav_name"] is not None)  # a name that was chosen comes before one by uid
    return {object_name(row): row for row in here}


async def get_object(session: Session, owner: str, collection: Collection, name: str) -> Any:
    """Returns the task of this name. Raises DavObjectNotFound."""
    found = (await find_objects(session, owner, collection, [name])).get(name)
    if found is None:
        raise DavObjectNotFound
    return found


async def find_object_by_uid(session: Session, owner: str, uid: str) -> dict[str, Any] | None:
    """Returns the task with this uid, in the trash or not."""
    found = (await session.exec(SELECT_OBJECT_BY_UID, {"owner": owner, "uid": uid})).first()
    return None if found is None else dict(found)


async def list_objects(
    session: Session, owner: str, collection: Collection, after: ObjectPlace, *, with_data: bool, limit: int
) -> list[Any]:
    """Returns a page of a collection: names and versions, or all columns."""
    inbox = collection.project_id is None
    values = {"owner": owner, "after_position": after.position, "after_id": after.id, "limit": limit}
    if not inbox:
        values["project_id"] = collection.project_id
    return (await session.exec(SELECT_OBJECT_PAGES[with_data, inbox], values)).all()


async def delete_object(
    session: Session, owner: str, collection: Collection, name: str, *, versions: list[int] | None
) -> None:
    """Moves a task to the trash, with its subtasks. Raises DavObjectNotFound, VersionConflict.

    Nothing is written about a task that has left the collection: an app that moves it puts it elsewhere, then deletes
    it here.
    """
    await lock_owner(session, owner)  # which the app may do at the same time
    found = (await find_objects(session, owner, collection, [name], with_data=False)).get(name)
    if found is None:
        place = "" if collection.project_id is None else str(collection.project_id)
        values = {"owner": owner, "name": name, "uid": uid_of_name(name), "place": place}
        if len(name) <= NAME_MAX and (await session.exec(FIND_LEFT_OBJECT, values)).first():
            return
        raise DavObjectNotFound
    if versions is not None and found["version"] not in versions:
        raise VersionConflict
    await delete_task(session, owner, found["id"], versions=versions)


def require_object_name(name: str) -> None:
    """Raises CalendarDataRefused for what cannot be the name of an object."""
    if not name or len(name) > NAME_MAX or "/" in name or not name.isprintable() or name in DOT_SEGMENTS:
        raise CalendarDataRefused(
            f"The name of an object has at most {NAME_MAX} characters, no slash, and not only dots."
        )
