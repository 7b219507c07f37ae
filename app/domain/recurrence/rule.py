"""Reading, checking and writing recurrence rules: RFC 5545 RRULE values (section 3.3.10).

The supported subset covers what people call "every ...": DAILY to YEARLY. Everything else is refused by name, never
ignored: a partly understood rule would put a task on the wrong day.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from app.errors import InvalidRecurrence
from app.models.task_fields import RECURRENCE_MAX

MAX_INTERVAL = 1_000
MAX_COUNT = 3_000  # missed occurrences are counted one by one: 3 ms at most
FIRST_YEAR, LAST_YEAR = 1900, 2199  # the dates this service accepts
WEEKDAY_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SHORTEST_MONTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of a month by its number
LONGEST_MONTHS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_NOT_SUPPORTED = {"BYSECOND", "BYMINUTE", "BYHOUR", "BYYEARDAY", "BYWEEKNO", "BYEASTER", "RSCALE", "SKIP"}
_OTHER_PROPERTIES = ("DTSTART", "RDATE", "EXDATE", "EXRULE")
_PART_NAME = re.compile(r"[A-Z][A-Z-]{0,19}")
_UNSIGNED_NUMBER = re.compile(r"[0-9]{1,5}")
_SIGNED_NUMBER = re.compile(r"[+-]?[0-9]{1,3}")
_WEEKDAY_TEXT = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL_PATTERN = re.compile(r"[0-9]{8}(T([01][0-9]|2[0-3])[0-9]{4}Z)?")


class Frequency(StrEnum):
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


class Weekday(NamedTuple):
    """``day`` counts from Monday = 0; ``ordinal`` 0 is every such day, 2 the second, -1 the last of month or year."""

    ordinal: int
    day: int

    def __str__(self) -> str:
        return f"{self.ordinal or ''}{WEEKDAY_CODES[self.day]}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule; ``str()`` is its canonical text. Tuples are sorted; an empty one is an absent part.

    Get one from ``parse_rule``: the constructor checks nothing.
    """

    frequency: Frequency
    interval: int = 1
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0
    count: int | None = None
    until: date | datetime | None = None

    def __str__(self) -> str:
        parts: dict[str, str] = {
            "FREQ": self.frequency,
            "INTERVAL": str(self.interval) if self.interval != 1 else "",
            "BYMONTH": _comma_list(self.months),
            "BYMONTHDAY": _comma_list(self.month_days),
            "BYDAY": _comma_list(self.weekdays),
            "BYSETPOS": _comma_list(self.positions),
            "WKST": WEEKDAY_CODES[self.week_start] if self.week_start else "",
            "COUNT": str(self.count or ""),
            "UNTIL": _until_text(self.until),
        }
        return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def parse_rule(text: str) -> Rule:
    """Parses an RRULE value, with or without ``RRULE:`` in front, in any case.

    Raises InvalidRecurrence, which names the first part at fault.
    """
    values: dict[str, Any] = {}
    for name, value in _parts(text):
        field, read = _PART_READERS[name]
        if field in values:
            raise InvalidRecurrence(name, "given twice")
        values[field] = read(name, value)
    if "frequency" not in values:
        raise InvalidRecurrence("FREQ", "is required")
    rule = Rule(**values)
    _check_parts(rule)
    return rule


