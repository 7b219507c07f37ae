"""Event streams over real sockets: two server processes, one database."""

import asyncio
import json
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from app.db.connection_options import ConnectOptions
from app.http.dependencies import ME_PATH
from app.live.event_stream import SLOW_WRITE_SECONDS
from app.live.hub import REPLAY_PAGE_ROWS, STREAMS_PER_OWNER
from tests.servers import EventSource, Server, events, running
from tests.support import Person, assert_problem, make_token

pytestmark = pytest.mark.slow

WAIT = 5.0
ENV = {"EVENTS_HEARTBEAT": "1", "POOL_SIZE": "4", "DESCRIPTION_MAX": "100000"}


@pytest.fixture(scope="module")
def servers(postgres: ConnectOptions) -> Iterator[tuple[Server, Server]]:
    with (
        running(postgres.dsn, **ENV) as one,
        running(postgres.dsn, **ENV) as two,
    ):
        yield one, two


@pytest.fixture
async def here(servers: tuple[Server, Server]) -> AsyncIterator[Person]:
    """Opens a client of a user, on the first process."""
    async with servers[0].person(f"user-{uuid.uuid4().hex}") as person:
        yield person


@pytest.fixture
async def there(servers: tuple[Server, Server], here: Person) -> AsyncIterator[Person]:
    """Opens a client of the same user, on the second process."""
    async with servers[1].person(here.subject) as person:
        yield person


async def test_a_write_reaches_the_streams_of_both_processes_within_a_second(here: Person, there: Person) -> None:
    async with asyncio.timeout(WAIT), events(here) as near, events(there) as far:
        assert near.answer.headers["content-type"].startswith("text/event-stream")
        assert near.answer.headers["x-revision"] == "0"
        task = await here.add("a")
        sent = time.monotonic()
        first, second = await asyncio.gather(near.next(), far.next())
        assert time.monotonic() - sent < 1
        page = (await here.get("/changes")).json()["changes"]
        assert first == second == ("task.created", "1", page[0])
        assert first.data["data"] == task
        await there.patch(f"/tasks/{task['id']}/complete")
        for stream in (near, far):
            assert (await stream.next())[:2] == ("task.completed", "2")
        assert 500 <= near.retry <= 3000


async def test_a_stream_resumes_after_the_last_event_of_the_client(here: Person) -> None:
    async with asyncio.timeout(WAIT):
        for title in "abc":
            await here.add(title)
        async with events(here, "?since=1") as stream:
            assert [(await stream.next()).id for _ in range(2)] == ["2", "3"]
        async with events(here, "?since=0", **{"Last-Event-ID": "2"}) as stream:
            assert (await stream.next()).id == "3"
            await here.add("d")
            assert (await stream.next()).id == "4"
        async with events(here) as stream:  # no revision is named, and yet the first event has an id
            await here.add("e")
            event = await stream.next()
            assert (event.id, event.data["data"]["title"]) == ("5", "e")


async def test_a_stream_sends_its_revision_before_the_first_event(here: Person) -> None:
    await here.add("a")
    async with asyncio.timeout(WAIT), events(here) as stream:
        lines = [await anext(stream.lines) for _ in range(3)]
        assert lines[0].startswith("retry: ")
        assert lines[1:] == ["id: 1", ""]


async def test_a_long_replay_is_complete_and_continues_with_live_events(here: Person) -> None:
    await here.add_many(450, description="x" * 900)
    async with asyncio.timeout(20), events(here, "?since=0") as stream:
        more = asyncio.create_task(here.add("live"))
        got = [await stream.next() for _ in range(451)]
        assert [int(event.id) for event in got] == list(range(1, 452))
        await more


async def test_only_the_last_event_of_a_write_has_an_id(here: Person) -> None:
    async with asyncio.timeout(WAIT):
        for title in "abc":
            task = await here.add(title)
            await here.delete(f"/tasks/{task['id']}")
        async with events(here) as stream:
            await here.delete("/tasks/trash")
            ids = [(event.name, event.id) for event in [await stream.next() for _ in range(3)]]
            assert ids == [("task.purged", "6"), ("task.purged", "6"), ("task.purged", "7")]


