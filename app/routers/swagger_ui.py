"""Swagger UI at /docs and the OpenAPI document, from this service alone: no CDN, no validator, no other host."""

import asyncio
import gzip
import hashlib
import json
import secrets
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse

from app.errors import NotFound
from app.http.etags import is_unchanged
from app.http.paths import path_of

router = APIRouter(include_in_schema=False)

SWAGGER_FOLDER = Path(__file__).parents[1] / "static" / "swagger"
SWAGGER_SCRIPT = (SWAGGER_FOLDER.parent / "swagger_page.js").read_text()
SWAGGER_VERSION = (SWAGGER_FOLDER / "VERSION").read_text().split()[1]
SWAGGER_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
# https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
SWAGGER_OPTIONS: dict[str, Any] = {
    "dom_id": "#swagger-ui",
    "deepLinking": True,
    "displayRequestDuration": True,
    "persistAuthorization": True,
    "tryItOutEnabled": True,
    "operationsSorter": None,  # the order of the document
    "validatorUrl": None,  # the badge would send the document's URL to another host
    "defaultModelsExpandDepth": 0,
    "docExpansion": "none",
    "filter": True,
}
SWAGGER_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{docs}/favicon-32x32.png?v={version}">
<link rel="stylesheet" href="{docs}/swagger-ui.css?v={version}" nonce="{nonce}">
<style nonce="{nonce}">body {{ margin: 0 }}</style>
</head>
<body>
<noscript>This page needs JavaScript. The document is at <a href="{document}">openapi.json</a>.</noscript>
<div id="swagger-ui"></div>
<script src="{docs}/swagger-ui-bundle.js?v={version}" nonce="{nonce}"></script>
<script nonce="{nonce}">const options = {options};
{script}</script>
</body>
</html>
"""


def _policy(nonce: str) -> str:
    """Returns the page's policy: scripts and styles by nonce, requests to this service, nothing else."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _script_json(value: object) -> str:
    """Encodes JSON that cannot end the script element around it."""
    return json.dumps(value).replace("<", "\\u003c")


@router.get("/docs")
async def read_docs(request: Request) -> HTMLResponse:
    """Returns Swagger UI. The nonce is new each time, so the page is never stored."""
    nonce, document = secrets.token_urlsafe(18), path_of(request, "/openapi.json")
    page = SWAGGER_PAGE.format(
        title=escape(request.app.title),
        docs=escape(path_of(request, "/docs")),
        document=escape(document),
        version=SWAGGER_VERSION,
        nonce=nonce,
        script=SWAGGER_SCRIPT,
        options=_script_json({"url": document, **SWAGGER_OPTIONS}),
    )
    headers = {
        "Content-Security-Policy": _policy(nonce),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(page, headers=headers)


@cache
def _asset(name: str, *, zipped: bool) -> bytes:
    content = (SWAGGER_FOLDER / name).read_bytes()
    return gzip.compress(content, mtime=0) if zipped else content


@router.get("/docs/{name}")
def read_docs_asset(name: str, v: str = "", accept_encoding: Annotated[str, Header()] = "") -> Response:
    """Returns a file of Swagger UI. Runs in a thread, because compressing 1.7 MB (once) would block the event loop."""
    if name not in SWAGGER_ASSETS:
        raise NotFound
    zipped = "gzip" in accept_encoding and not name.endswith(".png")
    headers = {
        # During a rollout, an old process may receive a request for a new version: that response must not be cached.
        "Cache-Control": "public, max-age=31536000, immutable" if v == SWAGGER_VERSION else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(_asset(name, zipped=zipped), media_type=SWAGGER_ASSETS[name], headers=headers)


class ServedDocument(NamedTuple):
    """The OpenAPI document as bytes, with its ETag."""

    body: bytes
    etag: str


@lru_cache(16)  # prefixes of proxies
def _document(app: FastAPI, prefix: str) -> ServedDocument:
    """Serialises the document at the first request, when the routes and the proxy's prefix are known."""
    servers = {"servers": [{"url": prefix}]} if prefix else {}
    body = json.dumps({**app.openapi(), **servers}, ensure_ascii=False, separators=(",", ":")).encode()
    return ServedDocument(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@router.get("/openapi.json")
async def read_openapi(request: Request, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Returns the document, or 304 if `If-None-Match` names it."""
    body, etag = await asyncio.to_thread(_document, request.app, path_of(request, ""))  # the first time takes 0.2 s
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if is_unchanged(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
