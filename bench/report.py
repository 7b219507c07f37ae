"""Measurements as Markdown that is also readable in a terminal."""

import os
import platform
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from bench.contestants import Contestant
from bench.measure import Sample
from bench.scenarios import LIST_304, LIST_304_OF, MIXED_SHARES, TASKS_PER_USER, USER_COUNT

TARGETS_NOTE = (
    "Targets for mixed: at most 1.25 of the limit, 1.2 of fastify, 0.25 of idiomatic, 0.2 of drf; list 100 at most 1.2 "
    "of the limit; 304/200 at most 0.5."
)


class Results:
    """Samples by scenario and contestant, in the order they were measured."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
        for sample in samples:
            self._samples[sample.scenario, sample.contestant].append(sample)
        self.scenarios = list(dict.fromkeys(sample.scenario for sample in samples))

    def has(self, scenario: str, contestant: str) -> bool:
        return (scenario, contestant) in self._samples

    def median(self, scenario: str, contestant: str, value: Callable[[Sample], float]) -> float:
        return median(value(sample) for sample in self._samples[scenario, contestant])

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> str:
        """Returns the median of the CPU ratios of each round: a slow round is slow for both."""
        if over not in self._samples or under not in self._samples:
            return "-"
        pairs = zip(self._samples[over], self._samples[under], strict=True)
        return f"{median(a.cpu / b.cpu for a, b in pairs):.2f}"


def render(
    samples: Sequence[Sample], contestants: Sequence[Contestant], resident: Mapping[str, int], facts: Mapping[str, str]
) -> str:
    """Returns the report; ``resident`` is in bytes, ``facts`` are lines that describe the run."""
    results = Results(samples)
    mix = ", ".join(f"{share} {name}" for name, share in MIXED_SHARES.items())
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- {contestant.name}: {contestant.title}" for contestant in contestants]
    lines += [
        f"- {USER_COUNT} users with {TASKS_PER_USER} tasks each. mixed, in per cent: {mix}. {LIST_304}: {LIST_304_OF}"
    ]
    lines[-1] += " again with If-None-Match."
    lines += ["", "CPU is in microseconds per request; figures are medians over the rounds.", ""]
    lines += table(
        ["scenario", "contestant", "CPU", "of it server", "of it PostgreSQL", "requests/s", "p50 ms", "p99 ms"],
        _measurements(results, contestants),
    )
    lines += ["", "Ratios of CPU per request. " + TARGETS_NOTE, ""]
    others = [contestant.name for contestant in contestants if contestant.name != "service"]
    head = ["scenario", *(f"service / {name}" for name in others), "304 / 200"]
    lines += table(head, _ratios(results, others))
    lines += ["", "Resident memory of the server after the load:", ""]
    lines += table(["contestant", "MiB"], [[name, f"{size / 2**20:.0f}"] for name, size in resident.items()])
    return "\n".join(lines) + "\n"


def _measurements(results: Results, contestants: Sequence[Contestant]) -> list[list[str]]:
    rows = []
    for scenario in results.scenarios:
        for contestant in contestants:
            name = contestant.name
            if not results.has(scenario, name):
                continue
            cpu, server, postgres, rate, p50, p99 = (
                results.median(scenario, name, value)
                for value in (_cpu, _server, _postgres, lambda s: s.per_second, lambda s: s.p50, lambda s: s.p99)
            )
            figures = [f"{cpu:,.0f}", f"{server:,.0f}", f"{postgres:,.0f}", f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}"]
            rows.append([scenario, name, *figures])
    return rows


def _cpu(sample: Sample) -> float:
    return sample.cpu


def _server(sample: Sample) -> float:
    return sample.server_cpu


def _postgres(sample: Sample) -> float:
    return sample.postgres_cpu


def _ratios(results: Results, others: Sequence[str]) -> list[list[str]]:
    rows = []
    for scenario in results.scenarios:
        service = (scenario, "service")
        unchanged = results.ratio(service, (LIST_304_OF, "service")) if scenario == LIST_304 else "-"
        rows.append([scenario, *(results.ratio(service, (scenario, other)) for other in others), unchanged])
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Formats a table. Columns that begin with a figure are aligned right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    right = [all(row[i][:1].isdigit() or row[i] == "-" for row in rows) and bool(rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(cells, widths, right, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width - 1) + (":" if flush else "-") for width, flush in zip(widths, right, strict=True)]
    return [line(head), line(rule), *map(line, rows)]


def command(module: str) -> str:
    """Returns the command line of this program, without the option for the report file."""
    arguments = sys.argv[1:]
    if "--markdown" in arguments:
        del arguments[(place := arguments.index("--markdown")) : place + 2]
    return shlex.join(["python", "-m", module, *arguments])


def machine(postgres: str, called: str) -> dict[str, str]:
    """Describes date, machine and options."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": f"Python {platform.python_version()}, PostgreSQL {postgres}",
        "command": f"`{called}`",
    }
