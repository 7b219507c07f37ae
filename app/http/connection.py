"""The connection below a request.

ASGI cannot give one up: a server closes it when what was written has been read, so a client that never reads keeps it.
"""

import asyncio
import socket
from collections.abc import Callable, Sized

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ABORT = "todo.abort"  # in the state of a request


class PipelineFlow(FlowControl):
    """Reads nothing while requests are queued, so that their size is what was received at once.

    In uvicorn every ``receive()`` of the running request reads on for the queued ones: without end beside an import,
    which polls for a disconnect.
    """

    def __init__(self, transport: asyncio.Transport, queued: Sized) -> None:
        super().__init__(transport)
        self._queued = queued

    def resume_reading(self) -> None:
        if self.read_paused and not self._queued:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """uvicorn's; a request can drop it, and the running one is notified when it is lost."""

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
        self.scope["state"][ABORT] = self.transport.abort

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)


def drop_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Lets the kernel drop the connection when its client has taken nothing of what was sent for so long (Linux).

    Only the kernel knows: it takes megabytes of a response at once, and nothing more for as long as a client is slow.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """Drops the connection and what was not sent yet; None under another server."""
    abort: Callable[[], None] | None = scope.get("state", {}).get(ABORT)
    return abort