async def test_an_idle_stream_sends_heartbeats(here: Person) -> None:
    async with asyncio.timeout(WAIT), events(here) as stream:
        async for line in stream.lines:
            if line == ":":
                break
        else:
            pytest.fail("the stream ended without a heartbeat")


async def test_head_of_a_stream_returns_at_once(here: Person) -> None:
    async with asyncio.timeout(WAIT):
        answer = await here.call("HEAD", "/events")
    assert (answer.status_code, answer.headers["x-revision"]) == (200, "0")


async def test_a_stream_sends_only_events_of_its_user(here: Person, servers: tuple[Server, Server]) -> None:
    async with servers[1].person(f"other-{uuid.uuid4().hex}") as other, asyncio.timeout(WAIT):
        answer = await other.get(f"/api/{here.subject}/events")
        assert_problem(answer, 403)
        async with events(other) as stream:
            await here.add("secret")
            await other.add("mine")
            assert (await stream.next()).data["data"]["title"] == "mine"


async def test_an_unknown_revision_is_410_and_a_malformed_one_422(here: Person) -> None:
    assert_problem(await here.get("/events?since=7"), 410, "changes_gone")
    assert_problem(await here.get("/events", headers={"Last-Event-ID": "7"}), 410)
    assert_problem(await here.get("/events?since=x"), 422)
    assert_problem(await here.get("/events", headers={"Last-Event-ID": "abc"}), 422)


async def test_a_stream_ends_when_its_token_expires(here: Person) -> None:
    here.headers = {"Authorization": f"Bearer {make_token(here.subject, ttl=2)}"}
    async with asyncio.timeout(WAIT), events(here) as stream:
        (end,) = await stream.rest()
        assert (end.name, end.data) == ("resume", {"since": 0, "reason": "token_expired"})


async def test_idle_streams_end_within_5_seconds_of_logout(postgres: ConnectOptions) -> None:
    """The logout reaches one process; the streams of the other have nothing to send, and no heartbeat for minutes."""
    account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "a long enough passphrase", "name": "A"}
    with running(postgres.dsn, **ENV) as one, running(postgres.dsn, **ENV | {"EVENTS_HEARTBEAT": "300"}) as two:
        async with one.person("") as here, two.person("") as there, AsyncExitStack() as stack:
            login = (await here.client.post("/api/auth/register", json=account)).json()
            for person in (here, there):
                person.subject = login["user"]["id"]
                person.headers = {"Authorization": f"Bearer {login['access_token']}"}
            streams = [await stack.enter_async_context(events(there)) for _ in range(20)]
            await here.add("a")
            assert [(await stream.next()).id for stream in streams] == ["1"] * 20
            assert (await here.client.post("/api/auth/logout", headers=here.headers)).status_code == 204
            async with asyncio.timeout(5):
                ends = await asyncio.gather(*(stream.next() for stream in streams))
            assert {(end.name, end.data["reason"]) for end in ends} == {("resume", "token_ended")}
            assert_problem(await there.get("/changes"), 401)


async def test_a_stream_sends_a_change_whose_hint_was_lost(
    here: Person, there: Person, postgres: ConnectOptions
) -> None:
    """Writes a change without a notification, as a kill -9 between commit and notification leaves it."""
    async with asyncio.timeout(WAIT), events(here) as near, events(there) as far:
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute(
            """with u as (insert into users (id, revision) values ($1, 1) returning id)
               insert into changes (user_id, revision, entity, entity_id, action, data)
               select id, 1, 'task', 1, 'purged', '{}' from u""".replace("$1", f"'{here.subject}'")
        )
        await connection.close()
        assert (await near.next()).id == (await far.next()).id == "1"


async def test_a_lost_listening_connection_is_reopened(here: Person, there: Person, postgres: ConnectOptions) -> None:
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where query ilike '%listen%todo_changes%'"
    connection = await asyncpg.connect(postgres.dsn)
    async with asyncio.timeout(WAIT), events(there) as far:
        await connection.execute(kill + " and pid <> pg_backend_pid()")
        await here.add("a")
        assert (await far.next()).id == "1"
        await here.add("b")
        assert (await far.next()).id == "2"
    await connection.close()


