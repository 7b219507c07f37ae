"""``/api/auth/sessions``: the account's login sessions."""

from fastapi import APIRouter, Response, Security

from app.http.dependencies import Auth, AuthSession, LoggedIn, SessionId, bearer
from app.http.responses import Json
from app.http.routing import SmallBodyRoute
from app.models.sessions import SessionRead
from app.services.accounts import sessions

router = APIRouter(
    prefix="/api/auth/sessions", tags=["auth"], route_class=SmallBodyRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[SessionRead])
async def list_sessions(identity: LoggedIn, session: AuthSession) -> Response:
    """Returns the active sessions, most recently used first."""
    rows = await sessions.list_sessions(session, identity.subject, identity.session_id or "")
    return Json([dict(row) for row in rows])


@router.delete("", status_code=204, response_class=Response)
async def end_other_sessions(auth: Auth, identity: LoggedIn) -> Response:
    """Ends all sessions except this one. Their requests are refused within 5 seconds."""
    await sessions.end_other_sessions(auth, identity.subject, identity.session_id or "")
    return Response(status_code=204)


@router.delete("/{session_id}", status_code=204, response_class=Response)
async def end_session(auth: Auth, identity: LoggedIn, session_id: SessionId) -> Response:
    """Ends one session, this one or another. Its requests are refused within 5 seconds."""
    await sessions.end_session(auth, identity.subject, session_id)
    return Response(status_code=204)
