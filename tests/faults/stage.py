"""The services under fault: one with its own PostgreSQL, and a second one that reaches it through a proxy."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from tests.faults.proxy import Proxy
from tests.ports import free_port
from tests.processes import Service
from tests.support import SECRET

POOL = 5
ALWAYS: dict[str, Any] = {
    "jwt_secret": SECRET,
    "access_log": "false",
    "pool_size": POOL,
    "worker": "off",
    "log_format": "json",
}
# Delays a statement of the service as the task's title says, like a slow database.
SLOW = """
create function stumble() returns trigger language plpgsql security definer as $$ begin
    perform pg_sleep(substring(new.title from '^slow ([0-9.]+)$')::float);
    return new;
end $$;
create trigger stumble before insert on tasks for each row when (new.title like 'slow %') execute function stumble();
"""
OTHERS = "datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"


@dataclass
class Stage:
    """One running service; ``brief`` is the shortened form for CI."""

    folder: Path
    start: Callable[[], Service]  # again, on the same port
    service: Service
    brief: bool
    proxy: Proxy | None = None
    # seconds within which every request gets a response: pool, command and rollback timeouts in sequence
    limit: float = 14.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def pgdata(self) -> Path:
        return self.folder / "data/pg"

    async def connect(self) -> Any:
        """Opens a superuser's connection that bypasses service and proxy."""
        return await asyncpg.connect(dsn(self.pgdata), timeout=2, command_timeout=30, statement_cache_size=0)

    async def back(self) -> float:
        """Waits until PostgreSQL is reachable, and returns the time when it was."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
                connection = await self.connect()
                try:
                    await connection.execute("select count(*) from tasks where false")
                    return time.monotonic()
                finally:
                    await connection.close()
            await asyncio.sleep(0.02)
        raise AssertionError("PostgreSQL did not come back")

    def postmaster(self) -> int:
        return int((self.pgdata / "postmaster.pid").read_text().split()[0])

    def processes(self) -> list[psutil.Process]:
        """Returns the service's own processes: the started one and its workers."""
        parent = psutil.Process(self.service.process.pid)
        return [p for p in (parent, *parent.children(recursive=True)) if "python" in " ".join(_command(p)[:1])]

    def workers(self) -> set[int]:
        return {process.pid for process in self.processes()[1:] if "spawn_main" in " ".join(_command(process))}

    def open_files(self) -> int:
        return sum(process.num_fds() for process in self.processes())

    async def statements(self) -> list[Any]:
        """Returns the statements that the service's connections are running."""
        connection = await self.connect()
        try:
            return list(await connection.fetch(f"select pid, state, query from pg_stat_activity where {OTHERS}"))
        finally:
            await connection.close()

    async def calm(self) -> list[str]:
        """Returns queries and transactions that are still open without any request; none is good."""
        busy: list[str] = []
        for _ in range(100):
            busy = [row["query"] for row in await self.statements() if row["state"] != "idle"]
            if not busy:
                break
            await asyncio.sleep(0.1)
        return busy

    async def ready(self) -> None:
        """Waits until service and database respond."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30) as http:
            for _ in range(300):
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise AssertionError(f"the service is not ready: {self.service.log[-2000:]}")


def _command(process: psutil.Process) -> list[str]:
    """Returns the command line; empty for a process that has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def dsn(pgdata: Path, database: str = "todo") -> str:
    return f"postgresql://postgres@/{database}?host={pgdata}&port=5432&sslmode=disable"


def service_dsn(proxy: Proxy, database: str = "todo") -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?sslmode=disable"


@asynccontextmanager
async def embedded(*, brief: bool, folder: Path | None = None, **settings: Any) -> AsyncIterator[Stage]:
    """Starts a service with embedded PostgreSQL."""
    root = folder or Path(tempfile.mkdtemp(prefix="faults-"))  # a short path: it contains a socket
    start = partial(Service, root, port=free_port(), data_dir=root / "data", **ALWAYS, **settings)
    stage = Stage(root, start, start(), brief)
    try:
        await started(stage.service)
        connection = await stage.connect()
        await connection.execute(SLOW)
        await connection.close()
        yield stage
    finally:
        await asyncio.to_thread(end, stage.service)
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def behind_proxy(other: Stage, **settings: Any) -> AsyncIterator[Stage]:
    """Starts a second service on the database of ``other``, behind a proxy. Timeouts are short in CI."""
    short: dict[str, Any] = {"command_timeout": 3} if other.brief else {}
    async with Proxy(str(other.pgdata / ".s.PGSQL.5432")) as proxy:
        cwd = other.folder / "second"
        cwd.mkdir(exist_ok=True)
        start = partial(Service, cwd, port=free_port(), database_url=service_dsn(proxy), **ALWAYS, **short, **settings)
        stage = Stage(other.folder, start, start(), other.brief, proxy, limit=7.0 if short else 14.0)
        try:
            await started(stage.service)
            yield stage
        finally:
            await asyncio.to_thread(end, stage.service)


async def started(service: Service) -> None:
    """Waits for the banner, however busy the machine is: other tests measure the time of a start."""
    await until(lambda: "-d '{" in service.banner or service.process.poll() is not None, 120)
    assert service.process.poll() is None, service.log


def end(service: Service) -> None:
    if service.process.poll() is None:
        service.process.send_signal(signal.SIGINT)
        try:
            service.ended()
        except Exception:
            service.process.kill()
            raise


def as_owner(pgdata: Path) -> dict[str, Any]:
    """Returns options for subprocess: PostgreSQL's tools refuse to run as root."""
    found = pgdata.stat()
    return {"user": found.st_uid, "group": found.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}


async def until(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
