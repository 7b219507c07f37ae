"""Sync, live updates, history and undo: what is asked and what is answered."""

from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from app.models.types import MAX_ID, Instant, Shape
from app.schemas.queries import Limit, Whole

EXAMPLE: Any = {
    "revision": 42,
    "entity": "task",
    "entity_id": 7,
    "action": "completed",
    "data": {"id": 7, "title": "Buy milk", "completed": True, "version": 42},
    "at": "2026-11-20T09:30:00.123456Z",
    "through": "api",
}


Since = Annotated[int, Whole, Field(ge=0, le=MAX_ID)]


class ChangesQuery(Shape):
    since: Since = Field(0, description="What came after this number: X-Revision of a list, or next of a page.")
    limit: Limit = Field(100, description="Rows; a page is longer where it would cut a write in two.")


class EventsQuery(Shape):
    since: Since | None = Field(
        None, description="Replay what came after this number first. Default: Last-Event-ID, else only what comes."
    )


class HistoryQuery(Shape):
    limit: Limit = Field(100, description="Writes, latest first.")
    before: Since | None = Field(None, description="Only writes before this number: the last one of the page before.")


class ChangeRead(BaseModel):
    """One row that one write wrote."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    revision: int = Field(description="The number of the write. Rows of one write share it.")
    entity: str
    entity_id: int
    action: str = Field(description="created, updated, completed, reopened, deleted, restored, purged, reminded.")
    data: dict[str, Any] = Field(description="The entity after the write, as a GET answers it.")
    at: Instant
    through: str = Field(
        description="What the write came through: api, token:<name>, mcp, chat, import, reminder, reminder:late."
    )


class ChangesPage(BaseModel):
    """Rows of one write are never on two pages, so a page can be longer than asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"changes": [EXAMPLE], "next": 42, "has_more": False}]})

    changes: list[ChangeRead]
    next: int = Field(description="Ask for what came since this number next time.")
    has_more: bool = Field(description="Whether there is more to fetch at once.")


class FieldChange(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "title", "from": "Milk", "to": "Buy milk"}]})

    field: str
    from_: Any = Field(alias="from", description="null also when what was before is no longer kept.")
    to: Any


class HistoryEntry(BaseModel):
    """What one write did to one task."""

    revision: int
    action: str
    at: Instant
    through: str
    changes: list[FieldChange]


class Undone(BaseModel):
    """The write that took another one back; it can be undone, too."""

    revision: int
    changes: list[ChangeRead]


# What services return and what is encoded: the shapes above without validation.
ChangeRow: Any = msgspec.defstruct("ChangeRow", list(ChangeRead.model_fields), frozen=True, gc=False)
HistoryRow: Any = msgspec.defstruct("HistoryRow", list(HistoryEntry.model_fields), frozen=True)
