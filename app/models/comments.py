"""Comments on a task."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Identity, Index, Text, text
from sqlmodel import Field as Col
from sqlmodel import SQLModel

BODY_MAX = 5000


def _instant(**column: Any) -> Any:
    return Col(sa_type=DateTime(timezone=True), sa_column_kwargs=column, default=None)


class Comment(SQLModel, table=True):
    """Goes with its task when that is deleted for good. ``deleted_at`` is set while undo may still bring it back."""

    __tablename__ = "comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "task_id"], ["tasks.user_id", "tasks.id"], name="comments_task_id_fkey", ondelete="CASCADE"
        ),
        CheckConstraint(f"char_length(body) between 1 and {BODY_MAX}", name="comments_body_check"),
        Index("comments_by_task", "user_id", "task_id", "id"),
        Index(
            "comments_by_source_id", "user_id", "source_id", unique=True, postgresql_where=text("source_id is not null")
        ),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))
    task_id: int = Col(sa_type=BigInteger)
    body: str = Col(sa_type=Text)
    source_id: str | None = Col(default=None, sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = _instant(server_default=text("now()"), nullable=False)
    updated_at: datetime = _instant(server_default=text("now()"), nullable=False)
    deleted_at: datetime | None = _instant()
