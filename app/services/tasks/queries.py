"""Queries of tasks: which ones a list, a bulk write or a saved view is about, and in what order.

A query is its statements and their values. Each text of a statement is compiled once.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    DateTime,
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
    tuple_,
)

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.models.tasks import TASKS
from app.models.users import USERS
from app.schemas.task_query import SortDirection, TaskConditions, TaskQuery, TaskStatusFilter
from app.services.tasks.search import MATCHES_SEARCH, SEARCH_RELEVANCE, words_of
from app.services.tasks.statements import TASK_COLUMNS
from app.services.users import OWNER_TIMEZONE

SORT_INSTANT = DateTime(timezone=True)
# What the driver sends as PostgreSQL's infinity. A parameter, and no expression around one: under row-level security
# that would not be part of an index range.
INFINITE_INSTANT = datetime.max.replace(tzinfo=UTC)
# A day begins up to 16 hours before or after it does in UTC, and the day of an instant up to 24 hours before it.
ZONE_MARGIN = timedelta(days=2)
# What is due in so short a time is found by its date and sorted. Longer ranges are tried along the order asked for:
# there a page is full soon, and to sort all that is due would take longer.
NARROW_RANGE = timedelta(days=100)
OWNER_REVISION = func.coalesce(select(USERS.c.revision).where(USERS.c.id == OWNER).scalar_subquery(), 0)
# Sort keys and the type of their cursor value. Each is a column of an index, see the table; but for relevance.
SORT_KEYS: dict[str, tuple[Any, Any]] = {
    "created_at": (TASKS.c.created_at, SORT_INSTANT),
    "updated_at": (TASKS.c.updated_at, SORT_INSTANT),
    "due_date": (TASKS.c.due_sort, SORT_INSTANT),
    "completed_at": (TASKS.c.completed_sort, SORT_INSTANT),
    "deleted_at": (TASKS.c.deleted_at, SORT_INSTANT),
    "priority": (TASKS.c.priority_sort, Integer()),
    "title": (TASKS.c.title_sort, Text()),
    "relevance": (SEARCH_RELEVANCE, BigInteger()),
    "position": (TASKS.c.position, Text()),
}


class QueryText(NamedTuple):
    """The parts of a query that its statements' text depends on; everything else is a parameter."""

    sort: str
    descending: bool
    after_cursor: bool = False
    trash: bool = False
    status: TaskStatusFilter = TaskStatusFilter.ALL
    search: bool = False
    priority: bool = False
    tags: bool = False
    due_before: str = ""
    due_after: str = ""
    overdue: bool | None = None
    by_due: bool = False
    project_id: str = ""
    parent_id: str = ""
    series_id: str = ""


class ListQuery:
    """The statements of a list, and ``values`` for all of them but the owner and the bounds of a page."""

    __slots__ = ("_text", "order", "sort", "values")

    def __init__(self, text: QueryText, values: dict[str, Any]) -> None:
        self._text = text
        self.values = values
        self.sort = text.sort
        self.order = SortDirection.DESC if text.descending else SortDirection.ASC

    @property
    def page(self) -> CompiledStatement:
        """Selects at most ``limit`` rows from ``offset`` on: TASK_COLUMNS, the sort key, the owner's revision."""
        return page_statement(self._text)

    def page_after(self, *, backward: bool) -> CompiledStatement:
        """Selects what ``page`` does after the sort key ``after`` and ``after_id``; ``backward`` in the other order."""
        return page_statement(self._text._replace(after_cursor=True, descending=self._text.descending != backward))

    @property
    def count(self) -> CompiledStatement:
        """Counts the rows of all pages."""
        return count_statement(self._text)

    @property
    def ids(self) -> CompiledStatement:
        """Selects at most ``limit`` ids, in the order of positions."""
        return ids_statement(self._text)


def query_of_list(query: TaskQuery) -> ListQuery:
    """Returns the query of a list."""
    return _build(query, sort=query.sort, descending=query.direction is SortDirection.DESC)


def query_of_trash() -> ListQuery:
    """Returns the query of the whole trash, latest first."""
    return ListQuery(QueryText(sort="deleted_at", descending=True, trash=True), {})


def query_of_matches(conditions: TaskConditions, *, in_trash: bool) -> ListQuery:
    """Returns the query of all tasks that meet ``conditions``."""
    return _build(conditions, sort="position", descending=False, trash=in_trash)


def _build(query: TaskConditions, *, sort: str, descending: bool, trash: bool = False) -> ListQuery:
    words = words_of(query.search)
    due_from = _as_instant(query.due_after, -ZONE_MARGIN) if query.due_after else None
    due_until = _as_instant(query.due_before, ZONE_MARGIN) if query.due_before else INFINITE_INSTANT
    text = QueryText(
        sort=sort,
        descending=descending,
        trash=trash,
        status=query.status,
        search=bool(words),
        priority=bool(query.priority),
        tags=bool(query.tag),
        due_before=_kind_of_date(query.due_before),
        due_after=_kind_of_date(query.due_after),
        overdue=query.overdue,
        by_due=sort == "due_date" or (due_from is not None and due_until - due_from < NARROW_RANGE),
        project_id=_kind_of_id(query.project_id),
        parent_id=_kind_of_id(query.parent_id),
        series_id=_kind_of_id(query.series_id),
    )
    values = {
        "words": words,
        "priorities": query.priority,
        "tags": query.tag,
        "due_before": query.due_before,
        "due_after": query.due_after,
        "due_from": due_from,
        "due_until": due_until,
        "project_id": query.project_id,
        "parent_id": query.parent_id,
        "series_id": query.series_id,
    }
    return ListQuery(text, values)


