"""``python -m bench``: starts PostgreSQL and every contestant, compares their responses, measures in turns."""

import argparse
import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.check import check_equal
from bench.contestants import ALL_CONTESTANTS, Contestant, running
from bench.database import bench_database
from bench.measure import Options, measure
from bench.report import machine, render
from bench.scenarios import ALL_SCENARIOS


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--scenarios", type=names, default=list(ALL_SCENARIOS), help=", ".join(ALL_SCENARIOS))
    parser.add_argument("--contestants", type=names, default=[c.name for c in ALL_CONTESTANTS], help="comma separated")
    parser.add_argument("--markdown", type=Path, help="also write the report to this file")
    found = parser.parse_args(argv)
    for given, known in ((found.scenarios, ALL_SCENARIOS), (found.contestants, [c.name for c in ALL_CONTESTANTS])):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    if found.rounds < 1 or found.connections < 1 or not 0 < found.seconds <= 60:
        parser.error("--rounds and --connections are at least 1, --seconds at most 60")
    return found


async def _bench(arguments: argparse.Namespace) -> str:
    contestants: list[Contestant] = []
    for contestant in ALL_CONTESTANTS:
        if contestant.name in arguments.contestants:
            if reason := contestant.missing():
                _progress(f"left out: {contestant.name} {reason}")
            else:
                contestants.append(contestant)
    scenarios = [name for name in ALL_SCENARIOS if name in arguments.scenarios]
    options = Options(arguments.rounds, arguments.seconds, arguments.connections, scenarios)
    async with AsyncExitStack() as stack:
        _progress("starting PostgreSQL and seeding it")
        own_tables = [c.own_tables for c in contestants if c.own_tables]
        bench = await stack.enter_async_context(bench_database(own_tables))
        facts = machine(await bench.version(), shlex.join(["python", "-m", "bench", *sys.argv[1:]]))
        servers = [await stack.enter_async_context(running(c, bench.url, bench.folder)) for c in contestants]
        for note in await asyncio.to_thread(check_equal, servers):
            _progress(f"note: {note}")
        samples = await measure(bench, servers, options, _progress)
        resident = {server.name: server.resident_bytes() for server in servers}
    return render(samples, contestants, resident, facts)


async def _main() -> int:
    arguments = _arguments()
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        report = await _bench(arguments)
    except RuntimeError as error:
        _progress(f"bench: {error}")
        return 1
    print(report, end="")
    if arguments.markdown:
        arguments.markdown.write_text(report)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(_main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
