"""Times of channels: when the next digest is due, and what waits for the end of quiet hours.

``next_digest`` is a function of the database (migration 0016), since one statement computes it for all channels of an
owner. Each write of channels, and of the time zone, schedules those of the owner anew. ``next_digest_at`` is no field.
"""

from typing import Any

from sqlalchemy import DateTime, case, func, null, or_, update

from app.db.changes import OWNER, OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.channels import CHANNELS
from app.services.channels.quiet_hours import RELEASE_HELD

_c = CHANNELS.c
NEXT_DIGEST_AT: Any = func.next_digest(
    _c.digest_time, _c.digest_days, OWNER_TIMEZONE, func.now(), type_=DateTime(timezone=True)
)
_scheduled = case(
    (or_(_c.digest_time.is_(None), ~_c.active, _c.deleted_at.is_not(None)), null()),
    # One that is due and was not made, because no worker was running, is late in any zone.
    (_c.next_digest_at <= func.now(), _c.next_digest_at),
    else_=NEXT_DIGEST_AT,
)
SCHEDULE_DIGESTS = CompiledStatement(
    update(CHANNELS)
    .where(_c.user_id == OWNER, _c.next_digest_at.is_distinct_from(_scheduled))
    .values(next_digest_at=_scheduled)
)


async def schedule_channels(session: Session, owner: str) -> None:
    """Computes when the next digest of each channel is due, and releases what quiet hours hold back."""
    await session.exec(SCHEDULE_DIGESTS, {"owner": owner})
    await session.exec(RELEASE_HELD, {"owner": owner})
