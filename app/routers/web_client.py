"""The reference web client at /app: plain ES modules and a style sheet, from this service alone; and the root URL.

The URL of every file holds the version of all files, so each may be cached for a year, and modules import each other by
relative names without a build step. Only the page itself is revalidated.
"""

import gzip
import hashlib
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from app.errors import NotFound
from app.http.etags import is_unchanged
from app.http.paths import path_of

home = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False)

CLIENT_FOLDER = Path(__file__).parents[1] / "static" / "app"
CLIENT_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
CLIENT_FILES = {
    path.relative_to(CLIENT_FOLDER).as_posix(): path.read_bytes()
    for path in sorted(CLIENT_FOLDER.rglob("*"))
    if path.suffix in CLIENT_MEDIA_TYPES
}
CLIENT_PAGE = (CLIENT_FOLDER / "index.html").read_text()
CLIENT_VERSION = hashlib.sha256(
    b"".join(name.encode() + CLIENT_FILES[name] for name in CLIENT_FILES) + CLIENT_PAGE.encode()
).hexdigest()[:16]
# No inline script or style, no eval, no other host; and no text of any origin can become markup (trusted types).
CLIENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)


class _Page(NamedTuple):
    body: bytes
    etag: str


@lru_cache(16)  # prefixes of proxies
def _render_page(files: str, assistant: bool) -> _Page:
    """Returns the page for files below the path ``files``. It names all modules, so that they load in parallel."""
    base = escape(files)
    modules = "\n".join(
        f'<link rel="modulepreload" href="{base}/{name}">' for name in CLIENT_FILES if name.endswith(".js")
    )
    body = (
        CLIENT_PAGE.replace("{base}", base)
        .replace("{assistant}", "on" if assistant else "off")
        .replace("{modules}", modules)
        .encode()
    )
    return _Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@router.get("/app")
async def read_app(request: Request, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Returns the page, or 304 if `If-None-Match` names it."""
    files = path_of(request, f"/app/{CLIENT_VERSION}")
    body, etag = _render_page(files, bool(request.app.state.settings.llm_model))
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": CLIENT_POLICY}
    if is_unchanged(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/html", headers=headers)


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(CLIENT_FILES[name], mtime=0)


@router.get("/app/{version}/{name:path}")
def read_app_file(version: str, name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """Returns a file of the client. Runs in a thread, because compressing it (once) would block the event loop."""
    if name not in CLIENT_FILES:
        raise NotFound
    kind = Path(name).suffix
    headers = {
        # During a rollout, an old process may receive a request for a new version: that response must not be cached.
        "Cache-Control": "public, max-age=31536000, immutable" if version == CLIENT_VERSION else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if "gzip" not in accept_encoding or kind == ".woff2":  # which is compressed already
        return Response(CLIENT_FILES[name], media_type=CLIENT_MEDIA_TYPES[kind], headers=headers)
    return Response(_zipped(name), media_type=CLIENT_MEDIA_TYPES[kind], headers={**headers, "Content-Encoding": "gzip"})


@home.get("/")
async def read_home(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """Redirects browsers to the web client; returns the URLs of the service to other clients."""
    settings = request.app.state.settings
    headers = {"Vary": "Accept"}
    if settings.web_client and "text/html" in accept:
        return RedirectResponse(path_of(request, "/app"), 303, headers=headers)
    urls = {
        "name": request.app.title,
        "version": request.app.version,
        "docs": path_of(request, "/docs") if settings.docs else None,
        "openapi": path_of(request, "/openapi.json") if settings.docs else None,
        "app": path_of(request, "/app") if settings.web_client else None,
        "health": path_of(request, "/health"),
    }
    return JSONResponse(urls, headers=headers)
