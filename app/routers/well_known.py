"""``/.well-known``: the public keys, for other services."""

from fastapi import APIRouter, Response

from app.http.dependencies import Auth
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.auth import JsonWebKeySet

router = APIRouter(prefix="/.well-known", tags=["auth"], route_class=DirectRoute)


@router.get("/jwks.json", response_model=JsonWebKeySet)
async def get_jwks(auth: Auth) -> Response:
    """Returns the public key of this service's access tokens (RFC 7517); none if a shared secret signs them."""
    keys = auth.token_issuer.jwks() if auth.token_issuer else {"keys": []}
    return Json(keys, headers={"Cache-Control": "public, max-age=300"})
