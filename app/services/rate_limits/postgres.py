"""Limits that hold for all processes together: one statement on a table that no crash needs to survive.

Counted in a transaction of its own, so that what is refused or fails later was still a try. With RATE_LIMIT_URL the
same in Redis or Valkey; while that does not answer, the database counts.
"""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from sqlalchemy import text

from app.config import Settings
from app.db.compiled import Prepared
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.services.rate_limits.quota import Counts, Quota
from app.services.rate_limits.redis import RedisCounts, RedisUnavailable

log = logging.getLogger(__name__)

SWEEP = 0.01  # of all takes also remove what has nothing to say any more

_STEP, _WINDOW = (f"make_interval(secs => cast(:{name} as double precision))" for name in ("step", "window"))
_NEXT = f"greatest(r.full_at, now()) + {_STEP}"
# now() is when the transaction began: who waited for the row's lock is judged a little too strictly, never too mildly.
TAKE = Prepared(
    text(f"""
    insert into rate_limits as r (key, full_at, admitted) values (:key, now() + {_STEP}, true)
    on conflict (key) do update set
        admitted = {_NEXT} <= now() + {_WINDOW},
        full_at = case when {_NEXT} <= now() + {_WINDOW} then {_NEXT} else r.full_at end
    returning admitted, cast(extract(epoch from full_at - now()) as double precision) as left_seconds
""")  # noqa: S608 - constants
)
# Two that remove at the same time do not wait for each other.
REMOVE = Prepared(
    text("""
    delete from rate_limits where key in (select key from rate_limits where full_at < now() for update skip locked)
""")
)


def key_of(quota: Quota, subject: str) -> bytes:
    """A hash, so that the table is no list of who uses this service."""
    return sha256(f"{quota.name}:{subject}".encode()).digest()


@retry_on_contention
async def take(database: Database, quota: Quota, subject: str) -> tuple[bool, float]:
    """Count one of ``quota`` for ``subject``: whether it was admitted, and the seconds until the quota is whole again.

    Of one that was refused, as if it had been admitted: what it has to wait for is what exceeds the window.
    """
    step = quota.seconds / quota.amount
    async with database.auth_transaction() as session:
        row = (await session.exec(TAKE, {"key": key_of(quota, subject), "step": step, "window": quota.seconds})).one()
        if random.random() < SWEEP:  # noqa: S311
            await session.exec(REMOVE)
    return row.admitted, row.left_seconds if row.admitted else row.left_seconds + step


class SharedCounts:
    """Counts in Redis where there is one, else in the database."""

    def __init__(self, database: Database, redis: RedisCounts | None = None) -> None:
        self._database = database
        self._redis = redis

    async def take(self, quota: Quota, subject: str) -> tuple[bool, float]:
        """As the function of that name. Raises Unavailable."""
        if self._redis is not None:
            try:
                return await self._redis.take(quota, subject)
            except RedisUnavailable as error:
                log.warning("RATE_LIMIT_URL does not answer, the database counts: %s", error)
        return await take(self._database, quota, subject)


@asynccontextmanager
async def shared_counts(database: Database, settings: Settings) -> AsyncIterator[Counts]:
    """What the exact limits are counted in. Raises ValueError for a setting that cannot work."""
    if settings.rate_limit_url is None:
        yield SharedCounts(database)
        return
    redis = RedisCounts(settings.rate_limit_url.get_secret_value())
    try:
        yield SharedCounts(database, redis)
    finally:
        await redis.aclose()
