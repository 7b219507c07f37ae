"""Requests and responses of sync, live updates, history and undo."""

from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from app.models.types import MAX_ID, Instant, RequestModel
from app.schemas.queries import PageLimit, WholeNumber

CHANGE_EXAMPLE: Any = {
    "revision": 42,
    "entity": "task",
    "entity_id": 7,
    "action": "completed",
    "data": {"id": 7, "title": "Buy milk", "completed": True, "version": 42},
    "at": "2026-11-20T09:30:00.123456Z",
    "through": "api",
}


Since = Annotated[int, WholeNumber, Field(ge=0, le=MAX_ID)]


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


class ChangeRead(BaseModel):
    """One entity after one write."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHANGE_EXAMPLE]})

    revision: int = Field(description="The revision of the write. Rows of one write share it.")
    entity: str
    entity_id: int
    action: str = Field(description="created, updated, completed, reopened, deleted, restored, purged, reminded.")
    data: dict[str, Any] = Field(description="The entity after the write, as a GET returns it.")
    at: Instant
    through: str = Field(
        description="The source of the write: api, token:<name>, mcp, chat, import, retention, reminder, reminder:late."
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
ChangeRow: Any = msgspec.defstruct("ChangeRow", list(ChangeRead.model_fields), frozen=True, gc=False)
HistoryRow: Any = msgspec.defstruct("HistoryRow", list(HistoryEntry.model_fields), frozen=True)
