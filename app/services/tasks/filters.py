"""Filters as conditions of statements: the fields of the filter language as columns of tasks.

A condition is about the task alone or about rows of the same owner. It never stands alone: the queries that use it have
the owner beside it, in the same AND. All values are parameters.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)

from app.clock import now
from app.db.changes import OWNER, OWNER_TIMEZONE
from app.db.session import Session
from app.domain.filters.fields import has_moments
from app.domain.filters.moments import resolve_moment
from app.domain.filters.tree import FilterTree, Group, Inverse, conditions_of
from app.models.comments import COMMENTS
from app.models.projects import PROJECTS
from app.models.tasks import TASKS, is_late, is_open
from app.schemas.task_query import TaskStatusFilter
from app.services.tasks.search import LIVE_COMMENTS, has_word, has_word_anywhere
from app.services.tasks.statements import HAS_SUBTASK
from app.services.users import get_timezone

Names = Sequence[str]  # of the parameters of a condition
Build = Callable[[tuple[str, ...], Names], Any]
FILTER_INSTANT = DateTime(timezone=True)
# A query of its own: an expression would be computed for each row, and not be part of an index range.
OWNER_TODAY = select(cast(func.timezone(OWNER_TIMEZONE, func.now()), Date)).scalar_subquery()
_zero: Any = literal_column("0")


class DateColumns(NamedTuple):
    """The columns of a date that is a day or an instant; None: it is never one."""

    day: Any
    instant: Any


DUE_COLUMNS = DateColumns(TASKS.c.due_on, TASKS.c.due_at)


def has_status(status: str) -> ColumnElement[bool]:
    """Returns the condition of a status; pending are all that are open, as stored views and other clients expect."""
    if status == TaskStatusFilter.COMPLETED:
        return TASKS.c.completed
    if status == TaskStatusFilter.PENDING:
        return is_open()
    return and_(~TASKS.c.completed, TASKS.c.state == literal_column(f"'{TaskStatusFilter(status)}'"))


def is_overdue() -> ColumnElement[bool]:
    """Returns the condition that a task is open and past its due date or its deadline."""
    return and_(is_open(), is_late(OWNER_TODAY))


def is_available() -> ColumnElement[bool]:
    """Returns the condition that a task is not one that is open and starts later."""
    return ~and_(is_open(), func.coalesce(TASKS.c.start_on > OWNER_TODAY, TASKS.c.start_at > func.now(), False))


def is_before(columns: DateColumns, day: Any, instant: Any) -> ColumnElement[bool]:
    """Returns whether a date is before the day or the instant, which mean the same; a day is over at its end."""
    return _either(operator.lt, columns, (day, instant))


def is_from(columns: DateColumns, day: Any, instant: Any) -> ColumnElement[bool]:
    """Returns whether a date is at the day or the instant or later."""
    return _either(operator.ge, columns, (day, instant))


def _either(compare: Callable[[Any, Any], Any], columns: DateColumns, bounds: tuple[Any, Any]) -> ColumnElement[bool]:
    pairs = zip(columns, bounds, strict=True)
    return or_(*(compare(column, bound) for column, bound in pairs if column is not None))


async def resolve_filter(session: Session, owner: str, tree: FilterTree | None) -> FilterTree | None:
    """Returns the tree with a day and an instant in place of each moment, in the owner's time zone."""
    if tree is None or not any(map(has_moments, conditions_of(tree))):
        return tree
    zone, moment = ZoneInfo(await get_timezone(session, owner)), now()

    def resolve(part: FilterTree) -> FilterTree:
        if isinstance(part, Inverse):
            return Inverse(resolve(part.part))
        if isinstance(part, Group):
            return part._replace(parts=tuple(map(resolve, part.parts)))
        if not has_moments(part):
            return part
        return part._replace(values=tuple(v for each in part.values for v in resolve_moment(each, moment, zone)))

    return resolve(tree)


def split_filter(tree: FilterTree) -> tuple[FilterTree, dict[str, Any]]:
    """Returns the tree with names of parameters in the places of values, and the values by these names."""
    values: dict[str, Any] = {}

    def name(part: FilterTree) -> FilterTree:
        if isinstance(part, Inverse):
            return Inverse(name(part.part))
        if isinstance(part, Group):
            return part._replace(parts=tuple(map(name, part.parts)))
        names = tuple(f"filter_{number}" for number in range(len(values), len(values) + len(part.values)))
        values.update(zip(names, part.values, strict=True))
        return part._replace(values=names)

    return name(tree), values


