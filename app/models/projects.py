"""Projects: what tasks are kept in. A task in none is in the inbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    text,
)
from sqlmodel import Field as Col
from sqlmodel import SQLModel

NAME_MAX = 100


def _instant(**column: Any) -> Any:
    return Col(sa_type=DateTime(timezone=True), sa_column_kwargs=column, default=None)


class Project(SQLModel, table=True):
    """``position`` is as that of tasks. ``deleted_at`` is set while something may still bring it back."""

    __tablename__ = "projects"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="projects_user_id_fkey"),
        CheckConstraint(f"char_length(name) between 1 and {NAME_MAX}", name="projects_name_check"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="projects_color_check"),
        Index("projects_by_position", "user_id", "position", "id"),
        Index(
            "projects_by_source_id", "user_id", "source_id", unique=True, postgresql_where=text("source_id is not null")
        ),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))
    name: str = Col(sa_type=Text)
    color: str | None = Col(default=None, sa_type=Text)
    moved_to: str | None = Col(default=None, sa_type=Text(collation="C"))
    position: str = Col(
        sa_column=Column(
            "position",
            Text(collation="C"),
            Computed("coalesce(moved_to, chr(96 + length(to_hex(id))) || to_hex(id) || 'i')", persisted=True),
        )
    )
    archived_at: datetime | None = _instant()
    source_id: str | None = Col(default=None, sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = _instant(server_default=text("now()"), nullable=False)
    updated_at: datetime = _instant(server_default=text("now()"), nullable=False)
    deleted_at: datetime | None = _instant()
