"""Pages: limits, the opaque cursor of keyset paging, the Link header."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from app.errors import Invalid

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
OFFSET_MAX = 2**31 - 1
PAGING_NAMES = {"cursor", "offset", "skip", "page"}


class InvalidCursor(Invalid):
    code, message = "invalid_cursor", "The cursor is not one this service made for this sort order."


class Cursor(NamedTuple):
    """The row a page begins behind. ``backward`` pages lead towards the first one."""

    sort: str
    order: str
    backward: bool
    value: Any
    id: int

    def encode(self) -> str:
        text = json.dumps([self.sort, self.order, int(self.backward), self.value, self.id], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, *, sort: str, order: str) -> Cursor:
    """Raises InvalidCursor for anything ``Cursor.encode`` did not write for this sort and order."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = Cursor(*json.loads(raw.decode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise InvalidCursor(loc=("query", "cursor")) from None
    valid = (
        (cursor.sort, cursor.order) == (sort, order)
        and cursor.backward in (0, 1)
        and isinstance(cursor.value, str | int)
        and type(cursor.id) is int
        and 0 < cursor.id < 2**63
    )
    if not valid:
        raise InvalidCursor(loc=("query", "cursor"))
    return cursor._replace(backward=bool(cursor.backward))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows and the way on. ``revision`` is the owner's number of the moment it was read."""

    rows: list[Any]
    revision: int
    next_cursor: str | None = None
    prev_cursor: str | None = None
    total: int | None = None


def link_header(path: str, query: bytes, page: Page, *, offset: int | None, limit: int) -> str:
    """RFC 8288 links; by offset when the request paged by offset, else by cursor. ``path`` is not yet encoded."""
    path = quote(path)  # a user id may hold what no header can
    kept = [
        (name, value)
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if name not in PAGING_NAMES
    ]

    def link(relation: str, extra: Mapping[str, str | int]) -> str:
        text = urlencode([*kept, *extra.items()])
        return f'<{path}{"?" + text if text else ""}>; rel="{relation}"'

    links = [link("first", {})]
    if page.next_cursor is not None:
        links.append(link("next", {"cursor": page.next_cursor} if offset is None else {"offset": offset + limit}))
    if offset:
        links.append(link("prev", {"offset": max(0, offset - limit)}))
    elif page.prev_cursor is not None:
        links.append(link("prev", {"cursor": page.prev_cursor}))
    return ", ".join(links)
