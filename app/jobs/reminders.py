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
from app.services.tasks.reminders import LATE_AFTER, Upcoming, find_upcoming, fire_reminders

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0  # seconds after which reminders of an owner are retried after a failure


class ReminderJob:
    """The reminders of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._set_aside: dict[str, float] = {}  # owner -> time of the next attempt

    async def fire_due(self, pause: float) -> None:
        """Fires due reminders, then sleeps until the next, at most ``pause`` seconds: an earlier one may be set."""
        time = asyncio.get_running_loop().time()
        self._set_aside = {owner: turn for owner, turn in self._set_aside.items() if turn > time}
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            upcoming = await find_upcoming(session, NO_OWNER, without=list(self._set_aside))
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
                self._set_aside[owner] = asyncio.get_running_loop().time() + RETRY_SECONDS
                done += len(task_ids)
        return done

    @retry_on_contention
    async def _fire_each(self, owner: str, task_ids: list[int], late: bool) -> int:
        async with self._database.transaction(owner) as session:
            return await fire_reminders(session, owner, task_ids, late=late)
