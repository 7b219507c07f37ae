"""Projects, which contain tasks. A task without one is in the inbox."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError
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
from app.models.types import (
    UID_EXAMPLE,
    UID_HELP,
    IgnoresReadOnlyFields,
    Instant,
    Int64,
    MergedUpdate,
    RowId,
    Uid,
    UidTwin,
    UpdateModel,
    visible,
)

PROJECT_NAME_MAX = 100
PROJECT_LEVELS_MAX = 3  # an area, its projects, and theirs
COLOR_PATTERN = "^#[0-9A-Fa-f]{6}$"


class Project(SQLModel, table=True):
    """``position`` works as that of tasks. ``deleted_at`` is set while the project can still be restored.

    ``parent_id`` is the project that contains it: at most PROJECT_LEVELS_MAX are inside of each other.
    """

    __tablename__ = "projects"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="projects_user_id_fkey"),
        CheckConstraint(f"char_length(name) between 1 and {PROJECT_NAME_MAX}", name="projects_name_check"),
        CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name="projects_color_check"),
        ForeignKeyConstraint(
            ["user_id", "parent_id"], ["projects.user_id", "projects.id"], name="projects_parent_id_fkey"
        ),
        uid_key("projects"),
        Index("projects_by_position", "user_id", "position", "id"),
        Index(
            "projects_by_parent",
            "user_id",
            "parent_id",
            "position",
            "id",
            postgresql_where=text("parent_id is not null"),
        ),
        Index(
            "projects_name_key",
            "user_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
        Index(
            "projects_by_source_id", "user_id", "source_id", unique=True, postgresql_where=text("source_id is not null")
        ),
        Index("projects_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    uid: str = uid_column()
    name: str = Col(sa_type=Text)
    color: str | None = Col(default=None, sa_type=Text)
    favorite: bool = Col(sa_column_kwargs={"server_default": text("false")})
    parent_id: int | None = Col(default=None, sa_type=BigInteger)
    moved_to: str | None = Col(default=None, sa_type=Text(collation="C"))
    position: str = Col(
        sa_column=Column(
            "position",
            Text(collation="C"),
            Computed("coalesce(moved_to, chr(96 + length(to_hex(id))) || to_hex(id) || 'i')", persisted=True),
        )
    )
    archived_at: datetime | None = nullable_instant()
    source_id: str | None = Col(default=None, sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()


PROJECTS = table_of(Project)


ProjectName = Annotated[
    StrictStr, visible(PROJECT_NAME_MAX), Field(min_length=1, max_length=PROJECT_NAME_MAX, examples=["Home"])
]


def _color(value: str) -> str:
    if re.fullmatch(COLOR_PATTERN, value) is None:
        raise PydanticCustomError("color", "Expected a color such as #3366ff.")
    return value.lower()


Color = Annotated[
    StrictStr, AfterValidator(_color), Field(json_schema_extra={"pattern": COLOR_PATTERN}, examples=["#3366ff"])
]
PROJECT_EXAMPLE: Any = {
    "id": 3,
    "uid": UID_EXAMPLE,
    "user_id": "alice",
    "name": "Home",
    "color": "#3366ff",
    "favorite": False,
    "parent_id": None,
    "position": "a3i",
    "archived_at": None,
    "version": 40,
    "created_at": "2026-11-20T09:30:00.123456Z",
    "updated_at": "2026-11-20T09:30:00.123456Z",
}


class ProjectRead(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [PROJECT_EXAMPLE]})

    id: Int64
    uid: Uid
    user_id: str
    name: str
    color: str | None
    favorite: bool
    parent_id: Int64 | None = Field(description="The project that contains it.")
    position: str = Field(description="Sort key among projects: text, ordered by its bytes.")
    archived_at: Instant | None
    version: Int64
    created_at: Instant
    updated_at: Instant


class ProjectBody(IgnoresReadOnlyFields):
    """Read-only fields of a response may be sent back; they are ignored."""

    TWINS: ClassVar[Mapping[str, UidTwin]] = {"parent_uid": UidTwin("parent_id", "project")}
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(ProjectRead.model_fields) - {
        "uid",
        "name",
        "color",
        "favorite",
        "parent_id",
    }


class ProjectCreate(ProjectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Home", "color": "#3366ff"}]})

    uid: Uid | None = Field(None, description=UID_HELP)
    name: ProjectName
    color: Color | None = None
    favorite: StrictBool = False
    parent_id: RowId | None = None
    parent_uid: Uid | None = None
    archived: StrictBool = False


class ProjectUpdate(ProjectBody, MergedUpdate, UpdateModel):
    """Only the fields sent change."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"archived": True}]})

    uid: Uid | MISSING = Field(MISSING, description="That of the project: it never changes.")
    name: ProjectName | MISSING = MISSING
    color: Color | MISSING | None = MISSING
    favorite: StrictBool | MISSING = MISSING
    parent_id: RowId | MISSING | None = MISSING
    parent_uid: Uid | MISSING | None = MISSING
    archived: StrictBool | MISSING = MISSING


# ProjectRead without validation: returned by services and encoded.
ProjectRow: Any = msgspec.defstruct("ProjectRow", list(ProjectRead.model_fields), frozen=True)
PROJECT_IN_CHANGES = ChangeReader(PROJECTS, list(ProjectRead.model_fields))


def project_of_change(data: Mapping[str, Any]) -> Any:
    """Returns a row in ``changes.data``, or of the table, as a GET returns it."""
    return ProjectRow(*PROJECT_IN_CHANGES.read(data))
