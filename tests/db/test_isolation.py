"""Three layers of isolation between users: path, query, row-level security. Each must suffice alone."""

import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.database import Database, quote_owner
from app.errors import NotFound
from app.main import create_app
from app.services.changes.entities import DISTRIBUTED_TABLES
from tests.support import Person, assert_problem


@pytest.fixture
def database(app: FastAPI) -> Database:
    found: Database = app.state.database
    return found


async def as_owner(database: Database, owner: str, sql: str, **params: Any) -> list[Any]:
    async with database.transaction(owner) as session:
        return (await session.exec(text(sql), params)).all()


# ---- the path


async def test_another_users_path_is_refused_before_any_query(
    alice: Person, bob: Person, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await alice.add()

    async def no_query(*_: Any, **__: Any) -> None:
        raise AssertionError("a query was about to run")

    monkeypatch.setattr(database, "begin", no_query)
    for path in (f"/api/{alice.subject}/tasks", f"/api/{alice.subject}/tasks/{task['id']}"):
        body = assert_problem(await bob.get(path), 403, "forbidden")
        assert body["detail"] == "Access denied: Not authorized to access this user's resources"


async def test_me_is_the_user_of_the_token(alice: Person, bob: Person) -> None:
    task = await alice.add("mine")
    assert (await alice.get("/api/me/tasks")).json() == [task]
    assert (await bob.get("/api/me/tasks")).json() == []
    created = await bob.post("/api/me/tasks", {"title": "x"})
    assert created.headers["location"] == f"/api/me/tasks/{created.json()['id']}"
    assert (await bob.get(created.headers["location"])).json()["user_id"] == bob.subject


# ---- the query, with row-level security off


@pytest.fixture
async def unprotected(settings: Settings, postgres: ConnectOptions, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Starts the same service as a superuser, whom no policy stops: only the queries' own filters remain."""
    bare = create_app(settings)
    bare.state.verifier = app.state.verifier
    bare.state.database = await Database(postgres, size=2, timeout=2, role="postgres").open()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bare), base_url="http://test") as http:
        yield http
    await bare.state.database.close()


async def test_queries_alone_isolate_users(alice: Person, bob: Person, unprotected: httpx.AsyncClient) -> None:
    task, gone = await alice.add("secret", tags=["x"], uid="u"), await alice.add("gone")
    await alice.delete(f"/tasks/{gone['id']}")
    await bob.add("mine")
    assert (
        len(await as_superuser(unprotected, "select id from tasks where title = 'secret'")) >= 1
    )  # no policy stops it
    bob.client = unprotected
    path = f"/tasks/{task['id']}"
    assert await bob.titles() == ["mine"]
    assert await bob.titles("?search=secret&tag=x") == []
    assert (await bob.get("/tasks?count=true")).headers["x-total-count"] == "1"
    assert (await bob.get("/tasks/trash")).json() == []
    snapshot = (await bob.get("/changes?snapshot=true")).json()["changes"]
    assert [change["data"]["title"] for change in snapshot] == ["mine"]
    assert (await bob.delete("/tasks/trash")).status_code == 204
    for call in (
        bob.get(path),
        bob.get("/tasks/uid:u"),
        bob.patch("/tasks/uid:u", {"title": "x"}),
        bob.patch(path, {"title": "x"}),
        bob.patch(path, {"title": "x"}, headers={"If-Match": '"1"'}),
        bob.patch(path + "/complete"),
        bob.delete(path),
        bob.post(f"/tasks/{gone['id']}/restore"),
    ):
        assert_problem(await call, 404, "task_not_found")
    assert_problem(await bob.post("/tasks", {"title": "x", "parent_uid": "u"}), 422, "unknown_reference")
    assert (await bob.get("/tasks?parent_uid=u")).json() == []
    assert (await bob.post("/tasks", {"title": "x", "uid": "u"})).status_code == 201
    assert (await alice.get(path)).json() == task
    assert len((await alice.get("/tasks/trash")).json()) == 1


async def as_superuser(http: httpx.AsyncClient, sql: str) -> list[Any]:
    transport: Any = http._transport
    return await as_owner(transport.app.state.database, "nobody", sql)


# ---- the database, with the queries' filters gone


