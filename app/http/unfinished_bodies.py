"""Bodies of which a part is held in memory: together at most 64 MB in a process, whatever clients withhold."""

import asyncio
from collections.abc import AsyncIterator

from app.errors import BodyTooLarge, TooManyBodies

HELD_MAX = 64 * 1024 * 1024
RETRY_AFTER = 2


class UnfinishedBodies:
    """The bodies that are being received. Without room for a chunk, the one that began first is refused."""

    def __init__(self, held_max: int = HELD_MAX) -> None:
        self.held = 0
        self._held_max = held_max
        self._sizes: dict[asyncio.Timeout, int] = {}  # in the order in which they began

    async def collect(self, first: bytes, chunks: AsyncIterator[bytes], limit: int) -> bytes:
        """Returns ``first`` and ``chunks`` as one body.

        Raises BodyTooLarge past ``limit`` bytes, and TooManyBodies in whichever body gives way.
        """
        body = bytearray()  # a list of chunks would cost 50 bytes for each, and a client may send two at a time
        evicted = asyncio.timeout(None)
        try:
            async with evicted:
                self._sizes[evicted] = 0
                self._add(evicted, body, first, limit)
                async for chunk in chunks:
                    self._add(evicted, body, chunk, limit)
        except TimeoutError:
            raise TooManyBodies(retry_after=RETRY_AFTER) from None
        finally:
            self._release(evicted)
        return bytes(body)

    def _add(self, evicted: asyncio.Timeout, body: bytearray, chunk: bytes, limit: int) -> None:
        size = len(chunk)
        if len(body) + size > limit:
            raise BodyTooLarge
        while evicted in self._sizes and self.held + size > max(self._held_max, limit):
            oldest = next(iter(self._sizes))
            self._release(oldest)
            oldest.reschedule(0)  # has passed: its task stops waiting for the client
        if evicted not in self._sizes:
            raise TooManyBodies(retry_after=RETRY_AFTER)
        self._sizes[evicted] += size
        self.held += size
        body += chunk

    def _release(self, evicted: asyncio.Timeout) -> None:
        self.held -= self._sizes.pop(evicted, 0)


unfinished_bodies = UnfinishedBodies()
