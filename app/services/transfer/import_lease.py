"""The lease that allows one import of a user at a time, in all processes: an import needs memory and a thread.

A lease rather than a lock of PostgreSQL, which would take a connection while an import runs and cannot be held through
a transaction pooler. It is a quota of one, in the table of the rate limits; each batch renews it, and the lease of an
import whose process died expires. Correctness does not depend on it: the owner's lock protects the writes.
"""

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.database import Database
from app.errors import AppError, ImportRunning
from app.services.rate_limits.postgres import consume, quota_key
from app.services.rate_limits.quota import Quota

IMPORT_QUOTA = Quota("importing", 1, 120)
RENEW_AFTER = 10.0  # seconds: most batches take less, and renewing costs a round trip or two
RENEW_IMPORT_LEASE = CompiledStatement(
    text("update rate_limits set full_at = now() + make_interval(secs => cast(:seconds as integer)) where key = :key")
)
END_IMPORT_LEASE = CompiledStatement(text("delete from rate_limits where key = :key"))


class ImportLease:
    """Use as an async context manager. Raises ImportRunning on entry."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner
        self._key = quota_key(IMPORT_QUOTA, owner)
        self._renewed = 0.0

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def _take(self) -> None:
        started = time.monotonic()
        admitted, _ = await consume(self._database, IMPORT_QUOTA, self._owner)
        if not admitted:
            raise ImportRunning
        self._renewed = started

    @property
    def _age(self) -> float:
        """Returns seconds since the last renewal. If the lease has expired, its row may belong to another import."""
        return time.monotonic() - self._renewed

    async def renew(self) -> None:
        """Renews the lease if it is old enough. Raises ImportRunning if it had expired and another import has begun."""
        if self._age < RENEW_AFTER:
            return
        if self._age >= IMPORT_QUOTA.seconds:
            await self._take()
            return
        started = time.monotonic()
        async with self._database.auth_transaction() as session:
            await session.exec(RENEW_IMPORT_LEASE, {"key": self._key, "seconds": IMPORT_QUOTA.seconds})
        self._renewed = started

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._age >= IMPORT_QUOTA.seconds:
            return
        with suppress(AppError):  # an earlier error matters more; the lease expires anyway
            async with self._database.auth_transaction() as session:
                await session.exec(END_IMPORT_LEASE, {"key": self._key})
