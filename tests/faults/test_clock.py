"""Changes of the clock while the service runs: the machine's, and the database's."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest

from app.db import migrations
from app.db.connection_options import ConnectOptions
from tests.databases import Databases
from tests.servers import Server, running
from tests.support import SECRET, Person, assert_problem

pytestmark = pytest.mark.slow

HOUR = 3600
# PostgreSQL finds now() in pg_catalog first, unless the search path differs; defaults of columns keep the function
# found when the table was created.
SETTABLE = """
alter database {name} set search_path = public, pg_catalog;
set search_path = public, pg_catalog;
create table clock_step (seconds int);
insert into clock_step values (0);
create function public.now() returns timestamptz stable security definer language sql as
    'select pg_catalog.now() + make_interval(secs => (select seconds from public.clock_step))';
grant execute on function public.now() to public;
"""


@pytest.fixture
async def database(databases: Databases) -> ConnectOptions:
    """Creates a migrated database with a settable clock."""
    options = await databases.create("template0")
    name = options.dsn.partition("?")[0].rpartition("/")[2]
    await databases.execute(SETTABLE.format(name=name), name)
    await migrations.upgrade(options)
    return options


@pytest.fixture
def clock_file(tmp_path: Path) -> Path:
    path = tmp_path / "step"
    path.write_text("0")
    return path


@pytest.fixture
def server(database: ConnectOptions, clock_file: Path) -> Iterator[Server]:
    with running(database.dsn, app="tests.faults.stepping:create_app", CLOCK_STEP=str(clock_file)) as server:
        yield server


@pytest.fixture
def set_clocks(database: ConnectOptions, clock_file: Path) -> Callable[[int], Any]:
    async def set_both(seconds: int) -> None:
        await asyncio.to_thread(clock_file.write_text, str(seconds))
        connection = await asyncpg.connect(**database.arguments())
        await connection.execute("update clock_step set seconds = $1", seconds)
        await connection.close()

    return set_both


def log_in(person: Person, step: int) -> None:
    """Uses a token of an issuer whose clock agrees with the service's."""
    issued = int(time.time()) + step
    claims = {"sub": person.subject, "iat": issued, "exp": issued + HOUR}
    person.headers = {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}


async def test_revisions_and_idempotency_keys_survive_changes_of_the_clock(
    server: Server, set_clocks: Callable[[int], Any]
) -> None:
    async with server.person("alice") as alice:
        log_in(alice, 0)
        early = [await alice.add(f"early {number}") for number in range(3)]
        key = {"Idempotency-Key": "one-and-only"}
        kept = await alice.post("/tasks", {"title": "once"}, headers=key)
        assert kept.status_code == 201

        await set_clocks(-HOUR)
        assert_problem(await alice.get("/tasks"), 401)  # issued an hour in the future
        log_in(alice, -HOUR)
        late = [await alice.add(f"late {number}") for number in range(3)]
        assert late[0]["created_at"] < early[0]["created_at"], "the database's clock was not set"
        # A task's fields stay consistent, and revisions increase, whatever the clock.
        changed = (await alice.patch(f"/tasks/{early[0]['id']}", {"title": "changed"})).json()
        assert changed["updated_at"] >= changed["created_at"] == early[0]["created_at"]
        assert changed["version"] == 8
        again = await alice.post("/tasks", {"title": "once"}, headers=key)
        assert (again.status_code, again.json()["id"]) == (201, kept.json()["id"])
        await _assert_listed_once(alice, 7)

        await set_clocks(2 * HOUR)
        assert_problem(await alice.get("/tasks"), 401)  # expired, although it was just verified
        log_in(alice, 2 * HOUR)
        done = (await alice.patch(f"/tasks/{late[0]['id']}", {"completed": True})).json()
        assert done["version"] == 9

        await set_clocks(0)
        log_in(alice, 0)
        undone = (await alice.patch(f"/tasks/{late[0]['id']}", {"title": "late again"})).json()
        assert undone["updated_at"] >= done["updated_at"], "what was seen already must not look newer than what is"
        await _assert_listed_once(alice, 7)


async def _assert_listed_once(person: Person, count: int) -> None:
    """Asserts that pages and changes contain each task once, and that an unchanged list returns 304."""
    for order in ("sort=created_at", "sort=updated_at"):
        seen, query = [], f"?{order}&limit=2"
        while True:
            page = await person.get(f"/tasks{query}")
            seen += [task["id"] for task in page.json()]
            if (after := page.links.get("next")) is None:
                break
            query = "?" + after["url"].partition("?")[2]
        assert len(seen) == len(set(seen)) == count
    whole = await person.get("/tasks")
    assert (await person.get("/tasks", headers={"If-None-Match": whole.headers["etag"]})).status_code == 304
    changes = (await person.get("/changes?since=0&limit=100")).json()["changes"]
    revisions = [change["revision"] for change in changes]
    assert revisions == list(range(1, len(revisions) + 1))
