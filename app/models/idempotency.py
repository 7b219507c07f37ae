"""Responses that are stored for a day, so that a client that got none can safely repeat its request."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.models.columns import table_of, written_at


class IdempotencyKey(SQLModel, table=True):
    """``fingerprint`` is a hash of the request; ``headers`` are pairs."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="idempotency_keys_user_id_fkey", ondelete="CASCADE"),
        Index("idempotency_keys_by_age", "user_id", "created_at"),
    )

    user_id: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    status: int = Field(sa_type=SmallInteger)
    headers: list[Any] = Field(sa_type=JSONB)
    body: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = written_at()


IDEMPOTENCY_KEYS = table_of(IdempotencyKey)
