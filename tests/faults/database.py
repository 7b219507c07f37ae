"""Faults of the database and of the connection to it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time

import httpx

from app.db.embedded.files import bin_folder
from tests.faults.play import Fault
from tests.faults.stage import OTHERS, POOL, Stage, as_owner, until
from tests.support import make_token


async def kill_backend(stage: Stage) -> float:
    """Kills a backend (-9): PostgreSQL ends all sessions and recovers by itself."""
    pid = next(row["pid"] for row in await stage.statements())
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.05)
    return await stage.back()


async def kill_postmaster(stage: Stage) -> float:
    """Kills the postmaster (-9): the service must start it again."""
    before = stage.postmaster()
    os.kill(before, signal.SIGKILL)
    await until(lambda: _another(stage, before), 60)
    return await stage.back()


def _another(stage: Stage, before: int) -> bool:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return stage.postmaster() != before
    return False


async def restart_immediately(stage: Stage) -> float:
    """Runs ``pg_ctl restart -m immediate``."""
    command = [str(bin_folder() / "pg_ctl"), "restart", "-D", str(stage.pgdata), "-m", "immediate", "-s", "-t", "5"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_owner(stage.pgdata)
    )
    assert await process.wait() == 0, "the supervisor was in its way"
    return await stage.back()


async def terminate_all_twice(stage: Stage) -> float:
    """Terminates all connections, like a failover, and again as soon as the pool has new ones."""
    for _ in range(2):
        connection = await stage.connect()
        await connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {OTHERS}")
        await connection.close()
        await asyncio.sleep(0.3)
    return time.monotonic()


async def black_hole(stage: Stage) -> float:
    """Holds all traffic for a while, then lets it pass."""
    return await _swallow(stage, forget=False)


async def black_hole_forgotten(stage: Stage) -> float:
    """Drops all traffic for a while; the connections of that time hang for ever."""
    return await _swallow(stage, forget=True)


async def _swallow(stage: Stage, *, forget: bool) -> float:
    assert stage.proxy is not None
    stage.proxy.swallow()
    await asyncio.sleep(3.5 if stage.brief else 10.5)
    stage.proxy.resume(forget=forget)
    return time.monotonic()


async def resets(stage: Stage) -> float:
    """Resets every connection, three times."""
    assert stage.proxy is not None
    for _ in range(3):
        stage.proxy.reset()
        await asyncio.sleep(0.3)
    return time.monotonic()


async def latency(stage: Stage) -> float:
    """Adds 50 ms in each direction."""
    assert stage.proxy is not None
    stage.proxy.delay = 0.05
    await asyncio.sleep(1.0 if stage.brief else 5.0)
    stage.proxy.delay = 0.0
    return time.monotonic()


async def _stumble(stage: Stage, seconds: float, times: int) -> list[int]:
    """Creates tasks whose INSERT takes this long, and returns the statuses."""
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=60) as http:
        headers = {"Authorization": f"Bearer {make_token('stumbler')}"}
        calls = [
            http.post("/api/me/tasks", json={"title": f"slow {seconds}"}, headers={**headers, "X-Request-ID": str(n)})
            for n in range(times)
        ]
        return [answer.status_code for answer in await asyncio.gather(*calls)]


async def slow_query(stage: Stage) -> float:
    """Runs one statement that ends only by statement_timeout."""
    statuses = await _stumble(stage, 30, 1)
    assert statuses == [503], statuses
    return time.monotonic()


async def pool_exhausted(stage: Stage) -> float:
    """Occupies every connection for 3 seconds, longer than a request waits for one."""
    async with asyncio.TaskGroup() as group:
        for number in range(POOL):
            group.create_task(_hold(stage, f"holder-{number}", 3.0))
    return time.monotonic()


async def _hold(stage: Stage, owner: str, seconds: float) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=60) as http:
        headers = {"Authorization": f"Bearer {make_token(owner)}"}
        answer = await http.post("/api/me/tasks", json={"title": f"slow {seconds}"}, headers=headers)
        assert answer.status_code in (201, 503), answer.text


async def lock_wait(stage: Stage) -> float:
    """Locks the row that the writes of one owner need, in another transaction; lock_timeout ends each wait."""
    connection = await stage.connect()
    try:
        async with connection.transaction():
            await connection.execute("select from users where id like 'ledger-%-0' for update")
            await asyncio.sleep(3.0 if stage.brief else 6.0)
    finally:
        await connection.close()
    return time.monotonic()


EMBEDDED = (
    Fault("kill -9 of a backend", kill_backend),
    Fault("kill -9 of the embedded postmaster", kill_postmaster),
    Fault("`pg_ctl restart -m immediate`", restart_immediately),
    Fault("slow query (ended by statement_timeout)", slow_query),
    Fault("pool exhausted for 3 s", pool_exhausted),
    Fault("lock wait", lock_wait),
)
PROXIED = (
    Fault("all connections terminated, twice", terminate_all_twice),
    Fault("RST on all connections, three times", resets),
    Fault("black hole, then everything arrives", black_hole),
    Fault("black hole, its connections are lost", black_hole_forgotten),
    Fault("50 ms more each way", latency),
)
