"""The loops that run without a request: reminders, digests, webhooks, channels, pruning, old trash, dumps.

They run inside each server process, or alone as ``todo worker``. Any number of workers share the work.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.errors import AppError
from app.jobs import retention
from app.jobs.backups import BackupJob
from app.jobs.channel_sender import ChannelSender
from app.jobs.channels import ChannelOutbox
from app.jobs.digests import DigestJob
from app.jobs.dispatcher import Dispatcher, RetrySchedule
from app.jobs.reminders import ReminderJob
from app.jobs.webhooks import WebhookOutbox
from app.services.retention import pruning

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two runs of each loop, and when a webhook is tried again."""

    poll: float = 5
    prune: float = 60
    remind: float = 1
    trash: float = 3600
    backup: float = 30
    retry: RetrySchedule = field(default_factory=RetrySchedule)


class Worker:
    """Use as an async context manager; works until it is left."""

    def __init__(
        self,
        database: Database,
        sender: ChannelSender,
        *,
        kept_days: int,
        trash_days: int = 0,
        backups: BackupJob | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._database = database
        self.webhooks = Dispatcher(WebhookOutbox(database, sender.client, retry=self._pace.retry))
        self.channels = Dispatcher(ChannelOutbox(database, sender, retry=self._pace.retry))
        self._kept_days, self._trash_days = kept_days, trash_days
        self.backups = backups
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._loops = [
            asyncio.create_task(self._forever(self.webhooks.deliver_due, self._pace.poll), name="webhooks"),
            asyncio.create_task(self._forever(self.channels.deliver_due, self._pace.poll), name="channels"),
            asyncio.create_task(self._forever(self._prune_due, self._pace.prune), name="pruning"),
            asyncio.create_task(
                self._forever(ReminderJob(self._database).fire_due, self._pace.remind), name="reminders"
            ),
            asyncio.create_task(
                self._forever(DigestJob(self._database).enqueue_due, self._pace.remind), name="digests"
            ),
            asyncio.create_task(self._forever(self._empty_trash, self._pace.trash), name="trash"),
        ]
        if self.backups is not None:
            self._loops.append(
                asyncio.create_task(self._forever(self.backups.run_due, self._pace.backup), name="backups")
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dispatcher in (self.webhooks, self.channels):
            dispatcher.begin_close()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await asyncio.gather(self.webhooks.aclose(), self.channels.aclose())

    def changed(self, owners: Collection[str] | None) -> None:
        """Delivers what a write of ``owners`` may have made due."""
        self.webhooks.changed(owners)
        self.channels.changed(owners)

    async def _forever(self, work: Any, pause: float) -> None:
        while True:
            try:
                await work(pause)
            except AppError as error:
                log.warning("the worker could not reach the database: %s", error.code)
                await asyncio.sleep(pause)
            except Exception:
                log.exception("the worker failed")
                await asyncio.sleep(pause)

    async def _prune_due(self, pause: float) -> None:
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            owners = await pruning.find_prunable_owners(session, NO_OWNER)
        for owner in owners:
            try:
                await retention.prune_user(self._database, owner, days=self._kept_days)
            except Exception:  # of one owner: the others' turn comes first, then it is tried again
                log.exception("pruning failed")
                async with self._database.transaction(owner, role=WORKER_ROLE) as session:
                    await pruning.defer_owner(session, owner)
        if not owners:
            await asyncio.sleep(pause)

    async def _empty_trash(self, pause: float) -> None:
        await retention.empty_old_trash(self._database, days=self._trash_days)
        await asyncio.sleep(pause)
