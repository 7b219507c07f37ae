"""``/dav``: users, their collections and objects for calendar apps (RFC 4791, 4918, 5689, 6578, 6764).

The protocol is described by these documents, and not by the OpenAPI document. A user is principal and home in one.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from app.dav.properties import (
    OBJECT_TYPE,
    collection_properties,
    describe,
    object_properties,
    principal_properties,
    root_properties,
    wants_data,
)
from app.dav.reports import CollectionReader, stream_multistatus
from app.dav.requests import read_propfind, read_report
from app.dav.route import (
    COLLECTION_METHODS,
    DAV_HEADERS,
    OBJECT_METHODS,
    ROOT_METHODS,
    Around,
    Condition,
    DavBody,
    DavRoute,
    RootBody,
    authenticate_app,
    multistatus,
    options_response,
    xml_response,
)
from app.dav.writes import change_collection, make_collection, move_to_destination
from app.errors import ReportUnknown
from app.http.dependencies import IfNoneMatch, Owner, ReadSession, WriteSession
from app.http.etags import entity_etag, is_unchanged
from app.http.paths import member_path, sent_path, well_known_path
from app.services.caldav.collections import (
    delete_collection,
    find_collection,
    list_collections,
    read_collection,
)
from app.services.caldav.objects import delete_object, get_object
from app.services.caldav.put import put_object
from app.services.caldav.todo_writer import TodoWriter
from app.services.users import get_revision, get_timezone

router = APIRouter(
    prefix="/dav", route_class=DavRoute, dependencies=[Depends(authenticate_app)], include_in_schema=False
)
# Without a login: what the service can do, and where it is.
public = APIRouter(route_class=DavRoute, include_in_schema=False)
well_known = APIRouter(prefix="/.well-known/caldav", route_class=DavRoute, include_in_schema=False)
USER_PATH, COLLECTION_PATH = "/{user_id}", "/{user_id}/{collection}"
OBJECT_PATH = "/{user_id}/{collection}/{name}"
WELL_KNOWN_METHODS = ["GET", "OPTIONS", "PROPFIND", "PROPPATCH", "REPORT", "POST", "PUT", "DELETE"]
CollectionName = Annotated[str, Path()]
ObjectName = Annotated[str, Path()]


@well_known.api_route("", methods=WELL_KNOWN_METHODS)
async def redirect_to_calendars(request: Request) -> Response:
    """Redirects to the root (RFC 6764, 5)."""
    return Response(status_code=301, headers={"Location": well_known_path(request)})


@public.api_route("/dav", methods=["OPTIONS"])
async def describe_dav_root(request: Request) -> Response:
    return options_response(ROOT_METHODS)


@public.api_route(f"/dav{USER_PATH}", methods=["OPTIONS"])
async def describe_dav_user(request: Request) -> Response:
    return options_response(ROOT_METHODS)


@public.api_route(f"/dav{COLLECTION_PATH}", methods=["OPTIONS"])
async def describe_dav_collection(request: Request) -> Response:
    return options_response(COLLECTION_METHODS)


@public.api_route(f"/dav{OBJECT_PATH}", methods=["OPTIONS"])
async def describe_dav_object(request: Request) -> Response:
    return options_response(OBJECT_METHODS)


def _goes_deeper(request: Request) -> bool:
    """Returns whether a PROPFIND is about the members also. Depth infinity is read as 1."""
    return request.headers.get("depth", "0").strip() != "0"


@router.api_route("", methods=["PROPFIND"])
async def find_dav_root(request: Request, around: Around, body: RootBody) -> Response:
    """Returns the properties of the root: who calls, and where the caller's collections are."""
    return multistatus(describe(sent_path(request), root_properties(around), read_propfind(body)))


@router.api_route(USER_PATH, methods=["PROPFIND"])
async def find_dav_user(
    request: Request, owner: Owner, session: ReadSession, around: Around, body: DavBody
) -> Response:
    """Returns the properties of a user, and with Depth 1 those of the collections."""
    wanted, base = read_propfind(body), sent_path(request)
    if not _goes_deeper(request):
        revision = await get_revision(session, owner)
        return multistatus(describe(base, principal_properties(around, owner, revision), wanted))
    home = await list_collections(session, owner)
    found = [describe(base, principal_properties(around, owner, home.revision), wanted)]
    for each in home.collections:
        path = member_path(base, each.name, is_object=False)
        found.append(describe(path, collection_properties(around, each, home.revision), wanted))
    return multistatus(*found)


@router.api_route(COLLECTION_PATH, methods=["PROPFIND"])
async def find_dav_collection(
    request: Request, owner: Owner, session: ReadSession, around: Around, collection: CollectionName, body: DavBody
) -> Response:
    """Returns the properties of a collection, and with Depth 1 those of its objects."""
    wanted, base = read_propfind(body), sent_path(request)
    (found,), revision = await read_collection(session, owner, collection)
    own = describe(base, collection_properties(around, found, revision), wanted)
    if not _goes_deeper(request):
        return multistatus(own)
    reader = CollectionReader(request, owner, collection, base)
    return await stream_multistatus(reader.members(wanted, first=own))


@router.api_route(OBJECT_PATH, methods=["PROPFIND"])
async def find_dav_object(
    request: Request, owner: Owner, session: ReadSession, collection: CollectionName, name: ObjectName, body: DavBody
) -> Response:
    """Returns the properties of an object."""
    wanted = read_propfind(body)
    row = await get_object(session, owner, await find_collection(session, owner, collection), name)
    data = TodoWriter(await get_timezone(session, owner)).object(row) if wants_data(wanted) else None
    path = sent_path(request, is_object=True)
    return multistatus(describe(path, object_properties(row["version"], data), wanted))


