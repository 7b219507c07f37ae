"""When somebody has a whole quota again. Lost in a crash of the database, which only makes it milder for a while."""

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class RateLimit(SQLModel, table=True):
    """``key`` is a SHA-256 value of what is limited and of whom. ``admitted``: the latest try was let through."""

    __tablename__ = "rate_limits"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    full_at: datetime = Field(sa_type=DateTime(timezone=True))
    admitted: bool
