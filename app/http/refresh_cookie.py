"""The refresh token in a cookie: unreadable for scripts, sent to ``/api/auth`` only, accepted from allowed sites only.

With REFRESH_COOKIE, the token is in the cookie only. Without it, a page of this service, such as the web client, may
request the cookie with the header ``X-Refresh-Cookie``. Other origins cannot: CORS does not allow them that header.
"""

import re

from fastapi import Request, Response

from app.config import Settings
from app.errors import OriginRefused, RefreshTokenMissing
from app.http.paths import path_of
from app.http.responses import Json
from app.net.addresses import LOCAL_HOSTS, LOCAL_ORIGIN, unmap_address
from app.services.accounts.context import AuthContext
from app.services.accounts.sessions import IssuedTokens

COOKIE_NAME, COOKIE_PATH, COOKIE_REQUEST_HEADER = "todo_refresh", "/api/auth", "x-refresh-cookie"
USER_FIELDS_BESIDE = ("id", "email", "name", "created_at")  # of ``user``, for front-ends that read them there
LOOPBACK_PATTERN = re.compile(r"127(\.\d+){3}|::1")


def set_refresh_cookie(request: Request, response: Response, settings: Settings, token: str) -> None:
    """Sets the cookie: HttpOnly, SameSite=Strict, and Secure unless client and service share a machine.

    RFC 6265bis, 5.7: browsers do not store a Secure cookie that arrives by plain HTTP.
    """
    _write_cookie(request, response, settings, token, settings.refresh_idle)


def clear_refresh_cookie(request: Request, response: Response, settings: Settings) -> None:
    _write_cookie(request, response, settings, "", 0)


def _write_cookie(request: Request, response: Response, settings: Settings, value: str, max_age: int) -> None:
    secure, path = not is_own_machine(request, settings), path_of(request, COOKIE_PATH)
    response.set_cookie(COOKIE_NAME, value, max_age=max_age, path=path, secure=secure, httponly=True, samesite="strict")


def is_own_machine(request: Request, settings: Settings) -> bool:
    """Returns whether browser and service are on one machine. A proxy that ends TLS shows itself by its headers."""
    if request.url.scheme == "https" or settings.public_url.lower().startswith("https:"):
        return False
    if any(name == "forwarded" or name.startswith("x-forwarded-") for name in request.headers):
        return False
    peer = unmap_address(request.client.host) if request.client else ""
    return LOOPBACK_PATTERN.fullmatch(peer) is not None and request.url.hostname in LOCAL_HOSTS


def read_refresh_cookie(request: Request, settings: Settings) -> str:
    """Returns the token in the cookie. Raises RefreshTokenMissing, and OriginRefused for other sites.

    Browsers send Origin with every POST; other clients can send the token in the body.
    """
    token = find_cookie(request, COOKIE_NAME)
    if not token:
        raise RefreshTokenMissing
    allowed = _is_allowed_origin if settings.refresh_cookie else is_own_page
    if not allowed(request.headers.get("origin", ""), request, settings):
        raise OriginRefused(details={"origin": request.headers.get("origin"), "host": request.headers.get("host")})
    return token


def has_refresh_cookie(request: Request, settings: Settings) -> bool:
    """Returns whether a cookie must be cleared when the session ends."""
    return settings.refresh_cookie or find_cookie(request, COOKIE_NAME) is not None


def find_cookie(request: Request, wanted: str) -> str | None:
    """Finds a cookie without ``request.cookies``, slow before Python 3.11.10 (CVE-2024-7592): 16 KB take 0.6 s."""
    found = None
    for cookie in request.headers.get("cookie", "").split(";"):
        name, separator, value = cookie.partition("=")
        if separator and name.strip() == wanted:
            found = value.strip()
    return found


def _own_origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host')}"


def is_own_page(origin: str, request: Request, settings: Settings) -> bool:
    """Returns whether the page is of this origin. Fetch Metadata is reliable also behind a proxy that ends TLS."""
    if request.headers.get("sec-fetch-site") == "same-origin":
        return True
    return origin == (settings.public_origin or _own_origin(request))


def _is_allowed_origin(origin: str, request: Request, settings: Settings) -> bool:
    """Returns whether the origin is allowed, by comparing strings (RFC 6454, 6.2): untrusted input is not parsed.

    Only web sites are: ``null`` and file:// are any page, and other schemes never have a SameSite cookie.
    """
    if not origin.startswith(("http://", "https://")):
        return False
    if settings.public_origin:
        return origin == settings.public_origin or origin in settings.cors_origins
    known = origin in settings.cors_origins if settings.cors_origins else LOCAL_ORIGIN.fullmatch(origin) is not None
    return known or origin == _own_origin(request)


def token_pair_response(
    request: Request, auth: AuthContext, pair: IssuedTokens, status: int = 200, *, in_cookie: bool = False
) -> Response:
    """Returns the tokens. In cookie mode, the refresh token is in the cookie only, so a script cannot leak it.

    ``in_cookie``: the request sent it in the cookie, so the response does also.
    """
    in_cookie = in_cookie or auth.settings.refresh_cookie or COOKIE_REQUEST_HEADER in request.headers
    body = {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in,
        "refresh_token": None if in_cookie else pair.refresh_token,
        "user": pair.user,
        **{name: pair.user[name] for name in USER_FIELDS_BESIDE},
    }
    response = Json(body, status)
    if in_cookie:
        set_refresh_cookie(request, response, auth.settings, pair.refresh_token)
    return response
