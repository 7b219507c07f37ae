"""Bodies that have arrived in part: together they hold at most 64 MB of a process, however slowly clients send."""

import asyncio
from collections.abc import AsyncIterator

from app.errors import BodyTooLarge, TooManyBodies

HELD_BYTES_MAX = 64 * 1024 * 1024
BODY_RETRY_AFTER = 2


class UnfinishedBodies:
    """The bodies being received. When a chunk does not fit, the body that began first is refused."""

    def __init__(self, held_max: int = HELD_BYTES_MAX) -> None:
        self.held = 0
        self._held_max = held_max
        self._sizes: dict[asyncio.Timeout, int] = {}  # in the order in which they began

    async def collect(self, first: bytes, chunks: AsyncIterator[bytes], limit: int) -> bytes:
        """Returns ``first`` and ``chunks`` as one body.

        Raises BodyTooLarge past ``limit`` bytes, and TooManyBodies in the body that is evicted.
        """
        body = bytearray()  # a list of chunks would cost 50 bytes a chunk, and a chunk may have two bytes
        evicted = asyncio.timeout(None)
        try:
            async with evicted:
                self._sizes[evicted] = 0
                self._add(evicted, body, first, limit)
                async for chunk in chunks:
                    self._add(evicted, body, chunk, limit)
        except TimeoutError:
            raise TooManyBodies(retry_after=BODY_RETRY_AFTER) from None
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
            oldest.reschedule(0)  # a time in the past: its task stops waiting for the client
        if evicted not in self._sizes:
            raise TooManyBodies(retry_after=BODY_RETRY_AFTER)
        self._sizes[evicted] += size
        self.held += size
        body += chunk

    def _release(self, evicted: asyncio.Timeout) -> None:
        self.held -= self._sizes.pop(evicted, 0)


unfinished_bodies = UnfinishedBodies()
