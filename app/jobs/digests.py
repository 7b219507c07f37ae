"""Puts digests that are due into the outbox, in the worker: one query across users, then one transaction per owner."""

import asyncio
import logging

from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.jobs.set_aside import SetAside
from app.services.channels.digests import enqueue_digests, find_digest_owners

log = logging.getLogger(__name__)


class DigestJob:
    """The digests of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._set_aside = SetAside()

    async def enqueue_due(self, pause: float) -> None:
        """Puts those that are due into the outbox, or sleeps for ``pause`` seconds if there are none."""
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            owners = await find_digest_owners(session, NO_OWNER, without=self._set_aside.owners())
        for owner in owners:
            try:
                await self._enqueue(owner)
            except Exception:  # of one owner: it must not stop the digests of others
                log.exception("digests could not be made")
                self._set_aside.add(owner)
        if not owners:
            await asyncio.sleep(pause)

    @retry_on_contention
    async def _enqueue(self, owner: str) -> int:
        async with self._database.transaction(owner) as session:
            return await enqueue_digests(session, owner)
