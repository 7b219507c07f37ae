"""The contestants: processes that serve the same paths from the same database on a loopback port.

To add one (in any language), append a Contestant: a command that listens on 127.0.0.1:{port}, its environment
variables, and the SQL of its own tables if it does not use the service's.
"""

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]

from bench.database import cpu_seconds
from bench.scenarios import BENCH_SECRET, LIST_304

PROJECT_ROOT = Path(__file__).resolve().parents[1]
POOL_SIZE = 10
START_SECONDS, STOP_SECONDS = 30.0, 10.0


@dataclass(frozen=True)
class Contestant:
    """``command`` may name {port}; ``environment`` is added to DATABASE_URL, JWT_SECRET, POOL_SIZE and PORT."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    cannot: frozenset[str] = frozenset()
    own_tables: str = ""
    missing: Callable[[], str] = str  # what this machine lacks to run it; "" if nothing
    folder: Callable[[], Path] | None = None  # prepares the folder it runs in


def _uvicorn(factory: str) -> tuple[str, ...]:
    """Returns the command for an ASGI application: the same server and flags for all."""
    run = (sys.executable, "-m", "uvicorn", "--factory", factory, "--host", "127.0.0.1", "--port", "{port}")
    parts = ("--http", "httptools", "--loop", "uvloop", "--lifespan", "on", "--workers", "1")
    return (*run, *parts, "--no-access-log", "--no-proxy-headers", "--no-server-header", "--log-level", "warning")


def _node_modules() -> Path:
    """Returns the folder of the Fastify contestant's packages, fetched once by npm."""
    folder = PROJECT_ROOT / "build" / "bench-fastify"
    source = PROJECT_ROOT / "bench" / "fastify"
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.copy(file, folder)
    if not (folder / "node_modules").exists():
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=folder, check=True, stdout=sys.stderr)
    return folder


def _drf() -> str:
    return "" if importlib.util.find_spec("rest_framework") else "needs pip install -e '.[bench]'"


def _node() -> str:
    return "" if shutil.which("npm") else "needs Node.js and npm"


TUTORIAL_TABLES = (Path(__file__).parent / "tutorial.sql").read_text()
ALL_CONTESTANTS = (
    Contestant(
        name="service",
        title="this service",
        command=(sys.executable, "-m", "app", "serve"),  # with its guard, which uvicorn alone would leave out
        environment={"ACCESS_LOG": "false", "LOG_FORMAT": "json", "RATE_LIMIT_PER_MINUTE": "1000000000"},
    ),
    Contestant(
        name="limit",
        title="hand-written ASGI + asyncpg, the same statements",
        command=_uvicorn("bench.limit:Limit"),
    ),
    Contestant(
        name="idiomatic",
        title="FastAPI + SQLModel ORM as usually written, no isolation, no change rows",
        command=_uvicorn("bench.idiomatic:create_app"),
        cannot=frozenset({LIST_304}),
        own_tables=TUTORIAL_TABLES.replace("{schema}", "bench_idiomatic"),
    ),
    Contestant(
        name="naive",
        title="the limit with bare statements, no isolation in the database, no change rows",
        command=_uvicorn("bench.naive:Naive"),
        cannot=frozenset({LIST_304}),
    ),
    Contestant(
        name="fastify",
        title="Fastify + pg + @fastify/jwt, the same transaction and statements",
        command=("node", "server.mjs"),
        environment={"BENCH_PYTHON": sys.executable, "NODE_ENV": "production"},
        missing=_node,
        folder=_node_modules,
    ),
    Contestant(
        name="drf",
        title="Django REST framework as usually written, gunicorn with threads, no isolation, no change rows",
        command=(
            sys.executable,
            "-m",
            "gunicorn",
            "bench.drf.wsgi",
            "--bind",
            "127.0.0.1:{port}",
            "--workers",
            "1",
            "--threads",
            str(POOL_SIZE),
            "--keep-alive",
            "75",
            "--log-level",
            "warning",
        ),
        cannot=frozenset({LIST_304}),
        missing=_drf,
        own_tables=TUTORIAL_TABLES.replace("{schema}", "bench_drf"),
    ),
)


class Server:
    """A running contestant."""

    def __init__(self, contestant: Contestant, port: int, pid: int) -> None:
        self.contestant = contestant
        self.name = contestant.name
        self.port = port
        self._process = psutil.Process(pid)

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Returns the CPU time so far, of the process and its children."""
        return sum(cpu_seconds(process) for process in self._tree())

    def resident_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self._tree())


@asynccontextmanager
async def running(contestant: Contestant, database_url: str, folder: Path) -> AsyncIterator[Server]:
    """Starts it in ``folder``, waits until it listens, stops it. Raises RuntimeError if it does not start."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(part.format(port=port) for part in contestant.command),
        cwd=contestant.folder()
        if contestant.folder
        else folder,  # not the project's: a developer's .env must not change what is measured
        env=environment(database_url, port) | contestant.environment,
        stdout=sys.stderr,
        start_new_session=True,  # Ctrl-C is for this program, which then stops what it started
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{contestant.name} did not start: exit status {process.returncode}")
                await asyncio.sleep(0.05)
        yield Server(contestant, port, process.pid)
    finally:
        await stop(process)


def environment(database_url: str, port: int) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    own = {"DATABASE_URL": database_url, "JWT_SECRET": BENCH_SECRET, "POOL_SIZE": str(POOL_SIZE), "PORT": str(port)}
    return inherited | {"PYTHONPATH": str(PROJECT_ROOT)} | own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
