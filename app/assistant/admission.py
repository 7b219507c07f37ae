"""The messages that this process is answering: how many at once, for how long, and what becomes of them at the end."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import ModelTimeout, TooManyChats, Unavailable

EACH = 4  # messages of one user at once
LAST_WORDS = 4.0  # seconds that running ones get when the service stops; the server waits for 10


class Runs:
    """One for a process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._owners: Counter[str] = Counter()
        self._limits: set[asyncio.Timeout] = set()
        self._after: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.Task[None]] = set()
        self.closing = False

    @contextmanager
    def admitted(self, owner: str) -> Iterator[None]:
        """Raises TooManyChats, and Unavailable when the service is about to stop."""
        if self.closing:
            raise Unavailable(retry_after=1)
        if self._owners[owner] >= EACH:
            raise TooManyChats(retry_after=5)
        self._owners[owner] += 1
        try:
            yield
        finally:
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]

    async def within(self, work: Coroutine[Any, Any, str]) -> str:
        """What ``work`` returns. Raises ModelTimeout when it takes too long, Unavailable when the service stops."""
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
        """Do ``work`` to its end, also when whoever waits for it is cancelled."""
        task = asyncio.create_task(work)
        self._after.add(task)
        task.add_done_callback(self._after.discard)
        await asyncio.shield(task)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` while nobody waits for it. It is cancelled when the service stops."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def close(self) -> None:
        """The service stops: what runs ends soon, and nothing new begins."""
        self.closing = True
        when = asyncio.get_running_loop().time() + LAST_WORDS
        for limit in self._limits:
            if (due := limit.when()) is None or due > when:
                limit.reschedule(when)

    async def aclose(self) -> None:
        """Before the database closes."""
        await asyncio.gather(*self._after, return_exceptions=True)
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
