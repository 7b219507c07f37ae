"""``python -m tests.faults``: every fault at its full length, and the table of what came of it."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

from tests.faults import database, disk, issuer, processes
from tests.faults.play import Fault, Outcome, play
from tests.faults.report import table
from tests.faults.stage import Stage, behind_proxy, embedded

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


async def _play(stage: Stage, faults: Sequence[Fault], only: str) -> AsyncIterator[Outcome]:
    for fault in faults:
        if only in fault.name:
            print(fault.name, end=" ... ", file=sys.stderr, flush=True)
            outcome = await play(stage, fault)
            print("; ".join(outcome.findings) or "held", file=sys.stderr, flush=True)
            yield outcome


async def _all(brief: bool, only: str) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with embedded(brief=brief) as inside:
        outcomes += [o async for o in _play(inside, database.EMBEDDED, only)]
        async with behind_proxy(inside) as proxied:
            outcomes += [o async for o in _play(proxied, (*database.PROXIED, processes.CLIENTS), only)]
        ring = issuer.KeyRing()
        ring.rotate("first")
        await ring.appear()
        async with issuer.trusting(inside, ring) as trusting:
            outcomes += [o async for o in _play(trusting, issuer.faults(ring), only)]
    with disk.small_disk() as folder:
        async with embedded(brief=brief, folder=folder) as full:
            outcomes += [o async for o in _play(full, (disk.FULL,), only)]
    async with embedded(brief=brief, web_concurrency=2) as workers:
        outcomes += [o async for o in _play(workers, processes.WORKERS, only)]
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--brief", action="store_true", help="the lengths of CI")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    arguments = parser.parse_args()
    outcomes = asyncio.run(_all(arguments.brief, arguments.only))
    print(table(outcomes))
    return 1 if any(outcome.findings for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
