"""``/api/{user_id}/stats``: parameters in, one service call, status out."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security

from app.http.dependencies import Owner, ReadSession, bearer
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.stats import StatsQuery, StatsRead
from app.services.tasks import stats

router = APIRouter(
    prefix="/api/{user_id}/stats", tags=["stats"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=StatsRead)
async def get_stats(owner: Owner, session: ReadSession, query: Annotated[StatsQuery, Query()]) -> Response:
    """Returns counts of open and completed tasks, by days of the user's time zone."""
    return Json(await stats.get_stats(session, owner, days=query.days))
