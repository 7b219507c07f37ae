"""Failed logins: of an account from an IP address, of the account, and from the IP address."""

from datetime import datetime

from sqlalchemy import DateTime, Integer, LargeBinary
from sqlmodel import Field, Index, SQLModel


class LoginAttempt(SQLModel, table=True):
    """``account`` and ``address`` are SHA-256 values; empty means any. ``admitted``: the latest attempt was allowed."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("login_attempts_by_last_at", "last_at"),)

    account: bytes = Field(primary_key=True, sa_type=LargeBinary)
    address: bytes = Field(primary_key=True, sa_type=LargeBinary)
    failures: int = Field(sa_type=Integer)
    admitted: bool
    blocked_until: datetime = Field(sa_type=DateTime(timezone=True))
    last_at: datetime = Field(sa_type=DateTime(timezone=True))
