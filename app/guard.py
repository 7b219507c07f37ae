"""What a connection may cost before there is a request: sizes, time, and how many there are.

uvicorn's parser takes a header of 50 MB and waits for the end of one for ever. This class counts and watches between
the socket and the parser. A request whose head comes in one piece, as nearly all do, pays for a few comparisons; no
timer is set for it: one for the whole process looks once a second at the connections that wait.
"""

import asyncio
import re
from contextvars import copy_context
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from app.config import Settings, get_settings
from app.connection import Connection
from app.files_limit import reserve_files
from app.problems import TITLES, problem
from app.request_id import start_request

TICK = 1.0  # seconds between two looks
PIPELINED = 32  # requests that may wait behind the one that is answered
RETRY_AFTER = 2
LINGER = 1.0  # seconds in which a refused client may read why
HEAD, BODY, NOTHING = "head", "body", ""  # what is being read
# RFC 3986, 3.2.2, and a port. What of it is a name, DNS decides; here is only what it cannot be.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{0,5})?")

Refusal = tuple[int, str, str]
TOO_LONG: Refusal = (414, "url_too_long", "The URL is longer than this service accepts.")
TOO_LARGE: Refusal = (431, "headers_too_large", "The headers are more or larger than this service accepts.")
NO_HOST: Refusal = (400, "bad_host", "Send one Host header that names this service.")
MALFORMED: Refusal = (400, "malformed_request", "This is not an HTTP request.")
TOO_SLOW: Refusal = (408, "request_timeout", "The request did not come in time.")
FULL: Refusal = (503, "too_many_connections", "Too many connections are open: try again.")


class Refused(Exception):
    """Stops the parser."""


