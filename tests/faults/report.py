"""The table of results for ``docs/reliability.md``."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.faults.load import CLIENTS, RATE
from tests.faults.play import Outcome
from tests.faults.stage import POOL

HEAD = (
    "fault",
    "requests/s",
    "acknowledged",
    "lost",
    "doubled",
    "longest outage s",
    "slowest answer s",
    "back after s",
    "503",
    "other 5xx",
    "unanswered",
)


def table(outcomes: Sequence[Outcome]) -> str:
    rows = [
        (
            outcome.name,
            f"{outcome.rate:.0f}",
            f"{outcome.audit.acknowledged}",
            f"{outcome.audit.lost}",
            f"{outcome.audit.duplicated}",
            f"{outcome.outage:.2f}",
            f"{outcome.slowest:.2f}",
            f"{outcome.back:.2f}",
            f"{outcome.unavailable}",
            f"{outcome.other_errors}",
            f"{outcome.unanswered}",
        )
        for outcome in outcomes
    ]
    lines = [HEAD, ("---", *("--:" for _ in HEAD[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def facts() -> str:
    """Returns the date, the machine and the conditions of the run."""
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{datetime.now(UTC).date().isoformat()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load average {load}. {CLIENTS} clients that ask for {RATE} requests a "
        f"second, a pool of {POOL} connections for each process."
    )
