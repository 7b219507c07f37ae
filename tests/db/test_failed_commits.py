"""A COMMIT that fails is never reported as success: nothing is stored, and the next request works."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.pool import COMMIT_DELAY
from app.errors import Unavailable
from app.main import create_app
from tests.databases import Databases
from tests.support import SECRET, Person, assert_problem

pytestmark = pytest.mark.one_server("a trigger fails the commits, which distributed tables cannot have")
# Raises at COMMIT, for tasks whose title is an SQLSTATE. "left" ends the connection there, without a response.
LATE = """
create function fail_late() returns trigger language plpgsql security definer as $$ begin
    if new.title = 'left' then perform pg_terminate_backend(pg_backend_pid()); end if;
    raise exception using message = 'refused late', errcode = new.title;
end $$;
create constraint trigger late after insert or update on tasks deferrable initially deferred
    for each row when (new.title <> 'fine') execute function fail_late();
"""


@pytest.fixture
async def options(databases: Databases, migrated: str) -> ConnectOptions:
    return await databases.create(migrated, LATE)


@pytest.fixture
async def service(options: ConnectOptions) -> AsyncIterator[FastAPI]:
    settings = Settings(_env_file=None, database_url=options.dsn, jwt_secret=SECRET, access_log=False, pool_size=2)
    application = create_app(settings)
    # The start-up check is rolled back, so its row never reaches the trigger.
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def person(service: FastAPI) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service, raise_app_exceptions=False), base_url="http://test"
    ) as http:
        yield Person(http, "alice")


REMAINING_ROWS = """
    select (select coalesce(sum(revision), 0)::int from users), (select count(*) from tasks),
           (select count(*) from changes),
           (select count(*) from pg_stat_activity
            where datname = current_database() and state like 'idle in transaction%')"""


async def stored(options: ConnectOptions) -> list[Any]:
    """Returns the counts of everything that a write stores, and of open transactions."""
    connection = await asyncpg.connect(**options.arguments())
    try:
        for _ in range(100):  # transactions that have only read are ended a little later
            found = list(await connection.fetchrow(REMAINING_ROWS))
            if found[-1] == 0:
                break
            await asyncio.sleep(COMMIT_DELAY)
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("40001", 503, "contention"),
        ("40P01", 503, "contention"),
        ("23505", 409, "conflict"),
        ("23514", 422, "invalid"),
        ("53100", 507, "storage_full"),
        ("57014", 503, "unavailable"),
        ("P0001", 500, "internal_error"),
        ("left", 503, "unavailable"),
    ],
)
async def test_a_refused_commit_stores_nothing(
    person: Person, options: ConnectOptions, state: str, status: int, code: str
) -> None:
    for _ in range(5):  # more often than there are connections
        answer = await person.post("/tasks", {"title": state})
        assert_problem(answer, status, code)
        assert "location" not in answer.headers
    assert await stored(options) == [0, 0, 0, 0]

    task = await person.add("fine")
    assert task["version"] == 1
    assert_problem(await person.patch(f"/tasks/{task['id']}", {"title": state}), status, code)
    assert await person.titles() == ["fine"]
    assert await stored(options) == [1, 1, 1, 0]


async def test_a_connection_lost_between_statement_and_commit_stores_nothing(
    person: Person, service: FastAPI, options: ConnectOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = service.state.database
    transaction, killer = database.transaction, await asyncpg.connect(**options.arguments())

    def cut(*arguments: Any, **others: Any) -> Any:
        session = transaction(*arguments, **others)

        class Cut(type(session)):  # type: ignore[misc]
            __slots__ = ()

            async def commit(self) -> None:
                await killer.execute("select pg_terminate_backend($1, 5000)", self._connection.get_server_pid())
                await super().commit()

        session.__class__ = Cut
        return session

    with monkeypatch.context() as patched:
        patched.setattr(database, "transaction", cut)
        for _ in range(5):
            assert_problem(await person.post("/tasks", {"title": "fine"}), 503, "unavailable")
    await killer.close()
    assert await stored(options) == [0, 0, 0, 0]
    assert (await person.add("fine"))["version"] == 1


async def test_a_connection_lost_before_a_rollback_is_replaced(service: FastAPI, options: ConnectOptions) -> None:
    database, killer = service.state.database, await asyncpg.connect(**options.arguments())

    async def work() -> None:
        async with database.transaction("alice") as session:
            pid = (await session.exec(text("select pg_backend_pid()"))).one()
            await killer.execute("select pg_terminate_backend($1, 5000)", pid)
            await session.exec(text("select 1"))

    for _ in range(5):
        with pytest.raises(Unavailable):
            await work()
    await killer.close()
    async with database.transaction("alice") as session:
        assert (await session.exec(text("select 1"))).one() == 1
