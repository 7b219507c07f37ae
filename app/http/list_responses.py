"""Responses with a list: links to other pages, its revision, and 304 for a client that has it."""

from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response

from app.db.session import Session
from app.http.etags import is_unchanged, list_etag, note_list_etag
from app.http.paths import request_path
from app.http.responses import PRIVATE_NO_CACHE, Json, header
from app.http.routing import MAX_CACHED_QUERY_BYTES, known_names
from app.pagination import Page
from app.schemas.queries import ForwardQuery, PageQuery
from app.services import users

PAGING_NAMES = {"cursor", "offset", "skip", "page"}
LIST_HEADERS = header("ETag", "The revision and the query: send it back in If-None-Match.") | header(
    "X-Revision", "The revision of the latest write that this list includes.", "integer"
)
ARRAY_RESPONSE: dict[str, Any] = {"headers": LIST_HEADERS | header("Link", "RFC 8288: first, next and prev page.")}
TASK_LIST_RESPONSE: dict[str, Any] = {
    "headers": ARRAY_RESPONSE["headers"] | header("X-Total-Count", "All matching tasks, when `count=true`.", "integer")
}
LIST_UNCHANGED: dict[str, Any] = {"description": "Nothing has changed since the ETag sent.", "headers": LIST_HEADERS}


def _is_envelope(request: Request) -> bool:
    shape: str = request.app.state.settings.list_shape
    return shape == "envelope"


def wants_total(request: Request, query: PageQuery) -> bool:
    """Returns whether to count all matches, which costs in proportion to them; an envelope does so by default."""
    return query.count if query.count is not None else _is_envelope(request)


def etag_of_list(request: Request, revision: int, owner: str, zone: str = "") -> str:
    settings = request.app.state.settings
    shape = f"{settings.list_shape} {settings.completed_name}"
    return list_etag(revision, owner, request.scope["query_string"], shape, zone)


async def unchanged_list(
    request: Request, session: Session, owner: str, if_none_match: str | None, zone: str = ""
) -> Response | None:
    """Returns 304 after a single lookup by key; None when the list must be read."""
    if if_none_match is None:
        return None
    return unchanged_at(request, await users.get_revision(session, owner), owner, if_none_match, zone)


def unchanged_at(
    request: Request, revision: int, owner: str, if_none_match: str | None, zone: str = ""
) -> Response | None:
    """Returns 304 if ``if_none_match`` names what a response at ``revision`` would hold."""
    if if_none_match is None:
        return None
    if not is_unchanged(if_none_match, etag := etag_of_list(request, revision, owner, zone)):
        note_list_etag(request, owner, if_none_match, etag=etag, revision=revision)
        return None
    return Response(status_code=304, headers=list_headers(revision, etag))


def list_headers(revision: int, etag: str | None) -> dict[str, str]:
    headers = {"X-Revision": str(revision)}
    if etag is not None:
        headers |= {"ETag": etag, "Cache-Control": PRIVATE_NO_CACHE}
    return headers


def task_list_response(request: Request, page: Page, query: PageQuery, etag: str | None) -> Response:
    """Returns a list of tasks, as an array or in an envelope, as LIST_SHAPE specifies."""
    headers = _page_headers(request, page, query, etag)
    if (names := query.field_names) is not None:
        page = replace(page, rows=[{name: getattr(row, name) for name in names} for row in page.rows])
    return Json(_envelope(page, query) if _is_envelope(request) else page.rows, headers=headers)


def array_response(request: Request, page: Page, query: PageQuery | ForwardQuery, etag: str | None) -> Response:
    """Returns a list of any other entity, always as an array."""
    return Json(page.rows, headers=_page_headers(request, page, query, etag))


def _page_headers(request: Request, page: Page, query: PageQuery | ForwardQuery, etag: str | None) -> dict[str, str]:
    headers = list_headers(page.revision, etag)
    # Links leave out the names that were ignored; where unknown names are refused, there are none.
    known = known_names(type(query)) if request.app.state.settings.unknown_fields == "ignore" else None
    offset = query.offset if isinstance(query, PageQuery) else None
    path, text = request_path(request), request.scope["query_string"]
    headers["Link"] = link_header(path, text, page, offset=offset, limit=query.limit, known=known)
    if page.total is not None:
        headers["X-Total-Count"] = str(page.total)
    return headers


def link_header(
    path: str, query: bytes, page: Page, *, offset: int | None, limit: int, known: frozenset[str] | None = None
) -> str:
    """Returns RFC 8288 links, by offset when the request paged by offset, else by cursor.

    Names that are not ``known`` are left out; None keeps them all.
    """
    # Cached, since front-ends send few different queries; not the long ones, with which a client could fill the memory.
    repeat = _without_paging if len(query) <= MAX_CACHED_QUERY_BYTES else _without_paging.__wrapped__
    kept = repeat(query, known)
    more = f"<{path}?{kept}&" if kept else f"<{path}?"
    links = [f'<{path}{"?" + kept if kept else ""}>; rel="first"']
    if page.next_cursor is not None:
        place = f"cursor={page.next_cursor}" if offset is None else f"offset={offset + limit}"
        links.append(f'{more}{place}>; rel="next"')
    if offset:
        links.append(f'{more}offset={max(0, offset - limit)}>; rel="prev"')
    elif page.prev_cursor is not None:
        links.append(f'{more}cursor={page.prev_cursor}>; rel="prev"')
    return ", ".join(links)


@lru_cache(maxsize=1024)
def _without_paging(query: bytes, known: frozenset[str] | None) -> str:
    """Returns the query without its paging parameters."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode(
        [(name, value) for name, value in pairs if name not in PAGING_NAMES and (known is None or name in known)]
    )


def _envelope(page: Page, query: PageQuery) -> dict[str, Any]:
    return {
        "tasks": page.rows,
        "total": page.total,
        "count": len(page.rows),
        "limit": query.limit,
        "offset": query.offset or 0,
        "next_cursor": page.next_cursor,
    }
