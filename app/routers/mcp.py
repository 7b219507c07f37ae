"""``/mcp``: the tools for any agent (Model Context Protocol, streamable HTTP, without sessions)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.assistant.mcp.allowed_origins import check_host_and_origin
from app.assistant.mcp.endpoint import check_message
from app.errors import AppError, ErrorKind, NotFound
from app.http.body import read_body, read_json
from app.http.dependencies import authenticate
from app.http.paths import url_of, well_known_url
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
        request.scope["identity"] = await authenticate(request)
    except AppError as error:
        if error.kind is not ErrorKind.UNAUTHENTICATED:
            raise
        response = problem_from_error(error)
        where = f'resource_metadata="{well_known_url(request, METADATA_PATH, "/mcp")}"'  # RFC 9728, 5.1
        response.headers["WWW-Authenticate"] += (", " if "=" in response.headers["WWW-Authenticate"] else " ") + where
        return response
    request._body = await read_body(request, settings.body_limit)
    _, message = await read_json(request, settings.body_limit)  # stricter than the SDK
    check_message(request._body, message)
    result: Response = await request.app.state.mcp.answer(request._body)
    return result


@router.get(METADATA_PATH)
async def get_metadata(request: Request) -> Response:
    return _metadata(request)


@router.get(METADATA_PATH + "/{resource:path}")
async def get_mcp_metadata(request: Request, resource: Annotated[str, Path()]) -> Response:
    """Returns the metadata of ``/mcp``, which is found below the prefix, and as RFC 9728 says at the host's root."""
    if resource != "mcp" and not well_known_url(request, METADATA_PATH, "/mcp").endswith(f"{METADATA_PATH}/{resource}"):
        raise NotFound
    return _metadata(request)


def _metadata(request: Request) -> Response:
    """Returns where tokens for ``/mcp`` come from (RFC 9728). This service's own tokens are not OAuth."""
    settings = request.app.state.settings
    check_host_and_origin(settings, request.headers.get("host", ""), None)
    metadata = {
        "resource": url_of(request, "/mcp"),
        "resource_name": "Todo",
        "bearer_methods_supported": ["header"],
    }
    if issuer := settings.jwt_issuer or settings.better_auth_url:
        metadata["authorization_servers"] = [issuer]
    return Json(metadata, headers={"Cache-Control": "public, max-age=300"})
