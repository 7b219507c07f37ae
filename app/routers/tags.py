"""``/api/{user_id}/tags``: parameters in, one service call, status out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security

from app.http.dependencies import IfNoneMatch, Owner, ReadSession, Session, TagName, bearer
from app.http.list_responses import ARRAY, LIST_UNCHANGED, array_answer, etag_of_list, unchanged_list
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.queries import ForwardQuery
from app.schemas.tags import TagRead, TagUpdate
from app.services.tasks import tags

router = APIRouter(
    prefix="/api/{user_id}/tags", tags=["tags"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[TagRead], responses={200: ARRAY, 304: LIST_UNCHANGED})
async def list_tags(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[ForwardQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The tags in use, by name, each with how many tasks have it. `Link` leads on."""
    if unchanged := await unchanged_list(request, session, owner, if_none_match):
        return unchanged
    page = await tags.list_tags(session, owner, query)
    return array_answer(request, page, query, etag_of_list(request, page.revision, owner))


@router.patch(
    "/{name:path}", response_model=TagRead, responses={409: {"description": "The new name is in use: see `merge`."}}
)
async def rename_tag(owner: Owner, session: Session, name: TagName, change: TagUpdate) -> Response:
    """Rename a tag on every task, or merge it into another with `merge`; the trash included, so that nothing brings the
    old name back. Each task gets a change of its own, and all share a revision (5,000 at a time).
    """
    return Json(await tags.rename_tag(session, owner, name, change))


@router.delete("/{name:path}", status_code=204, response_class=Response)
async def delete_tag(owner: Owner, session: Session, name: TagName) -> Response:
    """Take a tag from every task; the tasks stay."""
    await tags.delete_tag(session, owner, name)
    return Response(status_code=204)
