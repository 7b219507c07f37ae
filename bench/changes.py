"""``python -m bench.changes``: the cost and the delay of live updates.

One server process; 500 users with one event stream each; writers that change tasks of those same users, so that every
write is also an event for a stream. CPU is that of the server and of PostgreSQL together.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import psutil  # type: ignore[import-untyped, unused-ignore]

from bench.database import Bench, bench_database
from bench.scenarios import BENCH_SECRET
from tests.ports import free_port
from tests.support import make_token

STREAMS_SETTLE = 3.0  # seconds


class Listener(asyncio.Protocol):
    """One event stream: records the arrival of each revision, and the number of bytes."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.seen: dict[int, float] = {}
        self.bytes = 0
        self.left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.head)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.bytes += len(data)
        lines = (self.left + data).split(b"\n")
        self.left = lines.pop()
        for line in lines:
            if line.startswith(b"id: "):
                self.seen[int(line[4:])] = now


class Writer:
    """One keep-alive connection that toggles tasks."""

    async def open(self, port: int) -> "Writer":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def request(self, method: str, path: str, token: str, body: bytes = b"") -> int:
        """Toggles a task; returns the revision, from the ETag."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
        )
        head += "Content-Type: application/json\r\n\r\n" if body else "\r\n"
        self.writer.write(head.encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:] if line)
        await self.reader.readexactly(int(headers[b"content-length"]))
        assert answer.split()[1] in (b"200", b"201"), answer
        return int(headers[b"etag"].strip(b'"'))


class User:
    def __init__(self, number: int) -> None:
        self.name = f"listener{number}"
        self.token = make_token(self.name, secret=BENCH_SECRET)
        self.task = 0
        self.listener: Listener | None = None

    def listen(self) -> Listener:
        head = f"GET /api/me/events HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        self.listener = Listener(head.encode())
        return self.listener


@asynccontextmanager
async def serving(bench: Bench, **extra: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    port = free_port()
    env = {**extra, "DATABASE_URL": bench.url, "JWT_SECRET": BENCH_SECRET, "PORT": str(port), "ACCESS_LOG": "false"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app", "serve"),
        env={"PATH": os.environ["PATH"], **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                await Writer().open(port)
                break
            except OSError:
                await asyncio.sleep(0.1)
        await asyncio.sleep(STREAMS_SETTLE)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


def cpu(process: psutil.Process, bench: Bench) -> float:
    times = process.cpu_times()
    total: float = times.user + times.system
    return total + bench.cpu_seconds()


async def load(port: int, users: list[User], seconds: float, connections: int) -> int:
    """Writes without pauses; returns the number of writes."""
    end, count = time.perf_counter() + seconds, 0

    async def work(turn: int) -> None:
        nonlocal count
        writer = await Writer().open(port)
        while time.perf_counter() < end:
            user = users[turn % len(users)]
            turn += connections
            await writer.request("PATCH", f"/api/me/tasks/{user.task}/complete", user.token)
            count += 1
        writer.writer.close()

    await asyncio.gather(*(work(turn) for turn in range(connections)))
    return count


async def latencies(port: int, users: list[User], writes: int, rate: float) -> list[float]:
    """Measures the milliseconds from sending a write to receiving its event: longer than from its commit."""
    writers = [await Writer().open(port) for _ in range(8)]
    sent: list[tuple[User, int, float]] = []

    async def one(number: int) -> None:
        user, began = users[number * 7 % len(users)], time.perf_counter()
        sent.append(
            (user, await writers[number % 8].request("PATCH", f"/api/me/tasks/{user.task}/complete", user.token), began)
        )

    running: list[asyncio.Task[None]] = []
    for number in range(writes):
        if len(running) >= 8:
            await running[-8]
        running.append(asyncio.create_task(one(number)))
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*running)
    await asyncio.sleep(1)
    return [(user.listener.seen[revision] - began) * 1000 for user, revision, began in sent if user.listener]


async def measure(arguments: argparse.Namespace) -> None:
    async with bench_database([]) as bench, serving(bench) as (port, process):
        users = [User(number) for number in range(arguments.streams)]
        writer = await Writer().open(port)
        for user in users:
            await writer.request("POST", "/api/me/tasks", user.token, b'{"title": "Water the plants"}')
        connection = await asyncpg.connect(bench.url)
        tasks = dict(await connection.fetch("select user_id, id from tasks where user_id like 'listener%'"))
        for user in users:
            user.task = tasks[user.name]
        await load(port, users, 2, 16)  # warm

        async def cost() -> tuple[float, float]:
            before, began = cpu(process, bench), time.perf_counter()
            count = await load(port, users, arguments.seconds, 16)
            spent = time.perf_counter() - began
            await asyncio.sleep(0.5)
            return (cpu(process, bench) - before) / count * 1e6, count / spent

        silent = [await cost() for _ in range(arguments.rounds)]
        resident = process.memory_info().rss
        loop = asyncio.get_running_loop()
        for user in users:
            await loop.create_connection(user.listen, "127.0.0.1", port)
        await asyncio.sleep(STREAMS_SETTLE)
        per_stream = (process.memory_info().rss - resident) / len(users) / 1024
        idle_cpu, began = cpu(process, bench), time.perf_counter()
        await asyncio.sleep(STREAMS_SETTLE)
        idle = (cpu(process, bench) - idle_cpu) / (time.perf_counter() - began) * 100
        late = sorted(await latencies(port, users, 1500, 100))
        live = [await cost() for _ in range(arguments.rounds)]
        await asyncio.sleep(1)
        events = sum(len(user.listener.seen) for user in users if user.listener)
        size = sum(user.listener.bytes for user in users if user.listener) / events
        stored = await connection.fetchval(
            "select avg(pg_column_size(c.*)) from changes c where user_id like 'listener%'"
        )
        await connection.close()
    us0, us1 = (statistics.median(each[0] for each in rounds) for rounds in (silent, live))
    print(f"CPU per write: {us0:.0f} us with 0 streams, {us1:.0f} us with {len(users)}: {us1 / us0:.2f} x")
    print(f"writes (and events) per second: {statistics.median(each[1] for each in live):.0f}")
    print(f"from request to event: p50 {late[len(late) // 2]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f} ms")
    print(f"memory per idle stream: {per_stream:.1f} KB; {len(users)} idle streams: {idle:.1f} % of a core")
    print(f"bytes per change: {stored:.0f} in the table, {size:.0f} in the stream")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.changes", description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))
