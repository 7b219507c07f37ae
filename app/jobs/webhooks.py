"""Delivers webhooks: in the order of each webhook's events, fairly between webhooks and between owners.

Any number of workers share the work: each takes a lease on a webhook.
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
from weakref import WeakValueDictionary

from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.errors import AppError
from app.net.outbound import OutboundClient, Outcome
from app.net.outbound_policy import OutboundPolicy
from app.services.webhooks import deliveries
from app.services.webhooks.deliveries import Job

log = logging.getLogger(__name__)

CALLS_MAX = 64  # at a time
CALLS_PER_OWNER = 4  # of them
TURN_SECONDS = 1.0  # after which a webhook with more to deliver waits in line again
GRACE_SECONDS = 2.0  # that running calls get at the end
GATHER_SECONDS = 0.05  # in which notifications become one query


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Seconds. The delays between attempts grow fourfold from ``first`` to ``longest``.

    After ``window`` of failures the webhook is disabled.
    """

    first: float = 5
    longest: float = 4 * 3600
    window: float = 24 * 3600

    def delay(self, attempt: int) -> float:
        """Returns the seconds to wait after the ``attempt``th, with jitter."""
        grown: float = self.first * 4 ** min(attempt - 1, 20)
        return min(self.longest, grown) * random.uniform(0.8, 1.2)  # noqa: S311


def sign_message(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Signs by Standard Webhooks, symmetric: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def webhook_headers(job: Job, timestamp: int) -> dict[str, str]:
    """Returns the headers, with one signature for each valid secret: there are two during a rotation."""
    signatures = [sign_message(secret, job.message_id, timestamp, job.body) for secret in job.secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "todo-webhooks",
        "webhook-id": job.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


class WebhookSender:
    """Delivers what is due until it is closed."""

    def __init__(self, database: Database, *, policy: OutboundPolicy, retry: RetrySchedule) -> None:
        self._database = database
        self._caller = OutboundClient(policy)
        self._retry = retry
        self._closing = False
        self._wake = asyncio.Event()
        self._hinted: set[str] = set()
        self._busy: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._due_since: dict[tuple[str, int], float] = {}  # as of the latest query for all owners
        self._slots = asyncio.Semaphore(CALLS_MAX)
        # Of owners with running deliveries.
        self._owner_slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def changed(self, owners: Collection[str] | None) -> None:
        """Queries the owners' webhooks at once; None: the next poll finds them."""
        if owners:
            self._hinted.update(owners)
            self._wake.set()

    @property
    def lag(self) -> tuple[int, float]:
        """Returns the number of webhooks with due deliveries, and the age of the oldest in seconds."""
        since = self._due_since.values()
        return len(since), time.monotonic() - min(since) if since else 0.0

    def begin_close(self) -> None:
        """Starts no further delivery."""
        self._closing = True

    async def aclose(self) -> None:
        """Waits shortly for running calls. One that is cut off before its outcome is recorded will be made again."""
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=GRACE_SECONDS)
        running = list(self._busy.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._caller.__aexit__(None, None, None)

    async def deliver_due(self, pause: float) -> None:
        """Starts what is due for all owners, then for ``pause`` seconds for owners with a notification."""
        await self._start(None)
        deadline = asyncio.get_running_loop().time() + pause
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                return
            self._wake.clear()
            owners, self._hinted = list(self._hinted), set()
            await self._start(owners)

    async def _start(self, owners: list[str] | None) -> None:
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            busy = [webhook_id for _, webhook_id in self._busy]
            due = await deliveries.find_due_webhooks(session, NO_OWNER, owners=owners, busy=busy)
        if owners is None:
            moment = time.monotonic()
            self._due_since = {key: self._due_since.get(key, moment) for key in {*due, *self._busy}}
        for key in due:
            if key not in self._busy:
                self._busy[key] = asyncio.create_task(self._serve(*key), name="webhook")

    async def _serve(self, owner: str, webhook_id: int) -> None:
        """Delivers one webhook's events, one after the other, until there are none or one fails."""
        owner_slots = self._owner_slots.setdefault(owner, asyncio.Semaphore(CALLS_PER_OWNER))
        more = True
        try:
            while more and not self._closing:
                async with owner_slots, self._slots:  # both are given in the order of requests
                    more = await self._take_turn(owner, webhook_id)
        except AppError as error:
            log.warning("a delivery could not be recorded: %s", error.code)
        except Exception:
            log.exception("a delivery failed")
        finally:
            self._busy.pop((owner, webhook_id), None)

    async def _take_turn(self, owner: str, webhook_id: int) -> bool:
        """Delivers for a second, or one event if that takes longer. Returns whether there may be more."""
        end = time.monotonic() + TURN_SECONDS
        while not self._closing and await self._deliver_next(owner, webhook_id):
            if time.monotonic() >= end:
                return True
        return False

    async def _deliver_next(self, owner: str, webhook_id: int) -> bool:
        lease = uuid.uuid4()
        async with self._database.transaction(owner) as session:
            job = await deliveries.claim_job(session, owner, webhook_id, lease)
        if job is None:
            return False
        outcome = await self._caller.post(job.url, job.body, webhook_headers(job, int(time.time())))
        return await self._record(owner, webhook_id, lease, job, outcome)

    @retry_on_contention
    async def _record(self, owner: str, webhook_id: int, lease: uuid.UUID, job: Job, outcome: Outcome) -> bool:
        """Records the outcome: without a record the event is delivered again."""
        delay = self._retry.delay(job.attempt)
        async with self._database.transaction(owner) as session:
            return await deliveries.record_outcome(
                session, owner, webhook_id, lease, job, outcome, delay=delay, window=self._retry.window
            )