def filter_condition(tree: FilterTree) -> ColumnElement[bool]:
    """Returns the condition of a tree of ``split_filter``.

    What a task lacks meets no condition: null counts as false, and the inverse holds.
    """
    if isinstance(tree, Inverse):
        return filter_condition(tree.part).is_not(true())
    if isinstance(tree, Group):
        return (or_ if tree.any_of else and_)(*map(filter_condition, tree.parts))
    condition: ColumnElement[bool] = FILTER_CONDITIONS[tree.field](tree.form, tree.values)
    return condition


def _text(before: str, after: str) -> Build:
    return lambda form, names: has_word(bindparam(names[0], type_=Text), before, after)


def _any_text(form: tuple[str, ...], names: Names) -> Any:
    return has_word_anywhere(bindparam(names[0], type_=Text))


def _tag(form: tuple[str, ...], names: Names) -> Any:
    if form == ("none",):
        return func.cardinality(TASKS.c.tags) == _zero
    return TASKS.c.tags.contains(bindparam(names[0], type_=ARRAY(Text())))


def _row(column: Any, table: Any, name_of: Any) -> Build:
    """Returns the conditions of a column that refers to a row of ``table``."""

    def build(form: tuple[str, ...], names: Names) -> Any:
        if form == ("none",):
            return column.is_(None)
        if form == ("id",):
            return column == bindparam(names[0], type_=BigInteger)
        value = bindparam(names[0], type_=Text)
        is_named = table.c.uid == value if form == ("uid",) else name_of(table) == func.lower(value)
        found = select(table.c.id).where(table.c.user_id == OWNER, table.c.deleted_at.is_(None), is_named)
        return column.in_(found)

    return build


def _priority(form: tuple[str, ...], names: Names) -> Any:
    return TASKS.c.priority == func.any(bindparam(names[0], type_=ARRAY(Text())))


def _date(columns: DateColumns) -> Build:
    def build(form: tuple[str, ...], names: Names) -> Any:
        if form == ("none",):
            return and_(*(column.is_(None) for column in columns if column is not None))
        found = []
        for place, bound in enumerate(form):
            day = bindparam(names[2 * place], type_=Date)
            instant = bindparam(names[2 * place + 1], type_=FILTER_INSTANT)
            found.append((is_from if bound == "from" else is_before)(columns, day, instant))
        return and_(*found)

    return build


def _number(column: Any) -> Build:
    def build(form: tuple[str, ...], names: Names) -> Any:
        if form == ("none",):
            return column.is_(None)
        bounds = [bindparam(name, type_=BigInteger) for name in names]
        compared = zip(form, bounds, strict=True)
        return and_(*(column >= bound if kind == "from" else column < bound for kind, bound in compared))

    return build


def _flag(condition: Callable[[], ColumnElement[bool]]) -> Build:
    return lambda form, names: condition()


_HAS_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "description": func.length(TASKS.c.description) > _zero,
    "reminders": func.cardinality(TASKS.c.reminders) > _zero,
    "comments": exists().where(*LIVE_COMMENTS, COMMENTS.c.task_id == TASKS.c.id),
    "subtasks": HAS_SUBTASK,
}
_parents = TASKS.alias("parents")
# The conditions of each field of ``app.domain.filters.fields``.
FILTER_CONDITIONS: dict[str, Build] = {
    "text": _any_text,
    "title": _text("", r"%\x01"),
    "description": _text(r"\x02%", ""),
    "tag": _tag,
    "project": _row(TASKS.c.project_id, PROJECTS, lambda table: func.lower(table.c.name)),
    "parent": _row(TASKS.c.parent_id, _parents, lambda table: table.c.title_sort),
    "status": lambda form, names: has_status(form[0]),
    "priority": _priority,
    "due": _date(DUE_COLUMNS),
    "start": _date(DateColumns(TASKS.c.start_on, TASKS.c.start_at)),
    "deadline": _date(DateColumns(TASKS.c.deadline, None)),
    "created": _date(DateColumns(None, TASKS.c.created_at)),
    "updated": _date(DateColumns(None, TASKS.c.updated_at)),
    "completed_at": _date(DateColumns(None, TASKS.c.completed_at)),
    "completed": _flag(lambda: TASKS.c.completed),
    "overdue": _flag(is_overdue),
    "available": _flag(is_available),
    "favorite": _flag(lambda: TASKS.c.favorite),
    "recurring": _flag(lambda: TASKS.c.recurrence.is_not(None)),
    "estimate": _number(TASKS.c.estimate_minutes),
    "has": lambda form, names: _HAS_CONDITIONS[form[0]],
}
