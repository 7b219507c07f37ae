"""``python -m bench.burst``: what one user's parallel writes do to the requests of others.

Eight clients send the mixed load at a pace far below what the service can do, and their latency is measured, in turns
without and with a further user who sends 50 creations at once, four times a second. Writes of one user wait for each
other in PostgreSQL; nobody else should. Wanted: the p50 of the others is at most 10 % higher.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat
from statistics import median
from typing import NamedTuple

from bench.database import Bench, bench_database
from bench.load import LOCAL_HOST, Connection, run_phase
from bench.measure import MAX_REQUESTS, under_load
from bench.report import table
from bench.scenarios import SCENARIO_CALLS, USER_COUNT, Wire, encode, token
from bench.serving import Service, facts, serving

OTHER_CLIENTS, OTHER_PACE = 8, 0.02  # a request of each, seconds after the latest response
BURST_WRITES, BURST_PAUSE = 50, 0.25  # seconds
BURST_PATIENCE = 10.0  # seconds


class Latency(NamedTuple):
    """Of the others' requests, in milliseconds; of a burst, until its last response."""

    bursting: bool
    p50: float
    p99: float
    burst: float


def creation() -> Wire:
    """Returns a creation by a user of whom the others' load has no request."""
    call = SCENARIO_CALLS["create"](USER_COUNT, 0)
    return Wire(encode(call, token(USER_COUNT)), call.status)


@asynccontextmanager
async def bursting(port: int) -> AsyncIterator[list[float]]:
    """Sends bursts during the block; yields a list to which the seconds that each took are added."""
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Connection, LOCAL_HOST, port))[1] for _ in range(BURST_WRITES)]
    took: list[float] = []

    async def send() -> None:
        while True:
            _, elapsed = await run_phase(clients, repeat(creation()), BURST_PATIENCE, BURST_WRITES, tolerant=False)
            took.append(elapsed)
            await asyncio.sleep(BURST_PAUSE)

    sending = asyncio.create_task(send())
    try:
        yield took
    finally:
        if sending.done():
            sending.result()  # raises what ended it
        sending.cancel()
        for client in clients:
            client.run = None
            client.transport.abort()


async def measure(service: Service, seconds: float, *, with_bursts: bool) -> Latency:
    plan = {"port": service.port, "scenario": "mixed", "connections": OTHER_CLIENTS, "seconds": seconds}
    plan |= {"warm_up": 0.5, "max_requests": MAX_REQUESTS, "pace": OTHER_PACE}
    if not with_bursts:
        result, _, _ = await under_load(plan, lambda: None)
        return Latency(False, result["p50"] * 1e3, result["p99"] * 1e3, 0.0)
    async with bursting(service.port) as took:
        result, _, _ = await under_load(plan, lambda: None)
    return Latency(True, result["p50"] * 1e3, result["p99"] * 1e3, median(took) * 1e3)


async def run(bench: Bench, rounds: int, seconds: float, workers: int) -> list[Latency]:
    async with serving(bench, workers=workers) as service:
        found = []
        for number in range(2 * rounds):
            found.append(await measure(service, seconds, with_bursts=bool(number % 2)))
            print(found[-1], file=sys.stderr, flush=True)
    return found


def render(found: list[Latency], about: str) -> str:
    rows, medians = [], {}
    for bursting_too in (False, True):
        turns = [one for one in found if one.bursting is bursting_too]
        medians[bursting_too] = median(one.p50 for one in turns)
        of_burst = f"{median(one.burst for one in turns):,.0f}" if bursting_too else ""
        values = [f"{medians[bursting_too]:.2f}", f"{median(one.p99 for one in turns):.1f}", of_burst]
        rows.append([f"{BURST_WRITES} writes at once" if bursting_too else "alone", *values])
    lines = [about, "", *table(["the others, beside", "p50 ms", "p99 ms", "a burst ms"], rows), ""]
    return "\n".join([*lines, f"Their p50 is {medians[True] / medians[False]:.2f} of what it is alone (wanted: 1.10)."])


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.burst", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    async with bench_database([]) as bench:
        found = await run(bench, given.rounds, given.seconds, given.workers)
        print(render(found, await facts(bench, "bench.burst")))


if __name__ == "__main__":
    asyncio.run(main())
