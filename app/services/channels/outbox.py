"""The outbox of channels: one lasting row for each message and channel, and how a worker claims it.

A row is made in the transaction that fires the reminder, and holds the outcome afterwards (``outcomes``). No
transaction is open while the worker waits for a receiver, so a lease, not a row lock, excludes other workers. It is
longer than the longest call, and only the worker that still holds it writes the outcome.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.digests import DigestContents
from app.domain.notifications import RemindedTask
from app.models.channels import ChannelKind
from app.models.task_rows import due_of
from app.services.channels.digest_contents import read_digest
from app.services.channels.quiet_hours import hold_deliveries

MESSAGE_LEASE_SECONDS = 40  # seconds
MAIL_SERVER = "smtp"  # the server of all channels of the kind mail
SWITCHED_OFF_ERROR = "The channel is switched off."

SELECT_RECEIVERS = CompiledStatement(
    text("""
    select c.id, c.kind, c.url, c.all_reminders, u.timezone, now() as moment,
        c.digest_time, c.digest_days, c.next_digest_at,
        (select max(d.next_attempt_at) from deliveries d
         where d.user_id = :owner and d.channel_id = c.id and d.outcome is null and d.attempts > 0) as failing_until
    from channels c join users u on u.id = c.user_id
    where c.user_id = :owner and c.active and c.deleted_at is null order by c.id""")
)
INSERT_CHANNEL_DELIVERY = CompiledStatement(
    text("""
    insert into deliveries (user_id, channel_id, target, kind, revision, task_id, day, due_at, not_before,
        next_attempt_at, outcome, error)
    values (:owner, :channel_id, :target, :kind, :revision, :task_id, :day, :due_at, :not_before, :next_attempt_at,
        :outcome, :error)
    on conflict do nothing""")
)
SELECT_DUE_CHANNELS = CompiledStatement(
    text("""
    select user_id, channel_id, min(target) as target from deliveries
    where outcome is null and next_attempt_at <= now() and (leased_until is null or leased_until < now())
      and channel_id <> all(cast(:busy as bigint[]))
      and (cast(:owners as text[]) is null or user_id = any(cast(:owners as text[])))
    group by user_id, channel_id order by min(next_attempt_at) limit 500""")
)
# While a receiver fails, it is tried with one message, the one that has failed most often. A
# subquery of the update would be executed again for each row, and claim more than the limit.
CLAIM_DELIVERIES = CompiledStatement(
    text(f"""
    with due as materialized (
        select id from deliveries
        where user_id = :owner and channel_id = :channel_id and outcome is null and next_attempt_at <= now()
          and (leased_until is null or leased_until < now())
        order by attempts desc, next_attempt_at, id
        limit case when exists (select from deliveries where user_id = :owner and channel_id = :channel_id
            and outcome is null and attempts > 0) then 1 else cast(:limit as bigint) end
        for update skip locked)
    update deliveries d set lease = cast(:lease as uuid),
        leased_until = now() + interval '{MESSAGE_LEASE_SECONDS} seconds'
    from due where d.user_id = :owner and d.id = due.id
    returning d.id""")  # noqa: S608 - a constant
)
SELECT_ADDRESS = CompiledStatement(
    text("""
    select c.id, c.version, c.kind, c.name, c.url, c.topic, c.active, c.deleted_at is not null as deleted,
        c.digest_time, c.quiet_from, c.quiet_to, s.secrets, u.timezone
    from channels c join users u on u.id = c.user_id
    left join channel_secrets s on s.user_id = c.user_id and s.channel_id = c.id
    where c.user_id = :owner and c.id = :channel_id""")
)
# With what the reminder showed when it fired, to see whether the occurrence was completed since; and whether a digest
# was followed by another one.
SELECT_CLAIMED = CompiledStatement(
    text("""
    select d.id, d.channel_id, d.kind, d.revision, d.task_id, d.day, d.due_at as planned_at, d.attempts,
        d.not_before - d.created_at as held, now() as moment,
        exists (select from deliveries later where later.user_id = :owner and later.channel_id = d.channel_id
            and later.kind = 'digest' and later.day > d.day) as replaced,
        t.title, t.description, t.due_on, t.due_at, t.priority,
        t.id is null or t.deleted_at is not null as deleted,
        not t.completed and t.state = 'cancelled' as cancelled,
        t.completed or t.occurrences_done > cast(c.data ->> 'occurrences_done' as integer) as completed
    from deliveries d
    left join tasks t on t.user_id = d.user_id and t.id = d.task_id
    left join changes c on c.user_id = d.user_id and c.revision = d.revision and c.entity = 'task'
        and c.entity_id = d.task_id
    where d.user_id = :owner and d.id = any(cast(:ids as bigint[])) order by d.id""")
)


class FiredReminder(NamedTuple):
    """A task whose reminder fired; it was due at ``due_at``. ``channels`` are those that the task names."""

    task_id: int
    revision: int
    due_at: datetime
    channels: list[int] | None


class ChannelAddress(NamedTuple):
    """A channel as it is sent to."""

    id: int
    version: int
    kind: str
    name: str
    url: str | None
    topic: str | None
    active: bool
    deleted: bool
    digest_time: str | None
    quiet_from: str | None
    quiet_to: str | None
    secrets: Mapping[str, Any]
    zone: ZoneInfo


class ClaimedDelivery(NamedTuple):
    """A delivery under a lease: of a ``task`` or a ``digest``. ``skip`` is the reason not to send it.

    ``held`` is how long quiet hours held it back.
    """

    id: int
    message_id: str
    due_at: datetime
    held: timedelta
    attempts: int
    task: RemindedTask | None
    digest: DigestContents | None
    skip: str


async def enqueue_reminders(session: Session, owner: str, fired: Collection[FiredReminder]) -> None:
    """Makes a row for each reminder and each channel that it goes to. In the transaction that fires them."""
    receivers = (await session.exec(SELECT_RECEIVERS, {"owner": owner})).all()
    rows = []
    for reminder in fired:
        for receiver in choose_receivers(reminder.channels, receivers):
            row = {"kind": "reminder", "revision": reminder.revision, "task_id": reminder.task_id, "day": None}
            rows.append(delivery_row(owner, receiver) | row | {"due_at": reminder.due_at})
    await session.exec_each(INSERT_CHANNEL_DELIVERY, rows)


def choose_receivers(named: list[int] | None, receivers: Collection[Any]) -> list[Any]:
    """Returns the channels that a task names. If none of them is there any more, as if it named none.

    Those are the channels that take all reminders; an empty list is none.
    """
    chosen = [receiver for receiver in receivers if named is not None and receiver.id in named]
    if chosen or named == []:
        return chosen
    return [receiver for receiver in receivers if receiver.all_reminders]


def delivery_row(owner: str, receiver: Any) -> dict[str, Any]:
    """Returns the columns of a delivery that may be sent now, or with the others when the receiver is tried again."""
    return {
        "owner": owner,
        "channel_id": receiver.id,
        "target": server_of(receiver.kind, receiver.url),
        "not_before": receiver.moment,
        "next_attempt_at": max(receiver.moment, receiver.failing_until or receiver.moment),
        "outcome": None,
        "error": None,
    }


def server_of(kind: str, url: str | None) -> str:
    """Returns the server that a channel is sent to."""
    return MAIL_SERVER if kind == ChannelKind.MAIL else urlsplit(url or "").netloc.lower()


async def find_due_channels(
    session: Session, owner: str, *, owners: list[str] | None, busy: list[int]
) -> list[tuple[str, int, str]]:
    """Returns channels with deliveries that are due, and their servers. Runs as the worker's role."""
    rows = (await session.exec(SELECT_DUE_CHANNELS, {"owners": owners, "busy": busy})).all()
    return [tuple(row) for row in rows]


