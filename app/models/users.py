"""The owner of everything: a token's subject, with the counter that numbers its writes."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Text, text
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """Created by the first write of a subject never seen before. ``revision`` is the number of the latest write."""

    __tablename__ = "users"

    id: str = Field(primary_key=True, sa_type=Text)
    revision: int = Field(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    timezone: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("'UTC'")})
    created_at: datetime = Field(
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": text("now()")},
    )
