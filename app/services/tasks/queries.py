"""Which of the owner's tasks a list, a bulk write or a saved view is about."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Date, DateTime, Text, and_, bindparam, cast, func, or_

from app.db.changes import OWNER
from app.models.tasks import TASKS
from app.schemas.task_query import Status, TaskConditions
from app.services.tasks.search import MATCHES, words_of
from app.services.users import TIMEZONE

INSTANT = DateTime(timezone=True)
# What the driver sends as PostgreSQL's infinity. A parameter, and no expression around one: under row-level security
# that would not be part of an index range.
INFINITY = datetime.max.replace(tzinfo=UTC)
# A day begins up to 16 hours before or after it does in UTC, and the day of an instant up to 24 hours before it.
ZONES = timedelta(days=2)
# What is due in so short a time is found by its date and sorted. Longer ranges are tried along the order asked for:
# there a page is full soon, and to sort all that is due would take longer.
NARROW = timedelta(days=100)


class Shape(NamedTuple):
    """What the text of a list statement depends on; everything else is a parameter of it."""

    sort: str
    descending: bool
    behind: bool = False
    trash: bool = False
    status: Status = Status.ALL
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


def conditions(shape: Shape) -> list[Any]:
    c = TASKS.c
    found = [c.user_id == OWNER, c.deleted_at.is_not(None) if shape.trash else c.deleted_at.is_(None)]
    if shape.status is not Status.ALL:
        found.append(c.completed if shape.status is Status.COMPLETED else ~c.completed)
    if shape.search:
        found.append(MATCHES)
    if shape.priority:
        found.append(c.priority == func.any(bindparam("priorities", type_=ARRAY(Text()))))
    if shape.tags:
        found.append(c.tags.contains(bindparam("tags", type_=ARRAY(Text()))))
    for name in ("project_id", "parent_id", "series_id"):
        if kind := getattr(shape, name):
            found.append(c[name].is_(None) if kind == "none" else c[name] == bindparam(name, type_=BigInteger))
    if shape.due_before:
        day, instant = _bounds("due_before", shape.due_before)
        found.append(or_(c.due_on < day, c.due_at < instant))
    if shape.due_after:
        day, instant = _bounds("due_after", shape.due_after)
        found.append(or_(c.due_on >= day, c.due_at >= instant))
    if shape.overdue is not None:
        today = cast(func.timezone(TIMEZONE, func.now()), Date)
        late = and_(~c.completed, func.coalesce(c.due_on < today, c.due_at < func.now(), False))
        found.append(late if shape.overdue else ~late)
    return found + _range(shape)


def _range(shape: Shape) -> list[Any]:
    """The range of due dates as one of the index of due dates. Tasks without a date are at infinity."""
    if not shape.by_due:
        return []
    found = []
    if shape.due_after:
        found.append(TASKS.c.due_sort >= bindparam("due_from", type_=INSTANT))
    if shape.due_after or shape.due_before:
        found.append(TASKS.c.due_sort < bindparam("due_until", type_=INSTANT))
    elif shape.overdue:
        found.append(TASKS.c.due_sort < func.now() + ZONES)
    return found


def _bounds(name: str, kind: str) -> tuple[Any, Any]:
    """A day and an instant that mean the same moment in the owner's time zone."""
    if kind == "day":
        day = bindparam(name, type_=Date)
        return day, func.timezone(TIMEZONE, cast(day, DateTime()))
    if kind == "local":
        local = bindparam(name, type_=DateTime())
        return cast(local, Date), func.timezone(TIMEZONE, local)
    instant = bindparam(name, type_=INSTANT)
    return cast(func.timezone(TIMEZONE, instant), Date), instant


def shape_and_values(query: TaskConditions, *, sort: str, descending: bool) -> tuple[Shape, dict[str, Any]]:
    words = words_of(query.search)
    due_from = _as_instant(query.due_after, -ZONES) if query.due_after else None
    due_until = _as_instant(query.due_before, ZONES) if query.due_before else INFINITY
    shape = Shape(
        sort=sort,
        descending=descending,
        status=query.status,
        search=bool(words),
        priority=bool(query.priority),
        tags=bool(query.tag),
        due_before=_kind(query.due_before),
        due_after=_kind(query.due_after),
        overdue=query.overdue,
        by_due=sort == "due_date" or (due_from is not None and due_until - due_from < NARROW),
        project_id=_which(query.project_id),
        parent_id=_which(query.parent_id),
        series_id=_which(query.series_id),
    )
    return shape, {
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


def _as_instant(due: date | datetime, apart: timedelta) -> datetime:
    """In UTC, and so far ``apart`` that it is beyond what ``due`` means in any time zone."""
    if not isinstance(due, datetime):
        due = datetime(due.year, due.month, due.day)  # noqa: DTZ001 - a day has no zone
    return (due if due.tzinfo else due.replace(tzinfo=UTC)) + apart


def _which(row_id: int | str | None) -> str:
    return "" if row_id is None else "none" if row_id == "none" else "one"


def _kind(due: date | datetime | None) -> str:
    if due is None:
        return ""
    if not isinstance(due, datetime):
        return "day"
    return "instant" if due.tzinfo else "local"
