"""``/api/auth/tokens``: API tokens for scripts and agents."""

from fastapi import APIRouter, Response, Security

from app.http.dependencies import Auth, AuthSession, InPerson, ProvenInPerson, TokenId, bearer
from app.http.responses import Json
from app.http.routing import SmallBodyRoute
from app.models.api_tokens import ApiTokenCreate, ApiTokenCreated, ApiTokenRead
from app.services.accounts import api_tokens

router = APIRouter(
    prefix="/api/auth/tokens", tags=["tokens"], route_class=SmallBodyRoute, dependencies=[Security(bearer)]
)


@router.post("", status_code=201, response_model=ApiTokenCreated)
async def create_api_token(identity: ProvenInPerson, session: AuthSession, wanted: ApiTokenCreate) -> Response:
    """Creates an API token. Only this response shows it."""
    return Json(await api_tokens.create_api_token(session, identity, wanted), 201)


@router.get("", response_model=list[ApiTokenRead])
async def list_api_tokens(identity: InPerson, session: AuthSession) -> Response:
    """Returns the API tokens that are not revoked, newest first."""
    return Json([dict(row) for row in await api_tokens.list_api_tokens(session, identity.subject)])


@router.delete("/{token_id}", status_code=204, response_class=Response)
async def revoke_api_token(auth: Auth, identity: InPerson, token_id: TokenId) -> Response:
    """Revokes an API token. Every process refuses it within 5 seconds."""
    await api_tokens.revoke_api_token(auth, identity.subject, token_id)
    return Response(status_code=204)
