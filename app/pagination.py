"""Pages: limits, the opaque cursor of keyset paging, the Link header."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app.errors import InvalidCursor
from app.models.task_fields import TITLE_MAX
from app.models.types import MAX_ID, MAX_YEAR, MIN_YEAR

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
OFFSET_MAX = 2**31 - 1
# In the worst case a cursor holds a title of control characters, which JSON writes as \u0001: 6 bytes each (no other
# character takes more than 4, lowered or not), and 90 bytes for the rest; base64 makes 4 characters of 3 bytes.
CURSOR_MAX = (TITLE_MAX * 6 + 90) * 4 // 3 + 1


class Cursor(NamedTuple):
    """The row after which a page begins; with ``backward`` the row before which it ends.

    ``revision`` is the owner's when the page of the cursor was read: no list that was begun before a restore continues
    after it. Cursors of version 0.1 have none; 0 is in the epoch before the first restore, like all of theirs.
    """

    sort: str
    order: str
    backward: bool
    value: Any
    id: int
    revision: int = 0

    def encode(self) -> str:
        parts = [self.sort, self.order, int(self.backward), self.value, self.id, self.revision]
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
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
        and type(cursor.backward) is int
        and cursor.backward in (0, 1)
        and type(cursor.id) is int
        and 0 < cursor.id <= MAX_ID
        and type(cursor.revision) is int
        and 0 <= cursor.revision <= MAX_ID
    )
    if not valid:
        raise InvalidCursor(loc=("query", "cursor"))
    return cursor._replace(backward=bool(cursor.backward))


def parse_cursor_instant(text: Any) -> datetime:
    """Reads our own spelling. Raises ValueError for any other: the driver cannot encode all that can be parsed."""
    if type(text) is not str:
        raise ValueError(text)
    value = datetime.fromisoformat(text)
    if value.utcoffset() != timedelta(0) or value.isoformat() != text or not MIN_YEAR <= value.year <= MAX_YEAR:
        raise ValueError(text)
    return value


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, with the cursors of its neighbours. ``revision`` is the owner's when it was read."""

    rows: list[Any]
    revision: int
    next_cursor: str | None = None
    prev_cursor: str | None = None
    total: int | None = None
