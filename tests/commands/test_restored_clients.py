"""Clients that were ahead of a backup, through ``todo dump`` and ``todo restore``: none keeps what was lost."""

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.databases import Databases, rows
from tests.docs.test_examples import EXAMPLES, example, until
from tests.receivers import receiving
from tests.servers import EventSource, Server, events, running
from tests.support import SECRET, Person, assert_problem, make_token

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOST = 5  # writes after the backup


def todo(*arguments: str, dsn: str) -> str:
    """Runs a command of this tree."""
    env = {"DATABASE_URL": dsn, "JWT_SECRET": SECRET, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class Follower:
    """A client of /events: lists, follows, and lists again only when told so. ``steps`` has each of its states."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.tasks: dict[int, Any] = {}
        self.since: str | None = None
        self.told: list[int | str] = []
        self.steps: list[tuple[int, frozenset[int]]] = []

    async def run(self) -> None:
        while True:
            with suppress(httpx.HTTPError, AssertionError, EOFError):
                await self.follow()
            await asyncio.sleep(0.1)

    async def follow(self) -> None:
        if self.since is None:
            listed = await self.person.get("/tasks?limit=1000")
            assert listed.status_code == 200
            self.tasks = {task["id"]: task for task in listed.json()}
            self.step(listed.headers["x-revision"])
        path, headers = f"/api/{self.person.subject}/events", {"Last-Event-ID": str(self.since)}
        async with self.person.client.stream("GET", path, headers={**self.person.headers, **headers}) as answer:
            if answer.status_code == 410:
                self.told.append(410)
                self.since = None
                return
            assert answer.status_code == 200
            async for event in EventSource(answer):
                if event.name == "gone":
                    self.told.append("gone")
                    self.since = None
                    return
                if event.name == "resume":
                    return
                change = event.data
                if change["action"] in {"deleted", "purged"}:
                    self.tasks.pop(change["entity_id"], None)
                else:
                    self.tasks[change["entity_id"]] = change["data"]
                self.step(event.id)

    def step(self, since: str) -> None:
        self.since = since
        self.steps.append((int(since), frozenset(self.tasks)))


@asynccontextmanager
async def following(server: Server, subject: str) -> AsyncIterator[Follower]:
    async with server.person(subject) as person:
        follower = Follower(person)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_two_clients_that_were_ahead_list_again(databases: Databases, undistributed: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/sync.mjs was not run")
    options = await databases.create(undistributed)
    subject = f"user-{uuid.uuid4().hex}"
    env = {"WEBHOOKS_ALLOW_PRIVATE": "true", "WORKER": "inside"}
    with receiving() as hook, running(options.dsn, **env) as server:
        client = {"URL": server.url, "TOKEN": make_token(subject)}
        async with server.person(subject) as person, following(server, subject) as follower:
            with example([node, str(EXAMPLES / "sync.mjs")], tmp_path / "log", **client) as printed:

                def titles() -> list[str]:
                    lines = printed()
                    return list(json.loads(lines[-1])["titles"]) if lines else []

                def in_step(wanted: list[str]) -> bool:
                    held = sorted(task["title"] for task in follower.tasks.values())
                    return titles() == sorted(wanted) == held

                await person.post("/webhooks", {"url": hook.url})
                kept = [await person.add(f"kept {number}") for number in range(LOST)]
                await asyncio.to_thread(todo, "dump", str(tmp_path / "todo.dump"), dsn=options.dsn)
                lost = [await person.add(f"lost {number}") for number in range(LOST)]
                edited = (await person.patch(f"/tasks/{kept[1]['id']}", {"title": "lost edit"})).json()
                at_backup = [task["title"] for task in kept]
                ahead = ["lost edit", *(title for title in at_backup if title != "kept 1"), *(t["title"] for t in lost)]
                await until(lambda: in_step(ahead))
                await until(lambda: len(hook.calls) == 2 * LOST + 1)
                since = int((await person.get("/tasks")).headers["x-revision"])

                await asyncio.to_thread(server.stop)
                restore = ("restore", str(tmp_path / "todo.dump"), "--replace")
                said = await asyncio.to_thread(todo, *restore, dsn=options.dsn)
                assert "a new epoch has begun: a dump was restored" in said
                await asyncio.to_thread(server.start)
                # As many writes as were lost and more, before any client asks.
                made = [await person.add(f"new {number}") for number in range(2 * LOST)]
                now = at_backup + [task["title"] for task in made]
                await until(lambda: in_step(now))

                await assert_nothing_is_taken_for_something_else(person, kept, lost, edited, since)
                await until(lambda: len(hook.calls) >= 4 * LOST + 1)
                assert_ids_are_of_one_event(hook.calls)
            assert follower.told == [410]
            present = {task["id"] for task in kept + made}
            for reached, ids in follower.steps:
                assert reached <= since or ids <= present
            for line in map(json.loads, printed()):
                assert int(line["since"]) <= since or set(line["titles"]) <= set(now)


async def assert_nothing_is_taken_for_something_else(
    person: Person, kept: list[Any], lost: list[Any], edited: Any, since: int
) -> None:
    """Asserts what a client that was offline meets, with what it has from before."""
    for number in range(since + 1):
        assert_problem(await person.get(f"/changes?since={number}"), 410, "changes_gone")
    stale = {"If-Match": f'"{edited["version"]}"'}
    assert_problem(await person.patch(f"/tasks/{edited['id']}", {"title": "x"}, headers=stale), 412)
    for task in lost:
        changed = await person.patch(f"/tasks/{task['id']}", {"title": "x"})
        assert changed.status_code == 404
    present = (await person.get("/tasks?limit=1000")).json()
    assert {task["id"] for task in present}.isdisjoint(task["id"] for task in lost)
    versions = [task["version"] for task in present if task["version"] > since]
    assert min(versions) > 10**15
    for task in kept:  # nobody has changed it since
        fresh = {"If-Match": f'"{task["version"]}"'}
        assert (await person.patch(f"/tasks/{task['id']}", {"priority": "high"}, headers=fresh)).status_code == 200


def assert_ids_are_of_one_event(calls: list[Any]) -> None:
    bodies: dict[str, Any] = {}
    for call in calls:
        assert bodies.setdefault(call.headers["webhook-id"], call.json["data"]) == call.json["data"]


async def test_a_running_service_notices_another_server(databases: Databases, migrated: str) -> None:
    """As after a failover: its connections are gone, and where they lead next is not the same."""
    options = await databases.create(migrated)
    subject = f"user-{uuid.uuid4().hex}"
    with running(options.dsn, EVENTS_HEARTBEAT="1") as server:
        async with server.person(subject) as person:
            await person.add("a")
            async with events(person) as stream:
                await rows(options, "update installation set timeline = 0 returning 1")
                await end_connections(options)
                async with asyncio.timeout(20):
                    assert (await stream.rest())[-1].name == "gone"
            assert (await person.add("b"))["version"] > 10**15
            assert_problem(await person.get("/changes?since=1"), 410, "changes_gone")


async def end_connections(options: ConnectOptions) -> None:
    connection = await asyncpg.connect(**options.arguments())
    try:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def test_todo_epoch_new_under_a_running_service(databases: Databases, migrated: str) -> None:
    options = await databases.create(migrated)
    with running(options.dsn, EVENTS_HEARTBEAT="1") as server:
        async with server.person(f"user-{uuid.uuid4().hex}") as person:
            for title in "abcdefgh":  # PostgreSQL keeps a plan after five
                await person.add(title)
            async with events(person) as stream:
                printed = await asyncio.to_thread(todo, "epoch", "new", dsn=options.dsn)
                revision = int(printed.partition("revisions go on from ")[2].split(None, 1)[0].rstrip(","))
                async with asyncio.timeout(20):
                    assert (await stream.rest())[-1].name == "gone"
            assert (await person.add("i"))["version"] == revision + 1
            for since in range(9):
                assert_problem(await person.get(f"/changes?since={since}"), 410, "changes_gone")
            other = Person(person.client, f"user-{uuid.uuid4().hex}")
            assert (await other.add("x"))["version"] == revision + 1
