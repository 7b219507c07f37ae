"""Queries of tasks: which ones a list, a bulk write or a saved view is about, and in what order.

A query is its statements and their values. Each text of a statement is compiled once.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)

from app.db.changes import OWNER, OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.domain.filters.tree import FilterTree
from app.models.task_indexes import LONG_TEXT_CONDITION, SHORT_TEXT_CONDITION
from app.models.tasks import TASKS
from app.models.users import USERS
from app.schemas.task_query import SortDirection, TaskConditions, TaskQuery, TaskStatusFilter
from app.services.tasks.filters import (
    DUE_COLUMNS,
    OWNER_TODAY,
    filter_condition,
    has_status,
    is_available,
    is_before,
    is_from,
    is_overdue,
    split_filter,
)
from app.services.tasks.search import MATCHES_SEARCH, SEARCH_RELEVANCE, words_of
from app.services.tasks.statements import TASK_COLUMNS

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
LATEST_TODAY = func.now() + ZONE_MARGIN
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

# Of a project by the columns that tasks_by_project includes, of words and tags by those of tasks_by_text.
PROJECT_SORTS = {"created_at", "updated_at", "due_date", "completed_at", "priority"}
TEXT_SORTS = {"created_at", "relevance"}
IS_SHORT_TEXT: Any = literal_column(SHORT_TEXT_CONDITION, Boolean)
IS_LONG_TEXT: Any = literal_column(LONG_TEXT_CONDITION, Boolean)


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
    deadline_before: bool = False
    deadline_after: bool = False
    overdue: bool | None = None
    available: bool | None = None
    favorite: bool | None = None
    by_due: bool = False
    project_id: str = ""
    parent_id: str = ""
    series_id: str = ""
    filter: FilterTree | None = None  # with names of parameters in the places of values

    @property
    def by_text(self) -> bool:
        """Returns whether tasks_by_text has all columns of the conditions."""
        return (self.search or self.tags) and self._has_only("search", "tags", "project_id")

    @property
    def is_covered(self) -> bool:
        """Returns whether an index that finds the tasks also has their sort key."""
        if self._has_only("project_id"):
            return self.sort in PROJECT_SORTS
        by_due = self.by_due and self._has_only("due_before", "due_after")
        return (by_due and self.sort == "created_at") or (self.by_text and self.sort in TEXT_SORTS)

    def _has_only(self, *names: str) -> bool:
        """Returns whether there are conditions, and only those named."""
        set_names = {name for name in CONDITION_NAMES if getattr(self, name) != self._field_defaults[name]}
        return bool(set_names) and set_names <= set(names)


CONDITION_NAMES = set(QueryText._fields) - {"sort", "descending", "after_cursor", "by_due"}


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


def query_of_list(query: TaskQuery, tree: FilterTree | None) -> ListQuery:
    """Returns the query of a list; ``tree`` is its filter from ``resolve_filter``."""
    return _build(query, tree, sort=query.sort, descending=query.direction is SortDirection.DESC)


def query_of_trash() -> ListQuery:
    """Returns the query of the whole trash, latest first."""
    return ListQuery(QueryText(sort="deleted_at", descending=True, trash=True), {})


def query_of_matches(conditions: TaskConditions, tree: FilterTree | None, *, in_trash: bool) -> ListQuery:
    """Returns the query of all tasks that meet ``conditions``; ``tree`` is their filter from ``resolve_filter``."""
    return _build(conditions, tree, sort="position", descending=False, trash=in_trash)


def _build(
    query: TaskConditions, tree: FilterTree | None, *, sort: str, descending: bool, trash: bool = False
) -> ListQuery:
    words = words_of(query.search)
    due_from = _as_instant(query.due_after, -ZONE_MARGIN) if query.due_after else None
    due_until = _as_instant(query.due_before, ZONE_MARGIN) if query.due_before else INFINITE_INSTANT
    filter_shape, filter_values = (None, {}) if tree is None else split_filter(tree)
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
        deadline_before=query.deadline_before is not None,
        deadline_after=query.deadline_after is not None,
        overdue=query.overdue,
        available=query.available,
        favorite=query.favorite,
        by_due=sort == "due_date" or (due_from is not None and due_until - due_from < NARROW_RANGE),
        project_id=_kind_of_id(query.project_id),
        parent_id=_kind_of_id(query.parent_id),
        series_id=_kind_of_id(query.series_id),
        filter=filter_shape,
    )
    values = {
        "words": words,
        "priorities": query.priority,
        "tags": query.tag,
        "due_before": query.due_before,
        "due_after": query.due_after,
        "deadline_before": query.deadline_before,
        "deadline_after": query.deadline_after,
        "due_from": due_from,
        "due_until": due_until,
        "project_id": query.project_id,
        "parent_id": query.parent_id,
        "series_id": query.series_id,
        **filter_values,
    }
    return ListQuery(text, values)


def statement_cache(compile_text: Callable[[QueryText], Select[Any]]) -> Callable[[QueryText], CompiledStatement]:
    """Caches the statements of texts; those with a filter apart, so that a client's many filters evict no others."""

    @lru_cache(maxsize=512)
    def compile_statement(text: QueryText) -> CompiledStatement:
        return CompiledStatement(compile_text(text))

    @lru_cache(maxsize=64)
    def compile_filter(text: QueryText) -> CompiledStatement:
        return CompiledStatement(compile_text(text), prepared=False)

    return lambda text: compile_statement(text) if text.filter is None else compile_filter(text)


