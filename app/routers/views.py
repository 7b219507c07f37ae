"""``/api/{user_id}/views``: parameters in, one service call, status out."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security

from app.http.dependencies import IfMatch, IfNoneMatch, Owner, ReadSession, ViewId, WriteSession, bearer
from app.http.entity_responses import created_response, entity_response, location_header, merge_refusals
from app.http.etags import expected_versions
from app.http.list_responses import (
    LIST_UNCHANGED,
    TASK_LIST_RESPONSE,
    etag_of_list,
    task_list_response,
    unchanged_list,
    wants_total,
)
from app.http.responses import Json, header
from app.http.routing import DirectRoute
from app.models.tasks import TaskRead
from app.models.views import ViewRead
from app.schemas.views import ViewCreate, ViewTasksQuery, ViewUpdate
from app.services import views
from app.services.tasks import listing

router = APIRouter(
    prefix="/api/{user_id}/views", tags=["views"], route_class=DirectRoute, dependencies=[Security(bearer)]
)

VIEW_ETAG_HEADER = header("ETag", "The version: send it back in If-Match.")
VIEW_RESPONSE: dict[str, Any] = {"headers": VIEW_ETAG_HEADER}
VIEW_CREATED: dict[str, Any] = {"headers": VIEW_ETAG_HEADER | location_header("view")}


@router.get("", response_model=list[ViewRead])
async def list_views(owner: Owner, session: ReadSession) -> Response:
    """Returns all views, by name."""
    return Json(await views.list_views(session, owner))


@router.post(
    "",
    status_code=201,
    response_model=ViewRead,
    responses={201: VIEW_CREATED, 409: {"description": "A view has this name, or there are 200 views."}},
)
async def create_view(request: Request, owner: Owner, session: WriteSession, view: ViewCreate) -> Response:
    """Saves a set of list parameters under a name."""
    created = await views.create_view(session, owner, view)
    return created_response(request, created)


@router.get("/{view_id}", response_model=ViewRead, responses={200: VIEW_RESPONSE})
async def get_view(owner: Owner, session: ReadSession, view_id: ViewId) -> Response:
    """Returns one view."""
    return entity_response(await views.get_view(session, owner, view_id))


@router.patch(
    "/{view_id}",
    response_model=ViewRead,
    responses={200: VIEW_RESPONSE, **merge_refusals("Another view has this name.")},
)
async def update_view(
    owner: Owner, session: WriteSession, view_id: ViewId, change: ViewUpdate, if_match: IfMatch = None
) -> Response:
    """Changes the name, or replaces the parameters."""
    versions = expected_versions(if_match)
    return entity_response(await views.update_view(session, owner, view_id, change, versions=versions))


@router.delete("/{view_id}", status_code=204, response_class=Response)
async def delete_view(owner: Owner, session: WriteSession, view_id: ViewId, if_match: IfMatch = None) -> Response:
    """Deletes the view, not its tasks."""
    await views.delete_view(session, owner, view_id, versions=expected_versions(if_match))
    return Response(status_code=204)


@router.get("/{view_id}/tasks", response_model=list[TaskRead], responses={200: TASK_LIST_RESPONSE, 304: LIST_UNCHANGED})
async def list_view_tasks(
    request: Request,
    owner: Owner,
    session: ReadSession,
    view_id: ViewId,
    query: Annotated[ViewTasksQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the tasks that the view finds now, paged like any list."""
    wanted = await views.get_task_query(session, owner, view_id, query)
    zone = await listing.get_query_zone(session, owner, wanted)
    if wanted.stable and (unchanged := await unchanged_list(request, session, owner, if_none_match, zone)):
        return unchanged
    page = await listing.list_tasks(session, owner, wanted, count=wants_total(request, query))
    return task_list_response(
        request, page, query, etag_of_list(request, page.revision, owner, zone) if wanted.stable else None
    )
