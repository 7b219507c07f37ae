"""``/api/{user_id}/changes``, live events, history and undo."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, Security

from app.http.dependencies import Caller, Owner, ReadSession, Revision, TaskId, WriteSession, bearer
from app.http.paths import snapshot_path
from app.http.responses import Json, encode_list
from app.http.routing import DirectRoute
from app.live.event_stream import EventStream
from app.schemas.changes import ChangesPage, ChangesQuery, EventsQuery, HistoryEntry, HistoryQuery, Since, Undone
from app.services import undo
from app.services.changes import feed, history
from app.services.changes.snapshot import read_snapshot

router = APIRouter(prefix="/api/{user_id}", tags=["changes"], route_class=DirectRoute, dependencies=[Security(bearer)])
STREAM_RESPONSE: dict[str, Any] = {
    "description": "The stream.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
# EventSource repeats the first URL when it reconnects, so the header is newer than ?since.
LastEventId = Annotated[Since | None, Header(alias="Last-Event-ID", description="The id of the last event seen.")]
UNDO_REFUSED = {"description": "Fields that it wrote have changed since; `detail` names them."}
CHANGES_GONE: dict[int | str, dict[str, Any]] = {
    410: {"description": "Changes since that revision are no longer kept: begin again with a snapshot."}
}


@router.get("/changes", response_model=ChangesPage, responses=CHANGES_GONE)
async def list_changes(owner: Owner, session: ReadSession, query: Annotated[ChangesQuery, Query()]) -> Response:
    """Returns the changes after a revision, in order, with deletions. Apply them, and continue from `next`.

    With `snapshot=true` it returns everything there is, as changes with the action `snapshot`: begin with nothing,
    follow `cursor` until it is null, then continue with `since` and `next`, which is the same on each page. Rows may be
    newer than it; the changes lead to the same state. What is in the trash is left out.
    """
    if query.snapshot:
        page = await read_snapshot(session, owner, cursor=query.cursor, limit=query.limit, completed=query.completed)
    else:
        page = await feed.list_changes(session, owner, since=query.since, limit=query.limit)
    cursor = {"cursor": page.cursor} if query.snapshot else {}
    body = {"changes": await encode_list(page.changes), "next": page.next, **cursor, "has_more": page.has_more}
    return Json(body, headers={"X-Revision": str(page.current)})


@router.get("/events", status_code=200, response_class=EventStream, responses={**CHANGES_GONE, 200: STREAM_RESPONSE})
async def stream_events(
    request: Request,
    owner: Owner,
    caller: Caller,
    query: Annotated[EventsQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Streams server-sent events: the changes after `Last-Event-ID` or `since`, then each change as it happens.

    `id` is the revision, `event` is entity.action, `data` the same object as in `/changes`. A comment every few seconds
    keeps the connection alive. The event `resume` ends a stream, with the reason: connect again with the last id. After
    the event `gone`, begin again with a snapshot: its data names the path.
    """
    since = query.since if last_event_id is None else last_event_id
    hub = request.app.state.hub
    position, must_replay = await hub.find_position(owner, since)
    can_end = (
        caller.session_id is not None or caller.token_id is not None
    )  # other identities cannot be revoked: they expire
    still_valid = partial(request.app.state.auth.revocations.still_valid, caller) if can_end else None
    return EventStream(
        hub,
        owner,
        position,
        must_replay=must_replay,
        snapshot=snapshot_path(request),
        expires_at=caller.expires_at,
        still_valid=still_valid,
    )


@router.get("/tasks/{task_id}/history", response_model=list[HistoryEntry])
async def list_history(
    owner: Owner, session: ReadSession, task_id: TaskId, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Returns the changes of a task, latest first: old and new values of fields, the time and the source."""
    found = await history.list_history(session, owner, task_id, before=query.before, limit=query.limit)
    return Json(found)


@router.post("/changes/{revision}/undo", response_model=Undone, responses={409: UNDO_REFUSED})
async def undo_change(owner: Owner, session: WriteSession, revision: Revision) -> Response:
    """Undoes a whole write, by a new write that can also be undone. Entities that it created go to the trash."""
    done = await undo.undo_change(session, owner, revision)
    return Json({"revision": done[0].revision if done else revision, "changes": await encode_list(done)})
