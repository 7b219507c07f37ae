"""The session provider against SQLAlchemy's own execution, and its behaviour when statements fail."""

import asyncio
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db.compiled import CompiledStatement, compile_statement
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.errors import Invalid, Unavailable

OWNER = "session-test"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


THINGS = Table(
    "things",
    MetaData(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("text", Text),
    Column("flag", Boolean),
    Column("number", Integer),
    Column("day", Date),
    Column("at", DateTime(timezone=True)),
    Column("local", DateTime),
    Column("words", ARRAY(Text)),
    Column("data", JSONB),
    Column("colour", Enum(Colour, native_enum=False, values_callable=lambda e: [m.value for m in e])),
)
ROWS: list[dict[str, Any]] = [
    {
        "text": "ü 'quoted' \\ $1", "flag": True, "number": -(2**31), "day": date(2026, 2, 28),
        "at": datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC), "local": datetime(1999, 12, 31, 23, 59),  # noqa: DTZ001 - no zone is the point
        "words": ["a", "b c", 'q"', ""], "data": {"a": [1, None, {"b": "ü"}]}, "colour": Colour.BLUE,
    },
    dict.fromkeys(["text", "flag", "number", "day", "at", "local", "words", "colour"]) | {"data": {}},
]  # fmt: skip
CREATE_THINGS = """create temporary table things (id bigint generated always as identity primary key, text text,
    flag boolean, number integer, day date, at timestamptz, local timestamp, words text[], data jsonb,
    colour text) on commit drop"""


@pytest.fixture
async def superuser(postgres: ConnectOptions) -> Any:
    """Opens sessions that may create a temporary table."""
    database = await Database(postgres, size=2, timeout=0.2, role="postgres").open()
    yield database
    await database.close()


async def test_rows_equal_those_of_sqlalchemy(superuser: Database, postgres: ConnectOptions) -> None:
    insertion = insert(THINGS).returning(THINGS)
    ours, prepared = (
        [],
        CompiledStatement(insertion.values({c.name: bindparam(c.name) for c in THINGS.c if c.name != "id"})),
    )
    async with superuser.transaction(OWNER) as session:
        await session.exec(text(CREATE_THINGS))
        ours += [(await session.exec(prepared, row)).one() for row in ROWS]
        everything = (await session.exec(select(THINGS).order_by(THINGS.c.id))).all()
        some = (await session.exec(select(THINGS.c.id).where(THINGS.c.id.in_([1, 2, 3])))).all()
        one = (await session.exec(select(THINGS.c.data).where(THINGS.c.colour == Colour.BLUE))).one()
    engine = create_async_engine(
        "postgresql+asyncpg://", poolclass=NullPool, async_creator=lambda: asyncpg.connect(**postgres.arguments())
    )
    async with engine.begin() as connection:
        await connection.execute(text(CREATE_THINGS))
        theirs = [(await connection.execute(insertion, row)).one() for row in ROWS]
    await engine.dispose()
    assert [tuple(row) for row in ours] == [tuple(row) for row in theirs]
    assert [tuple(row) for row in everything] == [tuple(row) for row in theirs]
    assert [type(value) for value in ours[0]] == [type(value) for value in theirs[0]]
    assert ours[0].colour is Colour.BLUE
    assert (some, one) == ([1, 2], ROWS[0]["data"])


async def test_a_statement_of_the_same_shape_is_compiled_once() -> None:
    first, one = compile_statement(select(THINGS.c.id).where(THINGS.c.text == "a"))
    second, two = compile_statement(select(THINGS.c.id).where(THINGS.c.text == "b"))
    assert first is second
    assert (first.arguments(one), first.arguments(two)) == (["a"], ["b"])
    assert compile_statement(select(THINGS.c.id).where(THINGS.c.number == 1))[0] is not first


def test_a_missing_parameter_and_a_python_default_raise() -> None:
    with pytest.raises(KeyError):
        CompiledStatement(select(THINGS).where(THINGS.c.id == bindparam("id"))).arguments({})
    defaulted = Table("d", MetaData(), Column("a", Integer, default=1), Column("b", Integer))
    with pytest.raises(ValueError, match="server_default"):
        CompiledStatement(insert(defaulted).values(b=bindparam("b")))


@pytest.fixture
def database(app: FastAPI) -> Database:
    found: Database = app.state.database
    return found


async def test_an_exception_rolls_the_transaction_back(database: Database) -> None:
    owner = "session-rollback"

    async def fail() -> None:
        async with database.transaction(owner) as session:
            await session.exec(text("insert into users (id) values (:owner)"), {"owner": owner})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction(owner) as session:
        assert (await session.exec(text("select id from users"))).all() == []


async def test_a_read_only_session_cannot_write(database: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.transaction(OWNER, read_only=True) as session:
            await session.exec(text("insert into users (id) values ('session-test')"))


async def test_terminated_connections_are_replaced(superuser: Database, postgres: ConnectOptions) -> None:
    one = CompiledStatement(select(func.pg_backend_pid()))

    async def pid() -> int:
        async with superuser.transaction(OWNER) as session:
            found: int = (await session.exec(one)).one()
            return found

    pids = await asyncio.gather(*(pid() for _ in range(4)))
    killer = await asyncpg.connect(**postgres.arguments())
    for victim in set(pids):
        await killer.fetchval("select pg_terminate_backend($1::integer)", victim)
    await killer.close()
    assert not set(await asyncio.gather(*(pid() for _ in range(4)))) & set(pids)


async def test_requests_beyond_the_pool_wait_in_order_and_then_time_out(superuser: Database) -> None:
    sleep = text("select pg_sleep(0.05)")
    order: list[int] = []

    async def work(number: int) -> None:
        async with superuser.transaction(OWNER) as session:
            await session.exec(sleep)
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(6)))
    assert [number // 2 for number in order] == [0, 0, 1, 1, 2, 2]

    async def hold() -> None:
        async with superuser.transaction(OWNER) as session:
            await session.exec(text("select pg_sleep(0.6)"))

    holders = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable) as refused:
        await work(0)
    assert refused.value.retry_after == 1
    await asyncio.gather(*holders)
    await work(0)


async def test_a_cancelled_request_returns_its_connection(superuser: Database) -> None:
    async def slow() -> None:
        async with superuser.transaction(OWNER) as session:
            await session.exec(text("select pg_sleep(5)"))

    for _ in range(5):
        task = asyncio.create_task(slow())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with superuser.transaction(OWNER) as session:
        running = text("select count(*) from pg_stat_activity where query like '%pg_sleep(5)%' and state = 'active'")
        assert (await session.exec(running)).one() <= 1  # this query itself


async def test_a_value_out_of_range_is_invalid_input(database: Database) -> None:
    with pytest.raises(Invalid):
        async with database.transaction(OWNER) as session:
            await session.exec(text("select cast(:n as bigint)"), {"n": 2**63})


async def test_opening_an_unreachable_database_raises(settings: Any) -> None:
    from app.db.connection_options import connect_options

    options = connect_options("postgresql://nobody@127.0.0.1:1/none", settings)
    database = Database(options, size=1, timeout=0.1)
    with pytest.raises(OSError, match="1"):
        await database.open()