async def claim_deliveries(
    session: Session, owner: str, channel_id: int, lease: UUID, *, limit: int
) -> tuple[ChannelAddress | None, list[ClaimedDelivery]]:
    """Claims up to ``limit`` deliveries that are due; None and no rows if there are none."""
    values = {"owner": owner, "channel_id": channel_id, "lease": lease, "limit": limit}
    ids = list((await session.exec(CLAIM_DELIVERIES, values)).all())
    if not ids:
        return None, []
    address = await read_address(session, owner, channel_id)
    assert address is not None, "the deliveries of a channel are deleted with it"
    rows = (await session.exec(SELECT_CLAIMED, {"owner": owner, "ids": ids})).all()
    rows = await hold_deliveries(session, owner, lease, rows, address.quiet_from, address.quiet_to, address.zone)
    digest = await read_digest(session, owner) if any(row.kind == "digest" for row in rows) else None
    return address, [_claimed(row, digest, address) for row in rows]


def _claimed(row: Any, digest: DigestContents | None, address: ChannelAddress) -> ClaimedDelivery:
    task, skip = None, "" if address.active and not address.deleted else SWITCHED_OFF_ERROR
    if row.kind == "digest":
        assert digest is not None
        skip = skip or _find_digest_skip(address, digest, replaced=row.replaced)
    elif ending := next((name for name in ("deleted", "cancelled", "completed") if getattr(row, name)), ""):
        skip = skip or f"The task was {ending} before it was sent."
    else:
        task = RemindedTask(row.task_id, row.title, row.description, due_of(row), row.priority)
    message_id, told = message_id_of(row), digest if row.kind == "digest" else None
    return ClaimedDelivery(row.id, message_id, row.planned_at, row.held, row.attempts, task, told, skip)


def _find_digest_skip(address: ChannelAddress, digest: DigestContents, *, replaced: bool) -> str:
    """Returns why a digest is not sent."""
    if address.digest_time is None:
        return "The digest was switched off before it was sent."
    if replaced:
        return "The digest of a later day replaced it before it was sent."
    return "There was nothing to tell." if digest.is_empty else ""


def message_id_of(row: Any) -> str:
    """Returns the id that each attempt to send a row of ``deliveries`` has."""
    if row.kind == "reminder":
        return f"{row.channel_id}-{row.revision}-{row.task_id}"
    if row.kind == "test":
        return test_id_of(row.channel_id, row.due_at)
    return f"{row.channel_id}-{row.kind}-{row.day}"


def test_id_of(channel_id: int, moment: datetime) -> str:
    return f"{channel_id}-test-{int(moment.timestamp() * 1000)}"


async def read_address(session: Session, owner: str, channel_id: int) -> ChannelAddress | None:
    """Returns a channel with its secrets, also one that is switched off or deleted."""
    row = (await session.exec(SELECT_ADDRESS, {"owner": owner, "channel_id": channel_id})).first()
    if row is None:
        return None
    columns = [name for name in ChannelAddress._fields if name not in {"secrets", "zone"}]
    named = {name: getattr(row, name) for name in columns}
    return ChannelAddress(**named, secrets=row.secrets or {}, zone=ZoneInfo(row.timezone))
