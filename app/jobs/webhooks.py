"""Delivers webhooks, in the order of each webhook's events. A worker takes a lease on a webhook."""

import base64
import hashlib
import hmac
import time
import uuid

from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.jobs.dispatcher import DueReceiver, RetrySchedule
from app.net.outbound import OutboundClient, Outcome
from app.services.webhooks import deliveries
from app.services.webhooks.deliveries import Job


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


class WebhookOutbox:
    """The events of webhooks, of which each is delivered before the next one of its webhook."""

    def __init__(self, database: Database, client: OutboundClient, *, retry: RetrySchedule) -> None:
        self._database, self._client, self._retry = database, client, retry

    async def find_due(self, *, owners: list[str] | None, busy: list[int]) -> list[DueReceiver]:
        """Returns webhooks with events to deliver."""
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            due = await deliveries.find_due_webhooks(session, NO_OWNER, owners=owners, busy=busy)
        return [DueReceiver(*key) for key in due]

    async def deliver_next(self, owner: str, webhook_id: int) -> bool:
        """Delivers one event. Returns whether the next one may follow at once."""
        lease = uuid.uuid4()
        async with self._database.transaction(owner) as session:
            job = await deliveries.claim_job(session, owner, webhook_id, lease)
        if job is None:
            return False
        outcome = await self._client.post(job.url, job.body, webhook_headers(job, int(time.time())))
        return await self._record(owner, webhook_id, lease, job, outcome)

    @retry_on_contention
    async def _record(self, owner: str, webhook_id: int, lease: uuid.UUID, job: Job, outcome: Outcome) -> bool:
        """Records the outcome: without a record the event is delivered again."""
        delay = self._retry.delay(job.attempt)
        async with self._database.transaction(owner) as session:
            return await deliveries.record_outcome(
                session, owner, webhook_id, lease, job, outcome, delay=delay, window=self._retry.window
            )
