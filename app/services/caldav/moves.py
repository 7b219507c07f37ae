"""Moving a calendar object into another collection, or giving it another name."""

from typing import Any, NamedTuple

from app.db.session import Session
from app.errors import AlreadyExists, DavObjectNotFound
from app.services.caldav.collections import Collection
from app.services.caldav.objects import OBJECT_SUFFIX, find_objects, require_object_name
from app.services.caldav.parents import link_children, place_object
from app.services.caldav.put import ObjectCondition
from app.services.tasks.create_update import change_task
from app.services.tasks.statements import select_for_write
from app.services.tasks.trash import delete_task
from app.services.users import lock_or_create_owner


class ObjectMove(NamedTuple):
    """A move; ``overwrites``: what has the name already goes to the trash."""

    source: Collection
    name: str
    target: Collection
    new_name: str
    overwrites: bool


async def move_object(session: Session, owner: str, move: ObjectMove, *, condition: ObjectCondition) -> bool:
    """Moves an object, with its subtasks, and returns whether nothing was at its new place.

    Raises DavObjectNotFound, AlreadyExists, CalendarDataRefused, and what ``condition`` does.
    """
    require_object_name(move.new_name)
    await lock_or_create_owner(session, owner)
    row = (await find_objects(session, owner, move.source, [move.name])).get(move.name)
    if row is None:
        raise DavObjectNotFound
    condition.require(row)
    there = (await find_objects(session, owner, move.target, [move.new_name], with_data=False)).get(move.new_name)
    if there is not None and there["id"] == row["id"]:
        return False
    if there is not None:
        if not move.overwrites:
            raise AlreadyExists
        await delete_task(session, owner, there["id"])
    task_id = row["id"]
    values: dict[str, Any] = {"dav_name": None if move.new_name == f"{row['uid']}{OBJECT_SUFFIX}" else move.new_name}
    if row["project_id"] != move.target.project_id:
        parent_uid = row["parent_uid"] or row["parent_wanted"]
        place = await place_object(session, owner, parent_uid, move.target.project_id, task_id=task_id)
        values |= {"project_id": move.target.project_id, **place.columns}
    task = await select_for_write(session, owner, task_id, None)
    await change_task(session, owner, task, values, revision_taken=False)
    await link_children(session, owner, row["uid"], task_id, move.target.project_id)
    return there is None
