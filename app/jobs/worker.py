"""What happens by itself: reminders fire, webhooks are delivered, old changes and old trash are let go.

Runs inside each server process, or alone as ``todo worker``. Any number of workers share the work: an event is leased.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from app.db.contention import retry_on_contention
from app.db.session import WORKER_ROLE, Database
from app.errors import AppError
from app.jobs import retention
from app.jobs.reminders import NOBODY, Reminders
from app.net.outbound import Caller, Outcome
from app.services.retention import pruning
from app.services.webhooks import deliveries
from app.services.webhooks.deliveries import Job

log = logging.getLogger(__name__)

AT_ONCE = 64  # calls
EACH = 4  # of them to the endpoints of one owner
TURN = 1.0  # seconds after which a webhook with more to deliver waits in line again
GRACE = 2.0  # seconds that running calls get at the end
GATHER = 0.05  # seconds in which hints become one look


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. The delays between attempts grow fourfold from ``first`` to ``longest``; after ``window`` it ends."""

    first: float = 5
    longest: float = 4 * 3600
    window: float = 24 * 3600
    poll: float = 5
    prune: float = 60
    remind: float = 1
    trash: float = 3600

    def delay(self, attempt: int) -> float:
        grown: float = self.first * 4 ** min(attempt - 1, 20)
        return min(self.longest, grown) * random.uniform(0.8, 1.2)  # noqa: S311


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Standard Webhooks, symmetric: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers_of(job: Job, timestamp: int) -> dict[str, str]:
    """One signature for each valid secret, as in a rotation."""
    signatures = [signature(secret, job.message_id, timestamp, job.body) for secret in job.secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "todo-webhooks",
        "webhook-id": job.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


class Worker:
    """Use as an async context manager; works until it is left."""

    def __init__(
        self, database: Database, *, allow_private: bool, kept_days: int, trash_days: int = 0, pace: Pace | None = None
    ) -> None:
        self._database = database
        self._caller = Caller(allow_private=allow_private)
        self._kept_days, self._trash_days = kept_days, trash_days
        self._pace = pace or Pace()
        self._closing = False
        self._wake = asyncio.Event()
        self._hinted: set[str] = set()
        self._busy: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._due_since: dict[tuple[str, int], float] = {}  # as of the latest look at everybody
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # of owners who are served
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._loops = [
            asyncio.create_task(self._forever(self._deliver_due, self._pace.poll), name="webhooks"),
            asyncio.create_task(self._forever(self._prune_due, self._pace.prune), name="pruning"),
            asyncio.create_task(self._forever(Reminders(self._database).fire_due, self._pace.remind), name="reminders"),
            asyncio.create_task(self._forever(self._empty_trash, self._pace.trash), name="trash"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for task in self._loops:
            task.cancel()
        if self._busy:  # a call that is cut off before its outcome is noted will be made again
            await asyncio.wait(self._busy.values(), timeout=GRACE)
        tasks = [*self._loops, *self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._caller.__aexit__(kind, error, trace)

    def changed(self, owners: Collection[str] | None) -> None:
        """A hint; None: the next look will see."""
        if owners:
            self._hinted.update(owners)
            self._wake.set()

    @property
    def lag(self) -> tuple[int, float]:
        """Webhooks with something to deliver, and for how many seconds the one that waits longest has had it."""
        since = self._due_since.values()
        return len(since), time.monotonic() - min(since) if since else 0.0

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

    async def _deliver_due(self, pause: float) -> None:
        """Look at everybody now and then, and in between at the owners of whom there was a hint."""
        await self._start(None)
        deadline = asyncio.get_running_loop().time() + pause
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER)
            except TimeoutError:
                return
            self._wake.clear()
            owners, self._hinted = list(self._hinted), set()
            await self._start(owners)

    async def _start(self, owners: list[str] | None) -> None:
        async with self._database.transaction(NOBODY, read_only=True, role=WORKER_ROLE) as session:
            busy = [webhook_id for _, webhook_id in self._busy]
            due = await deliveries.find_due(session, NOBODY, owners=owners, busy=busy)
        if owners is None:
            moment = time.monotonic()
            self._due_since = {key: self._due_since.get(key, moment) for key in {*due, *self._busy}}
        for key in due:
            if key not in self._busy:
                self._busy[key] = asyncio.create_task(self._serve(*key), name="webhook")

    async def _serve(self, owner: str, webhook_id: int) -> None:
        """One webhook's events, one after the other, until there are none or one fails."""
        share = self._shares.setdefault(owner, asyncio.Semaphore(EACH))
        more = True
        try:
            while more and not self._closing:
                async with share, self._slots:  # both are first come, first served
                    more = await self._take_turn(owner, webhook_id)
        except AppError as error:
            log.warning("a delivery could not be noted: %s", error.code)
        except Exception:
            log.exception("a delivery failed")
        finally:
            self._busy.pop((owner, webhook_id), None)

    async def _take_turn(self, owner: str, webhook_id: int) -> bool:
        """Deliver for a second, or one event if that takes longer; whether there may be more."""
        end = time.monotonic() + TURN
        while not self._closing and await self._deliver_next(owner, webhook_id):
            if time.monotonic() >= end:
                return True
        return False

    async def _deliver_next(self, owner: str, webhook_id: int) -> bool:
        lease = uuid.uuid4()
        async with self._database.transaction(owner) as session:
            job = await deliveries.take_job(session, owner, webhook_id, lease)
        if job is None:
            return False
        outcome = await self._caller.post(job.url, job.body, headers_of(job, int(time.time())))
        return await self._note(owner, webhook_id, lease, job, outcome)

    @retry_on_contention
    async def _note(self, owner: str, webhook_id: int, lease: uuid.UUID, job: Job, outcome: Outcome) -> bool:
        """What is not noted is delivered again."""
        delay = self._pace.delay(job.attempt)
        async with self._database.transaction(owner) as session:
            return await deliveries.note_outcome(
                session, owner, webhook_id, lease, job, outcome, delay=delay, window=self._pace.window
            )

    async def _prune_due(self, pause: float) -> None:
        async with self._database.transaction(NOBODY, read_only=True, role=WORKER_ROLE) as session:
            owners = await pruning.find_due(session, NOBODY)
        for owner in owners:
            try:
                await retention.prune_owner(self._database, owner, days=self._kept_days)
            except Exception:  # of one owner: the others' turn comes first, then it is tried again
                log.exception("pruning failed")
                async with self._database.transaction(owner, role=WORKER_ROLE) as session:
                    await pruning.defer_owner(session, owner)
        if not owners:
            await asyncio.sleep(pause)

    async def _empty_trash(self, pause: float) -> None:
        await retention.empty_old_trash(self._database, days=self._trash_days)
        await asyncio.sleep(pause)
