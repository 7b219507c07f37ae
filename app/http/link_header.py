"""The Link header of a list (RFC 8288)."""

from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from app.pagination import Page

MAX_CACHED_QUERY_BYTES = 256
PAGING_NAMES = {"cursor", "offset", "skip", "page"}


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
