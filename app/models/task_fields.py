"""The fields of a task as clients send them, each with its checks."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, ValidationInfo
from typing_extensions import TypeAliasType

from app.models.types import DateOrInstant, Day, UidTwin, clean_text, integral, raw_items, too_long, visible

TITLE_MAX, TAG_MAX, TAGS_MAX, RECURRENCE_MAX = 200, 50, 20, 500
DESCRIPTION_MAX = 16_384  # default of the setting DESCRIPTION_MAX
ESTIMATE_MAX = 525_600  # minutes: a year


class Priority(StrEnum):
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class TaskStatus(StrEnum):
    """COMPLETED is what ``completed`` says; the others are kept beside it. CANCELLED tasks are closed, not done."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


CLOSED_STATUSES = frozenset({TaskStatus.CANCELLED, TaskStatus.COMPLETED})


def state_of(status: TaskStatus) -> TaskStatus:
    """Returns what is kept beside ``completed``: a completed task is pending when it is reopened."""
    return TaskStatus.PENDING if status == TaskStatus.COMPLETED else status


STATUS_FIELDS = {"completed", "status"}


def contradicts(fields: Mapping[str, Any]) -> bool:
    """Returns whether ``status`` and ``completed`` are both there and cannot both be true."""
    completed, status = fields.get("completed"), fields.get("status")
    return None not in (completed, status) and completed != (status == TaskStatus.COMPLETED)


class RecurrenceFrom(StrEnum):
    """The date from which the next occurrence is computed."""

    DUE = "due"
    COMPLETION = "completion"


def _unique_tags(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _description(value: str, info: ValidationInfo) -> str:
    """Cleans a description and checks its length; the route passes the limit, a setting, as validation context."""
    limit = (info.context or {}).get("description_max", DESCRIPTION_MAX)
    value = clean_text(value, limit)
    if len(value) > limit:
        raise too_long(limit)
    return value


Title = Annotated[StrictStr, visible(TITLE_MAX), Field(min_length=1, max_length=TITLE_MAX, examples=["Buy milk"])]
Description = Annotated[
    StrictStr, AfterValidator(_description), Field(json_schema_extra={"maxLength": DESCRIPTION_MAX})
]
Tag = Annotated[StrictStr, visible(TAG_MAX), Field(min_length=1, max_length=TAG_MAX)]
Tags = Annotated[
    list[Tag],
    raw_items(TAGS_MAX),
    AfterValidator(_unique_tags),
    Field(max_length=TAGS_MAX, examples=[["home", "errands"]]),
]
DueDate = TypeAliasType(
    "DueDate",
    Annotated[
        DateOrInstant,
        Field(description="A day, or an instant.", examples=["2026-12-01", "2026-12-01T09:00:00Z"]),
    ],
)
StartDate = Annotated[DueDate, Field(description="When it can begin: a day, or an instant.")]
Deadline = Annotated[
    Day,
    Field(description="The last day; a series does not move it.", examples=["2026-12-24"]),
]
EstimateMinutes = Annotated[
    int,
    Field(strict=True, ge=1, le=ESTIMATE_MAX, description="The time it takes.", examples=[90]),
    BeforeValidator(integral),
]
Recurrence = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=RECURRENCE_MAX,
        description="An RRULE of RFC 5545, DAILY to YEARLY. Without a due date: first due on the next day of the rule.",
        examples=["FREQ=WEEKLY;BYDAY=MO"],
    ),
]


# The fields of a task's place that hold uids.
PLACE_TWINS = {"project_uid": UidTwin("project_id", "project"), "parent_uid": UidTwin("parent_id", "task")}


class SubtasksOnCompletion(StrEnum):
    """The effect of completing a task on its open subtasks."""

    COMPLETE = "complete"
    KEEP = "keep"
