"""Holding back what is due in the quiet hours of a channel, until they end.

It is decided when a message would be sent, also one that is sent again: quiet hours, the owner's zone and its clocks
may have changed since it was put into the outbox.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.notifications import LATE_AFTER, quiet_until

HOLD_DELIVERIES = CompiledStatement(
    text("""
    update deliveries set not_before = :until, next_attempt_at = :until, lease = null, leased_until = null
    where user_id = :owner and id = any(cast(:ids as bigint[])) and lease = cast(:lease as uuid)""")
)
# The worker holds them back again, if they are to be.
RELEASE_HELD = CompiledStatement(
    text("""
    update deliveries set not_before = now(), next_attempt_at = now()
    where user_id = :owner and outcome is null and lease is null and not_before > now()"""),
    notifies=True,
)


async def hold_deliveries(
    session: Session,
    owner: str,
    lease: UUID,
    rows: Collection[Any],
    begin: str | None,
    end: str | None,
    zone: ZoneInfo,
) -> list[Any]:
    """Holds claimed deliveries back in the quiet hours from ``begin`` to ``end``; returns those that are sent.

    In quiet hours those are the digests that are on time: the user has chosen it.
    """
    moment: datetime = next(iter(rows)).moment
    until = quiet_until(moment, begin, end, zone)
    if until == moment:
        return list(rows)
    held = [row.id for row in rows if row.kind != "digest" or moment - row.planned_at > LATE_AFTER]
    await session.exec(HOLD_DELIVERIES, {"owner": owner, "ids": held, "lease": lease, "until": until})
    return [row for row in rows if row.id not in held]
