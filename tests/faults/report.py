"""The table of what happened, for ``docs/reliability.md``."""

from collections.abc import Sequence

from tests.faults.play import Outcome

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
