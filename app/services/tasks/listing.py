"""Pages of tasks: by cursor or by offset, with the revision of their snapshot."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, Text

from app.db.session import Session
from app.errors import InvalidCursor
from app.models.task_fields import TITLE_MAX, Priority
from app.models.task_rows import TASK_READ_COLUMNS, task_row, trash_row
from app.pagination import Cursor, Page, decode_cursor, parse_cursor_instant
from app.schemas.task_query import TaskQuery, TrashQuery
from app.services.changes.revisions import require_same_epoch
from app.services.tasks.filters import resolve_filter
from app.services.tasks.queries import (
    INFINITE_INSTANT,
    SORT_INSTANT,
    SORT_KEYS,
    ListQuery,
    query_of_list,
    query_of_trash,
)
from app.services.uids import ABSENT_ID, resolve_uids
from app.services.users import get_revision, get_timezone

SORT_KEY_PLACE = len(TASK_READ_COLUMNS)  # of the sort key in a record; the revision comes last
LOWERED_MAX = 2 * TITLE_MAX  # characters: lower() makes two of "\u0130", and more than two of none


async def get_query_zone(session: Session, owner: str, query: TaskQuery) -> str:
    """Returns the owner's time zone if the query depends on it, else an empty string.

    Called before the page is read: an ETag with a zone older than its page only costs a read, one with a newer zone
    would keep a stale page.
    """
    return await get_timezone(session, owner) if query.depends_on_zone else ""


async def list_tasks(session: Session, owner: str, query: TaskQuery, *, count: bool) -> Page:
    """Returns one page; ``count`` also counts all matches. Raises InvalidCursor and ChangesGone."""
    query = await resolve_uids(session, owner, query, loc=("query",), absent=ABSENT_ID)
    tree = await resolve_filter(session, owner, query.filter_tree)
    return await _list(session, owner, query, query_of_list(query, tree), count=count)


async def list_trash(session: Session, owner: str, query: TrashQuery, *, count: bool) -> Page:
    """Returns one page of the trash, latest first. Raises InvalidCursor and ChangesGone."""
    return await _list(session, owner, query, query_of_trash(), count=count, to_row=trash_row)


async def _list(
    session: Session,
    owner: str,
    wanted: TaskQuery | TrashQuery,
    query: ListQuery,
    *,
    count: bool,
    to_row: Callable[[Any], Any] = task_row,
) -> Page:
    page = await _select_page(session, owner, wanted, query, to_row)
    if not count:
        return page
    total: int = (await session.exec(query.count, {**query.values, "owner": owner})).one()
    return replace(page, total=total)


async def _select_page(
    session: Session, owner: str, wanted: TaskQuery | TrashQuery, query: ListQuery, to_row: Callable[[Any], Any]
) -> Page:
    values = {**query.values, "owner": owner, "limit": wanted.limit + 1, "offset": wanted.offset or 0}
    cursor = decode_cursor(wanted.cursor, sort=query.sort, order=query.order) if wanted.cursor else None
    if cursor:
        values |= {"after": _from_cursor(cursor), "after_id": cursor.id}
        statement = query.page_after(backward=cursor.backward)
    else:
        statement = query.page
    records = (await session.exec(statement, values)).all()
    # The revision travels with each row; of an empty list it is read in the same snapshot.
    revision = records[0][-1] if records else await get_revision(session, owner)
    if cursor:
        await require_same_epoch(session, owner, cursor.revision, current=revision)
    backward = cursor is not None and cursor.backward
    more, records = len(records) > wanted.limit, records[: wanted.limit]
    if backward:
        records.reverse()
    has_next, has_prev = (True, more) if backward else (more, cursor is not None)

    def link(record: Any, towards_first: bool) -> str:
        value = _to_cursor(record[SORT_KEY_PLACE])
        return Cursor(query.sort, query.order, towards_first, value, record[0], revision).encode()

    return Page(
        rows=[to_row(record) for record in records],
        revision=revision,
        next_cursor=link(records[-1], False) if records and has_next else None,
        prev_cursor=link(records[0], True) if records and has_prev else None,
    )


def _to_cursor(value: Any) -> Any:
    """Returns the value as JSON: instants as text, "" for infinity."""
    if isinstance(value, datetime):
        return "" if value.year == INFINITE_INSTANT.year else value.isoformat()  # the driver's is naive
    return value


def _from_cursor(cursor: Cursor) -> Any:
    """Returns the value as a parameter. Raises InvalidCursor for what ``_to_cursor`` cannot have written."""
    type_, value = SORT_KEYS[cursor.sort][1], cursor.value
    try:
        if type_ is SORT_INSTANT and type(value) is str:
            return parse_cursor_instant(value) if value else INFINITE_INSTANT
        if isinstance(type_, BigInteger) and type(value) is int and abs(value) < 2**62:
            return value
        if (
            isinstance(type_, Integer)
            and not isinstance(type_, BigInteger)
            and type(value) is int
            and 1 <= value <= len(Priority)
        ):
            return value
        if isinstance(type_, Text) and type(value) is str and "\0" not in value and len(value) <= LOWERED_MAX:
            value.encode()
            return value
    except ValueError:
        pass
    raise InvalidCursor(loc=("query", "cursor"))