@statement_cache
def page_statement(text: QueryText) -> Select[Any]:
    key, type_ = SORT_KEYS[text.sort]
    conditions = _conditions(text)
    if text.after_cursor:
        last = tuple_(bindparam("after", type_=type_), bindparam("after_id", type_=BigInteger))
        here = tuple_(key, TASKS.c.id)
        conditions.append(here < last if text.descending else here > last)
    statement = select(*TASK_COLUMNS, key.label("sort_key"), OWNER_REVISION.label("revision")).where(*conditions)
    order = (key.desc(), TASKS.c.id.desc()) if text.descending else (key, TASKS.c.id)
    if text.overdue and text.by_due:
        return _page_of_overdue(statement, order, text)
    if text.is_covered:
        return _page_of_covered(text, key, order, conditions)
    return statement.order_by(*order).limit(bindparam("limit")).offset(bindparam("offset"))


def _page_of_covered(text: QueryText, key: Any, order: Sequence[Any], conditions: list[Any]) -> Select[Any]:
    """Returns a page of which the ids are found in an index alone: only its own rows are read."""
    ids: Any = select(TASKS.c.id, key.label("sort_key")).where(*conditions).order_by(*order)
    limit, offset = (bindparam(name, type_=BigInteger) for name in ("limit", "offset"))
    if text.by_text:
        ids = _ids_of_both_texts(text, key, ids, limit + offset)
    page = select(ids.limit(limit).offset(offset).subquery().c.id)
    columns = (*TASK_COLUMNS, key.label("sort_key"), OWNER_REVISION.label("revision"))
    found_here = TASKS.c.id == func.any(func.array(page.scalar_subquery()))
    return select(*columns).where(TASKS.c.user_id == OWNER, found_here).order_by(*order)


