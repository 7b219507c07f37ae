"""The reference web client at /app: plain ES modules and a style sheet, from this service alone; and the root URL.

The URL of every file holds the version of all files, so each may be cached for a year, and modules import each other by
relative names without a build step. Only the page itself is revalidated.
"""

import gzip
import hashlib
import json
import re
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from posixpath import dirname, normpath
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from app.assistant.optional import is_model_installed
from app.errors import NotFound
from app.http.etags import is_unchanged
from app.http.paths import find_relying_party, path_of

home = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False)

CLIENT_FOLDER = Path(__file__).parents[1] / "static" / "app"
CLIENT_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
# Comments that are lines of their own: a fifth of what a first load would be. Lines keep their numbers.
COMMENT_LINES = re.compile(rb"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/[ \t]*|//[^\n]*)$", re.DOTALL | re.MULTILINE)


def _read(path: Path) -> bytes:
    """Returns a file as it is served: modules of this service without their comments."""
    content = path.read_bytes()
    if path.suffix != ".js" or path.parent.name == "vendor":
        return content
    return COMMENT_LINES.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)


CLIENT_FILES = {
    path.relative_to(CLIENT_FOLDER).as_posix(): _read(path)
    for path in sorted(CLIENT_FOLDER.rglob("*"))
    if path.suffix in CLIENT_MEDIA_TYPES
}
WORKER_FILE = "service_worker.js"
IMPORT_LINES = re.compile(rb"""^(?:import|export) [^;]*?["'](\.[^"']+)["'];""", re.MULTILINE)


def _list_imported(first: str) -> list[str]:
    """Lists a module and what it imports, directly or not; ``import()`` is for parts that are loaded later."""
    found, waiting = [], [first]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            paths = (path.decode() for path in IMPORT_LINES.findall(CLIENT_FILES[name]))
            waiting += [normpath(f"{dirname(name)}/{path}".lstrip("/")) for path in paths]
    return sorted(found)


CLIENT_PAGE = (CLIENT_FOLDER / "index.html").read_text()
PAGE_MODULES = _list_imported("main.js")
CLIENT_VERSION = hashlib.sha256(
    b"".join(name.encode() + CLIENT_FILES[name] for name in CLIENT_FILES) + CLIENT_PAGE.encode()
).hexdigest()[:16]
# No inline script or style, no eval, no other host; and no text of any origin can become markup (trusted types): the
# one policy returns the URL of the service worker.
CLIENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types service-worker"
)
# The service worker. Its URL is always the same; its text names the version, the page and the files that it keeps, so
# that browsers notice a new version, or other settings.
WORKER_SOURCE = """import "./{version}/service_worker.js";
self.kept = {{ version: "{version}", page: {page}, files: {files} }};
"""
KEPT_FILES = [name for name in CLIENT_FILES if name != WORKER_FILE and not name.endswith((".png", ".webmanifest"))]
# Where the client is switched off, browsers that have it kept remove it.
REMOVING_WORKER = """self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("todo-")) await caches.delete(name);
  await self.clients.claim();
  for (const client of await self.clients.matchAll({ type: "window" })) client.navigate(client.url).catch(() => {});
  await self.registration.unregister();
})()));
"""
WORKER_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'"


class _Page(NamedTuple):
    body: bytes
    zipped: bytes
    etag: str


@lru_cache(16)  # prefixes of proxies
def _render_page(
    files: str,
    version: str,
    assistant: bool,
    passkeys: bool,
    caldav: bool,
    registration: str,
    description_max: int,
    trash_days: int,
) -> _Page:
    """Returns the page for files below the path ``files``. It names all modules, so that they load in parallel."""
    base = escape(files)
    modules = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in PAGE_MODULES)
    body = (
        CLIENT_PAGE.replace("{base}", base)
        .replace("{assistant}", "on" if assistant else "off")
        .replace("{description_max}", str(description_max))
        .replace("{trash_days}", str(trash_days))
        .replace("{registration}", registration)
        .replace("{passkeys}", "on" if passkeys else "off")
        .replace("{caldav}", "on" if caldav else "off")
        .replace("{version}", escape(version))
        .replace("{modules}", modules)
        .encode()
    )
    return _Page(body, gzip.compress(body, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _page_of(request: Request) -> _Page:
    settings = request.app.state.settings
    return _render_page(
        path_of(request, f"/app/{CLIENT_VERSION}"),
        request.app.version,
        bool(settings.llm_model) and is_model_installed(),
        bool(find_relying_party(request)),
        settings.caldav,
        settings.registration,
        settings.description_max,
        settings.trash_kept_days,
    )


@router.get("/app")
async def read_app(
    request: Request,
    if_none_match: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Returns the page, or 304 if `If-None-Match` names it."""
    body, zipped, etag = _page_of(request)
    is_zipped = "gzip" in accept_encoding
    headers = {
        "ETag": f"W/{etag}" if is_zipped else etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": CLIENT_POLICY,
        "Vary": "Accept-Encoding",
    }
    if is_unchanged(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    if is_zipped:
        return Response(zipped, media_type="text/html", headers={**headers, "Content-Encoding": "gzip"})
    return Response(body, media_type="text/html", headers=headers)


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(CLIENT_FILES[name], mtime=0)


@router.get("/app/{version}/{name:path}")
def read_app_file(
    request: Request, version: str, name: str, accept_encoding: Annotated[str, Header()] = ""
) -> Response:
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


@home.get("/app/service_worker.js")
async def read_service_worker(request: Request) -> Response:
    """Returns the script of the service worker, or one that removes it where the client is switched off."""
    if request.app.state.settings.web_client:
        page = json.dumps(_page_of(request).etag)
        source = WORKER_SOURCE.format(version=CLIENT_VERSION, page=page, files=json.dumps(KEPT_FILES))
    else:
        source = REMOVING_WORKER
    headers = {
        "Cache-Control": "no-cache",
        "Service-Worker-Allowed": path_of(request, "/app"),  # it serves all pages of the client
        "Content-Security-Policy": WORKER_POLICY,
    }
    return Response(source, media_type=CLIENT_MEDIA_TYPES[".js"], headers=headers)


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
