"""A proxy between service and database that simulates network faults."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

CHUNK = 65536


async def open_connection(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects to the path of a unix socket, or to a host and port."""
    if target.startswith("/"):
        return await asyncio.open_unix_connection(target)
    host, _, port = target.rpartition(":")
    return await asyncio.open_connection(host, int(port))


class Proxy:
    """Listens on a free port of the loopback and passes bytes on to PostgreSQL."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = asyncio.Event()  # cleared: nothing passes, and neither side is notified
        self._open.set()
        self._forgotten = 0  # how often
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.delay = 0.0  # seconds, in each direction
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """Stops all traffic in both directions; connecting still succeeds, as with many firewalls."""
        self._open.clear()

    def refuse(self, yes: bool) -> None:
        """Cuts every connection and refuses new ones."""
        self._refusing = yes
        if yes:
            self.reset()

    def resume(self, *, forget: bool) -> None:
        """Passes the held traffic on, or with ``forget`` lets the connections of that time hang for ever."""
        if forget:
            self._forgotten += 1
            for task in self._tasks:
                task.cancel()
        self._open.set()

    def reset(self) -> None:
        """Sends RST on every connection, to both sides."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.family == socket.AF_INET:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        before = self._forgotten
        try:
            await self._open.wait()
            if self._forgotten != before:
                return
            if self._refusing:
                raise ConnectionRefusedError
            above_reader, above = await open_connection(self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(above)
        for source, sink in ((reader, above), (above_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(CHUNK):
                    if self.delay:
                        await asyncio.sleep(self.delay)
                    await self._open.wait()
                    sink.write(data)
                    await sink.drain()
        except asyncio.CancelledError:
            return  # forgotten: neither side is notified
        self._writers.discard(sink)
        sink.close()
