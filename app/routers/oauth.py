"""``/oauth``: the endpoints that apps call (OAuth 2.1). The user's side of it is in ``app.routers.consent``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.domain.oauth import narrow_scope, scope_text
from app.errors import AppError, ErrorKind, GrantTypeUnsupported, OAuthClientUnknown, OAuthError, OAuthScopeInvalid
from app.http.body import read_json
from app.http.dependencies import Auth, FromClient
from app.http.oauth.forms import FORM_MAX, read_form
from app.http.oauth.server import OAuthRoute, require_issuer
from app.http.rate_limits import Limits
from app.http.responses import Json
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.sessions import IssuedTokens
from app.services.oauth import clients, codes, grants

# OAuth is a protocol of its own, whose clients read RFC 8414 and not the OpenAPI document.
router = APIRouter(prefix="/oauth", tags=["oauth"], route_class=OAuthRoute, include_in_schema=False)


async def current_issuer(request: Request) -> str:
    """Returns the issuer. Raises NotFound."""
    return require_issuer(request)


Issuer = Annotated[str, Depends(current_issuer)]


@router.post("/token")
async def exchange_token(request: Request, auth: Auth, client: FromClient, issuer: Issuer) -> Response:
    """Exchanges a code or a refresh token. Counts refreshes by user, refusals by IP address: agents share theirs."""
    limits: Limits = request.app.state.limits
    limits.refuse_busy_address(request.scope)
    try:
        sent = await _read_request(request)
        issued = await _exchange(auth, sent, client)
    except OAuthError:
        limits.consume_address(request.scope)
        raise
    if sent["grant_type"] == "refresh_token":  # which can be repeated in a moment, unlike the exchange of a code
        limits.consume_subject(request.scope, issued.user["id"])
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
        "scope": scope_text(issued.scope),
    }
    return Json(body, headers={"Pragma": "no-cache"})


async def _read_request(request: Request) -> dict[str, str]:
    """Reads the parameters. Raises OAuthClientUnknown for a client with credentials: none has been given any."""
    if "authorization" in request.headers:
        raise OAuthClientUnknown("Clients have no secret here: send client_id in the body, and no Authorization.")
    return await read_form(request)


async def _exchange(auth: AuthContext, sent: dict[str, str], client: Client) -> IssuedTokens:
    grant_type, client_id = sent.get("grant_type"), sent.get("client_id")
    if grant_type not in {"authorization_code", "refresh_token"}:
        raise GrantTypeUnsupported if grant_type else OAuthError
    if client_id is None:
        raise OAuthError("client_id is missing.")
    resource = sent.get("resource")
    if grant_type == "refresh_token":
        if "refresh_token" not in sent:
            raise OAuthError("refresh_token is missing.")
        scope = _read_scope(sent) if "scope" in sent else None
        token = sent["refresh_token"]
        return await grants.refresh_grant(auth, token, client_id, client, scope=scope, resource=resource)
    if "code" not in sent or "code_verifier" not in sent:
        raise OAuthError("code or code_verifier is missing.")
    exchange = codes.CodeExchange(sent["code"], client_id, sent["code_verifier"], sent.get("redirect_uri"), resource)
    return await codes.exchange_code(auth, exchange, client)


def _read_scope(sent: dict[str, str]) -> str:
    scope = narrow_scope(sent["scope"])
    if scope is None:
        raise OAuthScopeInvalid
    return scope


@router.post("/revoke")
async def revoke_token(request: Request, auth: Auth, issuer: Issuer) -> Response:
    """Disconnects the app of an access or refresh token (RFC 7009). Unknown tokens are no error."""
    request.app.state.limits.consume_address(request.scope)
    sent = await _read_request(request)
    token, client_id = sent.get("token"), sent.get("client_id")
    if token is None:
        raise OAuthError("token is missing.")
    if not await grants.revoke_refresh_token(auth, token, client_id):
        try:
            identity = await request.app.state.verifier.verify(token)
        except AppError as error:
            if error.kind is not ErrorKind.UNAUTHENTICATED:
                raise
        else:
            await grants.revoke_access_token(auth, identity, client_id)
    return Response(status_code=200)


@router.post("/register")
async def register_client(request: Request, auth: Auth, client: FromClient, issuer: Issuer) -> Response:
    """Registers a client (RFC 7591). It gets no secret, whatever it asks for."""
    request.app.state.limits.consume_address(request.scope)
    _, metadata = await read_json(request, FORM_MAX)
    made = await clients.register_client(auth, metadata, client)
    body: dict[str, Any] = {
        "client_id": made.client_id,
        "client_id_issued_at": int(client.arrived_at.timestamp()),
        "client_name": made.name,
        "redirect_uris": made.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "read write",
    }
    return Json(body, 201)
