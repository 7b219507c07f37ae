"""``/api/{user_id}/stats``: parameters in, one service call, status out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security

from app.http.dependencies import IfNoneMatch, Owner, ReadSession, bearer
from app.http.list_responses import LIST_HEADERS, LIST_UNCHANGED, etag_of_list, list_headers, unchanged_at
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.stats import StatsQuery, StatsRead
from app.services.tasks import stats

router = APIRouter(
    prefix="/api/{user_id}/stats", tags=["stats"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=StatsRead, responses={200: {"headers": LIST_HEADERS}, 304: LIST_UNCHANGED})
async def get_stats(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[StatsQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns counts of open and completed tasks, by days of the user's time zone."""
    revision, moment = await stats.get_stats_state(session, owner)
    if unchanged := unchanged_at(request, revision, owner, if_none_match, moment):
        return unchanged
    found = await stats.get_stats(session, owner, days=query.days)
    return Json(found, headers=list_headers(revision, etag_of_list(request, revision, owner, moment)))
