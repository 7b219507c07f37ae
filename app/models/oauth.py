"""OAuth: the clients that ask for access, and the codes that they exchange for tokens. A grant is a session."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import ARRAY, DateTime, ForeignKeyConstraint, LargeBinary, Text, text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.models.columns import nullable_instant, written_at
from app.models.types import Instant


class ConnectedAppRead(BaseModel):
    """An app that a user has allowed access. ``host``: of the site that publishes its metadata, if it does."""

    id: str
    client_id: str
    name: str
    host: str
    scope: Literal["read", "write"]
    resource: str
    address: str
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant


class OAuthClient(SQLModel, table=True):
    """An application that may ask any user for access. ``fetched_at`` is set if its id is the URL of its metadata.

    ``used_at``: when a user last allowed it something.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = (Index("oauth_clients_unused", "created_at", postgresql_where=text("used_at is null")),)

    client_id: str = Col(primary_key=True, sa_type=Text)
    name: str = Col(sa_type=Text)
    redirect_uris: list[str] = Col(sa_type=ARRAY(Text))
    created_at: datetime = written_at()
    fetched_at: datetime | None = nullable_instant()
    used_at: datetime | None = nullable_instant()


class OAuthCode(SQLModel, table=True):
    """An authorization code, as its SHA-256, with what it was given for. ``session_id``: the grant that it became."""

    __tablename__ = "oauth_codes"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="oauth_codes_user_id_fkey"),
        Index("oauth_codes_by_hash", "code_hash"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    code_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    client_id: str = Col(sa_type=Text)
    client_name: str = Col(sa_type=Text)
    redirect_uri: str = Col(sa_type=Text)
    scope: str = Col(sa_type=Text)
    resource: str = Col(sa_type=Text)
    challenge: str = Col(sa_type=Text)
    created_at: datetime = written_at()
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))
    session_id: str | None = Col(default=None, sa_type=Text)
