"""Faults of the service's own processes, and of its clients."""

import asyncio
import os
import signal
import socket
import struct
import time

import httpx

from tests.faults.database import kill_postmaster
from tests.faults.play import Fault
from tests.faults.stage import Stage, started, until
from tests.processes import postgres_in
from tests.support import make_token


async def kill_worker(stage: Stage) -> float:
    """Kills one of two workers (-9): its requests get no response, the other worker continues, a new one starts."""
    before = stage.workers()
    os.kill(min(before), signal.SIGKILL)
    killed_at = time.monotonic()
    await until(lambda: len(stage.workers() - before) == 1, 120)
    return killed_at


async def roll(stage: Stage) -> float:
    """Sends SIGHUP: each worker is replaced as soon as its successor serves."""
    before = stage.workers()
    stage.service.process.send_signal(signal.SIGHUP)
    await until(lambda: len(stage.workers()) == len(before) and not before & stage.workers(), 120)
    return time.monotonic()


async def stop_and_start(stage: Stage) -> float:
    """Sends SIGTERM during a request that takes 2 seconds, then starts again."""
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=30) as http:
        headers = {"Authorization": f"Bearer {make_token('patient')}"}
        slow = asyncio.create_task(http.post("/api/me/tasks", json={"title": "slow 2"}, headers=headers))
        await asyncio.sleep(0.5)
        stage.service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(stage.service.ended) == 0
        assert (await slow).status_code == 201
    assert postgres_in(stage.folder) == [], "the supervisor did not notice that this end was meant"
    stage.service = stage.start()
    await started(stage.service)
    return time.monotonic()


async def hang_up_1000_times(stage: Stage) -> float:
    """Disconnects within the headers, within the body and before the response, a third each; every other time with
    RST."""
    token = make_token("hasty")
    body = b'{"title": "half a task"}'
    head = (
        f"POST /api/me/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for number in range(1000):
        text = (head[:-20], head + body[:7], head + body)[number % 3]
        with socket.create_connection(("127.0.0.1", stage.service.port), timeout=5) as hasty:
            if number % 2:
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            hasty.sendall(text)
            await asyncio.sleep(0.003)
    return time.monotonic()


CLIENTS = Fault("client disconnects, 1,000 times", hang_up_1000_times)
WORKERS = (
    Fault("kill -9 of the embedded postmaster, 2 workers", kill_postmaster),
    Fault("kill -9 of one of 2 workers", kill_worker, hangs_up=True, restarts=True),
    Fault("rolling restart (SIGHUP), 2 workers", roll, drains=True, restarts=True),
    Fault("SIGTERM and a new start, 2 workers", stop_and_start, hangs_up=True, drains=True, restarts=True),
)
