"""API tokens for scripts and agents: shown once, stored as SHA-256."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import CheckConstraint, LargeBinary, Text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.clock import now
from app.models.columns import identity, nullable_instant, written_at
from app.models.types import DateOrInstant, Instant, Int64, RequestModel, visible

API_TOKEN_NAME_MAX = 100


class ApiTokenScope(StrEnum):
    READ = "read"
    WRITE = "write"


class ApiToken(SQLModel, table=True):
    """``hint`` is the beginning of the token, by which its owner recognizes it."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("scope in ('read', 'write')", name="api_tokens_scope_check"),
        Index("api_tokens_by_hash", "token_hash"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    name: str = Col(sa_type=Text)
    scope: str = Col(sa_type=Text)
    token_hash: bytes = Col(sa_type=LargeBinary)
    hint: str = Col(sa_type=Text)
    created_at: datetime = written_at()
    expires_at: datetime | None = nullable_instant()
    last_used_at: datetime | None = nullable_instant()
    revoked_at: datetime | None = nullable_instant()


def _future_instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise PydanticCustomError("instant", "An expiry is an instant with its offset, such as 2027-01-01T00:00:00Z.")
    if value <= now():
        raise PydanticCustomError("past", "The expiry has already passed.")
    return value


Expiry = Annotated[
    DateOrInstant,
    AfterValidator(_future_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2099-01-01T00:00:00Z"]}),
]


class ApiTokenCreate(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "backup script", "scope": "read"}]})

    name: Annotated[StrictStr, visible(API_TOKEN_NAME_MAX), Field(min_length=1, max_length=API_TOKEN_NAME_MAX)]
    scope: ApiTokenScope = Field(ApiTokenScope.READ, description="read: GET and HEAD only.")
    expires_at: Expiry | None = Field(None, description="null: until it is revoked.")


class ApiTokenRead(BaseModel):
    id: Int64
    name: str
    scope: ApiTokenScope
    hint: str
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None


class ApiTokenCreated(ApiTokenRead):
    """The only response that contains ``token``."""

    token: str
