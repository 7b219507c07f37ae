"""Putting digests into the outbox of channels when they are due: one for each channel and day of its owner.

Like a reminder, a digest is in the outbox from the transaction that notes when the next one is due. What it says is
read when it is sent (``digest_contents``).
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import DateTime, text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.services.channels.outbox import INSERT_CHANNEL_DELIVERY, SELECT_RECEIVERS, delivery_row
from app.services.users import lock_owner

LONGEST_DIGEST_PAUSE = timedelta(days=8)  # between two digests: a week, with a change of clocks
MISSED_ERROR = "It was missed while no worker was running, and the next one is nearer."

FIND_DIGEST_OWNERS = CompiledStatement(
    text("""
    select user_id from channels
    where next_digest_at <= now() and user_id <> all(cast(:without as text[]))
    group by user_id order by min(next_digest_at) limit 500""")
)
SELECT_NEXT_DIGEST = CompiledStatement(
    text("""
    select next_digest(cast(:digest_time as text), cast(:digest_days as text[]), cast(:timezone as text),
        cast(:after as timestamptz)) as at""").columns(at=DateTime(timezone=True))
)
# No field of a channel, so no write of it.
ADVANCE_DIGEST = CompiledStatement(
    text("update channels set next_digest_at = :following where user_id = :owner and id = :channel_id"), notifies=True
)


async def find_digest_owners(session: Session, owner: str, *, without: list[str]) -> list[str]:
    """Returns owners with digests that are due, but ``without``. Runs as the worker's role."""
    return list((await session.exec(FIND_DIGEST_OWNERS, {"without": without})).all())


async def enqueue_digests(session: Session, owner: str) -> int:
    """Puts the digests of an owner that are due into the outbox, and returns how many channels had one.

    Of several that were missed it is the latest, unless the next one is nearer.
    """
    if not await lock_owner(session, owner):  # a second worker then finds that the next one is due later
        return 0
    receivers = (await session.exec(SELECT_RECEIVERS, {"owner": owner})).all()
    due = [each for each in receivers if each.next_digest_at is not None and each.next_digest_at <= each.moment]
    rows, advances = [], []
    for receiver in due:
        due_at, following = await _find_dates(session, receiver)
        rows.append(_digest_row(owner, receiver, due_at, following))
        advances.append({"owner": owner, "channel_id": receiver.id, "following": following})
    await session.exec_each(INSERT_CHANNEL_DELIVERY, rows)
    await session.exec_each(ADVANCE_DIGEST, advances)
    return len(due)


async def _find_dates(session: Session, receiver: Any) -> tuple[datetime, datetime]:
    """Returns when the latest digest was due that is not in the outbox yet, and when the one after it is."""
    due_at: datetime = receiver.next_digest_at
    values = {name: getattr(receiver, name) for name in ("digest_time", "digest_days", "timezone")}
    after = max(due_at, receiver.moment - LONGEST_DIGEST_PAUSE)
    while True:
        following: datetime = (await session.exec(SELECT_NEXT_DIGEST, values | {"after": after})).one()
        if following > receiver.moment:
            return due_at, following
        due_at = after = following


def _digest_row(owner: str, receiver: Any, due_at: datetime, following: datetime) -> dict[str, Any]:
    day = due_at.astimezone(ZoneInfo(receiver.timezone)).date()
    row = delivery_row(owner, receiver)
    row |= {"kind": "digest", "revision": None, "task_id": None, "day": day, "due_at": due_at}
    if following - receiver.moment < receiver.moment - due_at:
        row |= {"outcome": "skipped", "error": MISSED_ERROR}
    return row
