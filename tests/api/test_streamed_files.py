"""Files streamed while they are generated: an accurate status, a proper end, and no delay for other requests."""

import asyncio
import gc
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.http.streamed_file import FIRST_BYTES, StreamedFile
from app.main import create_app
from app.schemas.transfer import CalendarEntryKind, ExportFormat
from tests.citus import CITUS_URL, SUITE_DATABASE
from tests.databases import server_address
from tests.faults.proxy import Proxy
from tests.faults.stage import service_dsn
from tests.servers import Server
from tests.support import Person, assert_problem
from tests.timing import allowed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LONGEST_PIECE = 0.020  # seconds of CPU
EXPORTS = [f"/export?format={format_}" for format_ in ExportFormat]
STREAMED_EXPORTS = [path for path in EXPORTS if "todoist" not in path]  # which is read as a whole before it is sent
FEEDS = [f"/calendar.ics?token=x&kind={kind}" for kind in CalendarEntryKind]


class Ids(dict[str, str]):
    """Supplies a value for every name in a path."""

    def __missing__(self, name: str) -> str:
        return "1"


def reads() -> Iterator[str]:
    """Yields every GET below a user's path, with files in all their formats."""
    for path, item in create_app(Settings(_env_file=None)).openapi()["paths"].items():
        if path.startswith("/api/{user_id}/") and "get" in item and not path.endswith(("/export", "/calendar.ics")):
            yield path.removeprefix("/api/{user_id}").format_map(Ids(name="x"))
    yield from (*EXPORTS, *FEEDS)


@pytest.fixture(scope="module")
async def database_proxy(postgres: ConnectOptions) -> AsyncIterator[Proxy]:
    """Starts the proxy between the service and its database."""
    async with Proxy(server_address(postgres)) as proxy:
        yield proxy


@asynccontextmanager
async def serving(database_proxy: Proxy) -> AsyncIterator[Server]:
    """Starts a real server in a thread, on the shared database: this thread serves the proxy to the database."""
    chat = {"LLM_MODEL": "none", "LLM_BASE_URL": "http://127.0.0.1:1", "LLM_API_KEY": "none"}
    # On a cluster other reads would not pass the proxy.
    through = {"STATEMENT_CACHE": "off"} if CITUS_URL else {}
    dsn = service_dsn(database_proxy, SUITE_DATABASE)
    server = Server(dsn, RATE_LIMIT_PER_MINUTE="0", COMMAND_TIMEOUT="5", **chat, **through)
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        if server.process is not None:
            await asyncio.to_thread(server.stop)


@pytest.fixture(scope="module")
async def server(database_proxy: Proxy) -> AsyncIterator[Server]:
    async with serving(database_proxy) as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    async with server.person(f"user-{uuid.uuid4().hex}") as found:
        yield found


async def fill(sql: Any, owner: str, rows: int, characters: int) -> None:
    """Inserts tasks with descriptions that calendars must escape and spreadsheets must quote."""
    await sql.execute("set statement_timeout = 0")
    await sql.execute("insert into users (id) values ($1) on conflict do nothing", owner)
    await sql.execute(
        """
        insert into tasks (user_id, title, description, due_at, tags, version)
        select $1, 'task ' || n, left(repeat('é, "b"; c\n', $3 / 10 + 1), $3), now(), '{a,b}', 1
        from generate_series(1, $2::int) n
        """,
        owner, rows, characters, timeout=60,
    )  # fmt: skip


# Without a mail server, what can be used depends on settings alone.
@pytest.mark.parametrize("path", [path for path in reads() if path != "/channels/kinds"])
async def test_every_read_is_503_when_the_database_is_unreachable(
    database_proxy: Proxy, person: Person, path: str
) -> None:
    database_proxy.refuse(True)
    try:
        url = path if "calendar.ics" not in path else f"/api/{person.subject}{path}"
        answer = await person.get(url)
    finally:
        database_proxy.refuse(False)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_streamed_chat_is_503_when_the_database_is_unreachable(database_proxy: Proxy, person: Person) -> None:
    database_proxy.refuse(True)
    try:
        answer = await person.post("/chat", {"message": "hello"}, headers={"Accept": "text/event-stream"})
    finally:
        database_proxy.refuse(False)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_stream_that_fails_is_cut_off_and_logged_in_one_line(
    database_proxy: Proxy, alice: Person, sql: Any
) -> None:
    await fill(sql, alice.subject, 1000, 16_384)
    async with serving(database_proxy) as server:
        async with server.person(alice.subject) as person:
            for path in STREAMED_EXPORTS:
                with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|closed"):
                    await _lose_the_database_on_the_way(database_proxy, person, path)
        said = await asyncio.to_thread(server.stop)
    assert said.count("response aborted: unavailable") == len(STREAMED_EXPORTS), said
    assert "Traceback" not in said
    assert "Exception in ASGI" not in said


