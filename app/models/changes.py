"""The log that sync, live updates, history, undo and webhooks read: one row per row written."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.models.columns import table_of


class Change(SQLModel, table=True):
    """``data`` is the row after the write, its columns as JSON. Rows of one write share their ``revision``.

    ``through`` is the source of the write: api, token:<name>, mcp, chat, import, retention, reminder, or reminder:late
    for a reminder that fired more than a minute late.
    """

    __tablename__ = "changes"
    __table_args__ = (Index("changes_by_entity", "user_id", "entity", "entity_id", "revision"),)

    user_id: str = Field(primary_key=True, sa_type=Text)
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    entity: str = Field(primary_key=True, sa_type=Text)
    entity_id: int = Field(primary_key=True, sa_type=BigInteger)
    action: str = Field(sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)
    at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now()")},
    )
    through: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("'api'")})


CHANGES = table_of(Change)
