"""Recurrence rules as programs write them, in the form that ``domain.recurrence`` reads."""

from datetime import UTC, date, datetime

from app.domain.recurrence import Due
from app.domain.recurrence.rule import FIRST_YEAR, LAST_YEAR
from app.services.transfer.formats.ics.values import parse_moment

COMPLETION_PART = "FROM=COMPLETION"  # written by Tasks.org
# Parts that say what holds anyhow: the only calendar, and no end.
_IDLE_PARTS = frozenset({"RSCALE=GREGORIAN", "SKIP=OMIT", "COUNT=0", "COUNT=-1", COMPLETION_PART})
_CLOCK_PARTS = ("BYHOUR", "BYMINUTE", "BYSECOND")


def rule_parts(text: str) -> list[str]:
    """Returns the parts that are not empty, in upper case and without spaces."""
    parts = "".join(text.upper().split()).removeprefix("RRULE:").split(";")
    return [part for part in parts if part and not part.endswith("=")]


def normalize_rule(text: str, start: Due) -> str:
    """Returns a rule that means the same from ``start`` on; its parts may still be wrong or not supported.

    Local times in it are in the zone of ``start``. Parts that repeat the start's time of day are left out.
    """
    idle = {*_IDLE_PARTS}
    if isinstance(start, datetime):
        clock = (start.hour, start.minute, start.second)
        idle |= {f"{name}={number}" for name, number in zip(_CLOCK_PARTS, clock, strict=True)}
        idle |= {f"{name}={number:02}" for name, number in zip(_CLOCK_PARTS, clock, strict=True)}
    parts = (_until(part, start) if part.startswith("UNTIL=") else part for part in rule_parts(text))
    return ";".join(part for part in parts if part and part not in idle)


def _until(part: str, start: Due) -> str:
    until = parse_moment(part.removeprefix("UNTIL="))
    if until is None or until.year < FIRST_YEAR:
        return part
    if until.year > LAST_YEAR:
        return ""
    if not isinstance(until, datetime):
        return f"UNTIL={until:%Y%m%d}"
    if until.tzinfo is None:
        if not isinstance(start, datetime):
            return f"UNTIL={until:%Y%m%d}"
        until = until.replace(tzinfo=start.tzinfo)
    return f"UNTIL={until.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def local_day(moment: Due) -> date:
    """Returns the day of a moment, of an instant in its own zone."""
    return moment.date() if isinstance(moment, datetime) else moment
