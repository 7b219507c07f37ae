"""Phrases for days.

- A weekday is its next occurrence and never today (today is called "today"); "this friday" may be today; "next friday"
  is the one of the next week, weeks beginning on Monday.
- "next week" is its Monday, "next month" and "next year" their first day, "this weekend" Saturday (on Sunday: today).
- A day without a year is the next such day, today included. A past one has to be written with its year.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.domain.quick_add.grammar import Found, Grammar, Moment, Reading
from app.domain.quick_add.words import (
    CALENDAR_PHRASES,
    UNIT_DAY,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_YEAR,
    WEEKDAY_PLURALS,
    WORD_SLOTS,
    moved,
    words,
)
from app.models.types import MAX_YEAR, MIN_YEAR

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIME = re.compile(_ISO_DAY.pattern + r"t[0-9]{2}:[0-9]{2}(:[0-9]{2})?(z|[+-][0-9]{2}:[0-9]{2})?")
_DAY_WORDS = words("today tomorrow tonight yesterday next last every weekend weekends weekday weekdays")
MINUTE_WORDS = {"minute": 1, "minutes": 1, "min": 1, "mins": 1, "hour": 60, "hours": 60, "hr": 60, "hrs": 60}


@dataclass(frozen=True, slots=True)
class Day:
    """A day or, with ``at``, an instant. ``named`` days (Monday, next week) may also describe a noun after them."""

    on: date
    at: datetime | None = None
    named: bool = False
    part: str | None = None
    needs_clock: bool = False


def next_occurrence(month: int, day: int, today: date) -> date | None:
    """Returns the next such date; the next 29 February may be eight years away."""
    candidates = (_date(year, month, day) for year in range(today.year, today.year + 9))
    return next((found for found in candidates if found and found >= today), None)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _today(moment: Moment) -> Day:
    return Day(moment.today)


def _days_later(count: int, unit: int) -> Callable[[Moment], Day | None]:
    return lambda moment: _later(moment, count, unit)


def _later(moment: Moment, count: int, unit: int) -> Day | None:
    on = moved(moment.today, count, unit)
    return Day(on) if on else None


def _later_instant(moment: Moment, minutes: int) -> Day | None:
    at = moment.now.replace(second=0, microsecond=0) + timedelta(minutes=minutes)
    return Day(at.astimezone(moment.zone).date(), at)


def _next(moment: Moment, unit: int) -> Day | None:
    """Returns the first day of the next week, month or year; "next day" is ambiguous and means nothing."""
    today = moment.today
    first = {
        UNIT_WEEK: today - timedelta(days=today.weekday()),
        UNIT_MONTH: today.replace(day=1),
        UNIT_YEAR: date(today.year, 1, 1),
    }
    on = None if unit == UNIT_DAY else moved(first[unit], 1, unit)
    return Day(on, named=True) if on else None


def _month_end(months: int) -> Callable[[Moment], Day | None]:
    """Returns a builder of the last day of the month ``months`` after this one."""

    def build(moment: Moment) -> Day | None:
        following = moved(moment.today.replace(day=1), months + 1, UNIT_MONTH)
        return Day(following - timedelta(days=1), named=True) if following else None

    return build


def _year_end(moment: Moment) -> Day:
    return Day(date(moment.today.year, 12, 31), named=True)


def _weekday(moment: Moment, number: int) -> Day:
    return Day(moment.today + timedelta(days=(number - moment.today.weekday() - 1) % 7 + 1), named=True)


def _weekday_with_clock(moment: Moment, number: int) -> Day:
    return replace(_weekday(moment, number), needs_clock=True)


def _this_weekday(moment: Moment, number: int) -> Day:
    return Day(moment.today + timedelta(days=(number - moment.today.weekday()) % 7), named=True)


def _next_weekday(moment: Moment, number: int) -> Day:
    return Day(moment.today + timedelta(days=7 - moment.today.weekday() + number), named=True)


def _this_weekend(moment: Moment) -> Day:
    return Day(moment.today + timedelta(days=max(5 - moment.today.weekday(), 0)), named=True)


def _this_part(moment: Moment, part: str) -> Day:
    return Day(moment.today, part=part)


def _calendar_day(moment: Moment, parts: tuple[int, int, int | None]) -> Day | None:
    month, day, year = parts
    on = _date(year, month, day) if year else next_occurrence(month, day, moment.today)
    return Day(on, named=True) if on else None


def _weekday_and_date(moment: Moment, number: int, parts: tuple[int, int, int | None]) -> Day | None:
    """Returns the date when its weekday is the given one."""
    day = _calendar_day(moment, parts)
    return day if day and day.on.weekday() == number else None


def _next_day_of_month(moment: Moment, day: int) -> Day | None:
    """Returns the next such day of a month."""
    months = (moved(moment.today.replace(day=1), ahead, UNIT_MONTH) for ahead in range(3))
    days = (_date(first.year, first.month, day) for first in months if first)
    on = next((found for found in days if found and found >= moment.today), None)
    return Day(on, named=True) if on else None


def _as_written(_: Moment, day: Day) -> Day:
    return day


def _iso(reading: Reading, index: int) -> Found | None:
    """Reads ``2026-12-01``, also with a time (local unless it has an offset)."""
    word = reading.word(index)
    if not (_ISO_DAY.fullmatch(word) or _ISO_TIME.fullmatch(word)):
        return None
    try:
        written = datetime.fromisoformat(word.upper())
    except ValueError:
        return None
    if not MIN_YEAR < written.year < MAX_YEAR:  # the outermost years: an offset could leave them
        return None
    if "t" not in word:
        return index + 1, Day(written.date(), named=True)
    local = written if written.tzinfo else written.replace(tzinfo=reading.moment.zone)
    return index + 1, Day(local.astimezone(reading.moment.zone).date(), local.astimezone(UTC), named=True)


def _minutes(reading: Reading, index: int) -> Found | None:
    minutes = MINUTE_WORDS.get(reading.word(index))
    return (index + 1, minutes) if minutes else None


_DAY_SLOTS = {**WORD_SLOTS, "iso": _iso, "calendar": CALENDAR_PHRASES.slot, "minutes": _minutes}

RELATIVE_DAYS: list[tuple[str, Callable[..., Any]]] = [
    ("today", _today),
    ("tonight", lambda moment: _this_part(moment, "night")),
    ("this {part}", _this_part),
    ("tomorrow|tmrw", _days_later(1, UNIT_DAY)),
    ("[the] day after tomorrow", _days_later(2, UNIT_DAY)),
    ("in {count} {unit}", _later),
    ("{count} {unit} from now", _later),
    ("in {count} {minutes}", lambda moment, count, minutes: _later_instant(moment, count * minutes)),
    ("in half an hour", lambda moment: _later_instant(moment, 30)),
    ("next {unit}", _next),
    ("next {weekday}", _next_weekday),
    ("this {weekday}", _this_weekday),
    ("this weekend", _this_weekend),
    ("next weekend", lambda moment: _next_weekday(moment, 5)),
    ("[at] [the] end of [the|this] month", _month_end(0)),
    ("[at] [the] end of next month", _month_end(1)),
    ("[at] [the] end of [the|this] year", _year_end),
]
NAMED_DAYS: list[tuple[str, Callable[..., Any]]] = [
    ("{calendar}", _calendar_day),
    ("{weekday} [,] {calendar}", _weekday_and_date),
    ("{iso}", _as_written),
]
# A day on its own, as after "until".
DAY_PHRASES = Grammar(_DAY_SLOTS, [*RELATIVE_DAYS, *NAMED_DAYS, ("{weekday}", _weekday)])
DUE_DAY_PHRASES = Grammar(
    _DAY_SLOTS,
    [
        *((f"[due] [by] {line}", build) for line, build in RELATIVE_DAYS),
        *((f"[due] [on|by] {line}", build) for line, build in NAMED_DAYS),
        ("{clear-weekday}", _weekday),
        ("{unclear-weekday}", _weekday_with_clock),
        ("due [on|by] {weekday}", _weekday),
        ("on|by {weekday}", _weekday),
        ("[due] on|by [the] {nth}", _next_day_of_month),
    ],
)


def is_dayish(reading: Reading, index: int) -> bool:
    """Returns whether a word could belong to a day, and so could continue a list of days."""
    while (word := reading.word(index)) in {"on", "by", "the"}:
        index += 1
    if word in _DAY_WORDS:
        return True
    known = (
        WORD_SLOTS["weekday"](reading, index)
        or WORD_SLOTS["month"](reading, index)
        or WORD_SLOTS["day"](reading, index)
    )
    return word in WEEKDAY_PLURALS or (known is not None and word != "may") or bool(_ISO_DAY.match(word))
