"""``/mcp``: the tools for any agent (Model Context Protocol, streamable HTTP, without sessions)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.assistant.mcp.allowed_origins import check_host_and_origin
from app.assistant.mcp.endpoint import calls_writing_tool, check_message
from app.auth.claims import Identity
from app.domain.oauth import KNOWN_SCOPES, scope_text
from app.errors import AppError, ErrorKind, InsufficientScope, NotFound
from app.http.body import read_body, read_json
from app.http.dependencies import authenticate
from app.http.oauth.server import find_issuer
from app.http.paths import MCP_PATH, url_of, well_known_url
from app.http.problems import problem_from_error
from app.http.responses import Json
from app.http.routing import DirectRoute

# MCP is a protocol of its own, which the OpenAPI document does not describe.
router = APIRouter(tags=["assistant"], route_class=DirectRoute, include_in_schema=False)
METADATA_PATH = "/.well-known/oauth-protected-resource"


@router.post("/mcp")
async def call_mcp(request: Request) -> Response:
    """Handles one JSON-RPC message. Each is authenticated; the tools check the scope of the token."""
    settings = request.app.state.settings
    check_host_and_origin(settings, request.headers.get("host", ""), request.headers.get("origin"))
    try:
        request.scope["identity"] = await authenticate(request, MCP_PATH)
    except AppError as error:
        if error.kind is not ErrorKind.UNAUTHENTICATED:
            raise
        response = problem_from_error(error)
        _add_challenge(request, response)
        return response
    request._body = await read_body(request, settings.body_limit)
    _, message = await read_json(request, settings.body_limit)  # stricter than the SDK
    check_message(request._body, message)
    identity: Identity = request.scope["identity"]
    if identity.audience and identity.scope == "read" and calls_writing_tool(message):
        response = problem_from_error(InsufficientScope())
        _add_challenge(request, response)
        return response  # the app may ask its user for more (RFC 6750, 3.1); an API token is told by the tool
    result: Response = await request.app.state.mcp.answer(request._body)
    return result


def _add_challenge(request: Request, response: Response) -> None:
    """Adds where tokens come from (RFC 9728, 5.1), and the scopes to ask for where this service issues them."""
    parts = [f'resource_metadata="{well_known_url(request, METADATA_PATH, MCP_PATH)}"']
    if find_issuer(request) is not None:
        parts.append(f'scope="{scope_text("write")}"')
    challenge = response.headers["WWW-Authenticate"]
    response.headers["WWW-Authenticate"] = f"{challenge}{',' if '=' in challenge else ''} {', '.join(parts)}"


@router.get(METADATA_PATH)
async def get_metadata(request: Request) -> Response:
    return _metadata(request)


@router.get(METADATA_PATH + "/{resource:path}")
async def get_mcp_metadata(request: Request, resource: Annotated[str, Path()]) -> Response:
    """Returns the metadata of ``/mcp``, which is found below the prefix, and as RFC 9728 says at the host's root."""
    if resource != "mcp" and not well_known_url(request, METADATA_PATH, MCP_PATH).endswith(
        f"{METADATA_PATH}/{resource}"
    ):
        raise NotFound
    return _metadata(request)


def _metadata(request: Request) -> Response:
    """Returns where tokens for ``/mcp`` come from (RFC 9728): agents use the first server that it names."""
    settings = request.app.state.settings
    check_host_and_origin(settings, request.headers.get("host", ""), None)
    metadata = {
        "resource": url_of(request, MCP_PATH),
        "resource_name": "Todo",
        "bearer_methods_supported": ["header"],
    }
    own = find_issuer(request)
    if own is not None:
        metadata["scopes_supported"] = list(KNOWN_SCOPES)
    if issuers := [issuer for issuer in (own, settings.jwt_issuer or settings.better_auth_url) if issuer]:
        metadata["authorization_servers"] = issuers
    return Json(metadata, headers={"Cache-Control": "public, max-age=300"})
