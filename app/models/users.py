"""Users: the subjects of tokens and owners of all rows, with the counter of their revisions."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, Text, text
from sqlmodel import Field, SQLModel

from app.models.columns import table_of


class User(SQLModel, table=True):
    """Created by the first write of a new subject. ``revision`` is that of the latest write.

    Changes up to ``pruned_revision`` have been pruned, or are from before a restore: no client continues there. At
    ``prune_at`` the oldest change that is left, or the oldest idempotency key, expires.
    """

    __tablename__ = "users"
    __table_args__ = (Index("users_by_prune_at", "prune_at"),)

    id: str = Field(primary_key=True, sa_type=Text)
    revision: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("initial_revision()")})
    pruned_revision: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("initial_revision()")})
    prune_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now() + interval '1 day'")},
    )
    timezone: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("'UTC'")})
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now()")},
    )


USERS = table_of(User)
