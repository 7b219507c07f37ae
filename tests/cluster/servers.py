"""A Citus cluster that tests may break. CITUS_BIN is the folder of the programs of a PostgreSQL with that extension."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from app.config import Settings
from app.db import migrations
from app.db.citus.distribution import distribute_tables
from app.db.connection_options import ConnectOptions, connect_options
from app.db.database import Database
from app.services.changes.entities import DISTRIBUTED_TABLES
from tests.ports import free_port

CITUS_BIN = os.environ.get("CITUS_BIN", "")
NOBODY = 65534  # PostgreSQL's programs refuse to run as root
CONFIGURATION = """
shared_preload_libraries = 'citus'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
wal_level = logical
max_connections = 200
max_worker_processes = 32
shared_buffers = 32MB
fsync = off
citus.shard_count = 8
citus.enable_statistics_collection = off
"""


class Server:
    """One PostgreSQL with the extension."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / f"server-{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        return self._process is not None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self._data, NOBODY, NOBODY)
        command = [f"{CITUS_BIN}/initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--locale=C.UTF-8"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **_as_nobody())
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION.format(port=self.port))

    async def start(self) -> None:
        with (self._data.with_suffix(".log")).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - 1 ms
                [f"{CITUS_BIN}/postgres", "-D", str(self._data)], stdout=log, stderr=log, cwd="/", **_as_nobody()
            )
        for _ in range(200):
            with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
                await self.run("select 1")
                return
            await asyncio.sleep(0.1)
        raise AssertionError(self._data.with_suffix(".log").read_text()[-2000:])

    def kill(self) -> None:
        """Ends all of its processes at once, like a power failure."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Lets it respond to nothing, like a machine behind a broken network."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    async def run(self, *statements: str, database: str = "postgres") -> Any:
        """Runs statements as superuser; returns the first value of the last one."""
        connection = await asyncpg.connect(self.url(database), timeout=5)
        try:
            for sql in statements[:-1]:
                await connection.execute(sql)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


class Cluster:
    """A coordinator and its workers, and one more server that has not been added to it."""

    def __init__(self, folder: Path) -> None:
        self.coordinator, *self.workers = (Server(folder) for _ in range(3))
        self.spare = Server(folder)

    @property
    def servers(self) -> list[Server]:
        return [self.coordinator, *self.workers]

    async def create(self, name: str) -> ConnectOptions:
        """Creates an empty database of the cluster."""
        for server in self.servers:
            await server.run(f"create database {name}")
        return await self.connect(name)

    async def connect(self, name: str) -> ConnectOptions:
        """Lets the servers know each other in a database that each of them has."""
        for server in self.servers:
            await server.run("create extension citus", database=name)
        await self.coordinator.run(
            f"select citus_set_coordinator_host('127.0.0.1', {self.coordinator.port})",
            *(f"select citus_add_node('127.0.0.1', {worker.port})" for worker in self.workers),
            database=name,
        )
        return self.options(name)

    async def create_distributed(self, name: str) -> ConnectOptions:
        """Creates a migrated database whose tables are distributed."""
        options = await self.create(name)
        await migrations.upgrade(options)
        await distribute_tables(options, DISTRIBUTED_TABLES)
        return options

    async def drop(self, name: str) -> None:
        for server in reversed([*self.servers, self.spare]):
            with contextlib.suppress(OSError):
                await server.run(f"drop database if exists {name} with (force)")

    def options(self, name: str) -> ConnectOptions:
        return connect_options(self.coordinator.url(name), Settings(_env_file=None))

    async def find_worker(self, name: str, owner: str) -> Server:
        """Returns the worker that has the rows of ``owner``."""
        port = await self.coordinator.run(
            f"""select nodeport from citus_shards where table_name = 'tasks'::regclass
                and shardid = get_shard_id_for_distribution_column('tasks', '{owner}')""",
            database=name,
        )
        return next(worker for worker in [*self.workers, self.spare] if worker.port == port)


@asynccontextmanager
async def opened(options: ConnectOptions) -> AsyncIterator[Database]:
    """Opens the service's pools, without the service."""
    database = await Database(options, size=2, timeout=5).open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def start_cluster() -> AsyncIterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        for server in cluster.servers:
            await asyncio.to_thread(server.initialise)
            await server.start()
        yield cluster
    finally:
        for server in [cluster.spare, *reversed(cluster.servers)]:
            await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


def _as_nobody() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
