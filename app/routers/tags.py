"""``/api/{user_id}/tags``: parameters in, one service call, status out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security

from app.http.dependencies import IfNoneMatch, Owner, ReadSession, TagName, WriteSession, bearer
from app.http.list_responses import ARRAY_RESPONSE, LIST_UNCHANGED, array_response, etag_of_list, unchanged_list
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.queries import ForwardQuery
from app.schemas.tags import TagRead, TagUpdate
from app.services.tasks import tags

router = APIRouter(
    prefix="/api/{user_id}/tags", tags=["tags"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[TagRead], responses={200: ARRAY_RESPONSE, 304: LIST_UNCHANGED})
async def list_tags(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[ForwardQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the tags in use, by name, each with its number of tasks. `Link` has the next page."""
    if unchanged := await unchanged_list(request, session, owner, if_none_match):
        return unchanged
    page = await tags.list_tags(session, owner, query)
    return array_response(request, page, query, etag_of_list(request, page.revision, owner))


@router.patch(
    "/{name:path}", response_model=TagRead, responses={409: {"description": "The new name is in use: see `merge`."}}
)
async def rename_tag(owner: Owner, session: WriteSession, name: TagName, change: TagUpdate) -> Response:
    """Renames a tag on every task, or with `merge` merges it into another one; sets its `color`.

    Tasks in the trash are included, so that restoring one does not bring the old name back. Each task gets its own
    change, and all share a revision (5,000 at a time).
    """
    return Json(await tags.rename_tag(session, owner, name, change))


@router.delete("/{name:path}", status_code=204, response_class=Response)
async def delete_tag(owner: Owner, session: WriteSession, name: TagName) -> Response:
    """Removes a tag from every task; the tasks stay."""
    await tags.delete_tag(session, owner, name)
    return Response(status_code=204)
