"""How often somebody guessed wrong: for an account at an address, for the account, and for the address."""

from datetime import datetime

from sqlalchemy import DateTime, Integer, LargeBinary
from sqlmodel import Field, Index, SQLModel


class LoginAttempt(SQLModel, table=True):
    """``account`` and ``address`` are SHA-256 values; empty means any. ``admitted``: the latest try was let through."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("login_attempts_by_last_at", "last_at"),)

    account: bytes = Field(primary_key=True, sa_type=LargeBinary)
    address: bytes = Field(primary_key=True, sa_type=LargeBinary)
    failures: int = Field(sa_type=Integer)
    admitted: bool
    blocked_until: datetime = Field(sa_type=DateTime(timezone=True))
    last_at: datetime = Field(sa_type=DateTime(timezone=True))
