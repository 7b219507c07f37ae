"""PgBouncer in transaction mode between the service and PostgreSQL, as in hosted databases."""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.db.connection_options import ConnectOptions, connect_options
from app.main import create_app
from tests.databases import Databases
from tests.ports import free_port
from tests.processes import wait_until
from tests.support import SECRET, Person, assert_problem

BINARY = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="pgbouncer is not installed")]
SERVERS = 3  # connections to PostgreSQL for all connections of the service
INI = """
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 200
{newer}
server_tls_sslmode = disable
logfile = {folder}/log
"""


@pytest.fixture
def pooler(postgres: ConnectOptions) -> Iterator[int]:
    """Starts a PgBouncer without named statements before the test's PostgreSQL, and yields its port."""
    assert BINARY is not None
    parts = urlsplit(postgres.dsn)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    folder, port = Path(tempfile.mkdtemp(prefix="pgb-")), free_port()
    said = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found, said
    # From 1.21 it can keep named statements for its clients; the service must also work with one that cannot.
    newer = "max_prepared_statements = 0" if (int(found[1]), int(found[2])) >= (1, 21) else ""
    (folder / "ini").write_text(
        INI.format(host=host, server_port=parts.port or 5432, port=port, folder=folder, servers=SERVERS, newer=newer)
    )
    options = {}
    if os.geteuid() == 0:  # PgBouncer refuses to run as root; the owner of the cluster can reach its socket
        owner = Path(host).stat().st_uid if host.startswith("/") else pwd.getpwnam("nobody").pw_uid
        for path in (folder, folder / "ini"):
            os.chown(path, owner, -1)
        options = {"user": owner, "group": pwd.getpwuid(owner).pw_gid, "extra_groups": []}
    process = subprocess.Popen([BINARY, "-q", str(folder / "ini")], cwd=folder, **options)  # type: ignore[call-overload]
    try:
        wait_until(lambda: "process up" in _log(folder) or process.poll() is not None)
        assert process.poll() is None, _log(folder)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _log(folder: Path) -> str:
    return (folder / "log").read_text() if (folder / "log").exists() else ""


@asynccontextmanager
async def application(url: str, **settings: str) -> AsyncIterator[FastAPI]:
    given = Settings.model_validate(
        {"database_url": url, "jwt_secret": SECRET, "access_log": False, "pool_size": 12, "worker": "off", **settings}
    )
    app = create_app(given)
    async with app.router.lifespan_context(app):
        yield app


async def _work(http: httpx.AsyncClient, subject: str) -> list[str]:
    """Performs and checks a dozen writes and reads of one user."""
    person = Person(http, subject)
    for number in range(4):
        task = await person.add(f"{subject} {number}", tags=["a", "b"], due_date="2030-01-01")
        patched = await person.patch(f"/tasks/{task['id']}", {"description": f"of {subject}"})
        assert (patched.status_code, patched.json()["description"]) == (200, f"of {subject}")
        assert all(title.startswith(subject) for title in await person.titles())
    return sorted(await person.titles())


async def test_mixed_requests_through_transaction_pooling(databases: Databases, migrated: str, pooler: int) -> None:
    options = await databases.create(migrated)
    name = urlsplit(options.dsn).path
    url = f"postgresql://postgres@127.0.0.1:{pooler}{name}?sslmode=disable"
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(application(url, statement_cache="off"))
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        )
        people = [f"pooled-{number}" for number in range(24)]
        found = await asyncio.gather(*(_work(http, subject) for subject in people))
        assert found == [[f"{subject} {number}" for number in range(4)] for subject in people]

        # Isolation: the path, the query, and the settings of a transaction on a connection used by others before.
        alice, bob = (Person(http, subject) for subject in people[:2])
        (task,) = (await alice.get("/tasks?limit=1")).json()
        assert_problem(await bob.get(f"/api/{alice.subject}/tasks"), 403)
        assert_problem(await bob.get(f"/tasks/{task['id']}"), 404)
        # The next user of that connection has no owner: every setting ended with its transaction.
        raw = await asyncpg.connect(url, statement_cache_size=0)
        try:
            for _ in range(2 * SERVERS):
                assert await raw.fetchval("select coalesce(current_setting('app.user_id', true), '')") == ""
                assert await raw.fetchval("select current_user") == "postgres"
        finally:
            await raw.close()


async def test_named_statements_fail_visibly_with_a_transaction_pooler(
    databases: Databases, migrated: str, pooler: int
) -> None:
    """Shows the need for STATEMENT_CACHE=off with the pooler of this test."""
    name = urlsplit((await databases.create(migrated)).dsn).path
    url = f"postgresql://postgres@127.0.0.1:{pooler}{name}?sslmode=disable"
    options = connect_options(url, Settings(_env_file=None, database_url=url, jwt_secret=SECRET, statement_cache="off"))
    assert options.pooled
    with pytest.raises((SystemExit, asyncpg.PostgresError)):
        async with application(url, statement_cache="on"):
            pass
