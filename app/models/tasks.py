"""Tasks: the table and the shapes in which they are written and read."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from pydantic import MISSING, BaseModel, ConfigDict, Field, StrictBool, model_validator
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Text,
    and_,
    func,
    literal_column,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import identity, nullable_instant, table_of, uid_column, uid_key, written_at
from app.models.task_aliases import BODY_ALIASES, READ_ONLY_ALIASES, resolve_aliases
from app.models.task_fields import (
    ESTIMATE_MAX,
    PLACE_TWINS,
    TAGS_MAX,
    TITLE_MAX,
    Deadline,
    Description,
    DueDate,
    EstimateMinutes,
    Priority,
    Recurrence,
    RecurrenceFrom,
    StartDate,
    Tags,
    TaskStatus,
    Title,
)
from app.models.task_indexes import task_indexes
from app.models.task_reminders import RemindChannels, ReminderList
from app.models.types import (
    UID_EXAMPLE,
    UID_HELP,
    IgnoresReadOnlyFields,
    Instant,
    Int64,
    MergedUpdate,
    RowId,
    Uid,
    UidTwin,
    UpdateModel,
)

# Sort keys that are not columns of the API. They are stored columns, because under row-level security an index range
# cannot use an expression: its functions are not leakproof. PostgreSQL's "infinity" means "no date", so that one index
# range serves a page at any depth in both directions.
DUE_SORT = "coalesce(due_at, (due_on)::timestamp without time zone at time zone 'UTC', 'infinity'::timestamptz)"
COMPLETED_SORT = "coalesce(completed_at, 'infinity'::timestamptz)"
PRIORITY_SORT = "array_position(array['none','low','medium','high','urgent'], priority)"
TITLE_SORT = "lower(title)"
# The key that a move set, else one of the id, which sorts after those of all earlier rows. Text, ordered by its bytes:
# there is always a key between two. The number of hexadecimal digits of the id comes first, then the digits, then "i".
POSITION_KEY = "coalesce(moved_to, chr(96 + length(to_hex(id))) || to_hex(id) || 'i')"
SEARCH_TEXT = "search_task(title, description, tags)"  # app.models.sql_functions
OPEN_CONDITION = "(not completed and state <> 'cancelled')"
# Of a task that is open; ``today`` is the owner's.
LATE_CONDITION = "(due_on < today or due_at < now() or deadline < today)"


def _computed(name: str, type_: Any, expression: str) -> Any:
    return Col(sa_column=Column(name, type_, Computed(expression, persisted=True)))


class Task(SQLModel, table=True):
    """``due_on`` (a day) and ``due_at`` (an instant) are different; at most one is set. So are ``start_*``.

    ``state`` counts while the task is not completed. ``version`` is the revision of the latest write to the row.
    ``deleted_at`` is set in the trash. ``anchor_*`` is the due date with which ``recurrence`` was set,
    ``occurrences_done`` the number of earlier occurrences; ``series_id`` is the recurring task of which this is a
    completed occurrence. At ``remind_at`` the next reminder fires. Of calendar apps: ``dav_name`` is the name of the
    resource if it is not uid.ics; ``ical`` what no other column holds; ``parent_wanted`` the uid of a parent to come.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="tasks_user_id_fkey"),
        CheckConstraint(f"char_length(title) between 1 and {TITLE_MAX}", name="tasks_title_check"),
        CheckConstraint("completed = (completed_at is not null)", name="tasks_completed_check"),
        CheckConstraint("state in ('pending', 'in_progress', 'waiting', 'cancelled')", name="tasks_state_check"),
        CheckConstraint("priority in ('none', 'low', 'medium', 'high', 'urgent')", name="tasks_priority_check"),
        CheckConstraint("due_on is null or due_at is null", name="tasks_due_check"),
        CheckConstraint("start_on is null or start_at is null", name="tasks_start_check"),
        CheckConstraint(f"estimate_minutes between 1 and {ESTIMATE_MAX}", name="tasks_estimate_check"),
        CheckConstraint(f"cardinality(tags) <= {TAGS_MAX}", name="tasks_tags_check"),
        CheckConstraint("recurrence is null or num_nonnulls(due_on, due_at) = 1", name="tasks_recurrence_check"),
        CheckConstraint("recurrence_from in ('due', 'completion')", name="tasks_recurrence_from_check"),
        ForeignKeyConstraint(
            ["user_id", "project_id"], ["projects.user_id", "projects.id"], name="tasks_project_id_fkey"
        ),
        ForeignKeyConstraint(["user_id", "parent_id"], ["tasks.user_id", "tasks.id"], name="tasks_parent_id_fkey"),
        ForeignKeyConstraint(["user_id", "series_id"], ["tasks.user_id", "tasks.id"], name="tasks_series_id_fkey"),
        uid_key("tasks"),
        *task_indexes(),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    uid: str = uid_column()
    title: str = Col(sa_type=Text)
    description: str | None = Col(default=None, sa_type=Text)
    completed: bool = Col(sa_column_kwargs={"server_default": text("false")})
    state: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("'pending'")})
    completed_at: datetime | None = nullable_instant()
    priority: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("'medium'")})
    due_on: date | None = Col(default=None, sa_type=Date)
    due_at: datetime | None = nullable_instant()
    start_on: date | None = Col(default=None, sa_type=Date)
    start_at: datetime | None = nullable_instant()
    deadline: date | None = Col(default=None, sa_type=Date)
    estimate_minutes: int | None = Col(default=None, sa_type=Integer)
    favorite: bool = Col(sa_column_kwargs={"server_default": text("false")})
    due_sort: datetime = _computed("due_sort", DateTime(timezone=True), DUE_SORT)
    completed_sort: datetime = _computed("completed_sort", DateTime(timezone=True), COMPLETED_SORT)
    priority_sort: int = _computed("priority_sort", Integer, PRIORITY_SORT)
    title_sort: str = _computed("title_sort", Text, TITLE_SORT)
    tags: list[str] = Col(sa_column=Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")))
    project_id: int | None = Col(default=None, sa_type=BigInteger)
    parent_id: int | None = Col(default=None, sa_type=BigInteger)
    moved_to: str | None = Col(default=None, sa_type=Text(collation="C"))
    position: str = _computed("position", Text(collation="C"), POSITION_KEY)
    recurrence: str | None = Col(default=None, sa_type=Text)
    recurrence_from: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("'due'")})
    series_id: int | None = Col(default=None, sa_type=BigInteger)
    occurrences_done: int = Col(sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    anchor_on: date | None = Col(default=None, sa_type=Date)
    anchor_at: datetime | None = nullable_instant()
    reminders: list[str] = Col(sa_column=Column("reminders", ARRAY(Text), nullable=False, server_default=text("'{}'")))
    remind_at: datetime | None = nullable_instant()
    remind_channels: list[int] | None = Col(default=None, sa_column=Column("remind_channels", ARRAY(BigInteger)))
    source_id: str | None = Col(default=None, sa_type=Text)
    dav_name: str | None = Col(default=None, sa_type=Text(collation="C"))
    ical: dict[str, Any] | None = Col(default=None, sa_type=JSONB(none_as_null=True))
    parent_wanted: str | None = Col(default=None, sa_type=Text(collation="C"))
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()
    search_text: str = _computed("search_text", Text, SEARCH_TEXT)


TASKS = table_of(Task)


CANCELLED_STATE: Any = literal_column("'cancelled'", Text)


def is_open(completed: Any = TASKS.c.completed, state: Any = TASKS.c.state) -> ColumnElement[bool]:
    """Returns OPEN_CONDITION of columns or of the values that replace them."""
    return and_(~completed, state != CANCELLED_STATE)


def is_late(today: Any) -> ColumnElement[bool]:
    """Returns LATE_CONDITION."""
    late = or_(TASKS.c.due_on < today, TASKS.c.due_at < func.now(), TASKS.c.deadline < today)
    return func.coalesce(late, False)


TASK_EXAMPLE: dict[str, Any] = {
    "id": 7,
    "uid": UID_EXAMPLE,
    "user_id": "alice",
    "title": "Buy milk",
    "description": None,
    "completed": False,
    "status": "pending",
    "completed_at": None,
    "priority": "high",
    "due_date": "2026-12-01",
    "start_date": None,
    "deadline": None,
    "estimate_minutes": 20,
    "favorite": False,
    "tags": ["errands"],
    "project_id": 3,
    "parent_id": None,
    "position": "a7i",
    "recurrence": None,
    "recurrence_from": "due",
    "series_id": None,
    "reminders": [],
    "remind_at": None,
    "remind_channels": None,
    "version": 41,
    "created_at": "2026-11-20T09:30:00.123456Z",
    "updated_at": "2026-11-20T09:30:00.123456Z",
}


class TaskRead(BaseModel):
    """A task as every endpoint returns it."""

    model_config = ConfigDict(json_schema_extra={"examples": [TASK_EXAMPLE]})

    id: Int64
    uid: Uid
    user_id: str
    title: str
    description: str | None
    completed: bool
    status: TaskStatus
    completed_at: Instant | None
    priority: Priority
    due_date: DueDate | None
    start_date: StartDate | None
    deadline: Deadline | None
    estimate_minutes: EstimateMinutes | None
    favorite: bool
    tags: list[str]
    project_id: Int64 | None
    parent_id: Int64 | None
    position: str = Field(description="Sort key among siblings: text, ordered by its bytes.")
    recurrence: str | None = Field(description="An RRULE of RFC 5545.")
    recurrence_from: RecurrenceFrom
    series_id: Int64 | None = Field(description="The recurring task of which this is a completed occurrence.")
    reminders: list[str]
    remind_at: Instant | None = Field(description="When the next reminder fires.")
    remind_channels: list[Int64] | None = Field(description="null: all that take reminders.")
    version: Int64
    created_at: Instant
    updated_at: Instant


class TrashedTaskRead(TaskRead):
    """A task in the trash."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [TASK_EXAMPLE | {"deleted_at": "2026-11-21T09:30:00.123456Z"}]}
    )

    deleted_at: Instant


WRITABLE_FIELDS = {"uid", "title", "description", "completed", "status", "priority", "due_date", "tags", "reminders"}
WRITABLE_FIELDS |= {"start_date", "deadline", "estimate_minutes", "favorite"}
WRITABLE_FIELDS |= {"project_id", "parent_id", "recurrence", "recurrence_from", "remind_channels"}


STATUS_HELP = "completed is what `completed` says: send either."


class TaskBody(IgnoresReadOnlyFields):
    """Read-only fields of a response may be sent back; they are ignored. Fields may have other names."""

    ALIASES: ClassVar[Mapping[str, str]] = BODY_ALIASES
    READ_ONLY: ClassVar[frozenset[str]] = (
        frozenset(TaskRead.model_fields) - WRITABLE_FIELDS | {"deleted_at"} | READ_ONLY_ALIASES
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_aliases(cls, data: Any) -> Any:
        if not isinstance(data, dict) or cls.ALIASES.keys().isdisjoint(data):
            return data
        return resolve_aliases(data, cls.ALIASES, drop_null=not cls.KEEPS_NULL)


class NewTask(TaskBody):
    """The fields of a task that is made by a request or from a file."""

    uid: Uid | None = Field(None, description=UID_HELP)
    title: Title
    description: Description | None = None
    completed: StrictBool = False
    status: TaskStatus = Field(TaskStatus.PENDING, description=STATUS_HELP)
    priority: Priority = Priority.MEDIUM
    due_date: DueDate | None = None
    start_date: StartDate | None = None
    deadline: Deadline | None = None
    estimate_minutes: EstimateMinutes | None = None
    favorite: StrictBool = False
    tags: Tags = []
    reminders: ReminderList = []
    remind_channels: RemindChannels | None = None
    project_id: RowId | None = None
    parent_id: RowId | None = None
    recurrence: Recurrence | None = None
    recurrence_from: RecurrenceFrom = RecurrenceFrom.DUE


class TaskCreate(NewTask):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Buy milk", "priority": "high", "due_date": "2026-12-01", "tags": ["errands"]}]
        }
    )

    TWINS: ClassVar[Mapping[str, UidTwin]] = PLACE_TWINS

    project_uid: Uid | None = None
    parent_uid: Uid | None = None


class TaskUpdate(TaskBody, MergedUpdate, UpdateModel):
    """Only the fields sent change. ``null`` clears a field: ``priority`` becomes medium, lists become empty."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"title": "Buy oat milk", "due_date": None}]}
    )

    TWINS: ClassVar[Mapping[str, UidTwin]] = PLACE_TWINS

    uid: Uid | MISSING = Field(MISSING, description="That of the task: it never changes.")
    title: Title | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    completed: StrictBool | MISSING = MISSING
    status: TaskStatus | MISSING | None = Field(MISSING, description=STATUS_HELP)
    priority: Priority | MISSING | None = MISSING
    due_date: DueDate | MISSING | None = MISSING
    start_date: StartDate | MISSING | None = MISSING
    deadline: Deadline | MISSING | None = MISSING
    estimate_minutes: EstimateMinutes | MISSING | None = MISSING
    favorite: StrictBool | MISSING | None = MISSING
    tags: Tags | MISSING | None = MISSING
    reminders: ReminderList | MISSING | None = MISSING
    remind_channels: RemindChannels | MISSING | None = MISSING
    project_id: RowId | MISSING | None = MISSING
    project_uid: Uid | MISSING | None = MISSING
    parent_id: RowId | MISSING | None = MISSING
    parent_uid: Uid | MISSING | None = MISSING
    recurrence: Recurrence | MISSING | None = MISSING
    recurrence_from: RecurrenceFrom | MISSING | None = MISSING


class TaskPage(BaseModel):
    """A list under ``LIST_SHAPE=envelope``. ``count`` is the number of tasks on this page, ``total`` of all pages."""

    tasks: list[TaskRead]
    total: int | None
    count: int
    limit: int
    offset: int
    next_cursor: str | None


class TrashPage(TaskPage):
    """A page of the trash under ``LIST_SHAPE=envelope``."""

    tasks: list[TrashedTaskRead]  # type: ignore[assignment]
