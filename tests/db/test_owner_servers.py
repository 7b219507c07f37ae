"""Reads begin on the server that has an owner's rows. Here each server is the same one; see also tests/cluster/."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from app.db.citus import owner_servers
from app.db.citus.owner_servers import OwnerServers, Server
from app.db.connection_options import ConnectOptions
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.errors import Unavailable
from tests.databases import Databases
from tests.ports import free_port

# Connections of the pools of servers are planned for each execution, those of the database never.
PLACE = text(
    "select case current_setting('plan_cache_mode') when 'force_custom_plan' then 'server' else 'database' end"
)


# The tables by which a server of a cluster is recognised.
SERVER_METADATA = """
    create table pg_dist_node (groupid integer, nodename text, nodeport integer);
    create table pg_dist_local_group (groupid integer);
    insert into pg_dist_local_group values (1)"""
DESCRIBE_SERVER = "insert into pg_dist_node values (1, $1, $2)"


class Directory:
    """The server that has the rows of each owner, which a test may change."""

    def __init__(self, server: Server) -> None:
        self.server: Server | None = server
        self.found_for: list[str] = []

    async def find(self, owner: str) -> Server | None:
        self.found_for.append(owner)
        return self.server


@pytest.fixture
async def options(databases: Databases, undistributed: str) -> ConnectOptions:
    return await databases.create(undistributed, SERVER_METADATA)


@pytest.fixture
async def directory(options: ConnectOptions) -> Directory:
    parts = urlsplit(options.dsn)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    connection = await asyncpg.connect(**options.arguments())
    await connection.execute(DESCRIBE_SERVER, host, parts.port or 5432)
    await connection.close()
    return Directory(Server(host, parts.port or 5432))


@pytest.fixture
async def database(options: ConnectOptions, directory: Directory) -> AsyncIterator[Database]:
    opened = await Database(options, size=2, timeout=1).open()
    opened._servers = OwnerServers(opened._options, directory.find, role=opened.role, size=2, timeout=1)
    yield opened
    await opened.close()


async def place(database: Database, owner: str = "alice", **how: object) -> str:
    async with database.transaction(owner, **how) as session:  # type: ignore[arg-type]
        found: str = (await session.exec(PLACE)).one()
    return found


async def test_only_reads_of_an_owner_begin_on_its_server(database: Database) -> None:
    assert await place(database, read_only=True) == "server"
    assert await place(database) == "database"
    assert await place(database, NO_OWNER, read_only=True) == "database"
    assert await place(database, read_only=True, role=WORKER_ROLE) == "database"


async def test_a_server_is_asked_for_once_and_again_when_it_may_have_changed(
    database: Database, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await place(database, read_only=True)
    await place(database, "bob", read_only=True)
    assert directory.found_for == ["alice", "bob"]
    monkeypatch.setattr(owner_servers, "KNOWN_SECONDS", -1.0)
    await place(database, "carol", read_only=True)
    await place(database, "carol", read_only=True)
    assert directory.found_for == ["alice", "bob", "carol", "carol"]


async def test_without_a_server_of_its_own_an_owner_is_read_in_the_database(
    database: Database, directory: Directory
) -> None:
    directory.server = None
    for _ in range(2):
        assert await place(database, read_only=True) == "database"
    assert directory.found_for == ["alice"]


async def test_what_is_remembered_is_bounded(
    database: Database, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_servers, "KNOWN_OWNERS", 2)
    for owner in ("alice", "bob", "carol", "bob", "alice"):
        await place(database, owner, read_only=True)
    assert directory.found_for == ["alice", "bob", "carol", "alice"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_server_that_cannot_be_reached_is_left_to_the_coordinator(
    database: Database, directory: Directory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, directory.server = directory.server, Server("127.0.0.1", free_port())
    for owner in ("alice", "bob"):
        assert await place(database, owner, read_only=True) == "database"
    (line,) = warnings(caplog)
    assert str(directory.server) in line
    assert "alice" not in line
    directory.server = there
    assert await place(database, "carol", read_only=True) == "server"
    monkeypatch.setattr(owner_servers, "AVOIDED_SECONDS", -1.0)
    directory.server = Server("127.0.0.1", 1)
    for _ in range(2):  # tried again
        assert await place(database, "dave", read_only=True) == "database"
    assert len(warnings(caplog)) == 3


@pytest.fixture
async def silent() -> AsyncIterator[Server]:
    """Accepts connections, and never responds: like a machine behind a broken network."""
    writers = list[asyncio.StreamWriter]()
    server = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    yield Server(*server.sockets[0].getsockname()[:2])
    for writer in writers:
        writer.close()
    server.close()


async def test_while_a_server_is_tried_others_are_served(
    database: Database, directory: Directory, silent: Server, caplog: pytest.LogCaptureFixture
) -> None:
    directory.server = silent
    begun = time.monotonic()
    first = asyncio.create_task(place(database, "alice", read_only=True))
    await asyncio.sleep(0.1)
    assert [await place(database, f"user-{number}", read_only=True) for number in range(50)] == ["database"] * 50
    assert not first.done()
    assert await first == "database"
    assert time.monotonic() - begun < owner_servers.SERVER_CONNECT_TIMEOUT + 1
    assert len(warnings(caplog)) == 1


async def test_a_server_that_is_lost_holds_up_its_own_owners_alone(database: Database, silent: Server) -> None:
    """The coordinator would not reach it either: its pool is not for their reads."""
    assert await place(database, read_only=True) == "server"
    assert database._servers is not None
    (pool,) = database._servers.pools
    pool.terminate()
    for connection, _ in pool._idle:
        connection.terminate()
    pool._connect = partial(_connect_to, silent)
    reads = [asyncio.create_task(place(database, read_only=True)) for _ in range(10)]
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    for _ in range(20):
        assert await place(database, "bob") == "database"
    assert time.monotonic() - begun < 1
    assert {type(found) for found in await asyncio.gather(*reads, return_exceptions=True)} == {Unavailable}
    assert database.load[1] == 0


async def _connect_to(server: Server, timeout: float) -> None:  # noqa: ASYNC109
    await asyncpg.connect(f"postgresql://x@{server}/x", timeout=timeout, ssl=False)


async def test_an_owner_is_looked_up_again_after_an_error(database: Database, directory: Directory) -> None:
    """The server may have been replaced, or have got another name."""
    assert await place(database, read_only=True) == "server"
    assert database._servers is not None
    (pool,) = database._servers.pools
    for connection, _ in pool._idle:
        connection.terminate()
    pool._connect = partial(_connect_to, Server("127.0.0.1", 1))
    with pytest.raises(Unavailable):
        await place(database, read_only=True)
    directory.server = None
    assert await place(database, read_only=True) == "database"
    assert directory.found_for == ["alice", "alice"]


@pytest.mark.parametrize("error", [asyncpg.InvalidPasswordError, asyncpg.InsufficientPrivilegeError, RuntimeError])
async def test_an_error_of_connecting_to_a_server_is_503(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    async def refused(*_: object) -> None:
        raise error("refused")

    assert await place(database, read_only=True) == "server"
    assert database._servers is not None
    for connection, _ in database._servers.pools[0]._idle:
        connection.terminate()
    monkeypatch.setattr(owner_servers, "open_connection", refused)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await place(database, read_only=True)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("drop table pg_dist_node", "pg_dist_node"),  # another PostgreSQL
        ("update pg_dist_local_group set groupid = 2", "it is another server"),
    ],
)
async def test_another_server_under_that_name_is_not_read(
    database: Database, options: ConnectOptions, caplog: pytest.LogCaptureFixture, change: str, reason: str
) -> None:
    connection = await asyncpg.connect(**options.arguments())
    await connection.execute(change)
    await connection.close()
    assert await place(database, read_only=True) == "database"
    assert reason in warnings(caplog)[0]


async def test_a_server_where_the_role_is_refused_is_left_to_the_coordinator(
    options: ConnectOptions, directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    opened = await Database(options, size=1, timeout=1).open()
    try:
        opened._servers = OwnerServers(opened._options, directory.find, role="todo_absent", size=1, timeout=1)
        assert await place(opened, read_only=True) == "database"
        assert "todo_absent" in caplog.text
    finally:
        await opened.close()


async def test_connections_to_servers_are_closed_with_the_others(options: ConnectOptions, directory: Directory) -> None:
    admin = await asyncpg.connect(**options.arguments())
    count = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    try:
        opened = await Database(options, size=2, timeout=1).open()
        opened._servers = OwnerServers(opened._options, directory.find, role=opened.role, size=2, timeout=1)
        await place(opened, read_only=True)
        async with opened.transaction("alice", read_only=True) as session:
            await session.exec(PLACE)
            closing = asyncio.create_task(opened.close())
            await asyncio.sleep(0.05)
            assert not closing.done()
        await closing
        for _ in range(200):
            if await admin.fetchval(count) == 0:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(await admin.fetchval(count))
    finally:
        await admin.close()


async def test_the_load_is_that_of_the_fullest_pool(database: Database) -> None:
    assert database.load == (0, 0, 2)
    async with database.transaction("alice", read_only=True) as reading, database.transaction("alice") as writing:
        await reading.exec(PLACE)
        assert database.load == (1, 0, 2)
        await writing.exec(PLACE)
        assert database.load == (1, 0, 2)
    assert database.load == (0, 0, 2)
