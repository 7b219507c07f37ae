"""``/api/auth/apps``: the apps that the user has allowed access by OAuth."""

from fastapi import APIRouter, Response, Security

from app.http.dependencies import Auth, AuthSession, ConnectedAppId, LoggedIn, bearer
from app.http.responses import Json
from app.http.routing import SmallBodyRoute
from app.models.oauth import ConnectedAppRead
from app.services.oauth import grants

router = APIRouter(
    prefix="/api/auth/apps", tags=["tokens"], route_class=SmallBodyRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[ConnectedAppRead])
async def list_apps(identity: LoggedIn, session: AuthSession) -> Response:
    """Returns the connected apps, most recently used first. `last_used_at` is exact to a minute."""
    return Json(await grants.list_apps(session, identity.subject))


@router.delete("/{app_id}", status_code=204, response_class=Response)
async def revoke_app(auth: Auth, identity: LoggedIn, app_id: ConnectedAppId) -> Response:
    """Disconnects an app. Every process refuses its tokens within 5 seconds."""
    await grants.revoke_app(auth, identity.subject, app_id)
    return Response(status_code=204)
