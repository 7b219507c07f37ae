"""Webhooks: the subscribed endpoints, and the attempts to deliver events to them.

The shapes of requests are in ``app.schemas.webhooks``.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import identity, nullable_instant, written_at
from app.models.types import Instant


class Webhook(SQLModel, table=True):
    """``after_*`` is the key of the last delivered change; later changes are pending. Empty ``events``: all."""

    __tablename__ = "webhooks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="webhooks_user_id_fkey", ondelete="CASCADE"),
        CheckConstraint("(disabled_at is null) = (disabled_reason is null)", name="webhooks_disabled_check"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    url: str = Col(sa_type=Text)
    events: list[str] = Col(sa_column=Column("events", ARRAY(Text), nullable=False, server_default=text("'{}'")))
    secret: str = Col(sa_type=Text)
    previous_secret: str | None = Col(sa_type=Text)
    previous_secret_until: datetime | None = nullable_instant()
    after_revision: int = Col(sa_type=BigInteger)
    after_entity: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    after_entity_id: int = Col(sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    test_requested: bool = Col(sa_column_kwargs={"server_default": text("false")})
    attempts: int = Col(sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    failing_since: datetime | None = nullable_instant()
    next_attempt_at: datetime = written_at()
    leased_until: datetime | None = nullable_instant()
    lease: UUID | None = Col(sa_type=Uuid)
    disabled_at: datetime | None = nullable_instant()
    disabled_reason: str | None = Col(sa_type=Text)
    created_at: datetime = written_at()


class WebhookDelivery(SQLModel, table=True):
    """One attempt. ``error`` is the reason when there is no ``status``."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "webhook_id"],
            ["webhooks.user_id", "webhooks.id"],
            name="webhook_deliveries_webhook_fkey",
            ondelete="CASCADE",
        ),
        Index("webhook_deliveries_by_webhook", "user_id", "webhook_id", "id"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    webhook_id: int = Col(sa_type=BigInteger)
    message_id: str = Col(sa_type=Text)
    event: str = Col(sa_type=Text)
    attempt: int = Col(sa_type=Integer)
    status: int | None = Col(sa_type=SmallInteger)
    error: str | None = Col(sa_type=Text)
    latency_ms: int = Col(sa_type=Integer)
    at: datetime = written_at()


WEBHOOK_EXAMPLE: Any = {
    "id": 3,
    "url": "https://example.com/hooks/todo",
    "events": ["task.completed"],
    "active": True,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": "2026-11-20T09:30:00.123456Z",
}


class WebhookRead(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE]})

    id: int
    url: str
    events: list[str]
    active: bool
    disabled_reason: str | None = Field(description="Why it is not active.")
    failing_since: Instant | None
    created_at: Instant


class WebhookCreated(WebhookRead):
    """``secret`` is shown only in this response."""

    model_config = ConfigDict(json_schema_extra={"examples": [WEBHOOK_EXAMPLE | {"secret": "whsec_..."}]})

    secret: str = Field(description="For verifying signatures (Standard Webhooks).", examples=["whsec_..."])


class DeliveryRead(BaseModel):
    """One attempt to deliver one event."""

    id: int
    message_id: str = Field(description="The webhook-id header: the same for each attempt of one event.")
    event: str
    attempt: int
    status: int | None = Field(description="The status of the endpoint's response.")
    error: str | None = Field(description="Why there was no response.")
    latency_ms: int
    at: Instant