@lru_cache(maxsize=512)
def page_statement(text: QueryText) -> CompiledStatement:
    key, type_ = SORT_KEYS[text.sort]
    statement = select(*TASK_COLUMNS, key.label("sort_key"), OWNER_REVISION.label("revision")).where(*_conditions(text))
    if text.after_cursor:
        last = tuple_(bindparam("after", type_=type_), bindparam("after_id", type_=BigInteger))
        here = tuple_(key, TASKS.c.id)
        statement = statement.where(here < last if text.descending else here > last)
    order = (key.desc(), TASKS.c.id.desc()) if text.descending else (key, TASKS.c.id)
    return CompiledStatement(statement.order_by(*order).limit(bindparam("limit")).offset(bindparam("offset")))


@lru_cache(maxsize=512)
def count_statement(text: QueryText) -> CompiledStatement:
    return CompiledStatement(select(func.count()).select_from(TASKS).where(*_conditions(text)))


@lru_cache(maxsize=512)
def ids_statement(text: QueryText) -> CompiledStatement:
    statement = select(TASKS.c.id).where(*_conditions(text)).order_by(TASKS.c.position, TASKS.c.id)
    return CompiledStatement(statement.limit(bindparam("limit", type_=BigInteger)))


def _conditions(text: QueryText) -> list[Any]:
    c = TASKS.c
    found = [c.user_id == OWNER, c.deleted_at.is_not(None) if text.trash else c.deleted_at.is_(None)]
    if text.status is not TaskStatusFilter.ALL:
        found.append(c.completed if text.status is TaskStatusFilter.COMPLETED else ~c.completed)
    if text.search:
        found.append(MATCHES_SEARCH)
    if text.priority:
        found.append(c.priority == func.any(bindparam("priorities", type_=ARRAY(Text()))))
    if text.tags:
        found.append(c.tags.contains(bindparam("tags", type_=ARRAY(Text()))))
    for name in ("project_id", "parent_id", "series_id"):
        if kind := getattr(text, name):
            found.append(c[name].is_(None) if kind == "none" else c[name] == bindparam(name, type_=BigInteger))
    if text.due_before:
        day, instant = _bounds("due_before", text.due_before)
        found.append(or_(c.due_on < day, c.due_at < instant))
    if text.due_after:
        day, instant = _bounds("due_after", text.due_after)
        found.append(or_(c.due_on >= day, c.due_at >= instant))
    if text.overdue is not None:
        today = cast(func.timezone(OWNER_TIMEZONE, func.now()), Date)
        late = and_(~c.completed, func.coalesce(c.due_on < today, c.due_at < func.now(), False))
        found.append(late if text.overdue else ~late)
    return found + _due_range(text)


def _due_range(text: QueryText) -> list[Any]:
    """Returns the range of due dates as one of the index of due dates. Tasks without a date are at infinity."""
    if not text.by_due:
        return []
    found = []
    if text.due_after:
        found.append(TASKS.c.due_sort >= bindparam("due_from", type_=SORT_INSTANT))
    if text.due_after or text.due_before:
        found.append(TASKS.c.due_sort < bindparam("due_until", type_=SORT_INSTANT))
    elif text.overdue:
        found.append(TASKS.c.due_sort < func.now() + ZONE_MARGIN)
    return found


def _bounds(name: str, kind: str) -> tuple[Any, Any]:
    """Returns a day and an instant that mean the same moment in the owner's time zone."""
    if kind == "day":
        day = bindparam(name, type_=Date)
        return day, func.timezone(OWNER_TIMEZONE, cast(day, DateTime()))
    if kind == "local":
        local = bindparam(name, type_=DateTime())
        return cast(local, Date), func.timezone(OWNER_TIMEZONE, local)
    instant = bindparam(name, type_=SORT_INSTANT)
    return cast(func.timezone(OWNER_TIMEZONE, instant), Date), instant


def _as_instant(due: date | datetime, apart: timedelta) -> datetime:
    """Returns ``due`` in UTC, so far ``apart`` that it is beyond what it means in any time zone."""
    if not isinstance(due, datetime):
        due = datetime(due.year, due.month, due.day)  # noqa: DTZ001 - a day has no zone
    return (due if due.tzinfo else due.replace(tzinfo=UTC)) + apart


def _kind_of_id(row_id: int | str | None) -> str:
    return "" if row_id is None else "none" if row_id == "none" else "one"


def _kind_of_date(due: date | datetime | None) -> str:
    if due is None:
        return ""
    if not isinstance(due, datetime):
        return "day"
    return "instant" if due.tzinfo else "local"
