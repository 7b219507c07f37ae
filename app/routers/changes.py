"""``/api/{user_id}/changes`` and what is built on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, Security

from app.deps import Owner, ReadSession, bearer
from app.responses import Json
from app.routing import DirectRoute
from app.schemas.changes import ChangesPage, ChangesQuery
from app.services import changes

router = APIRouter(prefix="/api/{user_id}", tags=["changes"], route_class=DirectRoute, dependencies=[Security(bearer)])
GONE: dict[int | str, dict[str, Any]] = {410: {"description": "That number is older than what is kept: list again."}}


@router.get("/changes", response_model=ChangesPage, responses=GONE)
async def list_changes(owner: Owner, session: ReadSession, query: Annotated[ChangesQuery, Query()]) -> Response:
    """What came after a number, in order, deletions included. Apply it to what you have, and continue from `next`."""
    page = await changes.list_changes(session, owner, since=query.since, limit=query.limit)
    body = {"changes": page.changes, "next": page.next, "has_more": page.has_more}
    return Json(body, headers={"X-Revision": str(page.current)})
