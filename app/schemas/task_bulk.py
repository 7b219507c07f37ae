"""One write of many tasks: the selection, the action, and the result of each task."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.models.task_aliases import BODY_ALIASES, resolve_aliases
from app.models.task_fields import (
    PLACE_TWINS,
    Deadline,
    Description,
    DueDate,
    EstimateMinutes,
    Priority,
    StartDate,
    Tags,
)
from app.models.task_reminders import RemindChannels, ReminderList
from app.models.types import UID_EXAMPLE, Int64, RequestModel, RowId, Uid, UidTwin, field_error
from app.schemas.task_query import TaskConditions

T = TypeVar("T")
BULK_MAX = 1_000


class BulkAction(StrEnum):
    COMPLETE = "complete"
    REOPEN = "reopen"
    UPDATE = "update"
    MOVE = "move"
    DELETE = "delete"
    RESTORE = "restore"


OpenStatus = Annotated[
    Literal["pending", "in_progress", "waiting", "cancelled"],
    Field(description="Tasks are completed by the action complete."),
]


class BulkStatus(StrEnum):
    """The result of one task."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"
    UPDATED = "updated"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"
    UNCHANGED = "unchanged"
    NOT_FOUND = "not_found"


def _require_unique(ids: list[T]) -> list[T]:
    if len(set(ids)) != len(ids):
        raise PydanticCustomError("not_unique", "Each id can be sent once.")
    return ids


SELECTED_MAX = Field(min_length=1, max_length=BULK_MAX, json_schema_extra={"uniqueItems": True})
PLACE_FIELDS = {"project_id", "parent_id"}
EXCLUSIVE_FIELDS: list[Any] = [
    {"not": {"required": [*pair]}}
    for pair in (
        *((project, parent) for project in ("project_id", "project_uid") for parent in ("parent_id", "parent_uid")),
        ("tags", "add_tags"),
        ("tags", "remove_tags"),
    )
]
# The tasks by their ids, their uids or by a filter, and a change exactly where the action makes one.
SELECTION_AND_CHANGE: list[Any] = [
    {
        "oneOf": [  # null is the same as left out
            {"required": [name], "properties": {name: {"type": kind}}}
            for name, kind in (("ids", "array"), ("uids", "array"), ("filter", "object"))
        ]
    },
    {
        "if": {"properties": {"action": {"enum": ["update", "move"]}}, "required": ["action"]},
        "then": {"required": ["change"], "properties": {"change": {"type": "object"}}},
        "else": {"not": {"required": ["change"]}},
    },
]


class BulkChange(RequestModel):
    """Fields as of a single task. ``add_tags`` and ``remove_tags`` leave the other tags unchanged."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "allOf": EXCLUSIVE_FIELDS})

    TWINS: ClassVar[Mapping[str, UidTwin]] = PLACE_TWINS

    description: Description | MISSING | None = MISSING
    status: OpenStatus | MISSING = MISSING
    priority: Priority | MISSING | None = MISSING
    due_date: DueDate | MISSING | None = MISSING
    start_date: StartDate | MISSING | None = MISSING
    deadline: Deadline | MISSING | None = MISSING
    estimate_minutes: EstimateMinutes | MISSING | None = MISSING
    favorite: StrictBool | MISSING | None = MISSING
    tags: Tags | MISSING | None = MISSING
    add_tags: Tags | MISSING = MISSING
    remove_tags: Tags | MISSING = MISSING
    reminders: ReminderList | MISSING | None = MISSING
    remind_channels: RemindChannels | MISSING | None = MISSING
    project_id: RowId | MISSING | None = MISSING
    project_uid: Uid | MISSING | None = MISSING
    parent_id: RowId | MISSING | None = MISSING
    parent_uid: Uid | MISSING | None = MISSING

    @model_validator(mode="before")
    @classmethod
    def _resolve_aliases(cls, data: Any) -> Any:
        return resolve_aliases(data, BODY_ALIASES) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _not_contradictory(self) -> Self:
        sent = self.sent_fields
        if not sent:
            raise PydanticCustomError("empty_update", "Send at least one field to change.")
        if sent >= PLACE_FIELDS:
            raise field_error(
                "parent_id" if "parent_id" in self.model_fields_set else "parent_uid",
                "two_places",
                "Send project_id or parent_id: a subtask is in its parent's project.",
            )
        if "tags" in sent and sent & {"add_tags", "remove_tags"}:
            raise field_error("tags", "tags_conflict", "Send tags, or add_tags and remove_tags.")
        return self


class BulkWrite(RequestModel):
    """``ids``, ``uids`` or ``filter`` selects the tasks; update and move need ``change``, other actions take none."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": SELECTION_AND_CHANGE,
            "examples": [
                {"ids": [7, 8], "action": "complete"},
                {
                    "filter": {"tag": ["errands"], "status": "pending"},
                    "action": "update",
                    "change": {"priority": "low"},
                },
                {"ids": [7, 8], "action": "move", "change": {"project_id": 3}},
            ],
        }
    )

    ids: Annotated[list[RowId], SELECTED_MAX, AfterValidator(_require_unique)] | MISSING = MISSING
    uids: Annotated[list[Uid], SELECTED_MAX, AfterValidator(_require_unique)] | MISSING = MISSING
    filter: TaskConditions | MISSING = Field(
        MISSING, description="As the parameters of a list; restore selects from the trash. At most 1,000 may match."
    )
    action: BulkAction
    change: BulkChange | MISSING = Field(
        MISSING, description="For update the fields to change; for move only project_id or parent_id."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(self.model_fields_set & {"ids", "uids", "filter"}) != 1:
            raise PydanticCustomError("ids_or_filter", "Send either ids, uids or filter.")
        change = self.change
        takes_change = self.action in (BulkAction.UPDATE, BulkAction.MOVE)
        if takes_change != isinstance(change, BulkChange):
            raise field_error(
                "change", "bulk_change", "The actions update and move need a change, the others take none."
            )
        if self.action is BulkAction.MOVE and isinstance(change, BulkChange) and change.sent_fields - PLACE_FIELDS:
            raise field_error("change", "bulk_move", "The action move takes project_id or parent_id.")
        return self


class BulkItem(BaseModel):
    id: Int64 | None = Field(description="null: no task has the uid.")
    uid: str | None = Field(description="null: there is no task with the id.")
    status: BulkStatus


BULK_EXAMPLE: Any = {
    "results": [
        {"id": 7, "uid": UID_EXAMPLE, "status": "completed"},
        {"id": 8, "uid": None, "status": "not_found"},
    ]
}


class BulkResult(BaseModel):
    """In the order of ``ids`` or ``uids``; with a filter, in the order of positions."""

    model_config = ConfigDict(json_schema_extra={"examples": [BULK_EXAMPLE]})

    results: list[BulkItem]
