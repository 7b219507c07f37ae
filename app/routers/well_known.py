"""``/.well-known``: the public keys for other services, and the authorization server for apps."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.errors import NotFound
from app.http.dependencies import Auth
from app.http.oauth.server import server_metadata
from app.http.paths import well_known_url
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.auth import JsonWebKeySet

SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server"
router = APIRouter(prefix="/.well-known", tags=["auth"], route_class=DirectRoute)


@router.get("/jwks.json", response_model=JsonWebKeySet)
async def get_jwks(auth: Auth) -> Response:
    """Returns the public key of this service's access tokens (RFC 7517); none if a shared secret signs them."""
    keys = auth.token_issuer.jwks() if auth.token_issuer else {"keys": []}
    return Json(keys, headers={"Cache-Control": "public, max-age=300"})


@router.get("/oauth-authorization-server", include_in_schema=False)
async def get_server_metadata(request: Request) -> Response:
    """Returns the metadata of the authorization server (RFC 8414)."""
    return Json(server_metadata(request), headers={"Cache-Control": "public, max-age=300"})


@router.get("/oauth-authorization-server/{about:path}", include_in_schema=False)
async def get_metadata_of_prefix(request: Request, about: Annotated[str, Path()]) -> Response:
    """Returns the metadata at the root of the host, for a service below a prefix (RFC 8414, 3.1)."""
    if not well_known_url(request, SERVER_METADATA_PATH, "").endswith(f"{SERVER_METADATA_PATH}/{about}"):
        raise NotFound
    return await get_server_metadata(request)
