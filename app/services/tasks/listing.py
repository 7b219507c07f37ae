"""Lists of tasks: order, keyset and offset paging. One statement a shape, compiled once."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, select, tuple_

from app.db.changes import OWNER
from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import InvalidCursor
from app.models.task_fields import TITLE_MAX, Priority
from app.models.task_rows import READ_COLUMNS, task_row
from app.models.tasks import TASKS
from app.models.types import MAX_YEAR, MIN_YEAR
from app.models.users import USERS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.task_query import Order, TaskQuery, TrashQuery
from app.services.tasks.queries import INFINITY, INSTANT, Shape, conditions, shape_and_values
from app.services.tasks.search import RELEVANCE
from app.services.tasks.statements import READ
from app.services.users import get_revision

SORT_KEY = len(READ_COLUMNS)  # position of the sort key in a record; the revision comes last
REVISION_NOW = func.coalesce(select(USERS.c.revision).where(USERS.c.id == OWNER).scalar_subquery(), 0)
# Sort keys and the type of their cursor value. Each is a column of an index, see the table; but for relevance.
KEYS: dict[str, tuple[Any, Any]] = {
    "created_at": (TASKS.c.created_at, INSTANT),
    "updated_at": (TASKS.c.updated_at, INSTANT),
    "due_date": (TASKS.c.due_sort, INSTANT),
    "completed_at": (TASKS.c.completed_sort, INSTANT),
    "deleted_at": (TASKS.c.deleted_at, INSTANT),
    "priority": (TASKS.c.priority_sort, Integer()),
    "title": (TASKS.c.title_sort, Text()),
    "relevance": (RELEVANCE, BigInteger()),
    "position": (TASKS.c.position, Text()),
}

LOWERED_MAX = 2 * TITLE_MAX  # characters: lower() makes two of "\u0130", and more than two of none


async def list_tasks(session: Session, owner: str, query: TaskQuery, *, count: bool) -> Page:
    """One page, with the revision of its snapshot; ``count`` also counts all matches. Raises InvalidCursor."""
    shape, values = shape_and_values(query, sort=query.sort, descending=query.direction is Order.DESC)
    page = await _page(session, owner, query, (query.sort, query.direction), shape, values)
    return replace(page, total=await _total(session, owner, shape, values) if count else None)


async def list_trash(session: Session, owner: str, query: TrashQuery, *, count: bool) -> Page:
    """What is in the trash, latest first. Raises InvalidCursor."""
    shape = Shape(sort="deleted_at", descending=True, trash=True)
    page = await _page(session, owner, query, ("deleted_at", Order.DESC), shape, {})
    return replace(page, total=await _total(session, owner, shape, {}) if count else None)


async def _total(session: Session, owner: str, shape: Shape, values: dict[str, Any]) -> int:
    total: int = (await session.exec(_count(shape), values | {"owner": owner})).one()
    return total


async def _page(
    session: Session,
    owner: str,
    query: TaskQuery | TrashQuery,
    sorting: tuple[str, Order],
    shape: Shape,
    filters: dict[str, Any],
) -> Page:
    sort, order = sorting
    values = filters | {"owner": owner, "limit": query.limit + 1, "offset": query.offset or 0}
    cursor = decode_cursor(query.cursor, sort=sort, order=order) if query.cursor else None
    if cursor:
        values |= {"after": _from_cursor(cursor), "after_id": cursor.id}
        shape = shape._replace(behind=True, descending=shape.descending != cursor.backward)
    records = (await session.exec(_list(shape), values)).all()
    # The revision travels with each row; of an empty list it is read in the same snapshot.
    revision = records[0][-1] if records else await get_revision(session, owner)
    backward = cursor is not None and cursor.backward
    more, records = len(records) > query.limit, records[: query.limit]
    if backward:
        records.reverse()
    has_next, has_prev = (True, more) if backward else (more, cursor is not None)

    def link(record: Any, towards_first: bool) -> str:
        return Cursor(sort, order, towards_first, _to_cursor(record[SORT_KEY]), record[0]).encode()

    return Page(
        rows=[task_row(record) for record in records],
        revision=revision,
        next_cursor=link(records[-1], False) if records and has_next else None,
        prev_cursor=link(records[0], True) if records and has_prev else None,
    )


@lru_cache(maxsize=512)
def _list(shape: Shape) -> Prepared:
    key, type_ = KEYS[shape.sort]
    statement = select(*READ, key.label("sort_key"), REVISION_NOW.label("revision")).where(*conditions(shape))
    if shape.behind:
        last = tuple_(bindparam("after", type_=type_), bindparam("after_id", type_=BigInteger))
        here = tuple_(key, TASKS.c.id)
        statement = statement.where(here < last if shape.descending else here > last)
    order = (key.desc(), TASKS.c.id.desc()) if shape.descending else (key, TASKS.c.id)
    return Prepared(statement.order_by(*order).limit(bindparam("limit")).offset(bindparam("offset")))


@lru_cache(maxsize=512)
def _count(shape: Shape) -> Prepared:
    return Prepared(select(func.count()).select_from(TASKS).where(*conditions(shape)))


def _to_cursor(value: Any) -> Any:
    """Instants as text; "" stands for infinity."""
    if isinstance(value, datetime):
        return "" if value.year == INFINITY.year else value.isoformat()  # the driver's is naive: not equal to ours
    return value


def _from_cursor(cursor: Cursor) -> Any:
    """The value as a parameter. Raises InvalidCursor for what ``_to_cursor`` cannot have written."""
    type_, value = KEYS[cursor.sort][1], cursor.value
    try:
        if type_ is INSTANT and type(value) is str:
            return _instant(value)
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


def _instant(text: str) -> datetime:
    """ValueError for any spelling but our own: the driver cannot encode all that can be parsed."""
    if not text:
        return INFINITY
    value = datetime.fromisoformat(text)
    if value.utcoffset() != timedelta(0) or value.isoformat() != text or not MIN_YEAR <= value.year <= MAX_YEAR:
        raise ValueError(text)
    return value
