"""``/api/{user_id}/tasks/{task_id}/comments``: parameters in, one service call, status out."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security

from app.http.dependencies import CommentId, IfMatch, IfNoneMatch, Owner, ReadSession, TaskId, WriteSession, bearer
from app.http.entity_responses import (
    ENTITY_RESPONSE,
    ENTITY_UNCHANGED,
    MERGE_REFUSALS,
    VERSION_HEADER,
    conditional_response,
    created_response,
    entity_response,
    location_header,
)
from app.http.etags import expected_versions
from app.http.list_responses import ARRAY_RESPONSE, LIST_UNCHANGED, array_response, etag_of_list, unchanged_list
from app.http.routing import DirectRoute
from app.models.comments import CommentCreate, CommentRead, CommentUpdate
from app.schemas.queries import ForwardQuery
from app.services import comments

router = APIRouter(
    prefix="/api/{user_id}/tasks/{task_id}/comments",
    tags=["comments"],
    route_class=DirectRoute,
    dependencies=[Security(bearer)],
)

COMMENT_CREATED: dict[str, Any] = {"headers": VERSION_HEADER | location_header("comment")}


@router.get("", response_model=list[CommentRead], responses={200: ARRAY_RESPONSE, 304: LIST_UNCHANGED})
async def list_comments(
    request: Request,
    owner: Owner,
    session: ReadSession,
    task_id: TaskId,
    query: Annotated[ForwardQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the comments on a task, oldest first. `Link` has the next page."""
    if unchanged := await unchanged_list(request, session, owner, if_none_match):
        return unchanged
    page = await comments.list_comments(session, owner, task_id, query)
    return array_response(request, page, query, etag_of_list(request, page.revision, owner))


@router.post("", status_code=201, response_model=CommentRead, responses={201: COMMENT_CREATED})
async def create_comment(
    request: Request, owner: Owner, session: WriteSession, task_id: TaskId, comment: CommentCreate
) -> Response:
    """Creates a comment on a task."""
    created = await comments.create_comment(session, owner, task_id, comment)
    return created_response(request, created)


@router.get("/{comment_id}", response_model=CommentRead, responses={200: ENTITY_RESPONSE, 304: ENTITY_UNCHANGED})
async def get_comment(
    owner: Owner,
    session: ReadSession,
    task_id: TaskId,
    comment_id: CommentId,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns one comment, or 304 if `If-None-Match` names its version."""
    return conditional_response(await comments.get_comment(session, owner, task_id, comment_id), if_none_match)


@router.patch("/{comment_id}", response_model=CommentRead, responses={200: ENTITY_RESPONSE, **MERGE_REFUSALS})
async def update_comment(
    owner: Owner,
    session: WriteSession,
    task_id: TaskId,
    comment_id: CommentId,
    change: CommentUpdate,
    if_match: IfMatch = None,
) -> Response:
    """Changes the text. With a stale `If-Match` the response is 412."""
    versions = expected_versions(if_match)
    return entity_response(
        await comments.update_comment(session, owner, task_id, comment_id, change, versions=versions)
    )


@router.delete("/{comment_id}", status_code=204, response_class=Response)
async def delete_comment(
    owner: Owner, session: WriteSession, task_id: TaskId, comment_id: CommentId, if_match: IfMatch = None
) -> Response:
    """Deletes a comment. Undo restores it."""
    await comments.delete_comment(session, owner, task_id, comment_id, versions=expected_versions(if_match))
    return Response(status_code=204)
