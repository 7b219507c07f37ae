"""A stream, its hub and its feed without a database or a socket: cases that rarely occur with real ones."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from starlette.types import Message

from app.errors import TooManyStreams
from app.http.connection import ABORT_STATE_KEY
from app.live import event_stream
from app.live.event_stream import EventStream
from app.live.hub import Hub
from app.schemas.changes import ChangeRow
from app.services.changes.feed import ChangesRead

WAIT = 3.0


class FakeHub(Hub):
    """A hub that reads the revisions that the test wrote."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), heartbeat=60, readers=1)
        self.written, self.read_to = 0, 0

    async def read(self, owner: str, position: int, *, limit: int = 1) -> ChangesRead:
        await asyncio.sleep(0)
        reached = min(self.written, position + limit)
        changes = [change(number) for number in range(position + 1, reached + 1)]
        self.read_to = max(self.read_to, reached)
        return ChangesRead(changes, reached, reached < self.written, self.written)


def change(revision: int) -> ChangeRow:
    return ChangeRow(revision, "task", revision, "created", {}, datetime.now(UTC), "api")


class Client:
    """A client that reads ``reads`` messages, then no more."""

    def __init__(self, *, reads: float = float("inf")) -> None:
        self.reads, self.text, self.dropped = reads, b"", asyncio.Event()
        self.started = self.stuck = False

    async def send(self, message: Message) -> None:
        self.started = True
        if self.reads <= 0:
            self.stuck = True
            await asyncio.Event().wait()
        self.reads -= 1
        self.text += message.get("body", b"")

    async def receive(self) -> Message:
        await self.dropped.wait()
        return {"type": "http.disconnect"}

    def open(self, stream: EventStream) -> asyncio.Task[None]:
        scope = {"type": "http", "state": {ABORT_STATE_KEY: self.dropped.set}}
        return asyncio.create_task(stream(scope, self.receive, self.send))


Open = Callable[..., tuple[Client, asyncio.Task[None]]]


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub() as hub:
        yield hub


@pytest.fixture
async def opened(hub: FakeHub) -> AsyncIterator[Open]:
    """Opens a stream."""
    tasks: list[asyncio.Task[None]] = []

    def opened(*, reads: float = float("inf"), **options: Any) -> tuple[Client, asyncio.Task[None]]:
        client = Client(reads=reads)
        tasks.append(client.open(EventStream(hub, "anna", 0, snapshot="", **options)))
        return client, tasks[-1]

    yield opened
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0)


async def test_a_change_during_the_login_check_is_sent(hub: FakeHub, opened: Open) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def still_valid() -> bool:
        asked.set()
        return await answer.wait()

    client, _ = opened(must_replay=False, still_valid=still_valid)
    hub.written = 1
    await asyncio.wait_for(asked.wait(), WAIT)
    hub.written = 2
    hub.changed(["anna"])
    await until(lambda: hub.read_to == 2)
    await asyncio.sleep(0.05)  # it is in the feed
    answer.set()
    await until(lambda: b"id: 2" in client.text)
    assert client.text.count(b"event: ") == 2


async def test_a_stream_replays_changes_that_the_feed_dropped_during_the_login_check(
    hub: FakeHub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.hub.FEED_BYTES_MAX", 0)
    answer = asyncio.Event()

    async def still_valid() -> bool:
        return await answer.wait()

    client, _ = opened(must_replay=False, still_valid=still_valid)
    hub.written = 3
    hub.changed(["anna"])
    await until(lambda: hub.read_to >= 1)
    answer.set()
    await until(lambda: b"id: 3" in client.text)
    assert client.text.count(b"event: ") == 3


async def test_shutdown_ends_a_replay_with_a_resume_event(hub: FakeHub, opened: Open) -> None:
    hub.written = 1_000_000
    client, task = opened(must_replay=True)
    await until(lambda: b"id: 5\n" in client.text)
    hub.close()
    async with asyncio.timeout(WAIT):
        await task
    assert b'"reason":"shutdown"' in client.text


@pytest.mark.parametrize("must_replay", [True, False])
async def test_shutdown_does_not_wait_for_a_client_that_does_not_read(
    hub: FakeHub, opened: Open, must_replay: bool
) -> None:
    hub.written = 1_000
    client, task = opened(must_replay=must_replay, reads=2)  # the start and the first id
    await until(lambda: client.stuck)
    began = time.monotonic()
    hub.close()
    async with asyncio.timeout(WAIT):
        await task
    assert time.monotonic() - began < 1
    assert client.dropped.is_set()


async def test_a_stream_opened_after_shutdown_ends_with_a_resume_event(hub: FakeHub, opened: Open) -> None:
    hub.close()
    client, task = opened(must_replay=True)
    async with asyncio.timeout(WAIT):
        await task
    assert b'"reason":"shutdown"' in client.text


async def test_a_client_that_never_reads_is_disconnected(
    hub: FakeHub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "EVENT_SEND_TIMEOUT", 0.1)
    hub.written = 1_000
    client, task = opened(must_replay=True, reads=3)
    async with asyncio.timeout(WAIT):
        await task
    assert client.dropped.is_set()


async def test_an_unread_last_event_does_not_keep_the_connection_open(
    hub: FakeHub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "EVENT_SEND_TIMEOUT", 0.1)
    client, task = opened(must_replay=False, expires_at=0)
    async with asyncio.timeout(WAIT):
        await task
        assert b'"reason":"token_expired"' in client.text
        await client.dropped.wait()


async def test_a_replay_takes_a_stream_slot_and_releases_it(
    hub: FakeHub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.hub.STREAMS_PER_OWNER", 1)
    hub.written = 1_000
    first, replay = opened(must_replay=True, reads=3)
    await until(lambda: first.stuck)
    second, refused = opened(must_replay=True)
    with pytest.raises(TooManyStreams) as error:
        await asyncio.wait_for(refused, WAIT)
    assert error.value.retry_after
    assert not second.started
    replay.cancel()
    with suppress(asyncio.CancelledError):
        await replay
    third, _ = opened(must_replay=False)
    await until(lambda: third.started)
