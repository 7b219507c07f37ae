"""``python -m bench.slowloris``: latency of clients while 1,000 sockets send headers byte by byte.

Rounds with and without the attack alternate in one run of the service; the attack is a process of its own. Wanted: p99
at most twice that of the quiet rounds.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator

import httpx

from bench.database import bench_database
from bench.scenarios import BENCH_SECRET, token

TRICKLE_SECONDS = 0.5  # seconds between two bytes of one socket; a head is never complete
ENDLESS_HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 1000
SLOWLORIS_START_SECONDS = 20.0


async def attack(port: int, sockets: int) -> None:
    """Attacks until it is killed."""
    loop = asyncio.get_running_loop()

    async def one(number: int) -> None:
        await asyncio.sleep(TRICKLE_SECONDS * number / sockets)
        while True:
            with socket.socket() as connection, contextlib.suppress(OSError):
                connection.setblocking(False)
                await loop.sock_connect(connection, ("127.0.0.1", port))
                for byte in ENDLESS_HEAD:
                    await loop.sock_sendall(connection, bytes([byte]))
                    await asyncio.sleep(TRICKLE_SECONDS)
            await asyncio.sleep(TRICKLE_SECONDS)

    await asyncio.gather(*(one(number) for number in range(sockets)))


async def measure(http: httpx.AsyncClient, seconds: float) -> list[float]:
    """Measures the milliseconds of reads of one task, one after the other."""
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter()
        answer = await http.get("/api/me/tasks/1")
        taken.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, answer.text
    return taken


def p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[-1]


@contextlib.asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[None]:
    command = (sys.executable, "-m", *arguments)
    running = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def ready(http: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + SLOWLORIS_START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if (await http.get("/ready")).status_code == 200:
                return
        await asyncio.sleep(0.1)
    raise RuntimeError("the service did not start")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.slowloris", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--attack", type=int, metavar="PORT", help="only be the crowd")
    given = parser.parse_args()
    if given.attack:
        await attack(given.attack, given.sockets)
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {
        "JWT_SECRET": BENCH_SECRET,
        "PORT": str(port),
        "WORKER": "off",
        "ACCESS_LOG": "false",
        "RATE_LIMIT_PER_MINUTE": "0",
    }
    async with bench_database([]) as database, process("app", "serve", DATABASE_URL=database.url, **settings):
        headers = {"Authorization": f"Bearer {token(0)}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
            await ready(http)
            await measure(http, 1)
            quiet, busy = [], []
            for number in range(given.rounds):
                quiet.append(p99(await measure(http, given.seconds)))
                crowd = ("bench.slowloris", "--attack", str(port), "--sockets", str(given.sockets))
                async with process(*crowd):
                    await asyncio.sleep(2)
                    busy.append(p99(await measure(http, given.seconds)))
                await asyncio.sleep(1)
                print(f"round {number + 1}: p99 quiet {quiet[-1]:.2f} ms, with the crowd {busy[-1]:.2f} ms", flush=True)
    print(f"median of {given.rounds}: {statistics.median(quiet):.2f} ms, {statistics.median(busy):.2f} ms,"
          f" ratio {statistics.median(busy) / statistics.median(quiet):.2f}")  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
