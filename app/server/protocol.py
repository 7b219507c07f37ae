"""Bounds on connections below ASGI: their number, the size of heads, and the time to send heads and bodies.

uvicorn's parser accepts a header of 50 MB and waits without limit for its end. ``BoundedProtocol`` counts between the
socket and the parser. A request whose head arrives in one piece, as nearly all do, costs a few comparisons and no
timer: one timer for the whole process checks the open connections once a second.
"""

import asyncio
import re
import socket
from collections.abc import Sized
from contextvars import copy_context
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.config import Settings, get_settings
from app.http.connection import ABORT_STATE_KEY
from app.server.file_limit import reserve_files
from app.server.refusals import (
    BAD_HOST,
    HEADERS_TOO_LARGE,
    MALFORMED_REQUEST,
    PIPELINE_FULL,
    REQUEST_TOO_SLOW,
    TOO_MANY_CONNECTIONS,
    URL_TOO_LONG,
    Refusal,
    render_refusal,
)

CHECK_SECONDS = 1.0  # seconds between two checks of all connections
PIPELINED_MAX = 32  # requests of one connection that may be queued
LINGER_SECONDS = 1.0  # seconds in which a refused client may read the response
READING_HEAD, READING_BODY, READING_NOTHING = "head", "body", ""  # what is being read
# RFC 3986, 3.2.2, and a port. Only the characters are checked: DNS decides which names exist.
_HOST_PATTERN = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{0,5})?")


class PipelineFlow(FlowControl):
    """Stops reading while requests are queued, so that they hold no more than one read of the socket.

    In uvicorn every ``receive()`` of the running request resumes reading for the queued ones: without limit during an
    import, which polls for a disconnect.
    """

    def __init__(self, transport: asyncio.Transport, queued: Sized) -> None:
        super().__init__(transport)
        self._queued = queued

    def resume_reading(self) -> None:
        if self.read_paused and not self._queued:
            super().resume_reading()


class AbortableProtocol(HttpToolsProtocol):
    """uvicorn's protocol; a request can abort it, and the running one is notified when the connection is lost."""

    running: RequestResponseCycle | None = None  # ``cycle`` is the newest, which may be queued

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = PipelineFlow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.running is not None:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][ABORT_STATE_KEY] = self.transport.abort

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)


def drop_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Lets the kernel drop the connection when its client has acknowledged no data for ``seconds`` (Linux).

    Only the kernel knows: it buffers megabytes of a response at once, and nothing more while a client is slow.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


class ParserStopped(Exception):
    """Stops the parser."""


