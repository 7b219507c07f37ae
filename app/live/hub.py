"""Live updates: one hub a process, one feed an owner, however many streams.

A hint (``app.db.notifications``) makes the feed of its owner read what is new, once, in a short transaction; its
streams are woken and write the same bytes. Nothing is queued for a stream: it has a position and pulls, so a client
that does not read costs what the feed keeps anyway. A hint that got lost is made up for with the next heartbeat.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from app.db.database import Database
from app.errors import AppError, TooManyStreams
from app.http.responses import SLICE_ROWS
from app.json_codec import encode
from app.services.changes.feed import ChangesRead, find_position, list_changes

log = logging.getLogger(__name__)

PAGE = 200  # rows of one read
KEPT_BYTES = 262_144  # of the latest changes of an owner, for streams that are a little behind
COALESCE = 0.02  # seconds between two reads of one owner
STREAMS_PER_OWNER = 100
FULL = 10  # seconds after which one that found no place may ask again
RETRY = 1.0  # seconds, after a read that failed


class Stream(Protocol):
    """What the hub does to a stream."""

    ending: str | None
    beat: bool

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Feed:
    """The latest changes of one owner, encoded.

    ``revision`` is how far it has read; everything after ``floor`` is kept.
    """

    __slots__ = ("_recent", "_size", "dirty", "floor", "owner", "revision", "streams", "task")

    def __init__(self, owner: str, revision: int) -> None:
        self.owner = owner
        self.revision = self.floor = revision
        self.streams: set[Stream] = set()
        self.dirty = False
        self.task: asyncio.Task[None] | None = None
        self._recent: deque[tuple[int, bytes]] = deque()
        self._size = 0

    def after(self, position: int) -> bytes | None:
        """The events behind ``position``; None when they are no longer all here."""
        if position < self.floor:
            return None
        chunks = []
        for revision, chunk in reversed(self._recent):
            if revision <= position:
                break
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(reversed(chunks))

    def append(self, page: ChangesRead, events: list[tuple[int, bytes]]) -> None:
        for revision, chunk in events:
            self._recent.append((revision, chunk))
            self._size += len(chunk)
        self.revision = page.next
        while self._size > KEPT_BYTES and self._recent:
            self.floor, chunk = self._recent.popleft()
            self._size -= len(chunk)
        for stream in self.streams:
            stream.wake()


async def encode_events(changes: list[Any]) -> list[tuple[int, bytes]]:
    """Returns the text of each write. Only its last event has an id, so that a client never resumes in its middle.

    One write can have any number of rows, so others run in between.
    """
    writes: list[tuple[int, bytes]] = []
    pieces: list[bytes] = []
    for number, change in enumerate(changes, start=1):
        pieces.append(b"event: %b.%b\ndata: %b\n" % (change.entity.encode(), change.action.encode(), encode(change)))
        if number == len(changes) or changes[number].revision != change.revision:
            writes.append((change.revision, b"".join((*pieces, b"id: %d\n\n" % change.revision))))
            pieces.clear()
        else:
            pieces.append(b"\n")
        if number % SLICE_ROWS == 0:
            await asyncio.sleep(0)
    return writes


class Hub:
    """All open streams of this process. Use as an async context manager."""

    def __init__(self, database: Database, *, heartbeat: int, readers: int) -> None:
        """``heartbeat`` is in seconds; ``readers`` is how many connections of the pool may read for streams at once."""
        self._database = database
        self._feeds: dict[str, Feed] = {}
        self._reading = asyncio.Semaphore(readers)
        # A few streams beat each second, rather than all of them at once.
        self._slots: list[set[Stream]] = [set() for _ in range(heartbeat)]
        self._open: dict[str, set[Stream]] = {}  # by owner; also those that replay
        self._places: dict[Stream, tuple[Feed, set[Stream]]] = {}
        self._joined = 0
        self._ticker: asyncio.Task[None] | None = None
        self.closing = False

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick(), name="heartbeat")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        tasks = [task for task in (self._ticker, *(feed.task for feed in self._feeds.values())) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """End every stream; each tells its client when to come back."""
        if self.closing:
            return
        self.closing = True
        for streams in self._open.values():
            for stream in streams:
                stream.close()

    def changed(self, owners: Collection[str] | None) -> None:
        """A hint; None when any owner may have changed."""
        for owner in self._feeds.copy() if owners is None else owners:
            if feed := self._feeds.get(owner):
                self._refresh(feed)

    async def find_position(self, owner: str, since: int | None) -> tuple[int, bool]:
        """Where a stream begins, and whether there is something to replay. Raises ChangesGone and Unavailable."""
        async with self._reading, self._database.transaction(owner, read_only=True) as session:
            return await find_position(session, owner, since)

    async def read(self, owner: str, position: int, *, limit: int = PAGE) -> ChangesRead:
        """Changes after ``position``. Raises ChangesGone and Unavailable."""
        async with self._reading, self._database.transaction(owner, read_only=True) as session:
            return await list_changes(session, owner, since=position, limit=limit)

    @contextmanager
    def admitted(self, stream: Stream, owner: str) -> Iterator[None]:
        """A place among the streams of ``owner``, from its first byte to its last. Raises TooManyStreams."""
        streams = self._open.setdefault(owner, set())
        if len(streams) >= STREAMS_PER_OWNER:
            raise TooManyStreams(retry_after=FULL)
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                del self._open[owner]

    def join(self, stream: Stream, owner: str, position: int) -> Feed:
        """Wake ``stream`` when there is more."""
        feed = self._feeds.get(owner)
        if feed is None:
            feed = self._feeds[owner] = Feed(owner, position)
        slot = self._slots[self._joined % len(self._slots)]
        self._joined += 1
        feed.streams.add(stream)
        slot.add(stream)
        self._places[stream] = feed, slot
        self._refresh(feed)  # for what was committed between the stream's last look and now
        return feed

    def leave(self, stream: Stream) -> None:
        feed, slot = self._places.pop(stream)
        slot.discard(stream)
        feed.streams.discard(stream)
        if not feed.streams:
            self._feeds.pop(feed.owner, None)

    @property
    def streams(self) -> int:
        """How many are open, also those that replay."""
        return sum(len(streams) for streams in self._open.values())

    def _refresh(self, feed: Feed) -> None:
        feed.dirty = True
        if feed.task is None:
            feed.task = asyncio.create_task(self._pump(feed), name="feed")

    async def _pump(self, feed: Feed) -> None:
        """Read until there is nothing new. Hints that come meanwhile are answered by one more read."""
        try:
            while feed.dirty and feed.streams:
                feed.dirty = False
                try:
                    page = await self.read(feed.owner, feed.revision)
                except AppError as error:
                    await self._failed(feed, error)
                    continue
                if page.changes:
                    feed.append(page, await encode_events(page.changes))
                feed.dirty = feed.dirty or page.has_more
                await asyncio.sleep(0 if page.has_more else COALESCE)
        finally:
            feed.task = None

    async def _failed(self, feed: Feed, error: AppError) -> None:
        if error.code == "changes_gone":  # pruned, or the database was put back: clients must list again
            for stream in feed.streams:
                stream.ending = error.code
                stream.wake()
            return
        log.warning("a live feed could not be read: %s", error.code)
        feed.dirty = True
        await asyncio.sleep(RETRY)

    async def _tick(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(1)
            turn = (turn + 1) % len(self._slots)
            feeds = set()
            for stream in self._slots[turn]:
                stream.beat = True
                stream.wake()
                feeds.add(self._places[stream][0])
            for feed in feeds:
                self._refresh(feed)
