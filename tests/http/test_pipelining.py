"""Pipelined requests on one connection, with a slow application."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.config import Settings
from app.server import protocol
from app.server.protocol import BoundedProtocol, connection_counts

WAIT = 5.0
Serve = Callable[..., Any]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Application:
    """Responds to ``/now`` at once, ``/slow`` when released, ``/stream`` until released or until the client
    disconnects."""

    def __init__(self) -> None:
        self.released, self.entered, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.first_chunk = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        answer = await getattr(self, scope["path"].strip("/"))(request)
        await answer(scope, receive, send)

    async def now(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("now")

    async def slow(self, request: Request) -> PlainTextResponse:
        self.entered.set()
        while not self.released.is_set():
            await request.is_disconnected()  # as an import does
            await asyncio.sleep(0.01)
        return PlainTextResponse("slow")

    async def stream(self, request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            self.entered.set()
            try:
                while not self.released.is_set():
                    yield "part "
                    await asyncio.sleep(0.01)
                yield "end"
            finally:
                self.left.set()

        return StreamingResponse(parts())

    async def upload(self, request: Request) -> PlainTextResponse:
        chunks = request.stream()
        self.first_chunk = len(await anext(chunks))
        return PlainTextResponse(str(self.first_chunk + sum([len(chunk) async for chunk in chunks])))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    @asynccontextmanager
    async def serve(app: Callable[..., Awaitable[None]], **settings: Any) -> AsyncIterator[Client]:
        monkeypatch.setattr(protocol, "get_settings", lambda: Settings(_env_file=None, **settings))
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=BoundedProtocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=75
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup([listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        yield Client(server, reader, writer)
        writer.transport.abort()
        server.force_exit = True
        await server.shutdown([listener])

    return serve


class Client:
    def __init__(self, server: uvicorn.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer

    @property
    def connection(self) -> BoundedProtocol:
        (connection,) = self.server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        return connection

    def send(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def rest(self) -> bytes:
        """Reads until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), WAIT)


async def test_a_running_stream_is_completed_before_a_refusal(serve: Serve) -> None:
    async with serve(app := Application()) as client:
        client.send(get("/stream"), get("/now"))
        await app.entered.wait()
        client.send(b"none\r\n\r\n")
        await asyncio.sleep(0.1)
        app.released.set()
        raw = await client.rest()
    stream, second, refusal = raw.split(b"HTTP/1.1 ")[1:]
    assert b"part" in stream
    assert stream.endswith(b"end\r\n0\r\n\r\n")
    assert second.endswith(b"now")
    assert refusal.startswith(b"400 ")


async def test_a_disconnect_ends_the_running_request_and_drops_the_queued_one(serve: Serve) -> None:
    async with serve(app := Application()) as client:
        client.send(get("/stream"), get("/now"), b"none\r\n\r\n")
        await app.entered.wait()
        client.writer.transport.abort()
        await asyncio.wait_for(app.left.wait(), WAIT)
        assert connection_counts() == (0, 0)


async def test_reading_pauses_while_requests_are_queued(serve: Serve) -> None:
    async with serve(app := Application()) as client:
        client.send(get("/slow"))
        await app.entered.wait()
        size = 5_000_000
        client.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size)
        await asyncio.sleep(0.5)
        app.released.set()
        raw = await client.reader.readuntil(b"slow")
        assert raw.startswith(b"HTTP/1.1 200")
        await asyncio.wait_for(client.reader.readuntil(b"%d" % size), WAIT)
    assert app.first_chunk <= 2 * 262_144


async def test_requests_beyond_the_queue_are_read_later(serve: Serve) -> None:
    async with serve(app := Application()) as client:
        client.send(get("/slow"), get("/now") * 20)
        await app.entered.wait()
        client.send(get("/now") * 30, b"GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.1)
        app.released.set()
        assert (await client.rest()).count(b"HTTP/1.1 200") == 52


async def test_timeouts_do_not_count_while_the_service_does_not_read(serve: Serve) -> None:
    async with serve(app := Application(), header_timeout=1, body_timeout=1, body_idle_timeout=1) as client:
        client.send(get("/slow"), get("/now"), b"POST /upload HTTP/1.1\r\n")
        await asyncio.sleep(3.5)
        app.released.set()
        client.send(b"Host: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        assert (await client.rest()).count(b"HTTP/1.1 200") == 3


async def test_a_queued_request_that_is_running_is_not_idle(serve: Serve) -> None:
    async with serve(app := Application()) as client:
        client.send(get("/now"), get("/slow"))
        await app.entered.wait()
        assert connection_counts() == (1, 0)
        app.released.set()
        await asyncio.wait_for(client.reader.readuntil(b"slow"), WAIT)
        assert connection_counts() == (1, 1)


async def test_the_unread_rest_of_a_body_is_discarded(serve: Serve) -> None:
    async with serve(Application()) as client:
        client.send(b"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n", b"x" * 40_000)
        await asyncio.wait_for(client.reader.readuntil(b"now"), WAIT)
        client.send(b"x" * 5_000)
        await asyncio.sleep(0.1)
        assert len(client.connection.cycle.body) == 0


async def test_a_slow_client_receives_the_whole_response_before_a_refusal(serve: Serve) -> None:
    """A refusal closes the connection, but not before the client has read the responses."""

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("x" * 20_000_000)(scope, receive, send)

    async with serve(large) as client:
        client.send(get("/"), b"none\r\n\r\n")
        await asyncio.sleep(2 * protocol.LINGER_SECONDS)
        with suppress(ConnectionResetError):
            raw = await client.rest()
    assert raw.count(b"x") > 20_000_000
    assert b"malformed_request" in raw