async def _lose_the_database_on_the_way(database_proxy: Proxy, person: Person, path: str) -> None:
    url = f"/api/{person.subject}{path}"
    async with person.client.stream("GET", url, headers=person.headers) as answer:
        assert answer.status_code == 200
        chunks = answer.aiter_raw(FIRST_BYTES)
        await anext(chunks)
        database_proxy.refuse(True)
        try:
            async for _ in chunks:
                pass
        finally:
            database_proxy.refuse(False)


def test_every_streamed_response_reads_before_its_status() -> None:
    """EventStream and ChatStream read before they start, which the tests above verify; all others are StreamedFile."""
    found = [path.name for path in (ROOT / "app").rglob("*.py") if "StreamingResponse" in path.read_text()]
    assert found == ["streamed_file.py"]
    starting = {path.name for path in (ROOT / "app").rglob("*.py") if '"http.response.start"' in path.read_text()}
    assert starting == {"streamed_file.py", "event_stream.py", "stream.py", "middleware.py"}


@contextmanager
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Measures the CPU seconds of each turn of the event loop, without the garbage collector."""
    run = asyncio.events.Handle._run
    measured: list[float] = []

    def timed(handle: asyncio.Handle) -> None:
        before = time.thread_time()
        run(handle)
        measured.append(time.thread_time() - before)

    gc.disable()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.events.Handle, "_run", timed)
            yield measured
    finally:
        gc.enable()


@pytest.mark.parametrize(("rows", "characters"), [(3_000, 0), (400, 16_384), (60, 100_000)])
async def test_an_export_does_not_block_the_event_loop(
    app: FastAPI, alice: Person, sql: Any, monkeypatch: pytest.MonkeyPatch, rows: int, characters: int
) -> None:
    await fill(sql, alice.subject, rows, characters)
    feed = (await alice.post("/calendar", {})).json()["url"].removeprefix("http://test")
    for path in (*EXPORTS, feed, f"{feed}&kind=todo"):
        await _read(app, alice, path)  # one-time compilation and imports are not measured
        with steps(monkeypatch) as measured:
            size = await _read(app, alice, path)
        assert "zip" in path or size > rows * max(50, characters), path
        assert max(measured) < allowed(LONGEST_PIECE), path


async def _read(app: FastAPI, person: Person, path: str) -> int:
    """Reads like the fastest client, so that no send waits, and returns the size of the response in bytes."""
    url, _, query = (path if path.startswith("/api/") else f"/api/{person.subject}{path}").partition("?")
    headers = [(name.lower().encode(), value.encode()) for name, value in person.headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": url, "raw_path": url.encode(), "query_string": query.encode(),
        "headers": headers, "scheme": "http", "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
        "client": ("127.0.0.1", 1), "server": ("test", 80),
    }  # fmt: skip
    size = 0

    async def send(message: Any) -> None:
        nonlocal size
        assert message.get("status", 200) == 200
        size += len(message.get("body", b""))

    await app(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    return size


async def test_head_generates_no_more_than_the_beginning() -> None:
    made: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            for number in range(1000):
                made.append(number)
                yield b"x"
        finally:
            made.append(-1)

    async def nothing(*_: Any) -> Any:
        await asyncio.Event().wait()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    response = StreamedFile(chunks(), media_type="text/plain", headers={})
    await response({"type": "http", "head": True, "asgi": {"spec_version": "2.4"}}, nothing, send)
    await asyncio.sleep(0.01)
    assert made == [0, -1]
    assert [message.get("body") for message in sent] == [None, b""]
