"""Tasks: the table and the shapes in which they are written and read."""

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.base import CleanText, DateOrInstant, Instant, Int64, Shape, VisibleText

TITLE_MAX, TAG_MAX, TAGS_MAX, DESCRIPTION_MAX = 200, 50, 20, 1000  # the last: default of the setting of that name
# What lists are sorted by, where it is not a column that a client reads. As stored columns, because under row-level
# security an expression is no part of an index range: the functions in it are not leakproof.
# PostgreSQL's "infinity" stands for "no date", so that one index range serves a page at any depth in both directions.
DUE_SORT = "coalesce(due_at, (due_on)::timestamp without time zone at time zone 'UTC', 'infinity'::timestamptz)"
COMPLETED_SORT = "coalesce(completed_at, 'infinity'::timestamptz)"
PRIORITY_SORT = "array_position(array['none','low','medium','high','urgent'], priority)"
TITLE_SORT = "lower(title)"
LIVE = text("deleted_at is null")


class Priority(StrEnum):
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


def _instant(**column: Any) -> Any:
    return Col(sa_type=DateTime(timezone=True), sa_column_kwargs=column, default=None)


def _computed(name: str, type_: Any, expression: str) -> Any:
    return Col(sa_column=Column(name, type_, Computed(expression, persisted=True)))


class Task(SQLModel, table=True):
    """``due_on`` (a day) and ``due_at`` (an instant) are different things; at most one is set.

    ``version`` is the owner's revision that wrote the row. ``deleted_at`` means: in the trash.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="tasks_user_id_fkey"),
        CheckConstraint(f"char_length(title) between 1 and {TITLE_MAX}", name="tasks_title_check"),
        CheckConstraint("completed = (completed_at is not null)", name="tasks_completed_check"),
        CheckConstraint("priority in ('none', 'low', 'medium', 'high', 'urgent')", name="tasks_priority_check"),
        CheckConstraint("due_on is null or due_at is null", name="tasks_due_check"),
        CheckConstraint(f"cardinality(tags) <= {TAGS_MAX}", name="tasks_tags_check"),
        # One index for each sort order. Pages are ranges of them: (sort key, id) after the last one seen.
        Index("tasks_by_created_at", "user_id", "created_at", "id", postgresql_where=LIVE),
        Index("tasks_by_updated_at", "user_id", "updated_at", "id", postgresql_where=LIVE),
        Index("tasks_by_due", "user_id", "due_sort", "id", postgresql_where=LIVE),
        Index("tasks_by_completed_at", "user_id", "completed_sort", "id", postgresql_where=LIVE),
        Index("tasks_by_priority", "user_id", "priority_sort", "id", postgresql_where=LIVE),
        Index("tasks_by_title", "user_id", "title_sort", "id", postgresql_where=LIVE),
        Index("tasks_trash", "user_id", "deleted_at", "id", postgresql_where=text("deleted_at is not null")),
        Index("tasks_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))
    title: str = Col(sa_type=Text)
    description: str | None = Col(default=None, sa_type=Text)
    completed: bool = Col(sa_column_kwargs={"server_default": text("false")})
    completed_at: datetime | None = _instant()
    priority: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("'medium'")})
    due_on: date | None = Col(default=None, sa_type=Date)
    due_at: datetime | None = _instant()
    due_sort: datetime = _computed("due_sort", DateTime(timezone=True), DUE_SORT)
    completed_sort: datetime = _computed("completed_sort", DateTime(timezone=True), COMPLETED_SORT)
    priority_sort: int = _computed("priority_sort", Integer, PRIORITY_SORT)
    title_sort: str = _computed("title_sort", Text, TITLE_SORT)
    tags: list[str] = Col(sa_column=Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")))
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = _instant(server_default=text("now()"), nullable=False)
    updated_at: datetime = _instant(server_default=text("now()"), nullable=False)
    deleted_at: datetime | None = _instant()


def _unique_tags(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _within_limit(value: str, info: ValidationInfo) -> str:
    """The limit is a setting, handed in as validation context by the route."""
    limit = (info.context or {}).get("description_max", DESCRIPTION_MAX)
    if len(value) > limit:
        raise PydanticCustomError(
            "string_too_long", "String should have at most {max_length} characters", {"max_length": limit}
        )
    return value


Title = Annotated[StrictStr, VisibleText, Field(min_length=1, max_length=TITLE_MAX, examples=["Buy milk"])]
Description = Annotated[
    StrictStr, CleanText, AfterValidator(_within_limit), Field(json_schema_extra={"maxLength": DESCRIPTION_MAX})
]
Tag = Annotated[StrictStr, VisibleText, Field(min_length=1, max_length=TAG_MAX)]
Tags = Annotated[list[Tag], AfterValidator(_unique_tags), Field(max_length=TAGS_MAX, examples=[["home", "errands"]])]
DueDate = Annotated[DateOrInstant, Field(examples=["2026-12-01", "2026-12-01T09:00:00Z"])]


class TaskBody(Shape):
    """What clients got back from a read may be sent again: the read-only names are dropped, never applied."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"id", "user_id", "completed_at", "version", "created_at", "updated_at", "deleted_at"}
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_read_only(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if k not in cls.READ_ONLY} if isinstance(data, dict) else data


