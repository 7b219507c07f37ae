"""Comments on a task: the table and the shapes in which they are written and read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import MISSING, BaseModel, ConfigDict, Field, StrictStr
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    Text,
    text,
)
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import ChangeReader, identity, nullable_instant, table_of, uid_column, uid_key, written_at
from app.models.types import UID_EXAMPLE, UID_HELP, IgnoresReadOnlyFields, Instant, Int64, MergedUpdate, Uid, visible

BODY_MAX = 5000


class Comment(SQLModel, table=True):
    """Deleted permanently with its task. ``deleted_at`` is set while undo can still restore it."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "task_id"], ["tasks.user_id", "tasks.id"], name="comments_task_id_fkey", ondelete="CASCADE"
        ),
        CheckConstraint(f"char_length(body) between 1 and {BODY_MAX}", name="comments_body_check"),
        uid_key("comments"),
        Index("comments_by_task", "user_id", "task_id", "id"),
        Index(
            "comments_by_source_id", "user_id", "source_id", unique=True, postgresql_where=text("source_id is not null")
        ),
        Index("comments_trash", "user_id", "deleted_at", "id", postgresql_where=text("deleted_at is not null")),
        Index("comments_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    uid: str = uid_column()
    task_id: int = Col(sa_type=BigInteger)
    body: str = Col(sa_type=Text)
    source_id: str | None = Col(default=None, sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()
    search_text: str = Col(sa_column=Column("search_text", Text, Computed("search_fold(body)", persisted=True)))


COMMENTS = table_of(Comment)


Body = Annotated[StrictStr, visible(BODY_MAX), Field(min_length=1, max_length=BODY_MAX, examples=["The oat one"])]


class CommentRead(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 3,
                    "uid": UID_EXAMPLE,
                    "user_id": "alice",
                    "task_id": 7,
                    "body": "The oat one",
                    "version": 42,
                    "created_at": "2026-11-20T09:31:00.123456Z",
                    "updated_at": "2026-11-20T09:31:00.123456Z",
                }
            ]
        }
    )

    id: Int64
    uid: Uid
    user_id: str
    task_id: Int64
    body: str
    version: Int64
    created_at: Instant
    updated_at: Instant


class CommentBody(IgnoresReadOnlyFields):
    """Read-only fields of a response may be sent back; they are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"body": "The oat one"}]})

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(CommentRead.model_fields) - {"uid", "body"}

    body: Body


class CommentCreate(CommentBody):
    uid: Uid | None = Field(None, description=UID_HELP)


class CommentUpdate(CommentBody, MergedUpdate):
    uid: Uid | MISSING = Field(MISSING, description="That of the comment: it never changes.")


class CommentRow(msgspec.Struct, frozen=True):
    """CommentRead without validation: returned by services and encoded."""

    id: int
    uid: str
    user_id: str
    task_id: int
    body: str
    version: int
    created_at: datetime
    updated_at: datetime


COMMENT_IN_CHANGES = ChangeReader(COMMENTS, CommentRow.__struct_fields__)


def comment_of_change(data: Mapping[str, Any]) -> CommentRow:
    """Returns a row in ``changes.data``, or of the table, as a GET returns it."""
    return CommentRow(*COMMENT_IN_CHANGES.read(data))
