"""Saved views: a name for a set of list parameters."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

NAME_MAX = 100


def _instant(**column: Any) -> Any:
    return Col(sa_type=DateTime(timezone=True), sa_column_kwargs=column, default=None)


class View(SQLModel, table=True):
    """``parameters`` are those of a task list. ``deleted_at`` is set while undo may still bring it back."""

    __tablename__ = "views"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="views_user_id_fkey"),
        CheckConstraint(f"char_length(name) between 1 and {NAME_MAX}", name="views_name_check"),
        Index("views_name_key", "user_id", "name", unique=True, postgresql_where=text("deleted_at is null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))
    name: str = Col(sa_type=Text)
    parameters: dict[str, Any] = Col(sa_column=Column("parameters", JSONB, nullable=False))
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = _instant(server_default=text("now()"), nullable=False)
    updated_at: datetime = _instant(server_default=text("now()"), nullable=False)
    deleted_at: datetime | None = _instant()