class TaskCreate(TaskBody):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Buy milk", "priority": "high", "due_date": "2026-12-01", "tags": ["errands"]}]
        }
    )

    title: Title
    description: Description | None = None
    completed: StrictBool = False
    priority: Priority = Priority.MEDIUM
    due_date: DueDate | None = None
    tags: Tags = []


class TaskUpdate(TaskBody):
    """Only the fields sent change. ``null`` clears a field: ``priority`` returns to medium, ``tags`` to none."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"title": "Buy oat milk", "due_date": None}]}
    )

    title: Title | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    completed: StrictBool | MISSING = MISSING
    priority: Priority | MISSING | None = MISSING
    due_date: DueDate | MISSING | None = MISSING
    tags: Tags | MISSING | None = MISSING

    @model_validator(mode="after")
    def _not_empty(self) -> "TaskUpdate":
        if not self.model_fields_set:
            raise PydanticCustomError("empty_update", "Send at least one field to change")
        return self


class TaskComplete(TaskBody):
    """No body toggles; ``completed`` sets."""

    completed: StrictBool


class TaskRead(BaseModel):
    """A task as every endpoint answers it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 7,
                    "user_id": "alice",
                    "title": "Buy milk",
                    "description": None,
                    "completed": False,
                    "completed_at": None,
                    "priority": "high",
                    "due_date": "2026-12-01",
                    "tags": ["errands"],
                    "version": 41,
                    "created_at": "2026-11-20T09:30:00.123456Z",
                    "updated_at": "2026-11-20T09:30:00.123456Z",
                }
            ]
        }
    )

    id: Int64
    user_id: str
    title: str
    description: str | None
    completed: bool
    completed_at: Instant | None
    priority: Priority
    due_date: DueDate | None
    tags: list[str]
    version: Int64
    created_at: Instant
    updated_at: Instant


class TaskPage(BaseModel):
    """A list under ``LIST_SHAPE=envelope``. ``count`` is the number of tasks on this page, ``total`` of all pages."""

    tasks: list[TaskRead]
    total: int | None
    count: int
    limit: int
    offset: int
    next_cursor: str | None


# What a service returns and what is encoded: TaskRead without validation, 3 microseconds a row less than Pydantic.
TaskRow: Any = msgspec.defstruct("TaskRow", list(TaskRead.model_fields), frozen=True, gc=False)

# The columns behind TaskRow: its fields in their order, ``due_on`` in the place of ``due_date``, and ``due_at`` last.
READ_COLUMNS = (*tuple("due_on" if name == "due_date" else name for name in TaskRead.model_fields), "due_at")
_DUE, _DUE_AT = READ_COLUMNS.index("due_on"), len(READ_COLUMNS) - 1


# Columns whose JSON is text, and how it is read back. fromisoformat also reads "+00:00" and cut-off fractions.
FROM_JSON: dict[str, Callable[[str], Any]] = {
    column.name: datetime.fromisoformat if isinstance(column.type, DateTime) else date.fromisoformat
    for column in Task.__table__.c  # type: ignore[attr-defined]
    if isinstance(column.type, DateTime | Date)
}


def task_of_change(data: dict[str, Any]) -> Any:
    """A TaskRow of ``changes.data``: the same bytes that a GET answers for that row.

    A column that is younger than the change is null.
    """
    values = [(data.get(name), FROM_JSON.get(name)) for name in READ_COLUMNS]
    return task_row([value if read is None or value is None else read(value) for value, read in values])


def task_row(record: Any) -> Any:
    """A TaskRow of a record that begins with READ_COLUMNS; ``due_date`` is whichever of the two is set."""
    due_at = record[_DUE_AT]
    if due_at is None:
        return TaskRow(*record[:_DUE_AT])
    return TaskRow(*record[:_DUE], due_at, *record[_DUE + 1 : _DUE_AT])
