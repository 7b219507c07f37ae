"""``python -m tests.faults``: every fault at its full length, and the table of outcomes."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import database, disk, issuer, processes, requests
from tests.faults.play import Fault, Outcome, play
from tests.faults.report import facts, table
from tests.faults.stage import Stage, behind_proxy, embedded

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


class Run:
    def __init__(self, *, brief: bool, only: str) -> None:
        self.brief, self._only = brief, only
        self.outcomes: list[Outcome] = []
        self.broken: list[str] = []  # faults that could not be completed

    async def all(self) -> None:
        async with embedded(brief=self.brief) as inside:
            await self._play(inside, (*database.EMBEDDED, requests.REQUESTS))
            async with behind_proxy(inside) as proxied:
                await self._play(proxied, (*database.PROXIED, processes.CLIENTS))
            ring = issuer.KeyRing()
            ring.rotate("first")
            await ring.appear()
            async with issuer.trusting(inside, ring) as trusting:
                await self._play(trusting, issuer.faults(ring))
        await self._full_disk()
        async with embedded(brief=self.brief, web_concurrency=2) as workers:
            await self._play(workers, processes.WORKERS)

    async def _full_disk(self) -> None:
        try:
            with disk.small_disk() as folder:
                async with embedded(brief=self.brief, folder=folder) as full:
                    await self._play(full, (disk.FULL,))
        except disk.NoRight:
            _say("disk full ... left out: no right to mount a small file system")

    async def _play(self, stage: Stage, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if self._only in fault.name:
                _say(fault.name, end=" ... ")
                try:
                    outcome = await play(stage, fault)
                except AssertionError as error:
                    self.broken.append(fault.name)
                    _say(f"could not be played: {error}")
                    continue
                _say("; ".join(outcome.findings) or "held")
                self.outcomes.append(outcome)


def _replace(path: Path, measured: str) -> None:
    """Replaces the text between the two marks."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{path} has no marks to write between")
    path.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--brief", action="store_true", help="the lengths of CI")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--markdown", type=Path, help="put the table into this file, between its marks")
    arguments = parser.parse_args()
    run = Run(brief=arguments.brief, only=arguments.only)
    asyncio.run(run.all())
    measured = f"{facts()}\n\n{table(run.outcomes)}\n"
    print(measured)
    if arguments.markdown:
        _replace(arguments.markdown, measured)
    return 1 if run.broken or any(outcome.findings for outcome in run.outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
