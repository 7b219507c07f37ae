"""Which role of the database may see what, asked of the database itself."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.connection_options import ConnectOptions

AUTH_TABLES = ["accounts", "sessions", "refresh_tokens", "api_tokens", "password_resets", "login_attempts"]
AUTH_TABLES += ["rate_limits"]
USER_TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> all($1)
"""


@pytest.fixture
async def connection(app: FastAPI, postgres: ConnectOptions) -> AsyncIterator[Any]:
    """A connection of the service's own login, outside of its pool; what a test does is rolled back."""
    found = await asyncpg.connect(**postgres.arguments())
    transaction = found.transaction()
    await transaction.start()
    yield found
    await transaction.rollback()
    await found.close()


@pytest.mark.parametrize("table", AUTH_TABLES)
async def test_the_role_that_serves_tasks_has_no_right_on_an_auth_table(connection: Any, table: str) -> None:
    await connection.execute("set local role todo_user; set local app.user_id = 'anybody'")
    for statement in (
        f"select * from {table}",
        f"select 1 from {table}",
        f"insert into {table} default values",
        f"delete from {table}",
        f"lock table {table} in share mode",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_the_auth_role_reaches_no_table_of_what_users_keep(connection: Any) -> None:
    others = [row[0] for row in await connection.fetch(USER_TABLES, [*AUTH_TABLES, "alembic_version", "users"])]
    assert {"tasks", "changes"} <= set(others)
    await connection.execute("set local role todo_auth; set local app.user_id = 'anybody'")
    for table in others:
        for statement in (f"select 1 from {table}", f"delete from {table}", f"insert into {table} default values"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)
    for column in ("revision", "*"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(f"select {column} from users")


async def test_the_eraser_reads_nothing_but_whose_rows_they_are(connection: Any) -> None:
    await connection.execute("set local role todo_eraser; set local app.user_id = 'anybody'")
    for statement in (
        "select password_hash from accounts",
        "select token_hash from refresh_tokens",
        "select title from tasks",
        "update tasks set title = 'x'",
        "select * from login_attempts",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_the_eraser_can_delete_the_rows_of_one_user_from_every_table(connection: Any) -> None:
    tables = [
        row[0] for row in await connection.fetch(USER_TABLES, ["alembic_version", "login_attempts", "rate_limits"])
    ]
    await connection.execute("set local role todo_eraser; set local app.user_id = 'anybody'")
    for table in tables:
        column = "id" if table == "users" else "user_id"
        await connection.execute(f"delete from {table} where {column} = 'anybody'")


async def test_a_table_that_is_added_later_can_be_erased_too(connection: Any) -> None:
    await connection.execute("create table later (user_id text, secret text)")
    assert await connection.fetchval("select has_table_privilege('todo_eraser', 'later', 'delete')")
    assert not await connection.fetchval("select has_table_privilege('todo_auth', 'later', 'select')")


@pytest.mark.parametrize("role", ["todo_user", "todo_auth", "todo_eraser", "todo_worker"])
async def test_no_role_of_the_service_is_above_the_rules(connection: Any, role: str) -> None:
    row = await connection.fetchrow(
        "select rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolinherit from pg_roles where rolname = $1", role
    )
    assert not any(row.values())