class ConnectionRegistry:
    """All connections of a process."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings, self.loop = settings, loop
        self.most = reserve_files(settings.max_connections)
        self.hosts = tuple(settings.allowed_hosts)
        self.open: set[BoundedProtocol] = set()
        self.waiting: dict[BoundedProtocol, None] = {}  # idle connections, in the order in which they became idle
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: "BoundedProtocol") -> bool:
        """Returns whether there is room, which may be made by closing the connection that has been idle longest."""
        if len(self.open) >= self.most:
            if not self.waiting:
                return False
            oldest = next(iter(self.waiting))
            self.remove(oldest)
            oldest.transport.abort()
        self.open.add(connection)
        self.waiting[connection] = None
        if self._timer is None:
            self._timer = self.loop.call_later(CHECK_SECONDS, self._check_all)
        return True

    def remove(self, connection: "BoundedProtocol") -> None:
        self.open.discard(connection)
        self.waiting.pop(connection, None)

    def _check_all(self) -> None:
        for connection in list(self.open):
            connection.check_timeouts()
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check_all) if self.open else None


_registries: WeakKeyDictionary[Any, ConnectionRegistry] = WeakKeyDictionary()  # by uvicorn's state of a server


def connection_counts() -> tuple[int, int]:
    """Returns the open connections, and those of them without a running request."""
    registries = list(_registries.values())
    return sum(len(each.open) for each in registries), sum(len(each.waiting) for each in registries)


class BoundedProtocol(AbortableProtocol):
    """uvicorn's protocol with bounds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        registry = _registries.get(self.server_state)
        if registry is None:
            registry = _registries[self.server_state] = ConnectionRegistry(get_settings(), self.loop)
        self.registry, self.settings = registry, registry.settings
        self.reading = READING_HEAD
        self.read = 0  # bytes of a head without the chunk being parsed, or of a body since the last check
        self.framing = 0  # bytes since the last body byte
        self.waited = 0.0  # seconds since a head began, or by which a body is behind its minimum rate
        self.silent = 0.0  # seconds since the last body byte
        self.chunk = 0
        self.ended = False  # whether a request ended in this chunk
        self.refusal: Refusal | None = None
        self.url, self.headers = b"", []  # until a head begins
        drop_unread(transport, self.settings.write_timeout)
        if not registry.add(self):
            self.refuse(TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        self.registry.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None:
            return
        self.chunk, self.ended = len(data), False
        super().data_received(data)
        if self.reading or not self.ended:
            self._check_partial()

    def _check_partial(self) -> None:
        """Checks the size of a head or a body that continues in the next chunk."""
        if self.refusal is not None:
            return
        self.reading = self.reading or READING_HEAD  # empty lines may precede a head
        settings = self.settings
        if self.reading is READING_BODY:
            self.framing += self.chunk
            full = self.framing > settings.header_limit
        else:
            # Where in a chunk the next request begins is unknown, so a chunk with the end of a request is not counted.
            self.read += 1 if self.ended else self.chunk
            full = self.read > settings.header_limit + settings.url_limit
        # Headers of an incomplete head, or trailers. An empty header takes 30 times its bytes in memory.
        if full or len(self.headers) > settings.headers_max:
            self.refuse(URL_TOO_LONG if len(self.url) > settings.url_limit else HEADERS_TOO_LARGE)

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.reading = READING_HEAD

    def on_headers_complete(self) -> None:
        settings, headers = self.settings, self.headers
        if len(self.url) > settings.url_limit:
            self._stop(URL_TOO_LONG)
        size = self.read + self.chunk
        if len(headers) > settings.headers_max or (
            size > settings.header_limit and sum(len(n) + len(v) + 4 for n, v in headers) > settings.header_limit
        ):
            self._stop(HEADERS_TOO_LARGE)
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 and (hosts or self.parser.get_http_version() != "1.0"):  # RFC 9112, 3.2
            self._stop(BAD_HOST)
        if hosts and not _is_host(hosts[0], self.registry.hosts):
            self._stop(BAD_HOST)
        if self.pipeline and len(self.pipeline) >= PIPELINED_MAX:
            self._stop(PIPELINE_FULL)
        super().on_headers_complete()
        self.headers = []  # trailers are not among them (RFC 9110, 6.5.1)
        self.reading, self.read, self.framing = READING_BODY, 0, -self.chunk
        self.waited, self.silent = 0.0, -CHECK_SECONDS
        self.registry.waiting.pop(self, None)

    def on_body(self, body: bytes) -> None:
        self.read += len(body)
        self.framing = -self.chunk
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.reading, self.waited, self.read, self.ended = READING_NOTHING, 0.0, 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()  # begins the next request
        if not last:
            return
        self.cycle.body.clear()  # nothing reads the rest, which uvicorn would keep
        if self.refusal is not None:
            self._send_refusal(self.refusal)
        elif self in self.registry.open:
            self.registry.waiting[self] = None

    def send_400_response(self, msg: str) -> None:
        """Refuses the connection after any error of the parser."""
        self.refuse(self.refusal or MALFORMED_REQUEST)

    # Refusals

    def _stop(self, refusal: Refusal) -> None:
        self.refusal = refusal
        raise ParserStopped

    def refuse(self, refusal: Refusal) -> None:
        """Ends the connection with ``refusal``, after the responses to the complete requests before it."""
        self.refusal = refusal
        cycle = self.cycle
        if self.reading is READING_BODY:
            if self.pipeline:  # the request itself is queued
                self.pipeline.popleft()
                return
            if cycle.response_complete:
                self._end()
                return
            if cycle.response_started:  # that response is the last one
                cycle.keep_alive = False
                return
            cycle.disconnected = True  # an endpoint that reads the body sees a disconnect
            cycle.message_event.set()
        elif cycle is not None and not cycle.response_complete:
            return
        self._send_refusal(refusal)

    def _send_refusal(self, refusal: Refusal) -> None:
        if self.transport.is_closing():
            return
        details = {"host": self._sent_host()} if refusal is BAD_HOST else {}
        self.transport.write(copy_context().run(render_refusal, refusal, self.server_state.default_headers, **details))
        if refusal is TOO_MANY_CONNECTIONS:
            self.transport.close()
        else:
            self._end()

    def _sent_host(self) -> str:
        """Returns the refused Host headers, which ALLOWED_HOSTS does not name."""
        return ", ".join(value.decode("latin-1") for name, value in self.headers if name == b"host")

    def _end(self) -> None:
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed with bytes unread, the connection would be reset and the response lost (RFC 9112, 9.6).
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def check_timeouts(self) -> None:
        """Ends the connection if what is being read takes too long. Called every CHECK_SECONDS seconds."""
        if not self.reading or self.refusal is not None or self.transport.is_closing():
            return
        if self.flow.read_paused:  # the service does not read, so the client is not slow
            return
        self.waited += CHECK_SECONDS
        if self.reading is READING_BODY:
            self._check_body()
        elif self.waited > self.settings.header_timeout:
            if self.read or self.cycle:
                self.refuse(REQUEST_TOO_SLOW)
            else:  # the client never sent a byte and expects no response
                self.transport.abort()

    def _check_body(self) -> None:
        """Ends a body that is too slow. Bytes make up for time that has passed, and earn none for later."""
        settings, cycle = self.settings, self.cycle
        self.silent = 0.0 if self.read else self.silent + CHECK_SECONDS
        if not cycle.response_complete:  # after the response nothing reads the body, so its rate does not matter
            self.waited = max(0.0, self.waited - self.read / settings.body_min_rate)
        self.read = 0
        if self.waited > settings.body_timeout or self.silent >= settings.body_idle_timeout:
            if cycle.response_started:
                self.transport.abort()
            else:
                self.refuse(REQUEST_TOO_SLOW)


@lru_cache(1024)
def _is_host(value: bytes, allowed: tuple[str, ...]) -> bool:
    matched = _HOST_PATTERN.fullmatch(value)
    return matched is not None and (not allowed or matched[1].decode().lower().rstrip(".") in allowed)
