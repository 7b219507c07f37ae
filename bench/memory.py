"""``python -m bench.memory``: the memory of a worker under load, and whether it grows.

The mixed load runs for minutes in turns of half a minute, each with new connections, against ``todo serve`` with
everything on. After each turn it prints the resident memory of each worker (RSS: all of its pages, also those of shared
libraries) and its unshared memory (USS); PostgreSQL and the parent process are not counted. Wanted: less
than 100 MB (10^6 bytes) a worker, and less than 1 % growth in the second half.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

from bench.database import bench_database
from bench.measure import under_load
from bench.report import table
from bench.serving import Service, facts, serving

TURN_SECONDS = 30.0  # seconds
WARM_UP_OF_TURN = 0.4
UNLIMITED_RATE = 10**9
MOST_MEMORY, MOST_GROWTH = 100, 0.01  # wanted


class Turn(NamedTuple):
    """Memory in MB, of the largest worker. ``ended`` is in seconds from the start of the load."""

    ended: float
    requests: int
    resident: float
    own: float


def look(service: Service) -> tuple[float, float]:
    found = [process.memory_full_info() for process in service.workers]
    return max(memory.rss for memory in found) / 1e6, max(memory.uss for memory in found) / 1e6


def growth(turns: list[Turn]) -> tuple[float, float]:
    """Returns the growth in the second half, by linear regression: as a share, and in MB an hour."""
    half = turns[len(turns) // 2 :]
    if len(half) < 2:
        return 0.0, 0.0
    line = linear_regression([turn.ended for turn in half], [turn.resident for turn in half])
    first, last = (line.intercept + line.slope * turn.ended for turn in (half[0], half[-1]))
    return last / first - 1, line.slope * 3600


def render(idle: tuple[float, float], turns: list[Turn], about: str, workers: int) -> str:
    rows = [["0", "0", f"{idle[0]:.1f}", f"{idle[1]:.1f}"]]
    rows += [[f"{t.ended:.0f}", f"{t.requests:,}", f"{t.resident:.1f}", f"{t.own:.1f}"] for t in turns]
    share, hourly = growth(turns)
    lines = [about, "", *table(["second", "requests", "RSS MB", "USS MB"], rows), ""]
    lines.append(
        f"The largest of {workers} worker{'s' * (workers > 1)} holds at most {max(t.resident for t in turns):.0f} MB "
        f"(wanted: {MOST_MEMORY}). In the second half it grows by {share:.1%}, {hourly:+.1f} MB/h "
        f"(wanted: {MOST_GROWTH:.0%})."
    )
    return "\n".join(lines) + "\n"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    given = parser.parse_args()
    turns: list[Turn] = []
    async with bench_database([]) as bench, serving(bench, workers=given.workers) as service:
        plan = {
            "port": service.port,
            "scenario": "mixed",
            "connections": given.clients,
            "seconds": TURN_SECONDS - WARM_UP_OF_TURN,
        }
        plan |= {"warm_up": WARM_UP_OF_TURN, "max_requests": UNLIMITED_RATE}
        idle = look(service)
        for number in range(max(1, round(given.minutes * 60 / TURN_SECONDS))):
            result, _, (resident, own) = await under_load(plan, lambda: look(service))
            before = turns[-1].requests if turns else 0
            turns.append(Turn((number + 1) * TURN_SECONDS, before + int(result["requests"]), resident, own))
            print(turns[-1], file=sys.stderr, flush=True)
            await bench.tidy()
        report = render(idle, turns, await facts(bench, "bench.memory"), given.workers)
    print(report, end="")
    if given.markdown:
        given.markdown.write_text(report)


if __name__ == "__main__":
    asyncio.run(main())
