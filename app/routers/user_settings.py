"""``/api/{user_id}/settings``: parameters in, one service call, status out."""

from fastapi import APIRouter, Response, Security

from app.http.dependencies import Owner, ReadSession, WriteSession, bearer
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.user_settings import PreferencesRead, PreferencesUpdate
from app.services import user_settings, users

router = APIRouter(
    prefix="/api/{user_id}/settings", tags=["settings"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=PreferencesRead)
async def get_settings(owner: Owner, session: ReadSession) -> Response:
    """Returns the time zone, UTC by default."""
    return Json({"timezone": await users.get_timezone(session, owner)})


@router.patch("", response_model=PreferencesRead)
async def update_settings(owner: Owner, session: WriteSession, change: PreferencesUpdate) -> Response:
    """Sets the time zone, which decides when a day begins and what a local time without offset means.

    Reminders relative to a due date move also, as one change of their tasks.
    """
    return Json({"timezone": await user_settings.set_timezone(session, owner, change.timezone)})
