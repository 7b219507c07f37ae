"""The browser's side of signing in with a provider: the cookie that binds it, and where it goes afterwards.

No token is ever in a URL: the login comes in the cookie of the refresh token, and the page to which the browser is sent
learns from a fragment, which no server sees, that there is one.
"""

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.auth.passkeys import RelyingParty
from app.domain.oauth import is_loopback, split_url
from app.domain.oidc import is_next_url
from app.errors import AppError, NextUrlRefused, NotFound, PasskeysUnavailable
from app.http.oauth.consent import PageRoute
from app.http.oauth.pages import SIGN_IN_FAILED, error_page
from app.http.paths import callback_url, find_relying_party, home_path, path_of, prefix_of, redirect_url
from app.http.refresh_cookie import find_cookie, is_own_machine, set_refresh_cookie
from app.schemas.second_factors import FactorProof
from app.services.accounts.login_challenges import CHALLENGE_LIFE, PendingLogin
from app.services.accounts.passkey_answers import Asked
from app.services.accounts.second_factors import GivenFactor
from app.services.accounts.sessions import IssuedTokens

SIGN_IN_COOKIE, SIGN_IN_COOKIE_LIFE = "todo_sign_in", 900  # seconds
SIGNED_IN_FRAGMENT, LINKED_FRAGMENT, SECOND_FACTOR_FRAGMENT = "#signed-in", "#linked", "#second-factor"
PASSKEY_RESPONSES: dict[int | str, dict[str, Any]] = {404: {"description": "There are no passkeys here."}}
CHALLENGE_COOKIE = "todo_second_factor"


class SignInRoute(PageRoute):
    """A route to which a browser is sent: its errors are pages, with a way back."""

    def error_page(self, request: Request, error: AppError) -> Response:
        back = getattr(request.state, "begun_at", path_of(request, home_path(request)))
        return error_page(error, title=SIGN_IN_FAILED, back=back)


def lead_back_to(request: Request, next_url: str) -> None:
    """Lets the page of a later error lead to where the sign-in began."""
    request.state.begun_at = next_url


def read_next_url(request: Request, given: str | None) -> str:
    """Returns where the browser goes afterwards. Raises NextUrlRefused for what is not this service's own page.

    Pages of CORS_ORIGINS are, where they log in by the cookie (REFRESH_COOKIE).
    """
    if not given:
        return path_of(request, home_path(request))
    settings = request.app.state.settings
    if not is_next_url(given, prefix_of(request.scope), settings.cors_origins if settings.refresh_cookie else ()):
        raise NextUrlRefused
    return given


def redirect_uri_of(request: Request, provider_id: str) -> str:
    """Returns the redirect URI. Raises NotFound where a Host would decide it: without PUBLIC_URL, but for localhost."""
    url = callback_url(request, provider_id)
    parts = split_url(url)
    if not request.app.state.settings.public_base and (parts is None or not is_loopback(parts)):
        raise NotFound("Nobody can sign in with a provider here: the operator must set PUBLIC_URL.")
    return url


def find_sign_in_browser(request: Request) -> str:
    """Returns the secret of this browser; empty without one."""
    return find_cookie(request, _cookie_name(request)) or ""


def new_sign_in_browser(request: Request) -> str:
    """Returns the secret of this browser, a new one if it has none: several pages may sign in at once."""
    return find_sign_in_browser(request) or secrets.token_urlsafe(24)


def set_sign_in_browser(request: Request, response: Response, browser: str) -> None:
    """Sets the cookie, which the browser also sends when the provider sends it back (Lax)."""
    name = _cookie_name(request)
    response.set_cookie(
        name, browser, max_age=SIGN_IN_COOKIE_LIFE, secure=name != SIGN_IN_COOKIE, httponly=True, samesite="lax"
    )


def _cookie_name(request: Request) -> str:
    """Returns the name: with the prefix by which no other host or plain page can set it (RFC 6265bis, 4.1.3.2)."""
    secure = not is_own_machine(request, request.app.state.settings)
    return f"__Host-{SIGN_IN_COOKIE}" if secure else SIGN_IN_COOKIE


def redirect_to(url: str) -> Response:
    """Returns a redirect that no cache keeps, and after which the next site does not learn this URL."""
    headers = {"Location": redirect_url(url, {}), "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def signed_in_response(
    request: Request, next_url: str, provider_id: str, issued: IssuedTokens | PendingLogin | None
) -> Response:
    """Returns the redirect after a sign-in or a link, with a cookie: of the login, or of one that waits for a factor.

    Without either after a link.
    """
    if issued is None:
        return redirect_to(f"{next_url}{LINKED_FRAGMENT}={provider_id}")
    if isinstance(issued, PendingLogin):
        response = redirect_to(f"{next_url}{SECOND_FACTOR_FRAGMENT}={provider_id}")
        _write_challenge(request, response, issued.challenge, int(CHALLENGE_LIFE.total_seconds()))
        return response
    response = redirect_to(f"{next_url}{SIGNED_IN_FRAGMENT}={provider_id}")
    set_refresh_cookie(request, response, request.app.state.settings, issued.refresh_token)
    return response


def read_challenge_cookie(request: Request) -> str:
    """Returns the token of the login that waits in this browser for a second factor; empty without one."""
    return find_cookie(request, CHALLENGE_COOKIE) or ""


def clear_challenge_cookie(request: Request, response: Response) -> None:
    if find_cookie(request, CHALLENGE_COOKIE) is not None:
        _write_challenge(request, response, "", 0)


def _write_challenge(request: Request, response: Response, value: str, max_age: int) -> None:
    """Sets the cookie for the page that asks for the factor: of the web client, or of an app that connects."""
    secure, path = not is_own_machine(request, request.app.state.settings), path_of(request, "/")
    response.set_cookie(
        CHALLENGE_COOKIE, value, max_age=max_age, path=path, secure=secure, httponly=True, samesite="strict"
    )


def relying_party(request: Request) -> RelyingParty:
    """Returns what ``find_relying_party`` does. Raises PasskeysUnavailable."""
    party = find_relying_party(request)
    if party is None:
        raise PasskeysUnavailable
    return party


def passkey_login(request: Request, browser: str) -> Asked:
    """Returns where a browser logs in with a passkey alone: empty without its cookie. Raises PasskeysUnavailable."""
    return Asked(relying_party(request), f"browser\0{browser}" if browser else "")


def read_factor(request: Request, given: FactorProof) -> GivenFactor:
    """Returns a second factor as it was sent. Raises PasskeysUnavailable for one that cannot be used here."""
    if given.passkey is None:
        return GivenFactor(given.code or "")
    return GivenFactor(passkey=given.passkey, party=relying_party(request))
