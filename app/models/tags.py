"""Colours of tags. A tag is a word on tasks; it has a row here only while there is something to say about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import ChangeReader, identity, nullable_instant, table_of, written_at
from app.models.types import Instant, Int64


class TagColor(SQLModel, table=True):
    """``name`` is that of the tag, to the letter. ``deleted_at`` is set while undo can still restore the row."""

    __tablename__ = "tags"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="tags_user_id_fkey"),
        CheckConstraint("char_length(name) between 1 and 50", name="tags_name_check"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="tags_color_check"),
        Index("tags_name_key", "user_id", "name", unique=True, postgresql_where=text("deleted_at is null")),
        Index("tags_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    name: str = Col(sa_type=Text)
    color: str = Col(sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()


TAG_COLORS = table_of(TagColor)


class TagColorRead(BaseModel):
    """The colour of a tag, as changes hold it; `GET /tags` has it next to the tag's numbers of tasks."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 5,
                    "user_id": "alice",
                    "name": "errands",
                    "color": "#b4552d",
                    "version": 44,
                    "created_at": "2026-11-20T09:33:00.123456Z",
                    "updated_at": "2026-11-20T09:33:00.123456Z",
                }
            ]
        }
    )

    id: Int64
    user_id: str
    name: str
    color: str
    version: Int64
    created_at: Instant
    updated_at: Instant


# TagColorRead without validation: returned by services and encoded.
TagColorRow: Any = msgspec.defstruct("TagColorRow", list(TagColorRead.model_fields), frozen=True)
TAG_COLOR_IN_CHANGES = ChangeReader(TAG_COLORS, list(TagColorRead.model_fields))


def tag_of_change(data: Mapping[str, Any]) -> Any:
    """Returns a row in ``changes.data``, or of the table, as changes show it."""
    return TagColorRow(*TAG_COLOR_IN_CHANGES.read(data))
