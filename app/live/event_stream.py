"""One client's event stream (server-sent events, HTML Living Standard, 9.2). Pure ASGI."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.clock import now
from app.errors import AppError
from app.http.connection import abort_of
from app.json_codec import encode
from app.live.hub import ChangeFeed, Hub, encode_events

log = logging.getLogger(__name__)

SLOW_WRITE_SECONDS = 4.0  # seconds that one write may take before the client is asked to reconnect
EVENT_SEND_TIMEOUT = 20.0  # seconds after which a write is given up
STREAM_CLOSE_SECONDS = 0.5  # seconds in which a stream must end when the service stops
# Seconds between two checks that the login is still valid. A result may be cached for as long again, so an idle stream
# ends at most 4 s after its login.
LOGIN_CHECK_SECONDS = 2.0
RECONNECT_MS = (500, 3_000)  # delay of a reconnect; random, so that not all clients reconnect at once after a restart
TIMER_SECONDS_MAX = 86_400.0  # seconds; a later time needs several timers in a row


class EventStream(Response):
    """Replays the changes after ``position``, then follows new ones. Holds no database connection while it waits."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        owner: str,
        position: int,
        *,
        must_replay: bool,
        snapshot: str,
        expires_at: int | None = None,
        still_valid: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Stores the parts. ``must_replay``: there are changes after ``position``; ``snapshot``: the path of one.

        The stream ends at ``expires_at``, in seconds since 1970, with its token. It ends also with its login:
        ``still_valid`` is called before each event and every ``LOGIN_CHECK_SECONDS`` seconds.
        """
        # No request follows on this connection, so it can be aborted at the end.
        super().__init__(headers={"X-Revision": str(position), "X-Accel-Buffering": "no", "Connection": "close"})
        del self.headers["content-length"]
        self.hub, self.owner, self.position = hub, owner, position
        self.must_replay, self.snapshot, self.expires_at = must_replay, snapshot, expires_at
        self.still_valid = still_valid
        self.ending: str | None = None
        self.beat = False
        self._check_due = False
        self._woken = asyncio.Event()
        self._gone = False
        self._deadline = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._check_timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Ends the stream soon because the service stops, whether it waits for a slow client or for the database."""
        self.ending = self.ending or "shutdown"
        self._deadline.reschedule(asyncio.get_running_loop().time() + STREAM_CLOSE_SECONDS)
        self.wake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("head"):  # set by RequestContextMiddleware: HEAD has no content
            await self._start(send)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            with self.hub.admitted(self, self.owner):  # before the response starts, so that a refusal has a status
                async with self._deadline:
                    await self._stream(scope, receive, send)
        except TimeoutError:
            log.info("event stream aborted: the client does not read")
            await self._abort(scope, receive)
        else:
            self._abort_later(scope)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.hub.closing:
            self.close()
        watching = asyncio.create_task(self._watch(receive))
        self._set_timer()
        if self.still_valid is not None:
            self._schedule_check(random.uniform(0, LOGIN_CHECK_SECONDS))  # noqa: S311 - random, so that not all check at once
        try:
            await self._start(send)
            # An id without data is no event but sets Last-Event-ID: the client can resume before its first event.
            await self._write(send, b"retry: %d\nid: %d\n\n" % (random.randint(*RECONNECT_MS), self.position))  # noqa: S311
            while not (self.ending or self._gone):
                if self.must_replay:
                    await self._replay(send)
                await self._follow(send)
            if not self._gone:
                await self._end(send)
        finally:
            watching.cancel()
            for timer in (self._timer, self._check_timer):
                if timer:
                    timer.cancel()

    async def _abort(self, scope: Scope, receive: Receive) -> None:
        """Aborts the connection and waits until the server notices: it logs a response without an end as an error."""
        if (abort := abort_of(scope)) is None:
            return
        abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(STREAM_CLOSE_SECONDS):
                while (await receive())["type"] != "http.disconnect":
                    pass

    def _abort_later(self, scope: Scope) -> None:
        """Aborts the connection after a delay: the final event may wait for a client that never reads it."""
        if (abort := abort_of(scope)) and not self._gone:
            asyncio.get_running_loop().call_later(
                STREAM_CLOSE_SECONDS if self.hub.closing else EVENT_SEND_TIMEOUT, abort
            )

    async def _replay(self, send: Send) -> None:
        """Sends pages of changes from the database, as fast as the client reads."""
        more = True
        while more and not (self.ending or self._gone) and await self._is_still_valid():
            try:
                page = await self.hub.read(self.owner, self.position)
            except AppError as error:
                self.ending = error.code
                return
            self.position, more = page.next, page.has_more
            if page.changes:
                await self._write(send, b"".join([text for _, text in await encode_events(page.changes)]))

    async def _follow(self, send: Send) -> None:
        """Sends new changes from the owner's feed. Returns at the end, or when the feed has lost the next change."""
        feed = self.hub.join(self, self.owner, self.position)
        try:
            while feed.after(self.position) is not None and not (self.ending or self._gone):
                await self._send_next(feed, send)
        finally:
            self.hub.leave(self)
            self.must_replay = True

    async def _send_next(self, feed: ChangeFeed, send: Send) -> None:
        if self._check_due or feed.revision > self.position:
            self._check_due = False
            if not await self._is_still_valid():
                return
        # No await between these two: changes that the feed reads in between would be skipped.
        text, reached = feed.after(self.position), feed.revision
        if text is None:  # the feed has lost the next change: replay
            return
        if text:
            self.position = reached
            await self._write(send, text)
            if self.position < feed.floor:  # during the write, more changes arrived than the feed keeps
                self.ending = "slow"
        elif self.beat:
            self.beat = False
            await self._write(send, b":\n\n")
        else:
            self._woken.clear()
            await self._woken.wait()

    def _schedule_check(self, seconds: float) -> None:
        self._check_timer = asyncio.get_running_loop().call_later(seconds, self._request_check)

    def _request_check(self) -> None:
        self._check_due = True
        self.wake()
        self._schedule_check(LOGIN_CHECK_SECONDS)

    async def _is_still_valid(self) -> bool:
        """Returns whether the stream's login is still valid. The result is cached for a few seconds."""
        try:
            if self.still_valid is None or await self.still_valid():
                return True
            self.ending = "token_ended"
        except AppError as error:  # the database is unavailable: the client reconnects later
            self.ending = error.code
        return False

    async def _end(self, send: Send) -> None:
        """Sends the final event, with the reason: resume from the last id, or after ``gone`` begin with a snapshot."""
        gone = self.ending == "changes_gone"
        name = "gone" if gone else "resume"
        data = encode({"since": self.position, "reason": self.ending, **({"snapshot": self.snapshot} if gone else {})})
        text = b"retry: %d\nevent: %b\ndata: %b\n\n" % (random.randint(*RECONNECT_MS), name.encode(), data)  # noqa: S311
        async with asyncio.timeout(EVENT_SEND_TIMEOUT):
            await send({"type": "http.response.body", "body": text, "more_body": False})

    async def _write(self, send: Send, text: bytes) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(EVENT_SEND_TIMEOUT):
            await send({"type": "http.response.body", "body": text, "more_body": True})
        if loop.time() - began > SLOW_WRITE_SECONDS:
            self.ending = self.ending or "slow"

    async def _watch(self, receive: Receive) -> None:
        with suppress(asyncio.CancelledError):
            while (await receive())["type"] != "http.disconnect":
                pass
            self._gone = True
            self.wake()

    def _set_timer(self) -> None:
        if self.expires_at is None:
            return
        left = self.expires_at - now().timestamp()
        if left <= 0:
            self.ending = self.ending or "token_expired"
            self.wake()
        else:
            self._timer = asyncio.get_running_loop().call_later(min(left, TIMER_SECONDS_MAX), self._set_timer)
