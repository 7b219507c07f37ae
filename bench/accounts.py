"""Registrations and logins a second, and the cost of logins for other requests.

    .venv/bin/python -m bench.accounts

Starts the service with PostgreSQL inside, in a folder of its own. Measures registrations and logins, then the latency
of reading one task: quiet, and while 50 logins run at once, over and over.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

BENCH_PASSWORD = "correct horse battery"
LOGIN_USERS, CONCURRENT_LOGINS, CONCURRENT_READERS, LOAD_SECONDS = 100, 50, 8, 10.0


def start(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "DATA_DIR": folder, "PORT": str(port)}
    command = [sys.executable, "-m", "app", "serve"]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, env=environment | {"ACCESS_LOG": "false"}, cwd=root, stderr=subprocess.DEVNULL)
    return process, f"http://127.0.0.1:{port}"


async def ready(http: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            if (await http.get("/ready")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the service did not start")


async def rate(work: Callable[[int], Awaitable[None]], count: int, at_once: int) -> float:
    """Returns the rate per second with ``at_once`` concurrent requests."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return count / (time.perf_counter() - started)


async def read(http: httpx.AsyncClient, path: str, access: str, until: float) -> list[float]:
    """Returns the milliseconds of each read of READERS clients until the time ``until``."""
    times: list[float] = []
    headers = {"Authorization": f"Bearer {access}"}

    async def reader() -> None:
        while time.perf_counter() < until:
            started = time.perf_counter()
            answer = await http.get(path, headers=headers)
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.01)  # a rate, not a race for the last cycle: what is asked is who waits for whom

    await asyncio.gather(*(reader() for _ in range(CONCURRENT_READERS)))
    return times


def describe(name: str, times: list[float]) -> float:
    """Prints one line; returns the 99th percentile."""
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{name:<34} p50 {statistics.median(times):6.1f} ms   p99 {p99:6.1f} ms   ({len(times)} reads)")
    return p99


async def measure(url: str) -> None:
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http,
        httpx.AsyncClient(base_url=url, timeout=60) as quiet,
    ):
        await ready(http)
        emails = [f"user{number}@example.com" for number in range(LOGIN_USERS)]
        pairs: list[dict[str, str]] = []

        async def register(number: int) -> None:
            answer = await http.post("/api/auth/register", json={"email": emails[number], "password": BENCH_PASSWORD})
            assert answer.status_code == 201, answer.text
            pairs.append(answer.json())

        async def login(number: int) -> None:
            body = {"email": emails[number % LOGIN_USERS], "password": BENCH_PASSWORD}
            answer = await http.post("/api/auth/login", json=body)
            assert answer.status_code == 200, answer.text

        print(f"register  {await rate(register, LOGIN_USERS, 10):6.1f} a second")
        print(f"login     {await rate(login, 200, 10):6.1f} a second")
        access = pairs[0]["access_token"]
        headers = {"Authorization": f"Bearer {access}"}
        task = (await http.post("/api/me/tasks", json={"title": "x"}, headers=headers)).json()
        path = f"/api/me/tasks/{task['id']}"
        await read(quiet, path, access, time.perf_counter() + 2)
        before = describe("reads, quiet", await read(quiet, path, access, time.perf_counter() + LOAD_SECONDS))
        until = time.perf_counter() + LOAD_SECONDS

        async def crowd(number: int) -> None:
            while time.perf_counter() < until:
                await login(number)

        reading = asyncio.create_task(read(quiet, path, access, until))
        await asyncio.gather(*(crowd(number) for number in range(CONCURRENT_LOGINS)))
        during = describe(f"reads, {CONCURRENT_LOGINS} logins at once", await reading)
        print(f"p99 is {during / before:.1f} times the quiet one")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="todo-bench-") as folder:
        process, url = start(folder)
        try:
            asyncio.run(measure(url))
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
