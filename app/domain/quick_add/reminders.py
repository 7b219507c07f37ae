"""Phrases for reminders: "remind me at 5pm", "remind me tomorrow at 9", "remind me an hour before".

- Only "remind me" and "remind at" begin one: "remind Anna at 5pm" is about her, "ask Bob to remind me" about him. After
  a due date or another reminder "an hour before" is one by itself.
- A time without a day is one of the day that the task is due on; if the task is due at a time, the last such time
  before it; and without a due date the next such time.
- "an hour before" needs a due date with a time, "2 days before" a due date. "remind me to" and "remind me" mean the
  time at which the task is due.
- One that has passed would never come, and is not understood.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from app.domain.date_shift import day_in
from app.domain.quick_add.days import DAY_PHRASES, MINUTE_WORDS, Day
from app.domain.quick_add.grammar import Found, Grammar, Moment, Reading
from app.domain.quick_add.times import TIME_PHRASES, Clock, settled, to_utc
from app.domain.quick_add.words import DAY_PARTS, UNIT_DAY, UNIT_WEEK, WORD_SLOTS
from app.models.task_reminders import LONGEST_REMINDER, spell_instant

_JOINED_SPAN = re.compile(r"([0-9]{1,4})(m|mins?|h|hrs?|d)")
_JOINED_UNITS = {"m": 1, "h": 60, "d": 24 * 60}
MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Lead:
    """The time before the due date. Days keep the time of day."""

    days: int = 0
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class Reminder:
    """Before the due date, or at a time; with none of them at the time of the due date.

    ``opens``: the words after it are the title ("remind me to call"). ``continues``: it follows a due date or
    another one ("and an hour before").
    """

    lead: Lead | None = None
    day: Day | None = None
    clock: Clock | None = None
    part: str | None = None
    opens: bool = False
    continues: bool = False

    @property
    def is_bare(self) -> bool:
        return not (self.lead or self.day or self.clock)


def resolve_reminder(reminder: Reminder, moment: Moment, due: date | datetime | None, *, repeats: bool) -> str | None:
    """Returns the reminder as a task has it; None if it is uncertain, has passed, or lacks a due date."""
    clock = None
    if reminder.clock:
        part = reminder.part or (reminder.day.part if reminder.day else None)
        if (clock := settled(reminder.clock, part)) is None:
            return None
    if reminder.day or (clock and due is None and not reminder.lead):
        at = _find_instant(moment, reminder.day, clock)
        return spell_instant(at) if at and at > moment.now and not repeats else None
    if due is None:
        return None
    found = _find_distance(moment, due, reminder.lead, clock)
    if found is None or (found[1] <= moment.now and not repeats):
        return None
    return found[0]


def _find_instant(moment: Moment, day: Day | None, clock: Clock | None) -> datetime | None:
    if day is None:
        assert clock is not None
        today = to_utc(moment, moment.today, clock)
        return today if today > moment.now else to_utc(moment, moment.today + timedelta(days=1), clock)
    return day.at or (to_utc(moment, day.on, clock) if clock else None)


def _find_distance(
    moment: Moment, due: date | datetime, lead: Lead | None, clock: Clock | None
) -> tuple[str, datetime] | None:
    """Returns the duration from the due date, and the instant that it means now."""
    is_timed = isinstance(due, datetime)
    day = day_in(due, moment.zone)
    if clock is not None:
        if lead is not None and lead.minutes:
            return None  # an hour before, at nine
        at = to_utc(moment, day - timedelta(days=lead.days if lead else 0), clock)
        if isinstance(due, datetime):
            if at > due and lead is None:
                at = to_utc(moment, day - timedelta(days=1), clock)
            return (_spell(minutes=round((at - due) / timedelta(minutes=1))), at) if at <= due else None
        minutes = clock.hour * 60 + clock.minute + MINUTES_OF_DAY * clock.ends_day  # by the clock on the wall
        return _spell(minutes=minutes - MINUTES_OF_DAY * (lead.days if lead else 0)), at
    if not is_timed and (lead is None or lead.minutes):
        return None  # an hour before a day is in the night
    lead = lead or Lead()
    before = datetime.combine(day - timedelta(days=lead.days), _clock_of(due, moment), moment.zone)
    return _spell(days=-lead.days, minutes=-lead.minutes), before - timedelta(minutes=lead.minutes)


def _clock_of(due: date | datetime, moment: Moment) -> Any:
    return due.astimezone(moment.zone).time() if isinstance(due, datetime) else datetime.min.time()


def _spell(*, days: int = 0, minutes: int = 0) -> str:
    """Returns a duration; its parts do not have different signs."""
    sign = "-" if days < 0 or minutes < 0 else ""
    hours, rest = divmod(abs(minutes), 60)
    clock = (f"{hours}H" if hours else "") + (f"{rest}M" if rest else "")
    text = (f"{abs(days)}D" if days else "") + (f"T{clock}" if clock else "")
    return f"{sign}P{text}" if text else "PT0S"


def _span(reading: Reading, index: int) -> Found | None:
    """Reads ``an hour``, ``30 min``, ``30min``, ``2 days``, ``a week``, ``half an hour``."""
    if [reading.word(index + offset) for offset in range(3)] == ["half", "an", "hour"]:
        return index + 3, Lead(minutes=30)
    if joined := _JOINED_SPAN.fullmatch(reading.word(index)):
        return _lead(index + 1, minutes=int(joined[1]) * _JOINED_UNITS[joined[2][0]], whole_days=joined[2] == "d")
    count = WORD_SLOTS["count"](reading, index)
    if count is None:
        return None
    end, number = count
    if minutes := MINUTE_WORDS.get(reading.word(end)):
        return _lead(end + 1, minutes=number * minutes)
    unit = WORD_SLOTS["unit"](reading, end)
    if unit is None or unit[1] not in {UNIT_DAY, UNIT_WEEK}:
        return None  # months have no length
    return _lead(unit[0], minutes=number * (7 if unit[1] == UNIT_WEEK else 1) * MINUTES_OF_DAY, whole_days=True)


def _lead(end: int, *, minutes: int, whole_days: bool = False) -> Found | None:
    if not minutes or timedelta(minutes=minutes) > LONGEST_REMINDER:
        return None
    return end, Lead(days=minutes // MINUTES_OF_DAY) if whole_days else Lead(minutes=minutes)


def _clock(reading: Reading, index: int) -> Found | None:
    found = [each for each in TIME_PHRASES.find(reading, index) if isinstance(each[1], Clock)]
    return found[0] if found else None


def _at_clock(reading: Reading, index: int) -> Found | None:
    return _clock(reading, index) if reading.word(index) == "at" else None


def _part(reading: Reading, index: int) -> Found | None:
    """Reads ``morning``, ``in the morning``."""
    end = index + 2 if (reading.word(index), reading.word(index + 1)) == ("in", "the") else index
    return (end + 1, reading.word(end)) if reading.word(end) in DAY_PARTS else None


def _on_day(_: Moment, day: Day, clock: Clock) -> Reminder | None:
    return None if day.at else Reminder(day=day, clock=clock)


def _on_day_part(moment: Moment, day: Day, part: str, clock: Clock) -> Reminder | None:
    found = _on_day(moment, day, clock)
    return replace(found, part=part) if found else None


Build = Callable[..., Reminder | None]
BEFORE_DUE = ("before", "before it", "before it's|its due", "before it is due", "before the due date", "beforehand",
              "earlier", "ahead", "prior", "in advance")  # fmt: skip
TIMED_LINES: list[tuple[str, Build]] = [
    *((f"{{span}} {words}", lambda _, lead: Reminder(lead)) for words in BEFORE_DUE),
    ("{span} before {clock}", lambda _, lead, clock: Reminder(lead, clock=clock)),
    ("[on] the day before", lambda _: Reminder(Lead(days=1))),
    ("[on] the day before {clock}", lambda _, clock: Reminder(Lead(days=1), clock=clock)),
    ("{clock}", lambda _, clock: Reminder(clock=clock)),
    ("{clock} {part}", lambda _, clock, part: Reminder(clock=clock, part=part)),
    ("[on] {day}", lambda _, day: Reminder(day=day) if day.at else None),
    ("[on] {day} {clock}", _on_day),
    ("[on] {day} {part} {clock}", _on_day_part),
    ("[on] {day} {clock} {part}", lambda moment, day, clock, part: _on_day_part(moment, day, part, clock)),
    ("{clock} [on] {day}", lambda moment, clock, day: _on_day(moment, day, clock)),
    ("when|once it's|its due", lambda _: Reminder()),
    ("when|once it is due", lambda _: Reminder()),
]


def _remind_lines() -> Iterator[tuple[str, Build]]:
    """Yields each line after the words that begin a reminder, alone and before the words that name the task."""
    for line, build in [("", lambda _: Reminder()), *TIMED_LINES]:
        start = f"[and|please] remind me {line}"
        yield start, build
        yield f"{start} to|about|that", _opening(build)
    yield "[and|please] remind {at-clock}", lambda _, clock: Reminder(clock=clock)
    yield "[and] {span} before", lambda _, lead: Reminder(lead, continues=True)


def _opening(build: Build) -> Build:
    def opened(moment: Moment, *values: Any) -> Reminder | None:
        found = build(moment, *values)
        return replace(found, opens=True) if found else None

    return opened


REMIND_PHRASES = Grammar(
    {"span": _span, "clock": _clock, "at-clock": _at_clock, "part": _part, "day": DAY_PHRASES.slot},
    list(_remind_lines()),
)
