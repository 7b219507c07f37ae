"""Requests and responses of sync, live updates, history and undo."""

from typing import Annotated, Any, Literal, Self, get_args

import msgspec
from pydantic import MISSING, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

from app.models.channels import ChannelRead
from app.models.comments import CommentRead
from app.models.conversations import ConversationRead, MessageRead
from app.models.projects import ProjectRead
from app.models.tags import TagColorRead
from app.models.tasks import TASK_EXAMPLE, TaskRead
from app.models.types import MAX_ID, Instant, Int64, RequestModel, field_error
from app.models.views import ViewRead
from app.schemas.queries import CursorText, PageLimit, QueryFlag, WholeNumber

CHANGE_EXAMPLE: Any = {
    "revision": 42,
    "entity": "task",
    "entity_id": 7,
    "action": "completed",
    "data": TASK_EXAMPLE | {"completed": True, "completed_at": "2026-11-20T09:30:00.123456Z", "version": 42},
    "at": "2026-11-20T09:30:00.123456Z",
    "through": "api",
}


Since = Annotated[int, Field(ge=0, le=MAX_ID), WholeNumber]


class ChangesQuery(RequestModel):
    since: Since = Field(0, description="Changes after this revision: X-Revision of a list, or next of a page.")
    limit: PageLimit = Field(100, description="Rows; a page is longer where it would split the rows of one write.")
    snapshot: QueryFlag = Field(False, description="All rows that there are, instead of changes.")
    cursor: CursorText | None = Field(None, description="Opaque; from the previous page of the snapshot.")
    completed: QueryFlag | None = Field(None, description="false: a snapshot of open tasks only, and of all else.")

    @model_validator(mode="after")
    def _changes_or_snapshot(self) -> Self:
        if self.snapshot and "since" in self.model_fields_set:
            raise field_error("since", "snapshot_conflict", "A snapshot has no since: leave it out.")
        for name in ("cursor", "completed"):
            if not self.snapshot and name in self.model_fields_set:
                raise field_error(name, "snapshot_needed", "This is for a snapshot: send snapshot=true with it.")
        return self


class EventsQuery(RequestModel):
    since: Since | None = Field(
        None, description="Send the changes after this revision first. Default: Last-Event-ID, else only new changes."
    )


class HistoryQuery(RequestModel):
    limit: PageLimit = Field(100, description="Writes, latest first.")
    before: Since | None = Field(
        None, description="Only writes before this revision: the last one of the previous page."
    )


SNAPSHOT_ACTION = "snapshot"  # of a row in a snapshot, which is no write; also in place of its source
RowAction = Literal["created", "updated", "deleted", "restored", "purged", "snapshot"]
TaskAction = Literal[RowAction, "completed", "cancelled", "reopened", "skipped", "reminded"]


class EntityChange(BaseModel):
    """One entity after one write. ``data`` is the entity as a GET returns it."""

    revision: int = Field(description="The revision of the write. Rows of one write share it.")
    entity: str
    entity_id: Int64
    action: str
    data: Any
    at: Instant
    through: str = Field(
        description="The source of the write: api, token:<name>, mcp, chat, import, retention, reminder, "
        "reminder:late; of a row in a snapshot: snapshot."
    )


class TaskChange(EntityChange):
    """A task after one write."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHANGE_EXAMPLE]})

    entity: Literal["task"]
    action: TaskAction
    data: TaskRead


class ProjectChange(EntityChange):
    """A project after one write."""

    entity: Literal["project"]
    action: RowAction
    data: ProjectRead


class CommentChange(EntityChange):
    """A comment after one write."""

    entity: Literal["comment"]
    action: RowAction
    data: CommentRead


class ViewChange(EntityChange):
    """A view after one write."""

    entity: Literal["view"]
    action: RowAction
    data: ViewRead


class TagColorChange(EntityChange):
    """The colour of a tag after one write; `deleted`: it has none any more. The tags of tasks are changes of those."""

    entity: Literal["tag"]
    action: RowAction
    data: TagColorRead


class ChannelChange(EntityChange):
    """A channel after one write, without its secrets."""

    entity: Literal["channel"]
    action: RowAction
    data: ChannelRead


class ConversationChange(EntityChange):
    """A conversation with the assistant, after one write."""

    entity: Literal["conversation"]
    action: Literal["created", "deleted", "snapshot"]
    data: ConversationRead


class MessageChange(EntityChange):
    """A message of a conversation. It goes with its conversation."""

    entity: Literal["message"]
    action: Literal["created", "snapshot"]
    data: MessageRead


AnyChange = (
    TaskChange
    | ProjectChange
    | CommentChange
    | ViewChange
    | ChannelChange
    | TagColorChange
    | ConversationChange
    | MessageChange
)
CHANGE_SHAPES: tuple[type[EntityChange], ...] = get_args(AnyChange)
ChangeRead = TypeAliasType(
    "ChangeRead",
    Annotated[AnyChange, Field(discriminator="entity", description="One entity after one write.")],
)
# What webhooks subscribe to, and the names of events in a stream.
EVENT_NAMES = tuple(
    f"{get_args(shape.model_fields['entity'].annotation)[0]}.{action}"
    for shape in CHANGE_SHAPES
    for action in get_args(shape.model_fields["action"].annotation)
    if action != SNAPSHOT_ACTION
)


class ChangesPage(BaseModel):
    """Rows of one write are never on two pages, so a page can be longer than requested.

    A page of a snapshot is shorter where its texts are long.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"changes": [CHANGE_EXAMPLE], "next": 42, "has_more": False}]}
    )

    changes: list[ChangeRead]
    next: int = Field(description="The value of `since` for the next page; in a snapshot after its last page.")
    cursor: str | MISSING | None = Field(MISSING, description="Only in a snapshot: its next page; null on the last.")
    has_more: bool = Field(description="Whether there are more changes now, or more pages of the snapshot.")


class FieldChange(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "title", "from": "Milk", "to": "Buy milk"}]})

    field: str
    from_: Any = Field(alias="from", description="null also when the earlier value is no longer kept.")
    to: Any


class HistoryEntry(BaseModel):
    """The changes of one write to one task."""

    revision: int
    action: str
    at: Instant
    through: str
    changes: list[FieldChange]


class Undone(BaseModel):
    """The write that reverted another one; it can also be undone."""

    revision: int
    changes: list[ChangeRead]


# The shapes above without validation: returned by services and encoded.
ChangeRow: Any = msgspec.defstruct("ChangeRow", list(EntityChange.model_fields), frozen=True, gc=False)
HistoryRow: Any = msgspec.defstruct("HistoryRow", list(HistoryEntry.model_fields), frozen=True)
