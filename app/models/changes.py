"""The log that sync, live updates, history, undo and webhooks read: one row per row written."""

from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.base import Instant

EXAMPLE: Any = {
    "revision": 42,
    "entity": "task",
    "entity_id": 7,
    "action": "completed",
    "data": {"id": 7, "title": "Buy milk", "completed": True, "version": 42},
    "at": "2026-11-20T09:30:00.123456Z",
    "through": "api",
}


class Change(SQLModel, table=True):
    """``data`` is the row after the write, its columns as JSON. Rows of one write share their ``revision``.

    ``through`` names what the write came through: api, the name of a token, mcp, chat, import.
    """

    __tablename__ = "changes"
    __table_args__ = (Index("changes_by_entity", "user_id", "entity", "entity_id", "revision"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    revision: int = Col(primary_key=True, sa_type=BigInteger)
    entity: str = Col(primary_key=True, sa_type=Text)
    entity_id: int = Col(primary_key=True, sa_type=BigInteger)
    action: str = Col(sa_type=Text)
    data: dict[str, Any] = Col(sa_type=JSONB)
    at: datetime = Col(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now()")},
    )
    through: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("'api'")})


class ChangeRead(BaseModel):
    """One row that one write wrote."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    revision: int = Field(description="The number of the write. Rows of one write share it.")
    entity: str
    entity_id: int
    action: str = Field(description="created, updated, completed, reopened, deleted, restored, purged.")
    data: dict[str, Any] = Field(description="The entity after the write, as a GET answers it.")
    at: Instant
    through: str = Field(description="What the write came through: api, a token's name, mcp, chat, import.")


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
