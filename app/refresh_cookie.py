"""The refresh token in a cookie: out of reach of scripts, sent to ``/api/auth`` only, used by known sites only."""

import re
from urllib.parse import urlsplit

from fastapi import Request, Response

from app.config import Settings
from app.errors import OriginRefused, RefreshTokenMissing
from app.responses import Json
from app.services.auth_context import AuthContext
from app.services.sessions import Pair

NAME, PATH = "todo_refresh", "/api/auth"
LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


def set_refresh_cookie(request: Request, response: Response, settings: Settings, token: str) -> None:
    """HttpOnly, SameSite=Strict, and Secure unless this is somebody's own machine (RFC 6265bis, 5.7)."""
    _write(request, response, token, settings.refresh_idle)


def clear_refresh_cookie(request: Request, response: Response) -> None:
    _write(request, response, "", 0)


def _write(request: Request, response: Response, value: str, max_age: int) -> None:
    secure = request.url.scheme == "https" or request.url.hostname not in LOCAL_HOSTS
    response.set_cookie(NAME, value, max_age=max_age, path=PATH, secure=secure, httponly=True, samesite="strict")


def refresh_cookie(request: Request, settings: Settings) -> str:
    """The token in the cookie. Raises RefreshTokenMissing, and OriginRefused for a site that is not ours.

    Browsers send Origin with every POST; who leaves it out is no browser and can send the token in the body.
    """
    token = request.cookies.get(NAME)
    if not token or not settings.refresh_cookie:
        raise RefreshTokenMissing
    origin = request.headers.get("origin", "")
    same = urlsplit(origin).netloc == request.headers.get("host") and urlsplit(origin).scheme == request.url.scheme
    known = origin in settings.cors_origins if settings.cors_origins else LOCAL_ORIGIN.fullmatch(origin) is not None
    if not (same or known):
        raise OriginRefused
    return token


def pair_answer(request: Request, auth: AuthContext, pair: Pair, status: int = 200) -> Response:
    """In cookie mode the refresh token is in the cookie only: a script that cannot read it cannot leak it."""
    in_cookie = auth.settings.refresh_cookie
    body = {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in,
        "refresh_token": None if in_cookie else pair.refresh_token,
        "user": pair.user,
    }
    response = Json(body, status)
    if in_cookie:
        set_refresh_cookie(request, response, auth.settings, pair.refresh_token)
    return response
