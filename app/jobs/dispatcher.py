"""Delivers what an outbox holds: in turns, fairly between receivers, their owners and the servers that they are on.

Any number of workers share the work: each takes leases on what it delivers (``app.services.webhooks.deliveries`` and
``app.services.channels.outbox``).
"""

import asyncio
import logging
import random
import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from weakref import WeakValueDictionary

from app.errors import AppError

log = logging.getLogger(__name__)

CALLS_MAX = 64  # at a time
CALLS_PER_OWNER = 4  # of them
SLOW_AFTER = 1.0  # seconds after which a call leaves its room to others, so that no dead receiver delays them
SLOW_CALLS_MAX = 192  # at a time
CALLS_PER_SERVER = 16  # slow ones included
TURN_SECONDS = 0.5  # after which a receiver with more to deliver waits in line again
GRACE_SECONDS = 2.0  # that running calls get at the end
GATHER_SECONDS = 0.05  # in which notifications become one query


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Seconds. The delays between attempts grow fourfold from ``first`` to ``longest``, for as long as ``window``."""

    first: float = 5
    longest: float = 4 * 3600
    window: float = 24 * 3600

    def delay(self, attempt: int) -> float:
        """Returns the seconds to wait after the ``attempt``th, with jitter."""
        grown: float = self.first * 4 ** min(attempt - 1, 20)
        return min(self.longest, grown) * random.uniform(0.8, 1.2)  # noqa: S311


class DueReceiver(NamedTuple):
    """A webhook or a channel with something to deliver. ``server`` is None if it is not known before the delivery."""

    owner: str
    id: int
    server: str | None = None


class Outbox(Protocol):
    """The part of a dispatcher that differs between webhooks and channels."""

    async def find_due(self, *, owners: list[str] | None, busy: list[int]) -> list[DueReceiver]:
        """Returns what is due, of ``owners`` or of all, without the receivers in ``busy``."""

    async def deliver_next(self, owner: str, receiver_id: int) -> bool:
        """Delivers what comes next for one receiver. Returns whether there may be more to deliver at once."""


class Dispatcher:
    """Delivers what is due until it is closed."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._closing = False
        self._wake = asyncio.Event()
        self._hinted: set[str] = set()
        self._busy: dict[DueReceiver, asyncio.Task[None]] = {}
        self._due_since: dict[DueReceiver, float] = {}  # as of the latest query for all owners
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._slow_slots = asyncio.Semaphore(SLOW_CALLS_MAX)
        # Of owners and servers with running deliveries.
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def changed(self, owners: Collection[str] | None) -> None:
        """Queries the owners' outboxes at once; None: the next poll finds them."""
        if owners:
            self._hinted.update(owners)
            self._wake.set()

    @property
    def lag(self) -> tuple[int, float]:
        """Returns the number of receivers with due deliveries, and the age of the oldest in seconds."""
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
        due = await self._outbox.find_due(owners=owners, busy=[receiver.id for receiver in self._busy])
        if owners is None:
            moment = time.monotonic()
            self._due_since = {key: self._due_since.get(key, moment) for key in {*due, *self._busy}}
        for key in due:
            if key not in self._busy:
                self._busy[key] = asyncio.create_task(self._serve(key), name="delivery")

    async def _serve(self, receiver: DueReceiver) -> None:
        """Delivers to one receiver until there is nothing more for it, or a delivery fails."""
        more = True
        try:
            while more and not self._closing:
                more = await self._wait_for_turn(receiver)
        except AppError as error:
            log.warning("a delivery could not be recorded: %s", error.code)
        except Exception:
            log.exception("a delivery failed")
        finally:
            self._busy.pop(receiver, None)

    def _share(self, name: str, calls: int) -> asyncio.Semaphore:
        return self._shares.setdefault(name, asyncio.Semaphore(calls))

    async def _wait_for_turn(self, receiver: DueReceiver) -> bool:
        """Delivers when there is room, which is given in the order of requests. Returns whether there may be more."""
        async with AsyncExitStack() as server:
            if receiver.server is not None:
                await server.enter_async_context(self._share(f"server {receiver.server}", CALLS_PER_SERVER))
            async with AsyncExitStack() as room:
                await room.enter_async_context(self._share(f"owner {receiver.owner}", CALLS_PER_OWNER))
                await room.enter_async_context(self._slots)
                turn = asyncio.create_task(self._take_turn(receiver), name="turn")
                try:
                    if not (await asyncio.wait([turn], timeout=SLOW_AFTER))[0]:
                        await server.enter_async_context(self._slow_slots)
                        await room.aclose()
                    return await turn
                finally:
                    turn.cancel()  # if this one is
                    await asyncio.wait([turn])

    async def _take_turn(self, receiver: DueReceiver) -> bool:
        """Delivers for half a second, or once if that takes longer. Returns whether there may be more."""
        end = time.monotonic() + TURN_SECONDS
        while not self._closing and await self._outbox.deliver_next(receiver.owner, receiver.id):
            if time.monotonic() >= end:
                return True
        return False
