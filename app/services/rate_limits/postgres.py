"""Rate limits that all processes share: one statement on an unlogged table.

Each request is counted in its own transaction, so that requests that are refused or fail later count too. With
RATE_LIMIT_URL Redis or Valkey counts; while that does not respond, the database does.
"""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from sqlalchemy import text

from app.config import Settings
from app.db.compiled import CompiledStatement
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.services.rate_limits.quota import Quota, SharedCounter
from app.services.rate_limits.redis import RedisCounter, RedisUnavailable

log = logging.getLogger(__name__)

PRUNE_SHARE = 0.01  # of all counts also delete the rows whose quota is all free again

_STEP_INTERVAL, _WINDOW_INTERVAL = (
    f"make_interval(secs => cast(:{name} as double precision))" for name in ("step", "window")
)
_NEXT_FULL_AT = f"greatest(r.full_at, now()) + {_STEP_INTERVAL}"
# now() is when the transaction began: a request that waited for the row's lock is limited a little early, never late.
CONSUME_QUOTA = CompiledStatement(
    text(f"""
    insert into rate_limits as r (key, full_at, admitted) values (:key, now() + {_STEP_INTERVAL}, true)
    on conflict (key) do update set
        admitted = {_NEXT_FULL_AT} <= now() + {_WINDOW_INTERVAL},
        full_at = case when {_NEXT_FULL_AT} <= now() + {_WINDOW_INTERVAL} then {_NEXT_FULL_AT} else r.full_at end
    returning admitted, cast(extract(epoch from full_at - now()) as double precision) as left_seconds
""")  # noqa: S608 - constants
)
# Two transactions that delete at the same time do not wait for each other.
PRUNE_RATE_LIMITS = CompiledStatement(
    text("""
    delete from rate_limits where key in (select key from rate_limits where full_at < now() for update skip locked)
""")
)


def quota_key(quota: Quota, subject: str) -> bytes:
    """Returns a hash, so that the table does not disclose who uses this service."""
    return sha256(f"{quota.name}:{subject}".encode()).digest()


@retry_on_contention
async def consume(database: Database, quota: Quota, subject: str) -> tuple[bool, float]:
    """Counts one use of ``quota``; returns whether it is admitted, and the seconds until all of it is free again.

    A refused use is not counted, but its seconds are as if it were: it has to wait for what exceeds the window.
    """
    step = quota.seconds / quota.amount
    async with database.auth_transaction() as session:
        row = (
            await session.exec(CONSUME_QUOTA, {"key": quota_key(quota, subject), "step": step, "window": quota.seconds})
        ).one()
        if random.random() < PRUNE_SHARE:  # noqa: S311
            await session.exec(PRUNE_RATE_LIMITS)
    return row.admitted, row.left_seconds if row.admitted else row.left_seconds + step


class FallbackCounter:
    """Counts in Redis if one is configured and responds, else in the database."""

    def __init__(self, database: Database, redis: RedisCounter | None = None) -> None:
        self._database = database
        self._redis = redis

    async def consume(self, quota: Quota, subject: str) -> tuple[bool, float]:
        """Counts one use of ``quota``, see the protocol. Raises Unavailable."""
        if self._redis is not None:
            try:
                return await self._redis.consume(quota, subject)
            except RedisUnavailable as error:
                log.warning("RATE_LIMIT_URL does not respond, the database counts: %s", error)
        return await consume(self._database, quota, subject)


@asynccontextmanager
async def open_shared_counter(database: Database, settings: Settings) -> AsyncIterator[SharedCounter]:
    """Yields the counter of the exact limits. Raises ValueError for an invalid setting."""
    if settings.rate_limit_url is None:
        yield FallbackCounter(database)
        return
    redis = RedisCounter(settings.rate_limit_url.get_secret_value())
    try:
        yield FallbackCounter(database, redis)
    finally:
        await redis.aclose()
