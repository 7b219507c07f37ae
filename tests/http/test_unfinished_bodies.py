"""The total size of unfinished bodies, counted exactly: its bytes are released on every way out."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect

from app.errors import BodyTooLarge, TooManyBodies
from app.http.unfinished_bodies import UnfinishedBodies

LIMIT = 80
HELD_MAX = 100


class Upload:
    """A body that a client sends in pieces."""

    def __init__(self, bodies: UnfinishedBodies, limit: int = LIMIT) -> None:
        self._pieces: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.task = asyncio.create_task(bodies.collect(b"", self._chunks(), limit))

    async def _chunks(self) -> AsyncIterator[bytes]:
        while piece := await self._pieces.get():
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def send(self, piece: bytes | int | Exception) -> None:
        """Sends a piece; an empty one is the end."""
        self._pieces.put_nowait(b"x" * piece if isinstance(piece, int) else piece)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_body_is_returned_whole() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    upload = Upload(bodies)
    for piece in (b"one ", b"two ", b"three"):
        await upload.send(piece)
    assert bodies.held == 13
    await upload.send(b"")
    assert await upload.task == b"one two three"
    assert bodies.held == 0


async def test_the_bytes_of_a_body_are_released_on_every_way_out() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    too_large, left, cancelled = [Upload(bodies) for _ in range(3)]
    for upload in (too_large, left, cancelled):
        await upload.send(20)
    assert bodies.held == 60
    await too_large.send(LIMIT)
    await left.send(ClientDisconnect())
    assert bodies.held == 20
    cancelled.task.cancel()
    ends = await asyncio.gather(too_large.task, left.task, cancelled.task, return_exceptions=True)
    assert [type(end) for end in ends] == [BodyTooLarge, ClientDisconnect, asyncio.CancelledError]
    assert bodies.held == 0


async def test_the_body_that_began_first_is_refused_when_the_total_is_too_large() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    first, second, third = [Upload(bodies) for _ in range(3)]
    for upload in (second, first, third):
        await upload.send(33)
    await third.send(10)
    with pytest.raises(TooManyBodies) as refused:
        await first.task
    assert refused.value.retry_after
    assert bodies.held == 76
    await third.send(30)  # again, until there is room
    with pytest.raises(TooManyBodies):
        await second.task
    assert bodies.held == 73
    await third.send(b"")
    assert len(await third.task) == 73
    assert bodies.held == 0


async def test_the_first_body_is_refused_also_when_its_own_chunk_exceeds_the_total() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    first, second = Upload(bodies), Upload(bodies)
    await first.send(20)
    await second.send(70)
    await first.send(30)
    with pytest.raises(TooManyBodies):
        await first.task
    assert bodies.held == 70
    assert not second.task.done()
    second.task.cancel()


async def test_a_chunk_received_before_the_refusal_is_not_counted() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    first, second = Upload(bodies), Upload(bodies)
    await first.send(60)
    second._pieces.put_nowait(b"x" * 60)
    first._pieces.put_nowait(b"x")
    with pytest.raises(TooManyBodies):
        await first.task
    assert bodies.held == 60
    await second.send(b"")
    assert len(await second.task) == 60
    assert bodies.held == 0


async def test_a_single_body_may_exceed_the_total() -> None:
    bodies = UnfinishedBodies(HELD_MAX)
    upload = Upload(bodies, limit=3 * HELD_MAX)
    for _ in range(3):
        await upload.send(HELD_MAX)
    assert bodies.held == 3 * HELD_MAX
    await upload.send(b"")
    assert len(await upload.task) == 3 * HELD_MAX
    assert bodies.held == 0
