"""The requests that a consent page belongs to: read from their URL, and protected against forgery."""

import hmac
import secrets
from hashlib import sha256
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from app.domain.oauth import is_challenge, is_registered, narrow_scope, plain_resource
from app.errors import (
    AppError,
    ConsentForged,
    OAuthError,
    OAuthScopeInvalid,
    RedirectInvalid,
    ResourceInvalid,
    ResponseTypeUnsupported,
)
from app.http.oauth.pages import error_page
from app.http.paths import MCP_PATH, path_of, redirect_url, url_of
from app.http.refresh_cookie import find_cookie, is_own_machine, is_own_page
from app.http.routing import OwnErrorsRoute
from app.observability.refusals import log_refusal
from app.services.oauth.clients import OAuthApp
from app.services.oauth.codes import CodeRequest

CONSENT_COOKIE, CONSENT_PATH = "todo_consent", "/oauth"
STATE_MAX = 4_000  # characters


class RedirectTarget(NamedTuple):
    """The address of an app to which the browser may be sent, because the app has registered it."""

    redirect_uri: str
    state: str | None

    def respond(self, issuer: str, **parameters: str) -> Response:
        values = self._values(issuer, parameters)
        return Response(status_code=303, headers={"Location": redirect_url(self.redirect_uri, values)})

    def refuse(self, issuer: str, error: OAuthError) -> Response:
        return self.respond(issuer, **describe_error(error))

    def ask_to_return(self, issuer: str, error: OAuthError) -> Response:
        """Returns a page that leads back to the app with ``error``.

        The browser is not sent there by itself: anyone can register an app, and this service would lend its name to
        whatever a link to it leads to (RFC 9700, 4.11.2).
        """
        return error_page(error, redirect_url(self.redirect_uri, self._values(issuer, describe_error(error))))

    def _values(self, issuer: str, parameters: dict[str, str]) -> dict[str, str]:
        """Adds the issuer, by which the app tells servers apart (RFC 9207), and the app's state."""
        state = {} if self.state is None else {"state": self.state}
        return {**parameters, "iss": issuer, **state}


def describe_error(error: OAuthError) -> dict[str, str]:
    return {"error": error.code, "error_description": error.detail}


class PageRoute(OwnErrorsRoute):
    """A route for people: its errors are pages."""

    def error_page(self, request: Request, error: AppError) -> Response:
        return error_page(error)

    def format_error(self, request: Request, error: AppError) -> Response:
        if error.reason:
            log_refusal(error.reason, {"code": error.code, **error.details})
        return self.error_page(request, error)


def read_target(sent: dict[str, str], app: OAuthApp) -> RedirectTarget:
    """Returns where to send the answer. Raises RedirectInvalid: then the browser stays here."""
    state = sent.get("state")
    if state is not None and len(state) > STATE_MAX:
        raise OAuthError("state is too long.")
    uri = sent.get("redirect_uri") or (app.redirect_uris[0] if len(app.redirect_uris) == 1 else "")
    if not is_registered(uri, app.redirect_uris):
        raise RedirectInvalid("The app has not registered this redirect URI.")
    return RedirectTarget(uri, state)


def read_code_request(request: Request, sent: dict[str, str], app: OAuthApp, target: RedirectTarget) -> CodeRequest:
    """Returns the request. Raises OAuthError, which goes to the app.

    PKCE is required, with the method that keeps the secret at the app (OAuth 2.1, 4.1.1).
    """
    if sent.get("response_type") != "code":
        raise ResponseTypeUnsupported
    if sent.get("response_mode", "query") != "query" or {"request", "request_uri"} & sent.keys():
        raise OAuthError("response_mode is query; request and request_uri are not supported.")
    challenge = sent.get("code_challenge", "")
    if sent.get("code_challenge_method") != "S256" or not is_challenge(challenge):
        raise OAuthError("Send code_challenge with code_challenge_method=S256.")
    scope = narrow_scope(sent.get("scope"))
    if scope is None:
        raise OAuthScopeInvalid
    tools, whole = url_of(request, MCP_PATH), url_of(request, "")
    resource = plain_resource(sent["resource"]) if "resource" in sent else tools
    if resource not in {tools, whole}:
        raise ResourceInvalid
    return CodeRequest(app, target.redirect_uri, scope, resource, challenge)


def find_browser(request: Request) -> str:
    """Returns the value of the cookie by which a form is known to be of this browser; empty without one."""
    return find_cookie(request, CONSENT_COOKIE) or ""


def new_browser() -> str:
    return secrets.token_urlsafe(24)


def set_browser(request: Request, response: Response, browser: str) -> None:
    """Sets the cookie. It is no login: it only binds the forms of a page to the browser that opened it."""
    secure = not is_own_machine(request, request.app.state.settings)
    path = path_of(request, CONSENT_PATH)
    response.set_cookie(CONSENT_COOKIE, browser, path=path, secure=secure, httponly=True, samesite="lax")


def forgery_token(request: Request, browser: str) -> str:
    """Returns the token of the forms of this browser for exactly this request."""
    key: bytes = request.app.state.auth.tokens.refresh_key
    query: bytes = request.scope["query_string"]
    return hmac.digest(key, b"consent\0" + browser.encode() + b"\0" + query, sha256).hex()


def check_forgery(request: Request, sent: dict[str, str]) -> None:
    """Checks that a form was sent by the page that this browser got. Raises ConsentForged."""
    origin = request.headers.get("origin")
    browser = find_browser(request)
    is_own = origin is None or is_own_page(origin, request, request.app.state.settings)
    expected = forgery_token(request, browser)
    if not browser or not is_own or not hmac.compare_digest(expected.encode(), sent.get("forgery_token", "").encode()):
        raise ConsentForged(details={"origin": origin})