@router.api_route(USER_PATH, methods=["REPORT"])
async def report_dav_user(owner: Owner, body: DavBody) -> Response:
    """Raises ReportUnknown: the reports are those of collections."""
    raise ReportUnknown


@router.api_route(COLLECTION_PATH, methods=["REPORT"])
async def report_dav_collection(request: Request, owner: Owner, collection: CollectionName, body: DavBody) -> Response:
    """Returns what a calendar-query, a calendar-multiget or a sync-collection asks for."""
    report = read_report(body)
    reader = CollectionReader(request, owner, collection, sent_path(request))
    pieces = {"query": reader.query, "multiget": reader.multiget, "sync": reader.sync}[report.kind]
    return await stream_multistatus(pieces(report))


@router.api_route(OBJECT_PATH, methods=["GET"])
async def get_dav_object(
    owner: Owner,
    session: ReadSession,
    collection: CollectionName,
    name: ObjectName,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns a task as a calendar object."""
    row = await get_object(session, owner, await find_collection(session, owner, collection), name)
    headers = {**DAV_HEADERS, "ETag": entity_etag(row["version"])}
    if is_unchanged(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    text = TodoWriter(await get_timezone(session, owner)).object(row)
    return Response(text, headers=headers, media_type=OBJECT_TYPE)


@router.api_route(OBJECT_PATH, methods=["PUT"])
async def put_dav_object(
    request: Request,
    owner: Owner,
    session: WriteSession,
    collection: CollectionName,
    name: ObjectName,
    condition: Condition,
    body: DavBody,
) -> Response:
    """Writes a calendar object. The ETag is there if a GET returns the bytes that were sent (RFC 4791, 5.3.4)."""
    outcome = await put_object(
        session,
        owner,
        await find_collection(session, owner, collection),
        name,
        body,
        condition=condition,
        description_max=request.app.state.settings.description_max,
    )
    tag = {} if outcome.version is None else {"ETag": entity_etag(outcome.version)}
    return Response(status_code=201 if outcome.created else 204, headers={**DAV_HEADERS, **tag})


@router.api_route(OBJECT_PATH, methods=["DELETE"])
async def delete_dav_object(
    owner: Owner, session: WriteSession, collection: CollectionName, name: ObjectName, condition: Condition
) -> Response:
    """Moves a task to the trash, with its subtasks."""
    found = await find_collection(session, owner, collection)
    await delete_object(session, owner, found, name, versions=condition.versions)
    return Response(status_code=204, headers=DAV_HEADERS)


@router.api_route(OBJECT_PATH, methods=["MOVE"])
async def move_dav_object(
    request: Request,
    owner: Owner,
    session: WriteSession,
    collection: CollectionName,
    name: ObjectName,
    condition: Condition,
) -> Response:
    """Moves an object to another collection, or renames it."""
    is_new = await move_to_destination(session, owner, request, collection, name, condition)
    return Response(status_code=201 if is_new else 204, headers=DAV_HEADERS)


@router.api_route(COLLECTION_PATH, methods=["MKCALENDAR"])
async def make_dav_calendar(owner: Owner, session: WriteSession, collection: CollectionName, body: DavBody) -> Response:
    """Makes a project."""
    await make_collection(session, owner, collection, body, is_calendar=True)
    return Response(status_code=201, headers=DAV_HEADERS)


@router.api_route(COLLECTION_PATH, methods=["MKCOL"])
async def make_dav_collection(
    owner: Owner, session: WriteSession, collection: CollectionName, body: DavBody
) -> Response:
    """Makes a project, if the body says that it is a calendar (RFC 5689)."""
    await make_collection(session, owner, collection, body, is_calendar=False)
    return Response(status_code=201, headers=DAV_HEADERS)


@router.api_route(COLLECTION_PATH, methods=["DELETE"])
async def delete_dav_collection(owner: Owner, session: WriteSession, collection: CollectionName) -> Response:
    """Moves a project to the trash, with its tasks."""
    await delete_collection(session, owner, collection)
    return Response(status_code=204, headers=DAV_HEADERS)


@router.api_route(USER_PATH, methods=["PROPPATCH"])
async def patch_dav_user(request: Request, owner: Owner, session: WriteSession, body: DavBody) -> Response:
    """Refuses each property: a user has none that an app sets."""
    return xml_response(await change_collection(session, owner, None, body, sent_path(request)), 207)


@router.api_route(COLLECTION_PATH, methods=["PROPPATCH"])
async def patch_dav_collection(
    request: Request, owner: Owner, session: WriteSession, collection: CollectionName, body: DavBody
) -> Response:
    """Sets the name and the color of a project."""
    return xml_response(await change_collection(session, owner, collection, body, sent_path(request)), 207)


@router.api_route(OBJECT_PATH, methods=["PROPPATCH"])
async def patch_dav_object(
    request: Request, owner: Owner, session: WriteSession, collection: CollectionName, name: ObjectName, body: DavBody
) -> Response:
    """Refuses each property: those of an object follow from its data."""
    await get_object(session, owner, await find_collection(session, owner, collection), name)
    return xml_response(await change_collection(session, owner, None, body, sent_path(request, is_object=True)), 207)