@contextmanager
def idle_client(person: Person, query: str = "") -> Iterator[socket.socket]:
    """Requests a stream and reads only its status line."""
    with socket.create_connection(("127.0.0.1", person.client.base_url.port or 0)) as idle:
        head = f"GET /api/{ME_PATH}/events{query} HTTP/1.1\r\nHost: x\r\n"
        idle.sendall(f"{head}Authorization: {person.headers['Authorization']}\r\n\r\n".encode())
        assert idle.recv(12) == b"HTTP/1.1 200"
        yield idle


async def test_a_client_that_does_not_read_delays_no_other_stream(here: Person, there: Person) -> None:
    """Its stream ends with a `resume` event, to be read later; other streams receive everything."""
    with idle_client(here) as idle:
        async with asyncio.timeout(30), events(there) as stream:
            task, count = await here.add(), 150  # about 15 megabytes: more than the buffers of two sockets hold
            seen = asyncio.create_task(until(stream, count + 1))
            for number in range(count):
                await here.patch(f"/tasks/{task['id']}", {"description": f"{number} " + "x" * 99_000})
            await seen
            await asyncio.sleep(SLOW_WRITE_SECONDS)
        end = await asyncio.to_thread(read_to_the_end, idle)
    assert end["reason"] == "slow"
    assert 0 < end["since"] < count


async def until(stream: EventSource, revision: int) -> None:
    while int((await stream.next()).id) < revision:
        pass


def read_to_the_end(idle: socket.socket) -> dict[str, Any]:
    """Returns the data of the last event."""
    idle.settimeout(WAIT)
    text, deadline = b"", time.monotonic() + WAIT
    while (chunk := idle.recv(1_000_000)) and time.monotonic() < deadline:
        text += chunk
        if text.endswith(b"\r\n0\r\n\r\n"):
            break
    found: dict[str, Any] = json.loads(text[text.rindex(b"data: ") + 6 :].split(b"\n")[0])
    return found


async def test_streams_are_limited_per_user(here: Person) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=here.client.base_url, trust_env=False, limits=limits, timeout=20) as client:
        person = Person(client, here.subject)
        async with AsyncExitStack() as stack, asyncio.timeout(WAIT):
            for _ in range(STREAMS_PER_OWNER):
                await stack.enter_async_context(events(person))
            refused = await person.get("/events")
            assert_problem(refused, 429, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
        deadline = time.monotonic() + WAIT
        while not await opens(person):  # the slots are free again
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def opens(person: Person) -> bool:
    async with person.client.stream("GET", f"/api/{ME_PATH}/events", headers=person.headers) as answer:
        return answer.status_code == 200


async def test_sigterm_ends_streams_at_once_with_a_resume_event(postgres: ConnectOptions) -> None:
    server = Server(postgres.dsn).start()
    async with AsyncExitStack() as stack, asyncio.timeout(WAIT * 2):
        person = await stack.enter_async_context(server.person(f"user-{uuid.uuid4().hex}"))
        streams = [await stack.enter_async_context(events(person)) for _ in range(2)]
        await person.add("a")
        assert [(await stream.next()).id for stream in streams] == ["1", "1"]
        started = time.monotonic()
        said = await asyncio.to_thread(server.stop, signal.SIGTERM)
        assert time.monotonic() - started < 2
        for stream in streams:
            (end,) = await stream.rest()
            assert (end.name, end.data) == ("resume", {"since": 1, "reason": "shutdown"})
            assert 500 <= stream.retry <= 3000
    assert "Traceback" not in said


async def test_sigterm_does_not_wait_for_a_client_that_does_not_read_its_replay(postgres: ConnectOptions) -> None:
    server = Server(postgres.dsn, DESCRIPTION_MAX="100000").start()
    async with server.person(f"user-{uuid.uuid4().hex}") as person, asyncio.timeout(60):
        # Two pages of some 15 megabytes: more than the buffers of two sockets take.
        await person.add_many(REPLAY_PAGE_ROWS + 50, description="x" * 60_000)
        with idle_client(person, "?since=0"):
            await asyncio.sleep(0.5)
            started = time.monotonic()
            said = await asyncio.to_thread(server.stop, signal.SIGTERM)
            assert time.monotonic() - started < 2
    assert "without completing" not in said
    assert "Traceback" not in said
