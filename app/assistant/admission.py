"""Admission of chat messages: how many are answered at once, for how long, and their end when the service stops."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import ModelTimeout, TooManyChats, Unavailable

MESSAGES_PER_USER = 4  # messages of one user at once
STOP_SECONDS = 4.0  # seconds for running messages when the service stops; the server waits for 10


class Admission:
    """The chat messages of one process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._owners: Counter[str] = Counter()
        self._limits: set[asyncio.Timeout] = set()
        self._after: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.Task[None]] = set()
        self.closing = False

    @contextmanager
    def admit(self, owner: str) -> Iterator[None]:
        """Counts a message of ``owner``. Raises TooManyChats, and Unavailable if the service is stopping."""
        if self.closing:
            raise Unavailable(retry_after=1)
        if self._owners[owner] >= MESSAGES_PER_USER:
            raise TooManyChats(retry_after=5)
        self._owners[owner] += 1
        try:
            yield
        finally:
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]

    async def within(self, work: Coroutine[Any, Any, str]) -> str:
        """Returns the result of ``work``. Raises ModelTimeout, and Unavailable if the service stops."""
        try:
            async with asyncio.timeout(self._seconds) as limit:
                self._limits.add(limit)
                try:
                    return await work
                finally:
                    self._limits.discard(limit)
        except TimeoutError:
            raise (Unavailable(retry_after=1) if self.closing else ModelTimeout()) from None

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Completes ``work``, also if the waiting task is cancelled."""
        task = asyncio.create_task(work)
        self._after.add(task)
        task.add_done_callback(self._after.discard)
        await asyncio.shield(task)

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs ``work`` as a background task, which is cancelled when the service stops."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def close(self) -> None:
        """Refuses new messages, and gives running ones STOP_SECONDS."""
        self.closing = True
        when = asyncio.get_running_loop().time() + STOP_SECONDS
        for limit in self._limits:
            if (due := limit.when()) is None or due > when:
                limit.reschedule(when)

    async def aclose(self) -> None:
        """Waits for work to complete and cancels background tasks. To be called before the database closes."""
        await asyncio.gather(*self._after, return_exceptions=True)
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
