"""``python -m bench.sweep``: throughput and latency by number of clients and workers.

The mixed load from 1 to 1,000 clients, each with one request at a time, against ``todo serve`` with everything on. A
client that gets 503 retries after Retry-After; other statuses and lost connections are errors. The load
generator shares the machine: the table has its share of one core. Medians of three rounds. Wanted: past its
peak the rate falls by at most 10 %, and at 64 clients p99 is at most 5 times p50.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.database import Bench, bench_database
from bench.measure import MAX_REQUESTS, under_load
from bench.report import table
from bench.serving import Service, facts, serving

SWEEP_WARM_UP = 1.0
MOST_FALL, MOST_SPREAD, SPREAD_AT = 0.1, 5, 64  # wanted


class Point(NamedTuple):
    """Latencies are in milliseconds, CPU of server and PostgreSQL in microseconds per request."""

    workers: int
    clients: int
    per_second: float
    p50: float
    p99: float
    refused: float  # share of all answers
    errors: float
    cpu: float
    generator: float  # share of one core


async def measure(bench: Bench, service: Service, workers: int, clients: int, seconds: float) -> Point:
    plan = {"port": service.port, "scenario": "mixed", "connections": clients, "seconds": seconds}
    plan |= {"warm_up": SWEEP_WARM_UP, "max_requests": MAX_REQUESTS, "tolerant": True}
    result, before, after = await under_load(plan, lambda: service.cpu_seconds() + bench.cpu_seconds())
    count, elapsed = result["requests"], result["seconds"]
    return Point(
        workers,
        clients,
        per_second=count / elapsed,
        p50=result["p50"] * 1e3,
        p99=result["p99"] * 1e3,
        refused=result["refused"] / (count + result["refused"]),
        errors=result["errors"],
        cpu=(after - before) / count * 1e6,
        generator=result["cpu"] / elapsed,
    )


def render(points: list[Point], about: str) -> str:
    head = ["workers", "clients", "requests/s", "p50 ms", "p99 ms", "503", "errors", "CPU us/request", "generator"]
    rows = [
        [
            *(f"{p.workers}", f"{p.clients:,}", f"{p.per_second:,.0f}", f"{p.p50:,.1f}", f"{p.p99:,.1f}"),
            *(f"{p.refused:.1%}", f"{p.errors:.0f}", f"{p.cpu:,.0f}", f"{p.generator:.0%}"),
        ]
        for p in points
    ]
    lines = [about, "", *table(head, rows), ""]
    for workers in sorted({p.workers for p in points}):
        own = [p for p in points if p.workers == workers]
        peak = max(range(len(own)), key=lambda n: own[n].per_second)
        fall = 1 - min(p.per_second for p in own[peak:]) / own[peak].per_second
        said = f"- {workers} worker{'s' * (workers > 1)}: past its peak the rate falls by {fall:.0%} "
        said += f"(wanted: {MOST_FALL:.0%})"
        for p in own:
            if p.clients == SPREAD_AT:
                said += f"; at {p.clients} clients p99 is {p.p99 / p.p50:.1f} x p50 (wanted: {MOST_SPREAD})"
        lines.append(f"{said}.")
    return "\n".join(lines) + "\n"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64, 256, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="the report has their medians")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    given = parser.parse_args()
    points: dict[tuple[int, int], list[Point]] = {}
    async with bench_database([]) as bench:
        for workers in given.workers:
            async with serving(bench, workers=workers) as service:
                for clients in given.clients * given.rounds:
                    await bench.tidy()
                    point = await measure(bench, service, workers, clients, given.seconds)
                    points.setdefault((workers, clients), []).append(point)
                    print(point, file=sys.stderr, flush=True)
        medians = [
            Point(*key, *(median(values) for values in zip(*(point[2:] for point in found), strict=True)))
            for key, found in points.items()
        ]
        report = render(medians, await facts(bench, "bench.sweep"))
    print(report, end="")
    if given.markdown:
        given.markdown.write_text(report)


if __name__ == "__main__":
    asyncio.run(main())
