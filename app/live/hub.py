"""Live updates: one hub a process, and one feed an owner for any number of streams.

After a hint (``app.db.notifications``), the owner's feed reads the new changes once, in a short transaction; then its
streams wake up and write the same bytes. A stream has no queue but a position in the feed, so a slow client costs no
memory of its own. The next heartbeat makes up for a lost hint.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from app.db.database import Database
from app.errors import AppError, ChangesGone, TooManyStreams
from app.http.responses import ENCODED_SLICE_ROWS
from app.jobs.owner_epochs import begin_owner_epoch
from app.json_codec import encode
from app.services.changes.feed import ChangesRead, find_position, list_changes

log = logging.getLogger(__name__)

REPLAY_PAGE_ROWS = 200  # rows of one read
FEED_BYTES_MAX = 262_144  # of an owner's latest changes, for streams that are a little behind
COALESCE_SECONDS = 0.02  # seconds between two reads of one owner
STREAMS_PER_OWNER = 100
STREAM_RETRY_AFTER = 10  # seconds after which a refused stream may try again
READ_RETRY_SECONDS = 1.0  # seconds, after a read that failed


class Stream(Protocol):
    """The interface of a stream that the hub uses."""

    ending: str | None
    beat: bool

    def wake(self) -> None: ...

    def close(self) -> None: ...


class ChangeFeed:
    """The latest changes of one owner, encoded.

    It has read up to ``revision`` and keeps all changes after ``floor``.
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
        """Returns the events after ``position``; None when the feed no longer has all of them."""
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
        while self._size > FEED_BYTES_MAX and self._recent:
            self.floor, chunk = self._recent.popleft()
            self._size -= len(chunk)
        for stream in self.streams:
            stream.wake()


async def encode_events(changes: list[Any]) -> list[tuple[int, bytes]]:
    """Returns the revision and text of each write. Only its last event has an id, so no client resumes within a write.

    Yields to the event loop in between: one write can have any number of rows.
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
        if number % ENCODED_SLICE_ROWS == 0:
            await asyncio.sleep(0)
    return writes


class Hub:
    """All open streams of this process. Use as an async context manager."""

    def __init__(self, database: Database, *, heartbeat: int, readers: int) -> None:
        """Accepts ``heartbeat`` in seconds, and ``readers``, the pool connections that streams may use at once."""
        self._database = database
        self._feeds: dict[str, ChangeFeed] = {}
        self._reading = asyncio.Semaphore(readers)
        # Each second, some of the streams send a heartbeat, not all of them at once.
        self._slots: list[set[Stream]] = [set() for _ in range(heartbeat)]
        self._open: dict[str, set[Stream]] = {}  # by owner; also those that replay
        self._joined_streams: dict[Stream, tuple[ChangeFeed, set[Stream]]] = {}
        self._next_slot = 0
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
        """Ends every stream; each sends its client the delay of a reconnect."""
        if self.closing:
            return
        self.closing = True
        for streams in self._open.values():
            for stream in streams:
                stream.close()

    def changed(self, owners: Collection[str] | None) -> None:
        """Handles a hint; None when the data of any owner may have changed."""
        for owner in self._feeds.copy() if owners is None else owners:
            if feed := self._feeds.get(owner):
                self._refresh(feed)

    async def find_position(self, owner: str, since: int | None) -> tuple[int, bool]:
        """Returns where a stream begins, and whether to replay changes. Raises ChangesGone and Unavailable."""
        async with self._reading, self._database.transaction(owner, read_only=True, in_lane=False) as session:
            return await find_position(session, owner, since)

    async def read(self, owner: str, position: int, *, limit: int = REPLAY_PAGE_ROWS) -> ChangesRead:
        """Reads changes after ``position``. Raises ChangesGone and Unavailable.

        A position above the owner's revision begins a new epoch: the database was restored below this process.
        """
        try:
            async with self._reading, self._database.transaction(owner, read_only=True, in_lane=False) as session:
                return await list_changes(session, owner, since=position, limit=limit)
        except ChangesGone as error:
            if error.ahead:
                await begin_owner_epoch(self._database, owner, error.ahead)
            raise

    @contextmanager
    def admitted(self, stream: Stream, owner: str) -> Iterator[None]:
        """Counts the stream among those of ``owner`` while it is open. Raises TooManyStreams."""
        streams = self._open.setdefault(owner, set())
        if len(streams) >= STREAMS_PER_OWNER:
            raise TooManyStreams(retry_after=STREAM_RETRY_AFTER)
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                del self._open[owner]

    def join(self, stream: Stream, owner: str, position: int) -> ChangeFeed:
        """Adds ``stream`` to the owner's feed, which wakes it on new changes, and returns the feed."""
        feed = self._feeds.get(owner)
        if feed is None:
            feed = self._feeds[owner] = ChangeFeed(owner, position)
        slot = self._slots[self._next_slot % len(self._slots)]
        self._next_slot += 1
        feed.streams.add(stream)
        slot.add(stream)
        self._joined_streams[stream] = feed, slot
        self._refresh(feed)  # for changes that were committed since the stream's last read
        return feed

    def leave(self, stream: Stream) -> None:
        feed, slot = self._joined_streams.pop(stream)
        slot.discard(stream)
        feed.streams.discard(stream)
        if not feed.streams:
            self._feeds.pop(feed.owner, None)

    @property
    def streams(self) -> int:
        """Returns how many streams are open, also those that replay."""
        return sum(len(streams) for streams in self._open.values())

    def _refresh(self, feed: ChangeFeed) -> None:
        feed.dirty = True
        if feed.task is None:
            feed.task = asyncio.create_task(self._read_changes(feed), name="feed")

    async def _read_changes(self, feed: ChangeFeed) -> None:
        """Reads until there are no new changes. All hints during a read cause one more read."""
        try:
            while feed.dirty and feed.streams:
                feed.dirty = False
                try:
                    page = await self.read(feed.owner, feed.revision)
                except AppError as error:
                    await self._handle_failure(feed, error)
                    continue
                if page.changes:
                    feed.append(page, await encode_events(page.changes))
                feed.dirty = feed.dirty or page.has_more
                await asyncio.sleep(0 if page.has_more else COALESCE_SECONDS)
        finally:
            feed.task = None

    async def _handle_failure(self, feed: ChangeFeed, error: AppError) -> None:
        if error.code == "changes_gone":  # pruned, or the database was restored from a backup: clients must begin again
            for stream in feed.streams:
                stream.ending = error.code
                stream.wake()
            return
        log.warning("cannot read changes for event streams: %s", error.code)
        feed.dirty = True
        await asyncio.sleep(READ_RETRY_SECONDS)

    async def _tick(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(1)
            turn = (turn + 1) % len(self._slots)
            feeds = set()
            for stream in self._slots[turn]:
                stream.beat = True
                stream.wake()
                feeds.add(self._joined_streams[stream][0])
            for feed in feeds:
                self._refresh(feed)