class Watch:
    """All connections of a process."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings, self.loop = settings, loop
        self.most = reserve_files(settings.max_connections)
        self.hosts = tuple(settings.allowed_hosts)
        self.open: set[Guarded] = set()
        self.waiting: dict[Guarded, None] = {}  # for a request, the one that has waited longest first
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: "Guarded") -> bool:
        """Whether there is room, which may be made by closing the one that has waited longest for a request."""
        if len(self.open) >= self.most:
            if not self.waiting:
                return False
            oldest = next(iter(self.waiting))
            self.remove(oldest)
            oldest.transport.abort()
        self.open.add(connection)
        self.waiting[connection] = None
        if self._timer is None:
            self._timer = self.loop.call_later(TICK, self._look)
        return True

    def remove(self, connection: "Guarded") -> None:
        self.open.discard(connection)
        self.waiting.pop(connection, None)

    def _look(self) -> None:
        now = self.loop.time()
        for connection in list(self.open):
            connection.look(now)
        self._timer = self.loop.call_later(TICK, self._look) if self.open else None


_watches: WeakKeyDictionary[Any, Watch] = WeakKeyDictionary()  # by uvicorn's state of a server


def connection_counts() -> tuple[int, int]:
    """Connections that are open, and those of them without a request being served."""
    watches = list(_watches.values())
    return sum(len(watch.open) for watch in watches), sum(len(watch.waiting) for watch in watches)


class Guarded(Connection):
    """uvicorn's protocol with bounds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        watch = _watches.get(self.server_state)
        if watch is None:
            watch = _watches[self.server_state] = Watch(get_settings(), self.loop)
        self.watch, self.settings = watch, watch.settings
        self.reading = HEAD
        self.since: float | None = self.loop.time()  # when what is being read began
        self.read = 0  # bytes of it so far, without those of the chunk being parsed
        self.chunk = 0
        self.ended = False  # whether a request ended in this chunk
        self.refusal: Refusal | None = None
        if not watch.add(self):
            self.refuse(FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None:
            return
        self.chunk, self.ended = len(data), False
        super().data_received(data)
        if self.reading:
            self._not_all()
        else:
            self.since = None

    def _not_all(self) -> None:
        """A head or a body goes on in the next chunk."""
        if self.refusal is not None:
            return
        if self.since is None or self.read == 0:
            self.since = self.loop.time()
        # Where in a chunk the next request began is not known, so a chunk with the end of one does not count.
        self.read += 0 if self.ended else self.chunk
        if self.reading is HEAD and self.read > self.settings.header_limit + self.settings.url_limit:
            self.refuse(TOO_LONG if len(self.url) > self.settings.url_limit else TOO_LARGE)

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.reading = HEAD

    def on_headers_complete(self) -> None:
        settings, headers = self.settings, self.headers
        if len(self.url) > settings.url_limit:
            self._stop(TOO_LONG)
        size = self.read + self.chunk
        if len(headers) > settings.headers_max or (
            size > settings.header_limit and sum(len(n) + len(v) + 4 for n, v in headers) > settings.header_limit
        ):
            self._stop(TOO_LARGE)
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() != "1.0"):  # RFC 9112, 3.2
            self._stop(NO_HOST)
        if hosts and not _is_host(hosts[0], self.watch.hosts):
            self._stop(NO_HOST)
        if len(self.pipeline) >= PIPELINED:
            self._stop(TOO_LARGE)
        self.reading, self.since, self.read = BODY, None, 0
        self.watch.waiting.pop(self, None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.reading, self.since, self.read, self.ended = NOTHING, None, 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and self in self.watch.open:
            self.watch.waiting[self] = None

    def send_400_response(self, msg: str) -> None:
        """Called for whatever stopped the parser."""
        self.refuse(self.refusal or MALFORMED)

    # What comes of it

    def _stop(self, refusal: Refusal) -> None:
        self.refusal = refusal
        raise Refused

    def refuse(self, refusal: Refusal) -> None:
        """Answer, unless another answer is on its way on this connection, and close it."""
        self.refusal = refusal
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.reading is not BODY or self.pipeline or cycle.response_started:
                cycle.keep_alive = False
                self.pipeline.clear()
                return
            cycle.disconnected = True  # whoever waits for the body hears that nobody waits for the answer
            cycle.message_event.set()
        self.transport.write(copy_context().run(_rendered, refusal, self.server_state.default_headers))
        if refusal is FULL or not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed with bytes unread, the connection would be reset and the answer lost on the way (RFC 9112, 9.6).
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)

    def look(self, now: float) -> None:
        """Once a second: whether what is being read takes too long."""
        if self.since is None or self.refusal is not None or self.transport.is_closing():
            return
        waited = now - self.since
        if self.reading is HEAD and waited > self.settings.header_timeout:
            if self.read or self.cycle:
                self.refuse(TOO_SLOW)
            else:  # nothing was ever sent, and nobody waits for an answer
                self.transport.abort()
        elif self.reading is BODY:
            if self.flow.read_paused:  # it is this service that does not read
                self.since += TICK
                return
            unread = 0 if self.cycle.response_complete else self.read  # of what nobody reads nothing is waited for
            if waited > max(self.settings.body_timeout, unread / self.settings.body_min_rate):
                self._end_body()

    def _end_body(self) -> None:
        if self.cycle.response_complete or self.cycle.response_started:
            self.transport.abort()
        else:
            self.refuse(TOO_SLOW)


def _rendered(refusal: Refusal, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a problem, with the headers that every answer has."""
    status, code, detail = refusal
    headers = {"X-Request-ID": start_request(None), "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    answer = problem(status, code, detail, headers={**headers, "Connection": "close"})
    lines = [b"HTTP/1.1 %d %b" % (status, TITLES[status].encode())]
    lines += [b"%b: %b" % header for header in (*default_headers, *answer.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


@lru_cache(1024)
def _is_host(value: bytes, allowed: tuple[str, ...]) -> bool:
    matched = _HOST.fullmatch(value)
    return matched is not None and (not allowed or matched[1].decode().lower().rstrip(".") in allowed)
