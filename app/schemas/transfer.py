"""Requests and responses of exports and imports, and the rows of files."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from app.models.channels import DIGEST_WEEKDAYS, ChannelKind
from app.models.comments import BODY_MAX
from app.models.projects import PROJECT_NAME_MAX
from app.models.task_fields import RECURRENCE_MAX, DueDate, RecurrenceFrom, Tag
from app.models.tasks import NewTask
from app.models.types import DateOrInstant, IgnoresReadOnlyFields, LocationPart, RequestModel, Uid, cleaned, visible
from app.models.views import VIEW_NAME_MAX as VIEW_NAME_MAX
from app.schemas.channels import ChannelName, LocalTime, Topic, Weekdays
from app.schemas.queries import QueryFlag
from app.schemas.task_query import TaskFilter
from app.schemas.webhooks import Url

ERRORS_MAX = 1000  # listed; all are counted
WARNINGS_MAX = 1000
SECRETS_MAX, REASON_MAX = 10, 500
CALENDAR_TEXT_MAX = 65_536  # characters


class ExportFormat(StrEnum):
    JSON = "json"
    CSV = "csv"
    ICS = "ics"
    TXT = "txt"
    TODOIST = "todoist"
    ZIP = "zip"


class ExportQuery(RequestModel):
    format: ExportFormat = Field(
        ExportFormat.JSON,
        description="json contains everything; csv, ics and txt (todo.txt) the tasks outside the trash; todoist the "
        "open ones, as Todoist's CSV; zip all of these files, with a README.",
    )


class ImportQuery(RequestModel):
    dry_run: QueryFlag = Field(False, description="Only report what an import would do.")


class CalendarEntryKind(StrEnum):
    EVENT = "event"
    TODO = "todo"


class CalendarQuery(RequestModel):
    token: str = Field("", max_length=200, description="The token of the feed.")
    kind: CalendarEntryKind = Field(
        CalendarEntryKind.EVENT, description="event: most calendars show nothing else. todo: for apps with tasks."
    )


def _require_time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise PydanticCustomError("instant", "Expected an instant, such as 2026-12-01T09:00:00Z.")
    return value


ImportedInstant = Annotated[DateOrInstant, AfterValidator(_require_time)]


def _require_stored(text: str) -> str:
    """Checks text that is kept as it is. Refuses what PostgreSQL cannot store."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise PydanticCustomError("text", "Text must not contain NUL or half of a surrogate pair.")
    return text


StoredText = Annotated[StrictStr, Field(max_length=CALENDAR_TEXT_MAX), AfterValidator(_require_stored)]


class CalendarObjectImport(BaseModel):
    """The calendar object that an app has sent for a task, as exports have it: see ``app.services.caldav``."""

    model_config = ConfigDict(extra="forbid")

    text: StoredText
    values: dict[StrictStr, list[Any]] = Field(max_length=20)
    alarms: list[StrictStr | None] = Field(max_length=1_000)
    excluded: list[StrictStr] = Field([], max_length=1_000)
    uid: StoredText | None = None


class TaskImport(NewTask):
    """A task in a file: the fields of a new task, and instants. References are by the file's own ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Buy milk"}]})
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"id", "user_id", "version", "position", "remind_at", "project_id", "parent_id", "series_id", "source_id"}
        | {"remind_channels", "dav_name"}
    )

    recurrence: Annotated[StrictStr, Field(max_length=RECURRENCE_MAX)] | None = None
    recurrence_from: RecurrenceFrom = RecurrenceFrom.DUE
    occurrences_done: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 0
    anchor_date: DueDate | None = None
    ical: CalendarObjectImport | None = None
    parent_wanted: Uid | None = None
    completed_at: ImportedInstant | None = None
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


class ProjectImport(IgnoresReadOnlyFields):
    """A project in a file."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "user_id", "version", "position", "source_id", "parent_id"})

    uid: Uid | None = None
    name: Annotated[StrictStr, visible(PROJECT_NAME_MAX), Field(min_length=1, max_length=PROJECT_NAME_MAX)]
    color: Annotated[StrictStr, Field(pattern="^#[0-9a-f]{6}$")] | None = None
    favorite: StrictBool = False
    archived_at: ImportedInstant | None = None
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


class TagImport(IgnoresReadOnlyFields):
    """The colour of a tag in a file."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "user_id", "version"})

    name: Tag
    color: Annotated[StrictStr, Field(pattern="^#[0-9a-f]{6}$")]
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


class CommentImport(IgnoresReadOnlyFields):
    """A comment in a file."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "user_id", "version", "task_id", "source_id"})

    uid: Uid | None = None
    body: Annotated[StrictStr, cleaned(BODY_MAX), Field(min_length=1, max_length=BODY_MAX)]
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


