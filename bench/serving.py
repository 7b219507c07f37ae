"""The service as ``todo serve`` runs it, with everything on, for benches that measure its processes."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil  # type: ignore[import-untyped, unused-ignore]

from bench.contestants import START_SECONDS, environment, free_port, stop
from bench.database import Bench, cpu_seconds
from bench.report import command, machine

# Every subject's requests are counted, and none is over the limit: the load has too few of them for its rate.
SERVING_SETTINGS = {"ACCESS_LOG": "false", "LOG_FORMAT": "json", "RATE_LIMIT_PER_MINUTE": "1000000000"}


class Service:
    """The running service. ``workers`` are the server processes."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        parent = psutil.Process(pid)
        self._all = [parent, *parent.children(recursive=True)]
        spawned = [process for process in self._all[1:] if "spawn_main" in " ".join(process.cmdline())]
        self.workers = spawned or [parent]

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(process) for process in self._all)


@asynccontextmanager
async def serving(bench: Bench, *, workers: int = 1, **settings: str) -> AsyncIterator[Service]:
    """Starts it, waits until all workers respond, stops it. Raises RuntimeError if it does not start."""
    port = free_port()
    own = SERVING_SETTINGS | {"WEB_CONCURRENCY": str(workers), "METRICS_PORT": str(_free_row(workers))} | settings
    with (bench.folder / "log").open("a") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve"),
            cwd=bench.folder,  # not the project's: a developer's .env must not change what is measured
            env=environment(bench.url, port) | own,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            while not (line := await process.stdout.readline()).strip():  # the banner comes when all workers answer
                if not line:
                    raise RuntimeError(f"the service did not start: {(bench.folder / 'log').read_text()[-2000:]}")
        yield Service(port, process.pid)
    finally:
        await stop(process)


def _free_row(count: int) -> int:
    """Finds the first of consecutive free ports: each worker uses one for its metrics."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


async def facts(bench: Bench, module: str) -> str:
    """Describes date, machine and options in one sentence."""
    found = machine(await bench.version(), command(module))
    return f"{found['date']}, {found['machine']}, {found['versions']}: {found['command']}."
