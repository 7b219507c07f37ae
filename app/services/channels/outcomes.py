"""The outcomes of messages for channels: what a worker records, what a test does, and what a user sees of them."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.channels import DeliveryRow
from app.services.channels.create_update import disable_channel, get_channel
from app.services.channels.outbox import ChannelAddress, ClaimedDelivery, message_id_of, server_of
from app.services.users import lock_owner

LONGEST_QUIET_HOURS = timedelta(days=1)
# What is still to be sent is among the latest, unless it has been so for long.
SELECT_CHANNEL_DELIVERIES = CompiledStatement(
    text("""
    select id, channel_id, kind, revision, task_id, day, due_at, outcome, attempts, status, error, latency_ms,
        attempted_at, case when outcome is null then next_attempt_at end as next_attempt_at
    from deliveries where user_id = :owner and channel_id = :channel_id order by id desc limit 100""")
)
RELEASED_LEASE = "lease = null, leased_until = null"
HOLDS_DELIVERY = "user_id = :owner and id = :delivery_id and lease = cast(:lease as uuid)"
RECORD_SENT = CompiledStatement(
    text(f"""
    update deliveries set outcome = 'delivered', attempts = attempts + 1, status = :status, error = null,
        latency_ms = :latency_ms, attempted_at = now(), {RELEASED_LEASE}
    where {HOLDS_DELIVERY} returning attempts""")  # noqa: S608
)
RECORD_SKIPPED = CompiledStatement(
    text(f"update deliveries set outcome = 'skipped', error = :error, {RELEASED_LEASE} where {HOLDS_DELIVERY}")  # noqa: S608
)
# Each night's quiet hours move ``not_before``, so ``created_at`` counts as well.
RECORD_NOT_SENT = CompiledStatement(
    text(f"""
    update deliveries set attempts = attempts + 1, status = :status, error = :error, latency_ms = :latency_ms,
        attempted_at = now(), next_attempt_at = now() + make_interval(secs => :delay), {RELEASED_LEASE},
        outcome = case when :final or greatest(created_at, not_before) < :gives_up_before
            or created_at < :ends_before then 'failed' end
    where {HOLDS_DELIVERY} returning attempts""")  # noqa: S608
)
IS_WAITING = "user_id = :owner and channel_id = :channel_id and outcome is null and lease is null"
# The others wait for as long, and are sent when it responds.
POSTPONE_OTHERS = CompiledStatement(
    text(f"""
    update deliveries set next_attempt_at = now() + make_interval(secs => :delay)
    where {IS_WAITING} and next_attempt_at < now() + make_interval(secs => :delay)""")  # noqa: S608
)
RESUME_OTHERS = CompiledStatement(
    text(f"""
    update deliveries set next_attempt_at = greatest(not_before, now())
    where {IS_WAITING} and next_attempt_at > greatest(not_before, now())"""),  # noqa: S608
    notifies=True,
)
INSERT_TEST = CompiledStatement(
    text("""
    insert into deliveries (user_id, channel_id, target, kind, due_at, attempts, outcome, status, error, latency_ms,
        attempted_at)
    values (:owner, :channel_id, :target, 'test', :moment, 1, :outcome, :status, :error, :latency_ms, now())
    returning id, channel_id, kind, revision, task_id, day, due_at, outcome, attempts, status, error, latency_ms,
        attempted_at, cast(null as timestamptz) as next_attempt_at""")
)
DELETE_OLD_TESTS = CompiledStatement(
    text("""
    delete from deliveries where user_id = :owner and id in (select id from deliveries
        where user_id = :owner and channel_id = :channel_id and kind = 'test' order by id desc offset 20)""")
)


class Attempt(NamedTuple):
    """The result of one attempt to deliver. ``is_final``: another one would fail too. ``ends``: and any other message.

    ``receiver_failed``: so would other messages now; ``delay`` is in seconds.
    """

    delivered: bool
    status: int | None
    error: str | None
    latency_ms: int
    is_final: bool = False
    ends: bool = False
    receiver_failed: bool = False
    delay: float = 0


async def list_deliveries(session: Session, owner: str, channel_id: int) -> list[DeliveryRow]:
    """Returns the latest messages, latest first. Raises ChannelNotFound."""
    await get_channel(session, owner, channel_id)
    rows = (await session.exec(SELECT_CHANNEL_DELIVERIES, {"owner": owner, "channel_id": channel_id})).all()
    return [_delivery_of(row) for row in rows]


def _delivery_of(row: Any) -> DeliveryRow:
    values = {name: getattr(row, name) for name in DeliveryRow.__struct_fields__ if name != "message_id"}
    return DeliveryRow(message_id=message_id_of(row), **values)


async def record_attempt(
    session: Session,
    owner: str,
    address: ChannelAddress,
    lease: UUID,
    delivery: ClaimedDelivery,
    attempt: Attempt,
    *,
    window: float,
) -> None:
    """Records one attempt; after ``window`` seconds of failures, and at most a day of quiet hours, it is given up.

    A receiver that is gone permanently disables the channel.
    """
    held = {"owner": owner, "delivery_id": delivery.id, "lease": lease}
    channel = {"owner": owner, "channel_id": address.id}
    result = {"status": attempt.status, "latency_ms": attempt.latency_ms}
    if attempt.delivered:
        recorded = (await session.exec(RECORD_SENT, held | result)).first()
        if recorded is not None and recorded > 1:
            await session.exec(RESUME_OTHERS, channel)
        return
    if attempt.ends:
        await lock_owner(session, owner)  # before any other lock
    failure = result | {"error": attempt.error, "delay": attempt.delay, "final": attempt.is_final or attempt.ends}
    gives_up_before = now() - timedelta(seconds=window)
    limits = {"gives_up_before": gives_up_before, "ends_before": gives_up_before - LONGEST_QUIET_HOURS}
    if (await session.exec(RECORD_NOT_SENT, held | failure | limits)).first() is None:
        return  # another worker has it
    if attempt.ends:
        await disable_channel(session, owner, address.id, attempt.error or "", version=address.version)
    elif attempt.receiver_failed:
        await session.exec(POSTPONE_OTHERS, channel | {"delay": attempt.delay})


async def record_skipped(session: Session, owner: str, lease: UUID, delivery: ClaimedDelivery) -> None:
    """Records that a delivery is not sent, and why."""
    values = {"owner": owner, "delivery_id": delivery.id, "lease": lease, "error": delivery.skip}
    await session.exec(RECORD_SKIPPED, values)


async def record_test(
    session: Session, owner: str, address: ChannelAddress, attempt: Attempt, *, moment: datetime
) -> DeliveryRow:
    """Records a test among the deliveries, and returns it.

    One that arrives lets the messages follow that wait for the receiver; one that shows that the receiver is gone
    disables the channel. Raises ChannelNotFound if it was deleted while it was tested.
    """
    await lock_owner(session, owner)
    await get_channel(session, owner, address.id)
    target = server_of(address.kind, address.url)
    outcome = "delivered" if attempt.delivered else "failed"
    result = {"outcome": outcome, "status": attempt.status, "error": attempt.error, "latency_ms": attempt.latency_ms}
    channel = {"owner": owner, "channel_id": address.id}
    row = (await session.exec(INSERT_TEST, {**channel, "target": target, "moment": moment, **result})).one()
    await session.exec(DELETE_OLD_TESTS, channel)
    if attempt.delivered:
        await session.exec(RESUME_OTHERS, channel)
    elif attempt.ends:
        await disable_channel(session, owner, address.id, attempt.error or "", version=address.version)
    return _delivery_of(row)
