"""The worker's transactions for one webhook: claim its next event under a lease, and record the outcome.

No transaction is open while the worker waits for the endpoint, so a lease, not a row lock, excludes other workers. It
is longer than the longest call, and only the worker that still holds it writes the outcome.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.json_codec import encode
from app.net.outbound import Outcome
from app.services.changes.feed import change_row

LEASE_SECONDS = 40  # seconds
KEPT_DELIVERIES = 200  # attempts listed for one webhook
GIVE_UP_REASON = "No success for 24 hours: "

SELECT_DUE_WEBHOOKS = CompiledStatement(
    text("""
    select w.user_id, w.id from webhooks w join users u on u.id = w.user_id
    where w.disabled_at is null and (w.leased_until is null or w.leased_until < now())
      and (w.test_requested or (w.next_attempt_at <= now() and u.revision >= w.after_revision))
      and w.id <> all(cast(:busy as bigint[]))
      and (cast(:owners as text[]) is null or w.user_id = any(cast(:owners as text[])))
    order by w.next_attempt_at limit 500""")
)
LOCK_DUE_WEBHOOK = CompiledStatement(
    text("""
    select url, events, secret, case when previous_secret_until > now() then previous_secret end as previous_secret,
        after_revision, after_entity, after_entity_id, test_requested, attempts,
        (select revision from users where id = :owner) as current
    from webhooks
    where user_id = :owner and id = :webhook_id and disabled_at is null
      and (test_requested or next_attempt_at <= now()) and (leased_until is null or leased_until < now())
    for update skip locked""")
)
LEASE_WEBHOOK = CompiledStatement(
    text(f"""
    update webhooks set lease = cast(:lease as uuid), leased_until = now() + interval '{LEASE_SECONDS} seconds'
    where user_id = :owner and id = :webhook_id""")  # noqa: S608 - a constant
)
# Its snapshot is later than the one that read ``current``: changes that it does not see have later revisions.
SELECT_NEXT_EVENT = CompiledStatement(
    text("""
    select revision, entity, entity_id, action, data, at, through from changes
    where user_id = :owner
      and (revision, entity, entity_id) > (cast(:revision as bigint), cast(:entity as text), cast(:entity_id as bigint))
      and (cast(:events as text[]) = '{}' or entity || '.' || action = any(cast(:events as text[])))
    order by revision, entity, entity_id limit 1""")
)
HOLDS_LEASE = "user_id = :owner and id = :webhook_id and lease = cast(:lease as uuid)"
RELEASE_LEASE = "lease = null, leased_until = null"
RECORD_NO_EVENT = CompiledStatement(
    text(f"""
    update webhooks set after_revision = cast(:current as bigint) + 1, after_entity = '', after_entity_id = 0,
        {RELEASE_LEASE}
    where {HOLDS_LEASE}""")  # noqa: S608
)
RECORD_DELIVERED = CompiledStatement(
    text(f"""
    update webhooks set after_revision = :revision, after_entity = :entity, after_entity_id = :entity_id,
        attempts = 0, failing_since = null, {RELEASE_LEASE}
    where {HOLDS_LEASE} returning id""")  # noqa: S608
)
# The outcome of a test does not affect the events: their failures and their next attempt stay as they are.
RECORD_TESTED = CompiledStatement(
    text(f"update webhooks set test_requested = false, {RELEASE_LEASE} where {HOLDS_LEASE} returning id")  # noqa: S608
)
IS_FINAL = "(:final or failing_since < cast(:gives_up_before as timestamptz))"
RECORD_FAILED = CompiledStatement(
    text(f"""
    update webhooks set attempts = attempts + 1, failing_since = coalesce(failing_since, now()), {RELEASE_LEASE},
        next_attempt_at = now() + make_interval(secs => :delay),
        disabled_at = case when {IS_FINAL} then now() end, disabled_reason = case when {IS_FINAL} then :reason end
    where {HOLDS_LEASE} returning id""")  # noqa: S608
)
INSERT_DELIVERY = CompiledStatement(
    text("""
    insert into webhook_deliveries (user_id, webhook_id, message_id, event, attempt, status, error, latency_ms)
    values (:owner, :webhook_id, :message_id, :event, :attempt, :status, :error, :latency_ms)""")
)
PRUNE_DELIVERIES = CompiledStatement(
    text(f"""
    delete from webhook_deliveries where user_id = :owner and webhook_id = :webhook_id and id <= (
        select id from webhook_deliveries where user_id = :owner and webhook_id = :webhook_id
        order by id desc offset {KEPT_DELIVERIES} limit 1)""")  # noqa: S608
)


class Job(NamedTuple):
    """One event for one endpoint. ``key`` identifies the change; None for a test."""

    url: str
    secrets: list[str]
    attempt: int
    message_id: str
    event: str
    body: bytes
    key: tuple[int, str, int] | None


async def find_due_webhooks(
    session: Session, owner: str, *, owners: list[str] | None, busy: list[int]
) -> list[tuple[str, int]]:
    """Returns webhooks with events to deliver, of ``owners`` or of all, without those in ``busy``.

    Runs as the worker's role, which can read nothing else.
    """
    return [tuple(row) for row in (await session.exec(SELECT_DUE_WEBHOOKS, {"owners": owners, "busy": busy})).all()]


async def claim_job(session: Session, owner: str, webhook_id: int, lease: UUID) -> Job | None:
    """Claims the next event; returns None when there is none, or when another worker holds the lease."""
    mine = {"owner": owner, "webhook_id": webhook_id, "lease": lease}
    hook = (await session.exec(LOCK_DUE_WEBHOOK, mine)).first()
    if hook is None:
        return None
    await session.exec(LEASE_WEBHOOK, mine)
    keys = [hook.secret, *([hook.previous_secret] if hook.previous_secret else [])]
    if hook.test_requested:
        stamp = now()
        body = {"type": "webhook.test", "timestamp": stamp, "data": {"webhook_id": webhook_id}}
        message_id = f"{webhook_id}-test-{int(stamp.timestamp() * 1000)}"
        return Job(hook.url, keys, 1, message_id, "webhook.test", encode(body), None)
    position = {"revision": hook.after_revision, "entity": hook.after_entity, "entity_id": hook.after_entity_id}
    row = (await session.exec(SELECT_NEXT_EVENT, {"owner": owner, "events": hook.events, **position})).first()
    if row is None:
        await session.exec(RECORD_NO_EVENT, {**mine, "current": hook.current})
        return None
    change = change_row(row)
    event = f"{change.entity}.{change.action}"
    body = {"type": event, "timestamp": change.at, "data": change}
    message_id = f"{webhook_id}-{change.revision}-{change.entity}-{change.entity_id}"
    key = (change.revision, change.entity, change.entity_id)
    return Job(hook.url, keys, hook.attempts + 1, message_id, event, encode(body), key)


async def record_outcome(
    session: Session,
    owner: str,
    webhook_id: int,
    lease: UUID,
    job: Job,
    outcome: Outcome,
    *,
    delay: float,
    window: float,
) -> bool:
    """Records the outcome; returns whether the next event may follow at once.

    ``delay`` until the next attempt and ``window`` of failures until the webhook is disabled are in seconds. A response
    410 disables it at once.
    """
    mine = {"owner": owner, "webhook_id": webhook_id, "lease": lease}
    result = f"it responded with {outcome.status}." if outcome.status else (outcome.error or "")
    if job.key is None:  # a failed test is only listed
        held = await session.exec(RECORD_TESTED, mine)
    elif outcome.delivered:
        position = dict(zip(("revision", "entity", "entity_id"), job.key, strict=True))
        held = await session.exec(RECORD_DELIVERED, {**mine, **position})
    else:
        final = outcome.status == 410
        reason = "The endpoint responded with 410 Gone." if final else GIVE_UP_REASON + result
        gives_up_before = now() - timedelta(seconds=window)
        held = await session.exec(
            RECORD_FAILED,
            {**mine, "delay": delay, "gives_up_before": gives_up_before, "final": final, "reason": reason},
        )
    note = {"message_id": job.message_id, "event": job.event, "attempt": job.attempt, **outcome._asdict()}
    if held.first() is not None:
        await session.exec(INSERT_DELIVERY, {**mine, **note})
        await session.exec(PRUNE_DELIVERIES, mine)
    return outcome.delivered or job.key is None
