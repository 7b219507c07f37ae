"""``/api/{user_id}/calendar``: feeds and their content."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.security import APIKeyQuery

from app.errors import TokenMissing
from app.http.dependencies import (
    Auth,
    FeedId,
    FeedSession,
    IfNoneMatch,
    Owner,
    ReadSession,
    UserId,
    WriteSession,
    bearer,
)
from app.http.etags import is_unchanged, list_etag, note_list_etag
from app.http.paths import owner_url
from app.http.responses import PRIVATE_NO_CACHE, Json, ShownOnce, header
from app.http.routing import DirectRoute
from app.http.streamed_file import StreamedFile
from app.jobs.exporting import Export
from app.models.calendar_feeds import CalendarCreate, CalendarCreated, CalendarRead
from app.schemas.transfer import CalendarQuery
from app.services import calendar_feeds

router = APIRouter(prefix="/api/{user_id}", tags=["transfer"], route_class=DirectRoute)
bearer_only = [Security(bearer)]
feed_token = APIKeyQuery(
    name="token", scheme_name="calendarToken", auto_error=False, description="The token of a calendar feed."
)
FEED_ETAG_HEADER = header("ETag", "Send it back in If-None-Match.")
FEED_RESPONSE: dict[str, Any] = {
    "description": "The calendar.",
    "content": {"text/calendar": {"schema": {"type": "string"}}},
    "headers": FEED_ETAG_HEADER,
}
FEED_UNCHANGED: dict[str, Any] = {
    "description": "Nothing has changed since the ETag sent.",
    "headers": FEED_ETAG_HEADER,
}


@router.post("/calendar", status_code=201, response_model=CalendarCreated, dependencies=bearer_only)
async def create_calendar(request: Request, owner: Owner, session: WriteSession, wanted: CalendarCreate) -> Response:
    """Creates a URL that a calendar can subscribe to. Its token is shown once and can be revoked."""
    made = await calendar_feeds.create_calendar(session, owner, wanted)
    made["url"] = owner_url(request, owner, f"/calendar.ics?token={made['token']}")
    return ShownOnce(made, 201, instead=f"Revoke calendar feed {made['id']} and create another one.")


@router.get("/calendar", response_model=list[CalendarRead], dependencies=bearer_only)
async def list_calendars(owner: Owner, session: ReadSession) -> Response:
    """Returns the feeds that are not revoked, without their tokens."""
    return Json([dict(row) for row in await calendar_feeds.list_calendars(session, owner)])


@router.delete("/calendar/{feed_id}", status_code=204, response_class=Response, dependencies=bearer_only)
async def revoke_calendar(owner: Owner, session: WriteSession, feed_id: FeedId) -> Response:
    """Revokes a feed: its URL stops working."""
    await calendar_feeds.revoke_calendar(session, owner, feed_id)
    return Response(status_code=204)


@router.get(
    "/calendar.ics",
    status_code=200,
    response_class=Response,
    responses={200: FEED_RESPONSE, 304: FEED_UNCHANGED},
    dependencies=[Security(feed_token)],
)
async def read_calendar(
    request: Request,
    user_id: UserId,
    session: FeedSession,
    auth: Auth,
    query: Annotated[CalendarQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns the feed: open tasks with a due date, as events, or with `kind=todo` as to-dos.

    `user_id` is an id, never `me`: the feed's token alone identifies the caller.
    """
    if not query.token:
        raise TokenMissing
    feed = await calendar_feeds.open_calendar(session, user_id, query.token)
    await auth.revocations.refuse_disabled(user_id)
    etag = list_etag(feed.revision, user_id, query.kind.encode(), "ics", feed.timezone)
    headers = {"ETag": etag, "Cache-Control": PRIVATE_NO_CACHE}
    if is_unchanged(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    if if_none_match is not None:
        note_list_etag(request, user_id, if_none_match, etag=etag, revision=feed.revision)
    stream = Export(request.app.state.database, user_id).as_feed(query.kind, feed.name)
    return StreamedFile(stream, media_type="text/calendar", headers=headers)
