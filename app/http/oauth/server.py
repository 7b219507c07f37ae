"""The authorization server towards apps: where it is, its errors (RFC 6749, 5.2), its metadata (RFC 8414)."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.domain.oauth import KNOWN_SCOPES, is_loopback
from app.errors import AppError, ErrorKind, NotFound, OAuthError
from app.http.paths import has_sent_prefix, url_of
from app.http.problems import STATUS_BY_KIND
from app.http.responses import Json
from app.http.routing import OwnErrorsRoute
from app.observability.refusals import log_refusal

WAITING_KINDS = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE})


def find_issuer(request: Request) -> str | None:
    """Returns the issuer: the URL of this service, the same letter by letter wherever it is named. None: no OAuth.

    Without PUBLIC_URL only requests from the same machine have one: what others send as Host is not believed, nor what
    is sent as prefix.
    """
    settings = request.app.state.settings
    foreign = settings.jwt_issuer or settings.better_auth_url or settings.jwks_url
    if settings.oauth == "off" or (settings.oauth == "auto" and foreign) or request.app.state.auth.token_issuer is None:
        return None
    if has_sent_prefix(request):
        return None
    url = url_of(request, "")
    parts = urlsplit(url)
    return url if is_loopback(parts) or (parts.scheme == "https" and settings.public_base) else None


def require_issuer(request: Request) -> str:
    """Returns the issuer. Raises NotFound where apps cannot be connected."""
    issuer = find_issuer(request)
    if issuer is None:
        raise NotFound("Apps cannot be connected here: the operator must set PUBLIC_URL to an https:// URL.")
    return issuer


def server_metadata(request: Request) -> dict[str, Any]:
    """Returns the metadata of RFC 8414. Raises NotFound."""
    found: dict[str, Any] = {
        "issuer": require_issuer(request),
        "authorization_endpoint": url_of(request, "/oauth/authorize"),
        "token_endpoint": url_of(request, "/oauth/token"),
        "revocation_endpoint": url_of(request, "/oauth/revoke"),
        "scopes_supported": list(KNOWN_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }
    if request.app.state.settings.oauth_registration:
        found["registration_endpoint"] = url_of(request, "/oauth/register")
    return found


def oauth_error(error: AppError) -> Response:
    """Returns an error in the shape that OAuth clients read."""
    if error.reason:
        log_refusal(error.reason, {"code": error.code, **error.details})
    code = error.code if isinstance(error, OAuthError) else "invalid_request"
    if error.kind in WAITING_KINDS:
        code = "temporarily_unavailable"
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.kind is ErrorKind.UNAUTHENTICATED:  # only who sends an Authorization header is refused so
        headers["WWW-Authenticate"] = 'Basic realm="todo"'
    return Json({"error": code, "error_description": error.detail}, STATUS_BY_KIND[error.kind], headers)


class OAuthRoute(OwnErrorsRoute):
    """A route of the protocol, whose errors have that shape."""

    def format_error(self, request: Request, error: AppError) -> Response:
        return oauth_error(error)
