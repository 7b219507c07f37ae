"""Saved views: a name for a set of list parameters. The shapes of requests are in ``app.schemas.views``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import ChangeReader, identity, nullable_instant, table_of, uid_column, uid_key, written_at
from app.models.types import UID_EXAMPLE, Instant, Int64, Uid

VIEW_NAME_MAX = 100


class View(SQLModel, table=True):
    """``parameters`` are those of a task list. ``deleted_at`` is set while undo can still restore it."""

    __tablename__ = "views"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="views_user_id_fkey"),
        CheckConstraint(f"char_length(name) between 1 and {VIEW_NAME_MAX}", name="views_name_check"),
        uid_key("views"),
        Index("views_name_key", "user_id", "name", unique=True, postgresql_where=text("deleted_at is null")),
        Index("views_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    uid: str = uid_column()
    name: str = Col(sa_type=Text)
    parameters: dict[str, Any] = Col(sa_column=Column("parameters", JSONB, nullable=False))
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()


VIEWS = table_of(View)


class ViewRead(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 2,
                    "uid": UID_EXAMPLE,
                    "user_id": "alice",
                    "name": "Urgent at home",
                    "parameters": {"status": "pending", "priority": ["urgent"], "tag": ["home"], "sort": "due_date"},
                    "version": 43,
                    "created_at": "2026-11-20T09:32:00.123456Z",
                    "updated_at": "2026-11-20T09:32:00.123456Z",
                }
            ]
        }
    )

    id: Int64
    uid: Uid
    user_id: str
    name: str
    parameters: dict[str, Any]
    version: Int64
    created_at: Instant
    updated_at: Instant


class ViewRow(msgspec.Struct, frozen=True):
    """ViewRead without validation: returned by services and encoded."""

    id: int
    uid: str
    user_id: str
    name: str
    parameters: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


VIEW_IN_CHANGES = ChangeReader(VIEWS, ViewRow.__struct_fields__)


def view_of_change(data: Mapping[str, Any]) -> ViewRow:
    """Returns a row in ``changes.data``, or of the table, as a GET returns it."""
    return ViewRow(*VIEW_IN_CHANGES.read(data))
