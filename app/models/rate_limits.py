"""The instants at which quotas are full again. The table is lost in a crash of the database: quotas are full then."""

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary
from sqlmodel import Field, SQLModel


class RateLimit(SQLModel, table=True):
    """``key`` is a SHA-256 value of the limit and its subject. ``admitted``: the latest attempt was allowed."""

    __tablename__ = "rate_limits"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    full_at: datetime = Field(sa_type=DateTime(timezone=True))
    admitted: bool