async def test_row_level_security_hides_rows_of_other_users_from_unfiltered_queries(
    alice: Person, bob: Person, database: Database
) -> None:
    await alice.add("of alice")
    await bob.add("of bob")
    for table, column in (("tasks", "user_id"), ("changes", "user_id"), ("users", "id")):
        assert set(await as_owner(database, bob.subject, f"select {column} from {table}")) == {bob.subject}
    assert await as_owner(database, bob.subject, "update tasks set title = 'mine' returning user_id") == [bob.subject]
    assert await as_owner(database, bob.subject, "delete from tasks returning user_id") == [bob.subject]
    assert await alice.titles() == ["of alice"]


# The last one is that of Citus: a row cannot move to another owner.
REFUSALS = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError, asyncpg.FeatureNotSupportedError)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into tasks (user_id, title, version) values (:victim, 'x', 1)",
        "insert into users (id) values (:victim || 'x')",
        "insert into changes (user_id, revision, entity, entity_id, action, data) "
        "values (:victim, 9, 'task', 1, 'x', '{}')",
        "update tasks set user_id = :victim",
        "update users set id = :victim",
        "update changes set data = '{}' where user_id = :victim",
        "delete from changes where user_id = :victim",
        "delete from users where id = :victim",
        "truncate tasks",
        "drop policy owner on tasks",
        "alter table tasks disable row level security",
        "set role postgres",
        "copy tasks to program 'true'",
    ],
)
async def test_the_service_role_cannot_write_for_another_user_or_change_its_role(
    alice: Person, bob: Person, postgres: ConnectOptions, sql: str
) -> None:
    """Uses a connection that logs in as the service does, and has given up the privileges that the service gives up."""
    task = await alice.add("of alice")
    await bob.add("of bob")
    connection = await asyncpg.connect(**postgres.arguments())
    with suppress(asyncpg.DuplicateObjectError):
        await connection.execute("create role probe_login login nosuperuser; grant todo_user to probe_login")
    try:
        await connection.execute("set session authorization probe_login; set role todo_user")
        await connection.execute(f"begin; set local app.user_id = {quote_owner(bob.subject)}")
        with pytest.raises(REFUSALS):
            await connection.execute(sql.replace(":victim", quote_owner(alice.subject)))
    finally:
        await connection.close()
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


async def test_without_an_owner_nothing_is_visible(alice: Person, postgres: ConnectOptions) -> None:
    await alice.add()
    connection = await asyncpg.connect(**postgres.arguments())
    try:
        await connection.execute("set role todo_user")
        for table in ("tasks", "changes", "users"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0
        await connection.execute("begin; set local app.user_id = 'x'; commit")  # now it is '' rather than unset
        assert await connection.fetchval("select count(*) from tasks") == 0
    finally:
        await connection.close()


async def test_a_permission_error_of_the_database_is_404_and_logged_as_critical(
    alice: Person, bob: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await alice.add()
    with pytest.raises(NotFound):
        await as_owner(
            database, bob.subject, "insert into tasks (user_id, title, version) values (:victim, 'x', 1)",
            victim=alice.subject,
        )  # fmt: skip
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


# ---- the owner's id, quoted into SET


@pytest.mark.parametrize("owner", ["o'brien", "a\\'; drop table tasks; --", '"', "$$", "ü", "auth0|1", "a b", "%"])
async def test_an_owner_id_is_always_quoted_as_text(database: Database, owner: str) -> None:
    assert await as_owner(database, owner, "select current_setting('app.user_id')") == [owner]


@pytest.mark.parametrize("owner", ["", "a\0b", "a\nb", "\ud800", "x" * 256, "\u202e"])
def test_an_invalid_owner_id_is_refused(owner: str) -> None:
    with pytest.raises(ValueError, match="not a user id"):
        quote_owner(owner)


async def test_the_owner_setting_does_not_survive_its_transaction(database: Database) -> None:
    owners = [f"owner-{number}" for number in range(20)]
    for owner, other in itertools.pairwise(owners):
        assert await as_owner(database, owner, "select current_setting('app.user_id')") == [owner]
        assert await as_owner(database, other, "select current_user || current_setting('app.user_id')") == [
            f"todo_user{other}"
        ]


async def test_the_service_role_reads_distributed_tables_alone(postgres: ConnectOptions) -> None:
    """On a cluster its reads begin on a server that has no other table."""
    connection = await asyncpg.connect(**postgres.arguments())
    try:
        found = await connection.fetch("""
            select relname from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname !~ '_[0-9]{6,}$'
              and relname <> 'alembic_version' and has_any_column_privilege('todo_user', oid, 'select')""")
    finally:
        await connection.close()
    assert {row["relname"] for row in found} == DISTRIBUTED_TABLES.keys()
