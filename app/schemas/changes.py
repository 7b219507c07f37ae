"""Requests and responses of sync, live updates, history and undo."""

from typing import Annotated, Any, Literal, get_args

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from app.models.comments import CommentRead
from app.models.conversations import ConversationRead, MessageRead
from app.models.projects import ProjectRead
from app.models.tasks import TASK_EXAMPLE, TaskRead
from app.models.types import MAX_ID, Instant, Int64, RequestModel
from app.models.views import ViewRead
from app.schemas.queries import PageLimit, WholeNumber

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


class EventsQuery(RequestModel):
    since: Since | None = Field(
        None, description="Send the changes after this revision first. Default: Last-Event-ID, else only new changes."
    )


class HistoryQuery(RequestModel):
    limit: PageLimit = Field(100, description="Writes, latest first.")
    before: Since | None = Field(
        None, description="Only writes before this revision: the last one of the previous page."
    )


RowAction = Literal["created", "updated", "deleted", "restored", "purged"]
TaskAction = Literal[RowAction, "completed", "reopened", "skipped", "reminded"]


class EntityChange(BaseModel):
    """One entity after one write. ``data`` is the entity as a GET returns it."""

    revision: int = Field(description="The revision of the write. Rows of one write share it.")
    entity: str
    entity_id: Int64
    action: str
    data: Any
    at: Instant
    through: str = Field(
        description="The source of the write: api, token:<name>, mcp, chat, import, retention, reminder, reminder:late."
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


class ConversationChange(EntityChange):
    """A conversation with the assistant, after one write."""

    entity: Literal["conversation"]
    action: Literal["created", "deleted"]
    data: ConversationRead


class MessageChange(EntityChange):
    """A message of a conversation. It goes with its conversation."""

    entity: Literal["message"]
    action: Literal["created"]
    data: MessageRead


AnyChange = TaskChange | ProjectChange | CommentChange | ViewChange | ConversationChange | MessageChange
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
)


class ChangesPage(BaseModel):
    """Rows of one write are never on two pages, so a page can be longer than requested."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"changes": [CHANGE_EXAMPLE], "next": 42, "has_more": False}]}
    )

    changes: list[ChangeRead]
    next: int = Field(description="The value of `since` for the next page.")
    has_more: bool = Field(description="Whether there are more changes now.")


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
