"""One client's event stream (server-sent events, HTML Living Standard, 9.2). Pure ASGI."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.clock import now
from app.errors import AppError
from app.http.connection import abort_of
from app.json_codec import encode
from app.live.hub import Feed, Hub, encode_events
from app.observability.request_context import STREAMING

log = logging.getLogger(__name__)

SLOW = 4.0  # seconds for which a client may let the socket stand still before it is told to come back
SEND_TIMEOUT = 20.0  # seconds after which it is no longer waited for
LAST_WORDS = 0.5  # seconds that a stream has to end in when the service stops
# Seconds between two questions whether the login still stands. The answer may be remembered for as long again, so an
# idle stream ends at most 4 s after its login.
ASK_EVERY = 2.0
RETRY_MS = (500, 3_000)  # when to come back; spread, so that not all of them come at once after a restart
LONGEST = 86_400.0  # seconds; a timer far in the future is set again on the way


class EventStream(Response):
    """Replays what came after ``position``, then writes what comes. Holds no connection to the database meanwhile."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        owner: str,
        position: int,
        *,
        behind: bool,
        expires_at: int | None = None,
        still_valid: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """``behind``: there is something to replay.

        ``expires_at``, in seconds since 1970, ends the stream: it does not outlive the token it came with. Nor does it
        outlive a login that was ended: ``still_valid`` is asked before each event and every ``ASK_EVERY`` seconds.
        """
        # No request follows on this connection, so whatever is left of it can be dropped.
        super().__init__(headers={"X-Revision": str(position), "X-Accel-Buffering": "no", "Connection": "close"})
        del self.headers["content-length"]
        self.hub, self.owner, self.position = hub, owner, position
        self.behind, self.expires_at = behind, expires_at
        self.still_valid = still_valid
        self.ending: str | None = None
        self.beat = False
        self._ask = False
        self._woken = asyncio.Event()
        self._gone = False
        self._patience = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """The service stops. Whatever the stream waits for, a client that does not read or the database, ends soon."""
        self.ending = self.ending or "shutdown"
        self._patience.reschedule(asyncio.get_running_loop().time() + LAST_WORDS)
        self.wake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("head"):  # set by Edge: the client waits for no content
            await self._start(scope, send)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            with self.hub.admitted(self, self.owner):  # before the answer starts: a refusal is one with a status
                async with self._patience:
                    await self._stream(scope, receive, send)
        except TimeoutError:
            log.info("a stream whose client does not read was cut off")
            await self._cut_off(scope, receive)
        else:
            self._drop_later(scope)

    async def _start(self, scope: Scope, send: Send) -> None:
        scope[STREAMING] = time.perf_counter()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.hub.closing:
            self.close()
        watching = asyncio.create_task(self._watch(receive))
        self._set_timer()
        if self.still_valid is not None:
            self._ask_later(random.uniform(0, ASK_EVERY))  # noqa: S311 - spread, so that not all ask at once
        try:
            await self._start(scope, send)
            # An id without data moves the client's Last-Event-ID and is no event: it resumes even before the first one.
            await self._write(send, b"retry: %d\nid: %d\n\n" % (random.randint(*RETRY_MS), self.position))  # noqa: S311
            while not (self.ending or self._gone):
                if self.behind:
                    await self._replay(send)
                await self._follow(send)
            if not self._gone:
                await self._end(send)
        finally:
            watching.cancel()
            for timer in (self._timer, self._asking):
                if timer:
                    timer.cancel()

    async def _cut_off(self, scope: Scope, receive: Receive) -> None:
        """Drop the connection, and wait until the server knows: to it, an answer left open is an error."""
        if (abort := abort_of(scope)) is None:
            return
        abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while (await receive())["type"] != "http.disconnect":
                    pass

    def _drop_later(self, scope: Scope) -> None:
        """The last words may still wait for a client that never reads them."""
        if (abort := abort_of(scope)) and not self._gone:
            asyncio.get_running_loop().call_later(LAST_WORDS if self.hub.closing else SEND_TIMEOUT, abort)

    async def _replay(self, send: Send) -> None:
        """Whole pages from the database, at the pace of the client."""
        more = True
        while more and not (self.ending or self._gone) and await self._is_welcome():
            try:
                page = await self.hub.read(self.owner, self.position)
            except AppError as error:
                self.ending = error.code
                return
            self.position, more = page.next, page.has_more
            if page.changes:
                await self._write(send, b"".join([text for _, text in await encode_events(page.changes)]))

    async def _follow(self, send: Send) -> None:
        """What comes, from the feed of the owner. Returns at the end, or to replay what the feed no longer has."""
        feed = self.hub.join(self, self.owner, self.position)
        try:
            while feed.after(self.position) is not None and not (self.ending or self._gone):
                await self._turn(feed, send)
        finally:
            self.hub.leave(self)
            self.behind = True

    async def _turn(self, feed: Feed, send: Send) -> None:
        if self._ask or feed.revision > self.position:
            self._ask = False
            if not await self._is_welcome():
                return
        # No await between these two: what the feed reads meanwhile would be passed over.
        text, reached = feed.after(self.position), feed.revision
        if text is None:  # its floor has moved: replay
            return
        if text:
            self.position = reached
            await self._write(send, text)
            if self.position < feed.floor:  # while it took these, more came than is kept
                self.ending = "slow"
        elif self.beat:
            self.beat = False
            await self._write(send, b":\n\n")
        else:
            self._woken.clear()
            await self._woken.wait()

    def _ask_later(self, seconds: float) -> None:
        self._asking = asyncio.get_running_loop().call_later(seconds, self._ask_now)

    def _ask_now(self) -> None:
        self._ask = True
        self.wake()
        self._ask_later(ASK_EVERY)

    async def _is_welcome(self) -> bool:
        """Whether the login behind the stream still stands; remembered for a few seconds, so asking costs little."""
        try:
            if self.still_valid is None or await self.still_valid():
                return True
            self.ending = "token_ended"
        except AppError as error:  # the database does not answer: the client comes back when it does
            self.ending = error.code
        return False

    async def _end(self, send: Send) -> None:
        """Say why, and that the client should resume; it has the id to do so."""
        name = "gone" if self.ending == "changes_gone" else "resume"
        data = encode({"since": self.position, "reason": self.ending})
        text = b"retry: %d\nevent: %b\ndata: %b\n\n" % (random.randint(*RETRY_MS), name.encode(), data)  # noqa: S311
        async with asyncio.timeout(SEND_TIMEOUT):
            await send({"type": "http.response.body", "body": text, "more_body": False})

    async def _write(self, send: Send, text: bytes) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(SEND_TIMEOUT):
            await send({"type": "http.response.body", "body": text, "more_body": True})
        if loop.time() - began > SLOW:
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
            self._timer = asyncio.get_running_loop().call_later(min(left, LONGEST), self._set_timer)
