"""Sessions: one for each login or grant, extended by refresh tokens that can be used once."""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import DateTime, ForeignKeyConstraint, LargeBinary, Text, text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.models.columns import nullable_instant, written_at
from app.models.types import Instant

INSTANT_TYPE = DateTime(timezone=True)


class LoginSession(SQLModel, table=True):
    """Also the family of its refresh tokens. Ends at the first of ``idle_ends_at``, ``ends_at`` and ``ended_at``.

    ``second_factor_at``: when its user last proved a second factor, null if never.
    With ``client_id`` it is a grant: what a user has allowed an app, for ``resource``. Such a row is no login.
    """

    __tablename__ = "sessions"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="sessions_user_id_fkey"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: str = Col(primary_key=True, sa_type=Text)
    user_agent: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    address: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    created_at: datetime = written_at()
    last_used_at: datetime = written_at()
    idle_ends_at: datetime = Col(sa_type=INSTANT_TYPE)
    ends_at: datetime = Col(sa_type=INSTANT_TYPE)
    ended_at: datetime | None = nullable_instant()
    client_id: str | None = Col(default=None, sa_type=Text)
    client_name: str | None = Col(default=None, sa_type=Text)
    scope: str | None = Col(default=None, sa_type=Text)
    resource: str | None = Col(default=None, sa_type=Text)
    second_factor_at: datetime | None = nullable_instant()


class RefreshToken(SQLModel, table=True):
    """One token of a session's chain, as its SHA-256."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "session_id"],
            ["sessions.user_id", "sessions.id"],
            name="refresh_tokens_session_fkey",
            ondelete="CASCADE",
        ),
        Index("refresh_tokens_by_hash", "token_hash"),
        Index("refresh_tokens_by_session", "user_id", "session_id"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    token_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    session_id: str = Col(sa_type=Text)
    parent_hash: bytes | None = Col(default=None, sa_type=LargeBinary)
    created_at: datetime = written_at()
    used_at: datetime | None = nullable_instant()


class SessionRead(BaseModel):
    """A session that has not ended. ``current``: the session of this request."""

    id: str
    current: bool
    user_agent: str
    address: str
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
