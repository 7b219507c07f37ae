"""One import of a user at a time, in whatever process: it may hold much memory and keeps a thread busy.

A lease rather than a lock of PostgreSQL, which would take a connection for as long as an import runs and cannot be held
through a transaction pooler. It is a quota of one, in the table of those; each batch renews it, and of an import that
ended without a word it ends by itself. What is written does not depend on it: that is up to the owner's lock.
"""

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy import text

from app.db.compiled import Prepared
from app.db.database import Database
from app.errors import AppError, ImportRunning
from app.services.rate_limits.postgres import key_of, take
from app.services.rate_limits.quota import Quota

LEASE = Quota("importing", 1, 120)
RENEW_AFTER = 10.0  # seconds: most batches take less, and renewing costs a round trip or two
RENEW = Prepared(
    text("update rate_limits set full_at = now() + make_interval(secs => cast(:seconds as integer)) where key = :key")
)
END = Prepared(text("delete from rate_limits where key = :key"))


class ImportLease:
    """Use as an async context manager. Raises ImportRunning on entry."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner
        self._key = key_of(LEASE, owner)
        self._renewed = 0.0

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def _take(self) -> None:
        asked = time.monotonic()
        admitted, _ = await take(self._database, LEASE, self._owner)
        if not admitted:
            raise ImportRunning
        self._renewed = asked

    @property
    def _age(self) -> float:
        """Seconds. When it is older than the lease, the one in the table may be somebody else's."""
        return time.monotonic() - self._renewed

    async def renew(self) -> None:
        """The import goes on. Raises ImportRunning when it was so slow that another one has begun."""
        if self._age < RENEW_AFTER:
            return
        if self._age >= LEASE.seconds:
            await self._take()
            return
        asked = time.monotonic()
        async with self._database.auth_transaction() as session:
            await session.exec(RENEW, {"key": self._key, "seconds": LEASE.seconds})
        self._renewed = asked

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._age >= LEASE.seconds:
            return
        with suppress(AppError):  # what went wrong before is the news; the lease ends by itself
            async with self._database.auth_transaction() as session:
                await session.exec(END, {"key": self._key})