def _ids_of_both_texts(text: QueryText, key: Any, ids: Any, wanted: Any) -> Any:
    """Returns the first ``wanted`` of ``ids``, from the index that has their text and from the table.

    Of those in the table only the ones are read that come before the last of the others.
    """
    short = ids.where(IS_SHORT_TEXT).limit(wanted).cte("short")
    long = ids.where(IS_LONG_TEXT)
    if text.sort != "relevance":  # else it is no range of an index
        last = select(short.c.sort_key).offset(wanted - 1).limit(literal_column("1")).scalar_subquery()
        none: Any = literal_column(f"'{'-' * text.descending}infinity'::timestamptz")
        bound = select(func.coalesce(last, none)).scalar_subquery()  # coalesce() itself would be no part of a range
        long = long.where(key >= bound if text.descending else key <= bound)
    found = union_all(select(short), select(long.limit(wanted).subquery())).subquery()
    keys = (found.c.sort_key, found.c.id)
    return select(found).order_by(*(column.desc() if text.descending else column for column in keys))


def _page_of_overdue(statement: Any, order: Sequence[Any], text: QueryText) -> Select[Any]:
    """Returns a page in the order of due dates, of two ranges of indexes.

    One is of due dates that have passed, of which no more is read than the page may need, the other of deadlines that
    have passed before the due date.
    """
    limit, offset = (bindparam(name, type_=BigInteger) for name in ("limit", "offset"))
    late = statement.where(TASKS.c.due_sort < LATEST_TODAY).order_by(*order).limit(limit + offset)
    # OFFSET keeps the order of the whole out of it: the few rows of that range are sorted.
    others = statement.where(TASKS.c.due_sort >= LATEST_TODAY, TASKS.c.deadline < OWNER_TODAY)
    rows = union_all(select(late.subquery()), select(others.offset(literal_column("0")).subquery())).subquery()
    keys = (rows.c.sort_key, rows.c.id)
    return select(rows).order_by(*(key.desc() if text.descending else key for key in keys)).limit(limit).offset(offset)


@statement_cache
def count_statement(text: QueryText) -> Select[Any]:
    statement = select(func.count()).select_from(TASKS).where(*_conditions(text))
    if not text.by_text:
        return statement
    short, long = (statement.where(each).scalar_subquery() for each in (IS_SHORT_TEXT, IS_LONG_TEXT))
    return select(short + long)


@statement_cache
def ids_statement(text: QueryText) -> Select[Any]:
    statement = select(TASKS.c.id).where(*_conditions(text)).order_by(TASKS.c.position, TASKS.c.id)
    return statement.limit(bindparam("limit", type_=BigInteger))


def _conditions(text: QueryText) -> list[Any]:
    c = TASKS.c
    found = [c.user_id == OWNER, c.deleted_at.is_not(None) if text.trash else c.deleted_at.is_(None)]
    if text.status is not TaskStatusFilter.ALL:
        found.append(has_status(text.status))
    if text.search:
        found.append(MATCHES_SEARCH)
    if text.priority:
        found.append(c.priority == func.any(bindparam("priorities", type_=ARRAY(Text()))))
    if text.tags:
        found.append(c.tags.contains(bindparam("tags", type_=ARRAY(Text()))))
    for name in ("project_id", "parent_id", "series_id"):
        if kind := getattr(text, name):
            found_here = c[name].is_(None) if kind == "none" else c[name] == bindparam(name, type_=BigInteger)
            # Behind coalesce() it is no reason to enter the index of projects, which lacks the text.
            found.append(func.coalesce(found_here, literal_column("false")) if text.by_text else found_here)
    if text.due_before:
        found.append(is_before(DUE_COLUMNS, *_bounds("due_before", text.due_before)))
    if text.due_after:
        found.append(is_from(DUE_COLUMNS, *_bounds("due_after", text.due_after)))
    if text.deadline_before:
        found.append(c.deadline < bindparam("deadline_before", type_=Date))
    if text.deadline_after:
        found.append(c.deadline >= bindparam("deadline_after", type_=Date))
    if text.overdue is not None:
        found.append(is_overdue() if text.overdue else ~is_overdue())
    if text.available is not None:
        found.append(is_available() if text.available else ~is_available())
    if text.favorite is not None:
        found.append(c.favorite if text.favorite else ~c.favorite)
    if text.filter is not None:
        found.append(filter_condition(text.filter))
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
