"""Phrases for recurrences: their days, beginning and end.

- Rules are counted from the first due date, which is the first matching day from today on.
- "every 2nd monday" may mean every other Monday or the second of the month: it is not understood, but
  "every 2nd monday of the month" is. "every first monday" and "every last friday" can only be of the month.
- "every month on the 31st" means the last day of shorter months, as for any date (``anchored``).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from app.domain.quick_add.days import DAY_PHRASES, Day
from app.domain.quick_add.grammar import Found, Grammar, Moment, Reading
from app.domain.quick_add.series import Bound, Repeat, Start
from app.domain.quick_add.words import (
    CALENDAR_PHRASES,
    UNIT_DAY,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_WORDS,
    UNIT_YEAR,
    WEEKDAY_PLURALS,
    WORD_SLOTS,
    nth_day,
    ordinal,
    weekday,
)
from app.domain.recurrence.rule import MAX_INTERVAL, SHORTEST_MONTHS, Frequency, Rule, Weekday, anchored

EVERY_WORDS = {"every", "each"}
UNIT_FREQUENCIES = {
    UNIT_DAY: Frequency.DAILY,
    UNIT_WEEK: Frequency.WEEKLY,
    UNIT_MONTH: Frequency.MONTHLY,
    UNIT_YEAR: Frequency.YEARLY,
}
ADVERB_RULES = {
    "daily": Rule(Frequency.DAILY),
    "weekly": Rule(Frequency.WEEKLY),
    "fortnightly": Rule(Frequency.WEEKLY, 2),
    "monthly": Rule(Frequency.MONTHLY),
    "quarterly": Rule(Frequency.MONTHLY, 3),
    "yearly": Rule(Frequency.YEARLY),
    "annually": Rule(Frequency.YEARLY),
}
_MONDAY_TO_FRIDAY = tuple(Weekday(0, day) for day in range(5))
WORKDAY_NAMES = ("workday|weekday", "working|business day")
FEWEST_WORKDAYS = 20  # of a month
_LEAP_YEAR = 2028  # any leap year: it has every month and day


def _every(_: Moment, rule: Rule) -> Repeat:
    return Repeat(rule)


def _on_weekdays(_: Moment, rule: Rule, days: tuple[Weekday, ...]) -> Repeat | None:
    return Repeat(replace(rule, weekdays=days)) if rule.frequency is Frequency.WEEKLY else None


def _on_days(_: Moment, rule: Rule, days: tuple[int, ...]) -> Repeat | None:
    """Builds the rule; a single 29th to 31st is the last day of shorter months, several are taken literally."""
    if rule.frequency is not Frequency.MONTHLY:
        return None
    if len(days) > 1:
        return Repeat(replace(rule, month_days=days), weak=True)
    return Repeat(anchored(rule, date(_LEAP_YEAR, 1, days[0])), weak=True)


def _on_ordinal(moment: Moment, rule: Rule, day: int) -> Repeat | None:
    """Builds the rule of "the first of every month" or "the last of each month"."""
    return _on_last_day(moment, rule) if day < 0 else _on_days(moment, rule, (day,))


def _on_nth(_: Moment, rule: Rule, nth: int, number: int) -> Repeat | None:
    if rule.frequency is not Frequency.MONTHLY or not -1 <= nth <= 5:
        return None
    return Repeat(replace(rule, weekdays=(Weekday(nth, number),)))


def _on_nth_of_year(_: Moment, nth: int, number: int, month: int) -> Repeat | None:
    """Builds the rule of "every first monday of january"."""
    return Repeat(replace(_YEARLY_RULE, months=(month,), weekdays=(Weekday(nth, number),))) if -1 <= nth <= 5 else None


def _on_nth_workday(_: Moment, rule: Rule, nth: int) -> Repeat | None:
    """Builds the rule of "every last workday"; a month has 20 of them at least."""
    if rule.frequency is not Frequency.MONTHLY or not -1 <= nth <= FEWEST_WORKDAYS:
        return None
    return Repeat(replace(rule, weekdays=_MONDAY_TO_FRIDAY, positions=(nth,)))


def _on_dates(_: Moment, dates: tuple[tuple[int, int], ...]) -> Repeat | None:
    """Builds the rule of "every 14 jan, 15 jun": of all these days of all these months those that are listed."""
    if any(day > SHORTEST_MONTHS[month] for month, day in dates):
        return None  # with 29 February the places of the others would depend on the year
    months, days = sorted({month for month, _ in dates}), sorted({day for _, day in dates})
    every = [(month, day) for month in months for day in days if day <= SHORTEST_MONTHS[month]]
    positions = tuple(place for place, each in enumerate(every, start=1) if each in dates)
    is_all = len(every) == len(dates)
    if not is_all and any(month == 2 and day > 28 for month in months for day in days):
        return None
    return Repeat(
        replace(_YEARLY_RULE, months=tuple(months), month_days=tuple(days), positions=() if is_all else positions)
    )


def _on_last_day(_: Moment, rule: Rule) -> Repeat | None:
    return Repeat(replace(rule, month_days=(-1,))) if rule.frequency is Frequency.MONTHLY else None


def _on_date(_: Moment, rule: Rule, parts: tuple[int, int, int | None]) -> Repeat | None:
    month, day, year = parts
    if rule.frequency is not Frequency.YEARLY or year is not None:
        return None
    if rule.interval > 1:  # every 4 years on Feb 29 begins in a leap year
        return Repeat(replace(rule, months=(month,), month_days=(day,)))
    return Repeat(anchored(rule, date(_LEAP_YEAR, month, day)))


def _of(rule: Rule, build: Callable[..., Repeat | None]) -> Callable[..., Repeat | None]:
    """Returns a builder with a fixed ``rule``, for phrases that do not name a period."""
    return lambda moment, *values: build(moment, rule, *values)


def _starting_on(_: Moment, day: Day) -> Start:
    return Start(day)


def _perhaps_starting_on(_: Moment, day: Day) -> Start:
    return Start(day, loose=day.named)


def _ending_on(_: Moment, day: Day) -> Bound | None:
    return None if day.at else Bound(on=day.on)


def _step(reading: Reading, index: int) -> Found | None:
    """Reads ``2``, ``two``, ``2nd``, ``second``, ``other``."""
    if reading.word(index) == "other":
        return index + 1, 2
    found, least = WORD_SLOTS["number"](reading, index), 1
    if found is None:
        found, least = ordinal(reading, index), 2
    return found if found and least <= found[1] <= MAX_INTERVAL else None


def _period(reading: Reading, index: int) -> Found | None:
    """Reads ``every day``, ``each month``, ``every other week``, ``every 3 months``."""
    if reading.word(index) not in EVERY_WORDS:
        return None
    end, step = _step(reading, index + 1) or (index + 1, 1)
    word = reading.word(end)
    if word in {"quarter", "quarters"}:
        return (end + 1, Rule(Frequency.MONTHLY, 3 * step)) if 3 * step <= MAX_INTERVAL else None
    return (end + 1, Rule(UNIT_FREQUENCIES[UNIT_WORDS[word]], step)) if word in UNIT_WORDS else None


def _adverb(reading: Reading, index: int) -> Found | None:
    rule = ADVERB_RULES.get(reading.word(index))
    return (index + 1, rule) if rule else None


def _listed_weekdays(reading: Reading, index: int) -> Found | None:
    """Reads ``monday and thursday``, ``mon, wed, fri``, ``mondays``, each once."""
    days: set[int] = set()
    end = index
    while found := _one_weekday(reading, _after_joiner(reading, end) if days else end):
        if found[1] in days:
            break
        end, number = found
        days.add(number)
    return (end, tuple(Weekday(0, number) for number in sorted(days))) if days else None


def _one_weekday(reading: Reading, index: int) -> Found | None:
    number = WEEKDAY_PLURALS.get(reading.word(index))
    return weekday(reading, index) if number is None else (index + 1, number)


def _month_days(reading: Reading, index: int) -> Found | None:
    """Reads ``1st``, ``1st and 15th``, ``1st, 11th and the 21st``."""
    days: set[int] = set()
    end = index
    while found := nth_day(reading, _after_the(reading, _after_joiner(reading, end)) if days else end):
        if found[1] in days:
            break
        end, day = found
        days.add(day)
    return (end, tuple(sorted(days))) if days else None


def _several_dates(reading: Reading, index: int) -> Found | None:
    """Reads ``14 jan, 15 jun and 1 sep``: two or more, without a year."""
    dates: list[tuple[int, int]] = []
    end = index
    while found := CALENDAR_PHRASES.slot(reading, _after_joiner(reading, end) if dates else end):
        month, day, year = found[1]
        if year is not None or (month, day) in dates:
            return None
        end = found[0]
        dates.append((month, day))
    return (end, tuple(dates)) if len(dates) > 1 else None


def _after_joiner(reading: Reading, index: int) -> int:
    if reading.word(index) == ",":
        index += 1
    return index + 1 if reading.word(index) in {"and", "&"} else index


def _after_the(reading: Reading, index: int) -> int:
    return index + 1 if reading.word(index) == "the" else index


def _edge(reading: Reading, index: int) -> Found | None:
    edges = {"first": 1, "1st": 1, "last": -1}
    return (index + 1, edges[reading.word(index)]) if reading.word(index) in edges else None


def _edge_or_ordinal(reading: Reading, index: int) -> Found | None:
    """Reads ``last`` or ``first`` to ``5th``."""
    return _edge(reading, index) or ordinal(reading, index)


_REPEAT_SLOTS = {
    **WORD_SLOTS,
    "period": _period,
    "adverb": _adverb,
    "weekdays": _listed_weekdays,
    "days": _month_days,
    "edge": _edge,
    "ordinal": _edge_or_ordinal,
    "date": CALENDAR_PHRASES.slot,
    "dates": _several_dates,
    "a-day": DAY_PHRASES.slot,
}
_WEEKLY_RULE, _MONTHLY_RULE, _YEARLY_RULE = Rule(Frequency.WEEKLY), Rule(Frequency.MONTHLY), Rule(Frequency.YEARLY)
_ON_DAYS: list[tuple[str, Callable[..., Any]]] = [
    ("{weekdays}", _on_weekdays),
    ("[the] {days} [of the month]", _on_days),
    ("the {ordinal}", _on_ordinal),
    ("[the] {ordinal} {weekday} [of the month]", _on_nth),
    ("the last day [of the month]", _on_last_day),
    ("{date}", _on_date),
]
REPEAT_PHRASES = Grammar(
    _REPEAT_SLOTS,
    [
        ("[on|once] {period}", _every),
        ("{adverb}", lambda _, rule: Repeat(rule, weak=True)),
        *((f"{start} {line}", build) for start in ("{period} [on]", "{adverb} on") for line, build in _ON_DAYS),
        ("[on] every|each {weekdays}", _of(_WEEKLY_RULE, _on_weekdays)),
        ("[on] every other {weekdays}", _of(replace(_WEEKLY_RULE, interval=2), _on_weekdays)),
        ("[on] every|each weekday|workday", lambda _: Repeat(replace(_WEEKLY_RULE, weekdays=_MONDAY_TO_FRIDAY))),
        ("[on] every|each working|business day", lambda _: Repeat(replace(_WEEKLY_RULE, weekdays=_MONDAY_TO_FRIDAY))),
        ("[on] every|each {part}", lambda _, part: Repeat(Rule(Frequency.DAILY), part=part)),
        ("[on] every|each {edge} {weekday}", _of(_MONTHLY_RULE, _on_nth)),
        ("[on] every|each {ordinal} {weekday} of the|each|every month", _of(_MONTHLY_RULE, _on_nth)),
        ("[on] [the] {ordinal} {weekday} of every|each month", _of(_MONTHLY_RULE, _on_nth)),
        ("[on] every|each {days} [of the month]", _of(_MONTHLY_RULE, _on_days)),
        ("[on] [the] {days} of every|each month", _of(_MONTHLY_RULE, _on_days)),
        ("[on] [the] {ordinal} of every|each month", _of(_MONTHLY_RULE, _on_ordinal)),
        ("[on] every|each last day of the month", _of(_MONTHLY_RULE, _on_last_day)),
        ("[on] [the] last day of every|each month", _of(_MONTHLY_RULE, _on_last_day)),
        ("[by|at] [the] end of every|each month", _of(_MONTHLY_RULE, _on_last_day)),
        ("[on] every|each {ordinal} {weekday} of|in {month}", _on_nth_of_year),
        *((f"[on] every|each {{edge}} {name}", _of(_MONTHLY_RULE, _on_nth_workday)) for name in WORKDAY_NAMES),
        *(
            (f"[on] every|each {{ordinal}} {name} of the|each|every month", _of(_MONTHLY_RULE, _on_nth_workday))
            for name in WORKDAY_NAMES
        ),
        ("[on] every|each {dates}", _on_dates),
        ("[on] every|each {date}", _of(_YEARLY_RULE, _on_date)),
        ("start|starts|starting|begin|begins|beginning [on] {a-day}", _starting_on),
        ("not before {a-day}", _starting_on),
        ("from [on] {a-day} on|onward|onwards", _starting_on),
        ("from [on] {a-day}", _perhaps_starting_on),
        ("until|till|til|ending [on] {a-day}", _ending_on),
        ("[for] {number} times", lambda _, count: Bound(count)),
        ("for [the next] {count} {unit}", lambda _, count, unit: Bound(count, unit)),
    ],
)
