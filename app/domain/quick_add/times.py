"""Phrases for times of day, and the instant of a day and a time.

- Hours are read as on a 24-hour clock. 1 to 6 often mean the afternoon: without am, pm, "05:00" or "in the morning"
  they are not understood.
- Midnight is the end of the day that it is named with.
- A part of the day decides between 8:00 and 20:00; alone it is not a time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from app.domain.quick_add.grammar import Found, Grammar, Moment, Reading
from app.domain.quick_add.words import DAY_PARTS, WORD_SLOTS

_CLOCK_TEXT = re.compile(r"([0-9]{1,2})(?::([0-5][0-9]))?")
_TWELVE_HOUR_TEXT = re.compile(r"([0-9]{1,2}(?::[0-5][0-9])?)([ap])\.?m\.?")


@dataclass(frozen=True, slots=True)
class Clock:
    """A local time; ``loose``: without am or pm, and not in the form 09:00."""

    hour: int
    minute: int = 0
    loose: bool = False
    needs_day: bool = False
    ends_day: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """``morning``: it decides between 9:00 and 21:00, and alone is not a time."""

    name: str


def to_utc(moment: Moment, day: date, clock: Clock) -> datetime:
    """Returns the instant in UTC. A time in the gap of a clock change moves forward by it; of two the first is used."""
    day += timedelta(days=clock.ends_day)
    return datetime.combine(day, time(clock.hour, clock.minute), moment.zone).astimezone(UTC)


def settled(clock: Clock, part: str | None) -> Clock | None:
    """Returns the time with the hour that fits the part of the day; None when they contradict or it is ambiguous."""
    if clock.ends_day:
        return clock if part in {None, "night"} else None
    hours = DAY_PARTS[part] if part else range(7, 24) if clock.loose else range(24)
    both = (clock.hour, clock.hour + 12) if clock.loose and part and clock.hour <= 12 else (clock.hour,)
    hour = next((hour for hour in both if hour in hours), None)
    return None if hour is None else replace(clock, hour=hour)


def _twelve(reading: Reading, index: int) -> Found | None:
    """Reads ``9am``, ``9:30 pm``, ``9 a.m.``."""
    word, end = reading.word(index), index + 1
    if _CLOCK_TEXT.fullmatch(word):
        word, end = word + reading.word(end), end + 1
    match = _TWELVE_HOUR_TEXT.fullmatch(word)
    if not match or not 1 <= int((parts := match[1].split(":"))[0]) <= 12:
        return None
    return end, Clock(int(parts[0]) % 12 + 12 * (match[2] == "p"), int(parts[1]) if len(parts) > 1 else 0)


def _digits(form: str) -> Callable[[Reading, int], Found | None]:
    """Returns a reader of times in this form: ``00:00`` is exact, ``0:00`` and ``0`` are loose."""
    pattern = re.compile(form)

    def read(reading: Reading, index: int) -> Found | None:
        word = reading.word(index)
        match = _CLOCK_TEXT.fullmatch(word)
        if not match or not pattern.fullmatch(word) or int(match[1]) > 23:
            return None
        return index + 1, Clock(int(match[1]), int(match[2] or 0), loose=len(word) < 5 and int(match[1]) < 13)

    return read


TIME_PHRASES = Grammar(
    {
        "part": WORD_SLOTS["part"],
        "12-hour": _twelve,
        "00:00": _digits("..:.."),
        "0:00": _digits(".:.."),
        "0": _digits("..?"),
    },
    [
        ("[at|by] {12-hour}", lambda _, clock: clock),
        ("[at|by] {00:00}", lambda _, clock: clock),
        ("at|by {0:00}", lambda _, clock: clock),
        ("{0:00}", lambda _, clock: replace(clock, needs_day=True)),
        ("at {0}", lambda _, clock: clock),
        ("[at|by] {0} o'clock", lambda _, clock: clock),
        ("at|by noon", lambda _: Clock(12)),
        ("noon", lambda _: Clock(12, needs_day=True)),
        ("at|by midnight", lambda _: Clock(0, ends_day=True)),
        ("midnight", lambda _: Clock(0, needs_day=True, ends_day=True)),
        ("[in the] {part}", lambda _, part: Part(part)),
        ("at night", lambda _: Part("night")),
    ],
)


def is_clockish(reading: Reading, index: int) -> bool:
    """Returns whether a word could belong to a time of day."""
    word = reading.word(index)
    if word in {"at", "by"}:
        word = reading.word(index := index + 1)
    return word in {"noon", "midnight"} or word[:1].isdigit()