def anchored(rule: Rule, start: date) -> Rule:
    """Returns the rule with explicit days, where RFC 5545 would take them from the start of the series.

    A plain MONTHLY or YEARLY rule that starts on the 29th to 31st means, to people, the last day of shorter months and
    the 31st again afterwards; RFC 5545 would skip those months. The 31st becomes ``BYMONTHDAY=-1``, 29 February
    ``BYMONTH=2;BYMONTHDAY=-1``, the 30th ``BYMONTHDAY=28,29,30;BYSETPOS=-1``: all calendars read these alike. An
    explicit ``BYMONTHDAY=31`` is kept. One case cannot be written and skips months as in RFC 5545: a YEARLY rule
    of several months that include February, from the 29th or 30th.
    """
    if rule.frequency is Frequency.DAILY or rule.weekdays or rule.month_days:
        return rule
    if rule.frequency is Frequency.WEEKLY:
        return replace(rule, weekdays=(Weekday(0, start.weekday()),))
    yearly = rule.frequency is Frequency.YEARLY
    months = rule.months or ((start.month,) if yearly else ())
    days, positions = _clamped(start.day, months or range(1, 13))
    if positions and (rule.positions or (yearly and len(months) > 1)):
        days, positions = (start.day,), ()
    return replace(rule, months=months, month_days=days, positions=positions or rule.positions)


def shifted(rule: Rule, days: int) -> Rule | None:
    """Returns the rule whose days are ``days`` later, None where no rule is that."""
    if not days:
        return rule
    if rule.until is not None and not isinstance(rule.until, datetime):
        rule = replace(rule, until=rule.until + timedelta(days=days))
    if not (rule.weekdays or rule.month_days or rule.months):
        return rule  # its days follow the start
    weekly = rule.frequency in {Frequency.DAILY, Frequency.WEEKLY} and not (rule.positions or rule.months)
    if not weekly or rule.month_days or (rule.interval > 1 and len(rule.weekdays) > 1):
        return None
    weekdays = sorted(Weekday(0, (weekday.day + days) % 7) for weekday in rule.weekdays)
    return replace(rule, weekdays=tuple(weekdays))