class ViewImport(IgnoresReadOnlyFields):
    """A saved view in a file."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "user_id", "version"})

    uid: Uid | None = None
    name: Annotated[StrictStr, visible(VIEW_NAME_MAX), Field(min_length=1, max_length=VIEW_NAME_MAX)]
    parameters: TaskFilter
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


class ChannelImport(IgnoresReadOnlyFields):
    """A channel in a file, which holds no secrets: ``secrets`` names those that it had."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "user_id", "version"})

    kind: ChannelKind
    name: ChannelName
    url: Url | None = None
    topic: Topic | None = None
    secrets: Annotated[list[StrictStr], Field(max_length=SECRETS_MAX)] = []
    active: StrictBool = True
    disabled_reason: Annotated[StrictStr, cleaned(REASON_MAX), Field(max_length=REASON_MAX)] | None = None
    all_reminders: StrictBool = True
    quiet_from: LocalTime | None = None
    quiet_to: LocalTime | None = None
    digest_time: LocalTime | None = None
    digest_days: Weekdays = list(DIGEST_WEEKDAYS)
    created_at: ImportedInstant | None = None
    updated_at: ImportedInstant | None = None
    deleted_at: ImportedInstant | None = None


ROW_DESCRIPTION = "The number of the row among those of its kind in the file, from 1; a CSV's header does not count."
UID_DESCRIPTION = "The id that the file gives the row, if any: of iCalendar its UID, of JSON and CSV its source id."


class RowError(BaseModel):
    loc: list[LocationPart] = Field(description="The field, then names and indices.")
    msg: str
    type: str


class FailedRow(BaseModel):
    """A row that was not imported; the others were."""

    entity: str
    row: int = Field(description=ROW_DESCRIPTION)
    uid: str | None = Field(description=UID_DESCRIPTION)
    errors: list[RowError]


class ImportWarningRead(BaseModel):
    """A difference of an imported row from its file: a value left out, cut, changed, guessed or kept as text."""

    entity: str = Field(description="As the names in `created`, or `file`: it belongs to no row.")
    row: int = Field(description=ROW_DESCRIPTION + " 0: the file itself.")
    uid: str | None = Field(description=UID_DESCRIPTION)
    field: str = Field(description="The field of the row, or the file's own name of what has no field here.")
    value: str = Field(description="The value in the file, of which at most 200 characters are shown.")
    message: str
    type: str = Field(description="left_out, cut, changed, guessed or kept_as_text.")


class ImportReport(BaseModel):
    """The effect of an import, or of a dry run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "format": "json",
                    "dry_run": False,
                    "created": {"projects": 1, "channels": 0, "tags": 0, "tasks": 2, "comments": 0, "views": 0},
                    "skipped": {"projects": 0, "channels": 0, "tags": 0, "tasks": 1, "comments": 0, "views": 0},
                    "failed": 1,
                    "errors": [
                        {
                            "entity": "tasks",
                            "row": 3,
                            "uid": None,
                            "errors": [{"loc": ["title"], "msg": "This is required.", "type": "missing"}],
                        }
                    ],
                    "warned": 1,
                    "warnings": [
                        {
                            "entity": "tasks",
                            "row": 2,
                            "uid": "alice:8",
                            "field": "reminders",
                            "value": "soon",
                            "message": "A reminder is an instant or a duration: it was left out.",
                            "type": "left_out",
                        }
                    ],
                    "timezone": "Europe/Berlin",
                    "revision": 44,
                }
            ]
        }
    )

    format: str = Field(
        description="What the file was recognized as: json, csv, ics, todo.txt, todoist, ticktick, microsoft_todo, "
        "outlook, google_tasks, vikunja, trello, super_productivity or taskwarrior."
    )
    dry_run: bool
    created: dict[str, int]
    skipped: dict[str, int] = Field(description="Those that are here already, by their source id.")
    failed: int
    errors: list[FailedRow] = Field(description=f"The first {ERRORS_MAX}.")
    warned: int = Field(description="The number of rows with a warning; the file itself counts as one.")
    warnings: list[ImportWarningRead] = Field(description=f"The first {WARNINGS_MAX}.")
    timezone: str | None = Field(
        description="Taken from the file, of an account whose time zone was UTC; null: it stays what it is."
    )
    revision: int = Field(description="The number of the owner's latest write.")
