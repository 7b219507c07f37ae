"""The load generator: a process of its own, so that its CPU time is not counted.

Keep-alive connections, each with one request at a time. Communicates with its parent over pipes: prints ``ready`` after
the warm-up, waits for a line, runs, prints one JSON object. Any unexpected status or lost connection ends it.
With a ``tolerant`` plan it continues: a client that gets 503 retries after Retry-After, and one that gets another
unexpected status or loses its connection stops.
"""

import asyncio
import json
import re
import resource
import sys
import time
from itertools import cycle
from typing import Any

import uvloop

from app.server.file_limit import reserve_files
from bench.client import fetch
from bench.scenarios import LIST_304, LIST_304_OF, SCENARIO_CALLS, USER_COUNT, Wire, requests, token

LOCAL_HOST = "127.0.0.1"
STALLED_SECONDS = 30.0  # seconds after the planned end in which the last answers must have come
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


class Run:
    """One phase of load, which ends when all connections are idle. Latencies are in seconds."""

    def __init__(self, source: Any, seconds: float, limit: int, *, tolerant: bool, pace: float) -> None:
        self.source = source
        self.left = limit
        self.tolerant = tolerant
        self.pace = pace
        self.latencies: list[float] = []
        self.refused = self.errors = 0
        self.active = 0
        self.started = time.perf_counter()
        self.deadline = self.started + seconds
        self.finished: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def next(self, now: float) -> Wire | None:
        if now >= self.deadline or self.left <= 0:
            return None
        self.left -= 1
        wire: Wire = next(self.source)
        return wire

    def fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(RuntimeError(reason))

    def leave(self, now: float) -> None:
        self.active -= 1
        if not self.active and not self.finished.done():
            self.finished.set_result(now - self.started)


class Connection(asyncio.Protocol):
    """One client: sends the next request as soon as a response is complete."""

    run: Run | None = None
    transport: Any = None
    pause = 0.0  # seconds for which the answer says to stay away

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def begin(self, run: Run) -> None:
        self.run = run
        run.active += 1
        self.send(time.perf_counter())

    def send(self, now: float) -> None:
        if self.run is None:  # lost while it stayed away
            return
        wire = self.run.next(now)
        if wire is None:
            self.run.leave(now)
            return
        self.buffer, self.end, self.status, self.sent = b"", 0, wire.status, now
        self.transport.write(wire.data)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.end and not self._read_head():
            return
        if len(self.buffer) < self.end:
            return
        now = time.perf_counter()
        assert self.run is not None
        if self.pause:
            self.run.refused += 1
            later = min(self.pause, max(0.0, self.run.deadline - now))
            asyncio.get_running_loop().call_later(later, lambda: self.send(time.perf_counter()))
            return
        self.run.latencies.append(now - self.sent)
        if self.run.pace:
            asyncio.get_running_loop().call_later(self.run.pace, lambda: self.send(time.perf_counter()))
        else:
            self.send(now)

    def _read_head(self) -> bool:
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return False
        status = int(self.buffer[9:12])
        found = CONTENT_LENGTH.search(self.buffer, 0, head + 2)
        assert self.run is not None
        self.pause = 0.0
        if status == 503 and self.run.tolerant and (after := RETRY_AFTER.search(self.buffer, 0, head + 2)):
            self.pause = float(after[1])
        elif status != self.status or (found is None and status != 304):
            self.give_up(f"expected {self.status}, got: {self.buffer[:600].decode(errors='replace')}")
            return False
        self.end = head + 4 + (int(found[1]) if found and status != 304 else 0)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.give_up(f"the server closed a connection: {exc}")

    def give_up(self, reason: str) -> None:
        run, self.run = self.run, None
        if run is None:
            return
        if not run.tolerant:
            run.fail(reason)
            return
        print(reason, file=sys.stderr)
        run.errors += 1
        run.leave(time.perf_counter())
        self.transport.abort()


async def run_phase(
    clients: list[Connection], source: Any, seconds: float, limit: int, *, tolerant: bool, pace: float = 0.0
) -> tuple[Run, float]:
    """Runs one phase on connected ``clients``. ``pace`` is the pause of a client after each response, in seconds."""
    run = Run(source, seconds, limit, tolerant=tolerant, pace=pace)
    for client in clients:
        client.begin(run)
    return run, await asyncio.wait_for(run.finished, seconds + STALLED_SECONDS)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _etags(port: int) -> list[str]:
    calls = [(SCENARIO_CALLS[LIST_304_OF](user, 0), token(user)) for user in range(USER_COUNT)]
    return [answer.headers["etag"] for answer in fetch(port, calls)]


async def main(plan: dict[str, Any]) -> None:
    """Runs a ``plan``: port, scenario, connections, seconds, warm_up (seconds), max_requests, tolerant, pace (also)."""
    pace = plan.get("pace", 0.0)
    scenario, port, tolerant = plan["scenario"], plan["port"], plan.get("tolerant", False)
    reserve_files(plan["connections"])
    source = cycle(requests(scenario, _etags(port) if scenario == LIST_304 else ()))
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Connection, LOCAL_HOST, port))[1] for _ in range(plan["connections"])]
    await run_phase(clients, source, plan["warm_up"], plan["max_requests"], tolerant=tolerant, pace=pace)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    clients = [client for client in clients if client.run is not None]
    before = _cpu_seconds()
    run, elapsed = await run_phase(clients, source, plan["seconds"], plan["max_requests"], tolerant=tolerant, pace=pace)
    used = _cpu_seconds() - before
    ordered = sorted(run.latencies)
    result = {
        "requests": len(ordered),
        "refused": run.refused,
        "errors": run.errors + plan["connections"] - len(clients),
        "seconds": elapsed,
        "cpu": used,
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }
    print(json.dumps(result), flush=True)
    for client in clients:
        client.run = None
        client.transport.abort()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
