"""Channels: the ways in which reminders and digests reach a person. Requests are in ``app.schemas.channels``."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import ChangeReader, identity, nullable_instant, table_of, written_at
from app.models.types import Instant, Int64

CHANNEL_NAME_MAX = 100
DIGEST_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = ",".join(DIGEST_WEEKDAYS)


class ChannelKind(StrEnum):
    WEBPUSH = "webpush"
    NTFY = "ntfy"
    GOTIFY = "gotify"
    APPRISE = "apprise"
    MAIL = "mail"


class Channel(SQLModel, table=True):
    """``secrets`` names those that are set in ``channel_secrets``. ``next_digest_at`` is computed by every write.

    Times are local ones of the owner, as HH:MM. ``deleted_at`` is set while undo can still restore it.
    """

    __tablename__ = "channels"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="channels_user_id_fkey"),
        CheckConstraint("kind in ('webpush', 'ntfy', 'gotify', 'apprise', 'mail')", name="channels_kind_check"),
        CheckConstraint(f"char_length(name) between 1 and {CHANNEL_NAME_MAX}", name="channels_name_check"),
        CheckConstraint("active = (disabled_reason is null)", name="channels_active_check"),
        CheckConstraint("(quiet_from is null) = (quiet_to is null)", name="channels_quiet_check"),
        Index("channels_name_key", "user_id", "name", unique=True, postgresql_where=text("deleted_at is null")),
        Index("channels_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
        Index("channels_by_next_digest_at", "next_digest_at", postgresql_where=text("next_digest_at is not null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    kind: str = Col(sa_type=Text)
    name: str = Col(sa_type=Text)
    url: str | None = Col(default=None, sa_type=Text)
    topic: str | None = Col(default=None, sa_type=Text)
    secrets: list[str] = Col(sa_column=Column("secrets", ARRAY(Text), nullable=False, server_default=text("'{}'")))
    active: bool = Col(sa_column_kwargs={"server_default": text("true")})
    disabled_reason: str | None = Col(default=None, sa_type=Text)
    all_reminders: bool = Col(sa_column_kwargs={"server_default": text("true")})
    quiet_from: str | None = Col(default=None, sa_type=Text)
    quiet_to: str | None = Col(default=None, sa_type=Text)
    digest_time: str | None = Col(default=None, sa_type=Text)
    digest_days: list[str] = Col(
        sa_column=Column("digest_days", ARRAY(Text), nullable=False, server_default=text(f"'{{{EVERY_DAY}}}'"))
    )
    next_digest_at: datetime | None = nullable_instant()
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()
    updated_at: datetime = written_at()
    deleted_at: datetime | None = nullable_instant()


class ChannelSecrets(SQLModel, table=True):
    """Keys and tokens of a channel. Not numbered: no change, no export and no undo holds them."""

    __tablename__ = "channel_secrets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "channel_id"],
            ["channels.user_id", "channels.id"],
            name="channel_secrets_channel_fkey",
            ondelete="CASCADE",
        ),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    channel_id: int = Col(sa_column=Column("channel_id", BigInteger, primary_key=True, autoincrement=False))
    secrets: dict[str, Any] = Col(sa_column=Column("secrets", JSONB, nullable=False))


class Delivery(SQLModel, table=True):
    """One message for one channel: what is to be sent, and afterwards the record of it.

    There is one for each reminder (``revision`` and ``task_id`` of its change) and one for each day of a digest.
    ``target`` is the server that it is sent to, of which one that does not respond must not delay the others. Without
    an ``outcome`` it is sent at ``next_attempt_at``, never before ``not_before``, the end of quiet hours.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "channel_id"],
            ["channels.user_id", "channels.id"],
            name="deliveries_channel_fkey",
            ondelete="CASCADE",
        ),
        CheckConstraint("kind in ('reminder', 'digest', 'test')", name="deliveries_kind_check"),
        CheckConstraint("outcome in ('delivered', 'failed', 'skipped')", name="deliveries_outcome_check"),
        Index(
            "deliveries_reminder_key",
            "user_id",
            "channel_id",
            "revision",
            "task_id",
            unique=True,
            postgresql_where=text("kind = 'reminder'"),
        ),
        Index(
            "deliveries_digest_key",
            "user_id",
            "channel_id",
            "day",
            unique=True,
            postgresql_where=text("kind = 'digest'"),
        ),
        Index("deliveries_by_channel", "user_id", "channel_id", "id"),
        Index(
            "deliveries_pending",
            "user_id",
            "channel_id",
            "next_attempt_at",
            "id",
            postgresql_where=text("outcome is null"),
        ),
        Index("deliveries_by_next_attempt_at", "next_attempt_at", postgresql_where=text("outcome is null")),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    channel_id: int = Col(sa_type=BigInteger)
    target: str = Col(sa_type=Text)
    kind: str = Col(sa_type=Text)
    revision: int | None = Col(default=None, sa_type=BigInteger)
    task_id: int | None = Col(default=None, sa_type=BigInteger)
    day: date | None = Col(default=None, sa_type=Date)
    due_at: datetime = Col(sa_type=DateTime(timezone=True))
    not_before: datetime = written_at()
    attempts: int = Col(sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    next_attempt_at: datetime = written_at()
    leased_until: datetime | None = nullable_instant()
    lease: UUID | None = Col(default=None, sa_type=Uuid)
    outcome: str | None = Col(default=None, sa_type=Text)
    status: int | None = Col(default=None, sa_type=SmallInteger)
    error: str | None = Col(default=None, sa_type=Text)
    latency_ms: int | None = Col(default=None, sa_type=Integer)
    created_at: datetime = written_at()
    attempted_at: datetime | None = nullable_instant()


CHANNELS = table_of(Channel)
CHANNEL_EXAMPLE: dict[str, Any] = {
    "id": 4,
    "user_id": "alice",
    "kind": "ntfy",
    "name": "Phone",
    "url": "https://ntfy.sh",
    "topic": "alice-8f3a1c",
    "secrets": ["token"],
    "active": True,
    "disabled_reason": None,
    "all_reminders": True,
    "quiet_from": "22:00",
    "quiet_to": "07:00",
    "digest_time": "08:00",
    "digest_days": ["mon", "tue", "wed", "thu", "fri"],
    "version": 44,
    "created_at": "2026-11-20T09:32:00.123456Z",
    "updated_at": "2026-11-20T09:32:00.123456Z",
}


class ChannelRead(BaseModel):
    """A channel without its secrets, which no response holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHANNEL_EXAMPLE]})

    id: Int64
    user_id: str
    kind: ChannelKind
    name: str
    url: str | None = Field(description="Of the server; of webpush the origin of the browser's push service.")
    topic: str | None
    secrets: list[str] = Field(description="The names of the secrets that are set. They are never returned.")
    active: bool
    disabled_reason: str | None = Field(description="Why it is not active.")
    all_reminders: bool = Field(description="Whether it also gets reminders of tasks that name no channels.")
    quiet_from: str | None
    quiet_to: str | None
    digest_time: str | None
    digest_days: list[str]
    version: Int64
    created_at: Instant
    updated_at: Instant


class ChannelRow(msgspec.Struct, frozen=True):
    """ChannelRead without validation: returned by services and encoded."""

    id: int
    user_id: str
    kind: str
    name: str
    url: str | None
    topic: str | None
    secrets: list[str]
    active: bool
    disabled_reason: str | None
    all_reminders: bool
    quiet_from: str | None
    quiet_to: str | None
    digest_time: str | None
    digest_days: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


CHANNEL_IN_CHANGES = ChangeReader(CHANNELS, ChannelRow.__struct_fields__)


def channel_of_change(data: Mapping[str, Any]) -> ChannelRow:
    """Returns the row in ``changes.data``, equal to that of a GET."""
    return ChannelRow(*CHANNEL_IN_CHANGES.read(data))


DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": 81,
    "message_id": "4-52-7",
    "kind": "reminder",
    "task_id": 7,
    "day": None,
    "due_at": "2026-11-30T08:00:00Z",
    "outcome": "delivered",
    "attempts": 1,
    "status": 200,
    "error": None,
    "latency_ms": 48,
    "attempted_at": "2026-11-30T08:00:00.310021Z",
    "next_attempt_at": None,
}


class ChannelDelivery(BaseModel):
    """One message for a channel: a reminder, a digest or a test, and the result of the latest attempt to send it."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERY_EXAMPLE]})

    id: Int64
    message_id: str = Field(description="Sent with each attempt, so that a receiver can drop doubles.")
    kind: Literal["reminder", "digest", "test"]
    task_id: Int64 | None
    day: date | None = Field(description="Of a digest.")
    due_at: Instant
    outcome: Literal["delivered", "failed", "skipped"] | None = Field(description="null: it is still to be sent.")
    attempts: int
    status: int | None = Field(description="Of the receiver's response.")
    error: str | None = Field(description="Why it was not delivered.")
    latency_ms: int | None
    attempted_at: Instant | None
    next_attempt_at: Instant | None = Field(description="When it is sent; null once it has an outcome.")


class DeliveryRow(msgspec.Struct, frozen=True):
    """ChannelDelivery without validation."""

    id: int
    message_id: str
    kind: str
    task_id: int | None
    day: date | None
    due_at: datetime
    outcome: str | None
    attempts: int
    status: int | None
    error: str | None
    latency_ms: int | None
    attempted_at: datetime | None
    next_attempt_at: datetime | None


class ChannelKindRead(BaseModel):
    """A kind of channel, and whether it can be used here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "mail",
                    "available": False,
                    "reason": "The operator has set no mail server (SMTP_URL).",
                    "public_key": None,
                }
            ]
        }
    )

    kind: ChannelKind
    available: bool
    reason: str | None = Field(description="What is missing.")
    public_key: str | None = Field(description="Of webpush: the `applicationServerKey` for `pushManager.subscribe`.")


class KindRow(msgspec.Struct, frozen=True):
    """ChannelKindRead without validation."""

    kind: str
    available: bool
    reason: str | None
    public_key: str | None
