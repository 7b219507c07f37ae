"""One PostgreSQL, one migrated database and one application for the whole run; one user for each test."""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from app.auth import passwords
from app.config import Settings
from app.db import migrations
from app.db.connection_options import ConnectOptions
from app.db.embedded import embedded_postgres
from app.main import create_app
from tests import citus, statements
from tests.databases import TEMPLATE, UNDISTRIBUTED, Databases
from tests.support import SECRET, Person
from tests.whole_run import Recorded, fail

for name in list(os.environ):  # the developer's own settings do not affect a test run
    if name.lower() in Settings.model_fields or name.lower() == "better_auth_secret":
        del os.environ[name]

passwords.THREAD_NICENESS = 0  # or hashing would wait for the other processes of the run
statements.record()
recorded = Recorded()
# The slowest files start first, so that all processes end at about the same time; files that mostly wait alternate with
# files that compute.
FIRST = [
    "tests/sync/test_explore.py",
    "tests/web/test_accessibility.py",
    "tests/faults/test_worst_values.py",
    "tests/http/test_protocol.py",
    "tests/live/test_event_stream.py",
    "tests/faults/test_database.py",
    "tests/commands/test_backup.py",
    "tests/commands/test_serve.py",
    "tests/faults/test_processes.py",
    "tests/accounts/test_operators.py",
    "tests/commands/test_concurrent_starts.py",
    "tests/faults/test_issuer.py",
    "tests/web/test_client.py",
    "tests/web/test_weight.py",
    "tests/observability/test_metrics.py",
    "tests/commands/test_startup_errors.py",
    "tests/web/test_swagger_ui.py",
    "tests/accounts/test_login_throttle.py",
    "tests/assistant/test_chat_failures.py",
    "tests/assistant/test_mcp.py",
    "tests/docs/test_readme.py",
    "tests/auth/test_better_auth.py",
]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Uses two processes for the suite or folders of it; for one or two files, starting them takes longer than they
    save."""
    files = [Path(argument.partition("::")[0]).is_file() for argument in config.args]
    return 0 if len(files) < 3 and all(files) else 2


def pytest_report_header() -> str:
    return (
        "database: a Citus cluster"
        if citus.CITUS_URL
        else "database: the embedded server; not tried: Citus (CITUS_URL)"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the slow contract out of the fast selection: reading the document for it takes 9 s of CPU per process."""
    is_left_out = config.option.markexpr == "not slow" and collection_path.name == "test_contract.py"
    return True if is_left_out else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = {config.rootpath / file: place for place, file in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))
    for item in items:
        if citus.CITUS_URL and (marker := item.get_closest_marker("one_server")):
            item.add_marker(pytest.mark.skip(reason=f"about one server: {marker.args[0]}"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Checks the records once, in the process that started the tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["recorded"] = recorded.hand_over(session)
        return
    for name, found in recorded.judge(session):
        if found:
            fail(session, name, found)


def pytest_testnodedown(node: Any) -> None:
    if hasattr(node, "workeroutput"):  # a crashed worker has none, and has failed
        recorded.take(node.workeroutput["recorded"])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    # Not tmp_path: the path of a Unix socket has at most about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="todo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres(anyio_backend: str, data_dir: Path) -> AsyncIterator[ConnectOptions]:
    """Starts the embedded server with its database, not migrated yet; with CITUS_URL a distributed database.

    Naming the backend lets a test that is no coroutine ask for it first.
    """
    if citus.CITUS_URL:
        async with citus.citus_database() as options:
            yield options
        return
    async with embedded_postgres(Settings(_env_file=None, data_dir=data_dir)) as options:
        # Tests need no protection against power failures, and the disk may be busy.
        for sql in ("alter system set fsync = off", "select pg_reload_conf()"):
            await Databases(options).execute(sql)
        yield options
        if statements.ISSUED:  # the last time at which the planner is available
            await migrations.upgrade(options)
            async with statements.planner(options) as planner:
                statements.LEAKS.extend((await statements.leaks(planner))[0])
            statements.REFUSED.extend(await statements.refusals(options, statements.COMPILED.values()))


@pytest.fixture(scope="session")
async def migrated(postgres: ConnectOptions) -> AsyncIterator[str]:
    """Provides the name of a migrated database to copy from: 40 ms instead of a migration."""
    if citus.CITUS_URL:
        await citus.create_distributed(TEMPLATE)
        await citus.freeze(TEMPLATE)
        yield TEMPLATE
        await citus.drop_everywhere(TEMPLATE)
        return
    template = Databases(postgres)
    await template.execute(f"create database {TEMPLATE} template template0")
    await migrations.upgrade(template.at(TEMPLATE))
    yield TEMPLATE


@pytest.fixture(scope="session")
async def undistributed(postgres: ConnectOptions, migrated: str) -> AsyncIterator[str]:
    """Provides the name of a migrated database of one server to copy from, also on a cluster."""
    if not citus.CITUS_URL:
        yield migrated
        return
    await citus.create_everywhere(UNDISTRIBUTED, "template0")
    await migrations.upgrade(Databases(postgres).at(UNDISTRIBUTED))
    await citus.freeze(UNDISTRIBUTED)
    yield UNDISTRIBUTED
    await citus.drop_everywhere(UNDISTRIBUTED)


@pytest.fixture
async def databases(postgres: ConnectOptions) -> AsyncIterator[Databases]:
    """Provides databases of this test alone."""
    made = Databases(postgres)
    yield made
    await made.drop()


@pytest.fixture(scope="session")
def settings(postgres: ConnectOptions) -> Settings:
    return Settings(
        _env_file=None,
        database_url=postgres.dsn,
        jwt_secret=SECRET,
        access_log=False,
        pool_size=5,
        pool_timeout=10,  # the load of the other processes of a run must not cause 503
        worker="off",
        rate_limit_anonymous_per_minute=0,  # all tests have the same IP address
    )


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """Starts the whole application."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(scope="session")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Opens an HTTP client without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        yield http


@pytest.fixture
async def sql(app: FastAPI, postgres: ConnectOptions) -> AsyncIterator[Any]:
    """Opens a superuser's connection, to read the real contents of tables."""
    connection = await asyncpg.connect(**postgres.arguments())
    yield connection
    await connection.close()


@pytest.fixture
def new_person(client: httpx.AsyncClient) -> Callable[[], Person]:
    return lambda: Person(client, f"user-{uuid.uuid4().hex}")


@pytest.fixture
def alice(new_person: Callable[[], Person]) -> Person:
    """Returns the user of this test."""
    return new_person()


@pytest.fixture
def bob(new_person: Callable[[], Person]) -> Person:
    """Returns another user."""
    return new_person()
