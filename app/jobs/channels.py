"""Delivers what is in the outbox of channels, and tests of channels."""

import asyncio
import uuid
from typing import Any

from app.clock import now
from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.db.session import Session
from app.domain.digests import digest_of
from app.domain.notifications import Notification, reminder_of, test_of
from app.errors import ChannelNotFound
from app.jobs.channel_sender import ChannelSender
from app.jobs.dispatcher import DueReceiver, RetrySchedule
from app.models.channels import DeliveryRow
from app.net.outbound import load_http_libraries
from app.services.channels import outbox, outcomes
from app.services.channels.outbox import ChannelAddress, ClaimedDelivery
from app.services.channels.outcomes import Attempt

CLAIMED_AT_ONCE = 4  # messages that one worker sends to one channel at a time
LONGEST_RETRY_PAUSE = 600.0  # seconds: a reminder should not wait for hours when its receiver responds again


class ChannelOutbox:
    """The messages for channels. Those of one channel are sent in no strict order: each has a lease of its own."""

    def __init__(self, database: Database, sender: ChannelSender, *, retry: RetrySchedule) -> None:
        self._database, self._sender, self._retry = database, sender, retry

    async def find_due(self, *, owners: list[str] | None, busy: list[int]) -> list[DueReceiver]:
        """Returns channels with messages to send."""
        async with self._database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            due = await outbox.find_due_channels(session, NO_OWNER, owners=owners, busy=busy)
        return [DueReceiver(*key) for key in due]

    async def deliver_next(self, owner: str, channel_id: int) -> bool:
        """Sends a few messages at once. Returns whether there may be more to send at once."""
        lease = uuid.uuid4()
        async with self._database.transaction(owner) as session:
            claim = outbox.claim_deliveries(session, owner, channel_id, lease, limit=CLAIMED_AT_ONCE)
            address, claimed = await claim
        if address is None:
            return False
        sent = await asyncio.gather(*(self._deliver(owner, address, lease, delivery) for delivery in claimed))
        return all(sent)

    async def _deliver(self, owner: str, address: ChannelAddress, lease: uuid.UUID, delivery: ClaimedDelivery) -> bool:
        """Returns whether the receiver can take another message."""
        if delivery.skip:
            await self._record_skipped(owner, lease, delivery)
            return True
        notification = self._notification(delivery, address)
        attempt = await self._sender.send(owner, address, notification)
        delay = max(attempt.delay, min(LONGEST_RETRY_PAUSE, self._retry.delay(delivery.attempts + 1)))
        await self._record(owner, address, lease, delivery, attempt._replace(delay=delay))
        return not attempt.receiver_failed and not attempt.ends

    def _notification(self, delivery: ClaimedDelivery, address: ChannelAddress) -> Notification:
        moments: dict[str, Any] = {"due_at": delivery.due_at, "moment": now(), "zone": address.zone}
        if delivery.task is None:
            assert delivery.digest is not None
            return digest_of(delivery.message_id, delivery.digest, **moments, url=self._sender.page_url("today"))
        url = self._sender.page_url(f"all?task={delivery.task.id}")
        return reminder_of(delivery.message_id, delivery.task, **moments, held=delivery.held, url=url)

    @retry_on_contention
    async def _record(
        self, owner: str, address: ChannelAddress, lease: uuid.UUID, delivery: ClaimedDelivery, attempt: Attempt
    ) -> None:
        """Records the attempt: without a record the message is sent again, with the same id."""
        async with self._database.transaction(owner) as session:
            window = self._retry.window
            await outcomes.record_attempt(session, owner, address, lease, delivery, attempt, window=window)

    @retry_on_contention
    async def _record_skipped(self, owner: str, lease: uuid.UUID, delivery: ClaimedDelivery) -> None:
        async with self._database.transaction(owner) as session:
            await outcomes.record_skipped(session, owner, lease, delivery)


async def test_channel(session: Session, sender: ChannelSender, owner: str, channel_id: int) -> DeliveryRow:
    """Sends a test now, also to a channel that is switched off, and records it.

    Raises ChannelNotFound, TooManyTests. ``session`` has no transaction while the receiver is waited for.
    """
    address = await outbox.read_address(session, owner, channel_id)
    await session.rollback()
    if address is None or address.deleted:
        raise ChannelNotFound
    await load_http_libraries()
    moment = now()
    with sender.admit_test(owner):
        attempt = await sender.send(owner, address, test_of(outbox.test_id_of(channel_id, moment), address.name))
    return await outcomes.record_test(session, owner, address, attempt, moment=moment)
