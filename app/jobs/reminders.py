"""Fires reminders, in the worker: one query across users, then one transaction per owner.

Any number of workers may do so at once: a second one finds nothing left to fire.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

from app.clock import now
from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.domain.notifications import LATE_AFTER
from app.jobs.set_aside import SetAside
from app.services.tasks.reminders import Upcoming, find_upcoming, fire_reminders

log = logging.getLogger(__name__)


class ReminderJob:
    """The reminders of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._set_aside = SetAside()

    async def fire_due(self, pause: float) -> None:
        """Fires due reminders, then sleeps until the next, at most ``pause`` seconds: an earlier one may be set."""
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            upcoming = await find_upcoming(session, NO_OWNER, without=self._set_aside.owners())
        moment = now()
        due = [each for each in upcoming if each.at <= moment]
        done = await self._fire(due)
        if len(due) == len(upcoming) and done:
            return  # there may be more
        ahead = (upcoming[len(due)].at - now()).total_seconds() if len(due) < len(upcoming) else pause
        await asyncio.sleep(min(pause, max(0.0, ahead)))

    async def _fire(self, due: Sequence[Upcoming]) -> int:
        """Returns how many were processed: not those that are not due by the database's clock, which may be behind."""
        moment, done = now(), 0
        groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for each in due:
            groups[each.owner, moment - each.at > LATE_AFTER].append(each.task_id)
        for (owner, late), task_ids in groups.items():
            try:
                done += await self._fire_each(owner, task_ids, late)
            except Exception:  # of one owner: it must not stop the reminders of others
                log.exception("reminders could not be fired")
                self._set_aside.add(owner)
                done += len(task_ids)
        return done

    @retry_on_contention
    async def _fire_each(self, owner: str, task_ids: list[int], late: bool) -> int:
        async with self._database.transaction(owner) as session:
            return await fire_reminders(session, owner, task_ids, late=late)
