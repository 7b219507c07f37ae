"""Writes that are about collections, and moves: what the body or the headers of a request want of the services."""

from typing import Any

from fastapi import Request

from app.dav.names import COLOR_PROPERTY, DISPLAY_NAME, Name
from app.dav.requests import read_changes_of_properties
from app.dav.xml_writer import MULTISTATUS_END, MULTISTATUS_HEAD, empty_tag, href_tag, propstat
from app.errors import CollectionRefused, ComponentRefused, DavObjectNotFound
from app.http.dependencies import ME_PATH
from app.http.paths import split_dav_url
from app.services.caldav.collections import create_collection, find_collection, update_collection
from app.services.caldav.moves import ObjectMove, move_object
from app.services.caldav.put import ObjectCondition

WRITABLE_PROPERTIES: dict[Name, str] = {DISPLAY_NAME: "title", COLOR_PROPERTY: "color"}
TODO_COMPONENT = "VTODO"


async def make_collection(session: Any, owner: str, name: str, body: bytes, *, is_calendar: bool) -> None:
    """Makes a collection, as MKCALENDAR or an extended MKCOL asks for it. Raises what ``create_collection`` raises.

    Also CollectionRefused for a collection that is no calendar, and ComponentRefused for one without to-dos.
    """
    wanted = read_changes_of_properties(body)
    if not (is_calendar or wanted.is_calendar):
        raise CollectionRefused("Only calendars can be made here.")
    if wanted.components and TODO_COMPONENT not in wanted.components:
        raise ComponentRefused
    await create_collection(session, owner, name, wanted.set.get(DISPLAY_NAME, ""), wanted.set.get(COLOR_PROPERTY))


async def change_collection(session: Any, owner: str, name: str | None, body: bytes, href: str) -> str:
    """Returns the multistatus of a PROPPATCH; ``name`` is None where no property can be set."""
    wanted = read_changes_of_properties(body)
    done: set[str] = set()
    if name is not None:
        title, color = wanted.set.get(DISPLAY_NAME), wanted.set.get(COLOR_PROPERTY)
        done = await update_collection(session, owner, name, title=title, color=color)
    accepted = [each for each in wanted.set if WRITABLE_PROPERTIES.get(each) in done]
    refused = [each for each in wanted.names if each not in accepted]
    parts = propstat("".join(map(empty_tag, accepted))) if accepted else ""
    parts += propstat("".join(map(empty_tag, refused)), 403) if refused else ""
    return f"{MULTISTATUS_HEAD}<D:response>{href_tag(href)}{parts}</D:response>{MULTISTATUS_END}"


async def move_to_destination(
    session: Any, owner: str, request: Request, collection: str, name: str, condition: ObjectCondition
) -> bool:
    """Moves an object to the header Destination, and returns whether nothing was there.

    Raises CollectionRefused for a destination that is no place of an object of this owner, and what ``move_object``
    raises.
    """
    names = split_dav_url(request, request.headers.get("destination", "")) or []
    if len(names) != 3 or names[0] not in (owner, ME_PATH):
        raise CollectionRefused("The Destination is not in a list of this user.")
    source = await find_collection(session, owner, collection)
    try:
        target = await find_collection(session, owner, names[1])
    except DavObjectNotFound:
        raise CollectionRefused("There is no such list.") from None
    overwrites = request.headers.get("overwrite", "T").strip().upper() != "F"
    move = ObjectMove(source, name, target, names[2], overwrites=overwrites)
    return await move_object(session, owner, move, condition=condition)
