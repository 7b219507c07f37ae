"""Reads begin on the server that has an owner's rows. Here each server is the same one; see also tests/cluster/."""

import logging
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from app.db.citus import owner_servers
from app.db.citus.owner_servers import OwnerServers, Server
from app.db.connection_options import ConnectOptions
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from tests.databases import Databases
from tests.ports import free_port

# Connections of the pools of servers are planned for each execution, those of the database never.
PLACE = text(
    "select case current_setting('plan_cache_mode') when 'force_custom_plan' then 'server' else 'database' end"
)


class Directory:
    """The answers to where an owner's rows are, which a test may change."""

    def __init__(self, server: Server) -> None:
        self.server: Server | None = server
        self.asked: list[str] = []

    async def find(self, owner: str) -> Server | None:
        self.asked.append(owner)
        return self.server


@pytest.fixture
async def options(databases: Databases, migrated: str) -> ConnectOptions:
    return await databases.create(migrated)


@pytest.fixture
async def directory(options: ConnectOptions) -> Directory:
    parts = urlsplit(options.dsn)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
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
    assert directory.asked == ["alice", "bob"]
    monkeypatch.setattr(owner_servers, "KNOWN_SECONDS", -1.0)
    await place(database, "carol", read_only=True)
    await place(database, "carol", read_only=True)
    assert directory.asked == ["alice", "bob", "carol", "carol"]


async def test_without_a_server_of_its_own_an_owner_is_read_in_the_database(
    database: Database, directory: Directory
) -> None:
    directory.server = None
    for _ in range(2):
        assert await place(database, read_only=True) == "database"
    assert directory.asked == ["alice"]


async def test_what_is_remembered_is_bounded(
    database: Database, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_servers, "KNOWN_OWNERS", 2)
    for owner in ("alice", "bob", "carol", "bob", "alice"):
        await place(database, owner, read_only=True)
    assert directory.asked == ["alice", "bob", "carol", "alice"]


async def test_a_server_that_cannot_be_reached_is_left_to_the_coordinator(
    database: Database, directory: Directory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, directory.server = directory.server, Server("127.0.0.1", free_port())
    for owner in ("alice", "bob"):
        assert await place(database, owner, read_only=True) == "database"
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(directory.server) in line.getMessage()
    assert "alice" not in line.getMessage()
    directory.server = there
    assert await place(database, "carol", read_only=True) == "server"
    monkeypatch.setattr(owner_servers, "AVOIDED_SECONDS", -1.0)
    directory.server = Server("127.0.0.1", free_port())
    assert await place(database, "dave", read_only=True) == "database"
    assert await place(database, "dave", read_only=True) == "database"  # tried again
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 3


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


async def test_the_load_counts_each_pool(database: Database) -> None:
    assert database.load == (0, 0, 2)
    async with database.transaction("alice", read_only=True) as reading, database.transaction("alice") as writing:
        await reading.exec(PLACE)
        await writing.exec(PLACE)
        assert database.load == (2, 0, 4)
    assert database.load == (0, 0, 4)