def _clamped(day: int, months: Iterable[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns BYMONTHDAY and BYSETPOS for "on this day, or the last of a shorter month" in all of these months."""
    shortest = min(SHORTEST_MONTHS[month] for month in months)
    if day <= shortest:
        return (day,), ()
    if day >= max(LONGEST_MONTHS[month] for month in months):
        return (-1,), ()
    return tuple(range(shortest, day + 1)), (-1,)


def _parts(text: str) -> Iterable[tuple[str, str]]:
    """Yields name and value of each part, both in upper case."""
    text = text.strip()
    for name in _OTHER_PROPERTIES:
        if re.search(rf"^{name}\b", text, re.MULTILINE | re.IGNORECASE):
            raise InvalidRecurrence(name, "only the rule itself is taken; the series starts at the due date")
    if len(text) > RECURRENCE_MAX or not text.isascii() or not text.isprintable():
        raise InvalidRecurrence("RRULE", f"must be one line of at most {RECURRENCE_MAX} ASCII characters")
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if name in _NOT_SUPPORTED:
            raise InvalidRecurrence(name, "is not supported")
        if name not in _PART_READERS:
            raise InvalidRecurrence(name if _PART_NAME.fullmatch(name) else "RRULE", "no such part in a rule")
        yield name, value


def _frequency(name: str, value: str) -> Frequency:
    if value in {"SECONDLY", "MINUTELY", "HOURLY"}:
        raise InvalidRecurrence(name, "must not be shorter than DAILY")
    if value not in Frequency.__members__:
        raise InvalidRecurrence(name, "must be DAILY, WEEKLY, MONTHLY or YEARLY")
    return Frequency(value)


def _bounded_number(name: str, value: str, most: int) -> int:
    if not _UNSIGNED_NUMBER.fullmatch(value) or not 1 <= int(value) <= most:
        raise InvalidRecurrence(name, f"must be a whole number from 1 to {most}")
    return int(value)


def _month_numbers(name: str, value: str) -> tuple[int, ...]:
    return _sorted(_bounded_number(name, item, 12) for item in value.split(","))


def _signed_numbers(most: int) -> Callable[[str, str], tuple[int, ...]]:
    def read(name: str, value: str) -> tuple[int, ...]:
        items = value.split(",")
        if not all(_SIGNED_NUMBER.fullmatch(item) and 1 <= abs(int(item)) <= most for item in items):
            raise InvalidRecurrence(name, f"must be whole numbers from 1 to {most} or -{most} to -1")
        return _sorted(int(item) for item in items)

    return read


def _parse_weekdays(name: str, value: str) -> tuple[Weekday, ...]:
    found = [_WEEKDAY_TEXT.fullmatch(item) for item in value.split(",")]
    days = {Weekday(int(match[1] or 0), WEEKDAY_CODES.index(match[2])) for match in found if match}
    if None in found or any(match and match[1] and not 1 <= abs(int(match[1])) <= 53 for match in found):
        raise InvalidRecurrence(name, "must be weekdays such as MO,FR, with MONTHLY and YEARLY also 2TU or -1FR")
    return tuple(sorted(days, key=lambda weekday: (weekday.ordinal < 0, weekday)))


def _week_start(name: str, value: str) -> int:
    if value not in WEEKDAY_CODES:
        raise InvalidRecurrence(name, "must be one of " + ", ".join(WEEKDAY_CODES))
    return WEEKDAY_CODES.index(value)


def _parse_until(name: str, value: str) -> date | datetime:
    try:
        if not _UNTIL_PATTERN.fullmatch(value) or not FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
            raise ValueError
        return datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    except ValueError:
        raise InvalidRecurrence(name, "must be a date (20261231) or an instant in UTC (20261231T225959Z)") from None


def _check_parts(rule: Rule) -> None:
    """Refuses combinations that RFC 5545, 3.3.10 forbids, and positions that no set of the rule can have."""
    if rule.count is not None and rule.until is not None:
        raise InvalidRecurrence("COUNT", "must not stand together with UNTIL")
    if rule.frequency is Frequency.WEEKLY and rule.month_days:
        raise InvalidRecurrence("BYMONTHDAY", "must not stand with FREQ=WEEKLY")
    furthest = max((abs(weekday.ordinal) for weekday in rule.weekdays), default=0)
    if furthest and rule.frequency in {Frequency.DAILY, Frequency.WEEKLY}:
        raise InvalidRecurrence("BYDAY", "a numbered weekday needs FREQ=MONTHLY or FREQ=YEARLY")
    if furthest > 5 and (rule.frequency is Frequency.MONTHLY or rule.months):
        raise InvalidRecurrence("BYDAY", "a month has no more than 5 of a weekday")
    if rule.positions and not (rule.months or rule.month_days or rule.weekdays):
        raise InvalidRecurrence("BYSETPOS", "needs another BY part to choose from")
    largest = {"DAILY": 1, "WEEKLY": len(rule.weekdays) or 1, "MONTHLY": 31, "YEARLY": 366}[rule.frequency]
    if any(abs(position) > largest for position in rule.positions):
        raise InvalidRecurrence("BYSETPOS", f"there are at most {largest} to choose from")


def _sorted(numbers: Iterable[int]) -> tuple[int, ...]:
    """Returns the numbers without repetitions; those counted from the end come last."""
    return tuple(sorted(set(numbers), key=lambda number: (number < 0, number)))


def _comma_list(values: Iterable[object]) -> str:
    return ",".join(str(value) for value in values)


def _until_text(until: date | datetime | None) -> str:
    if isinstance(until, datetime):
        return f"{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{until:%Y%m%d}" if until else ""


_PART_READERS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("frequency", _frequency),
    "INTERVAL": ("interval", lambda name, value: _bounded_number(name, value, MAX_INTERVAL)),
    "BYMONTH": ("months", _month_numbers),
    "BYMONTHDAY": ("month_days", _signed_numbers(31)),
    "BYDAY": ("weekdays", _parse_weekdays),
    "BYSETPOS": ("positions", _signed_numbers(366)),
    "WKST": ("week_start", _week_start),
    "COUNT": ("count", lambda name, value: _bounded_number(name, value, MAX_COUNT)),
    "UNTIL": ("until", _parse_until),
}
