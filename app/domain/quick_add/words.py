"""The vocabulary: weekdays, months, numbers, and the slots that read them."""

import re
from calendar import monthrange
from datetime import date, timedelta

from app.domain.quick_add.grammar import Found, Grammar, Moment, Reading, Slot
from app.domain.recurrence.rule import FIRST_YEAR, LAST_YEAR, LONGEST_MONTHS


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _number_words(*names: str, start: int = 0) -> dict[str, int]:
    """Returns the number of each word; the words of one argument are synonyms."""
    return {word: number for number, synonyms in enumerate(names, start) for word in synonyms.split()}


WEEKDAY_NAMES = _number_words(
    "monday mon", "tuesday tue tues", "wednesday wed weds", "thursday thu thur thurs", "friday fri",
    "saturday sat", "sunday sun",
)  # fmt: skip
WEEKDAY_PLURALS = {f"{name}s": number for name, number in WEEKDAY_NAMES.items() if name.endswith("day")}
AMBIGUOUS_WEEKDAYS = words("wed sat sun")  # weekdays only next to other words: "on sat", "sat 8pm"
MONTH_NAMES = _number_words(
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sep sept", "october oct", "november nov", "december dec", start=1,
)  # fmt: skip
NUMBER_WORDS = _number_words(
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", start=1
)
ORDINAL_WORDS = _number_words("first", "second", "third", "fourth", "fifth", start=1)
UNIT_WORDS = _number_words("day days", "week weeks", "month months", "year years")
UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR = range(4)
# Hours of a part of the day; 12 at night is midnight and not read.
DAY_PARTS = {"morning": range(12), "afternoon": range(12, 19), "evening": range(16, 24), "night": range(18, 24)}

_NUMBER_TEXT = re.compile(r"[0-9]{1,4}")
_DAY_NUMBER = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?")
_NTH_TEXT = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)")
_YEAR_TEXT = re.compile(r"[0-9]{4}")


def moved(start: date, count: int, unit: int) -> date | None:
    """Returns the date ``count`` units later, clamped to the last day of a shorter month; None after the last year."""
    if unit <= UNIT_WEEK:
        days = count * (1, 7)[unit]
        return start + timedelta(days=days) if start.year + days // 365 < LAST_YEAR else None
    years, month = divmod(start.month - 1 + count * (12 if unit == UNIT_YEAR else 1), 12)
    year = start.year + years
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1])) if year <= LAST_YEAR else None


def weekday(reading: Reading, index: int) -> Found | None:
    """Reads a weekday, including ``sat`` and ``sun``; an abbreviation includes its full stop."""
    number = WEEKDAY_NAMES.get(reading.word(index))
    return None if number is None else (_after_stop(reading, index), number)


def _clear_weekday(reading: Reading, index: int) -> Found | None:
    return None if reading.word(index) in AMBIGUOUS_WEEKDAYS else weekday(reading, index)


def _unclear_weekday(reading: Reading, index: int) -> Found | None:
    return weekday(reading, index) if reading.word(index) in AMBIGUOUS_WEEKDAYS else None


def _month(reading: Reading, index: int) -> Found | None:
    number = MONTH_NAMES.get(reading.word(index))
    return None if number is None else (_after_stop(reading, index), number)


def _after_stop(reading: Reading, index: int) -> int:
    return index + (2 if len(reading.word(index)) <= 5 and reading.word(index + 1) == "." else 1)


def _read_number(reading: Reading, index: int) -> Found | None:
    word = reading.word(index)
    number = int(word) if _NUMBER_TEXT.fullmatch(word) else NUMBER_WORDS.get(word, 0)
    return (index + 1, number) if number else None


def _read_count(reading: Reading, index: int) -> Found | None:
    return (index + 1, 1) if reading.word(index) in {"a", "an"} else _read_number(reading, index)


def _unit(reading: Reading, index: int) -> Found | None:
    unit = UNIT_WORDS.get(reading.word(index))
    return None if unit is None else (index + 1, unit)


def _part(reading: Reading, index: int) -> Found | None:
    return (index + 1, reading.word(index)) if reading.word(index) in DAY_PARTS else None


def _day_number(reading: Reading, index: int) -> Found | None:
    match = _DAY_NUMBER.fullmatch(reading.word(index))
    return (index + 1, int(match[1])) if match and 1 <= int(match[1]) <= 31 else None


def nth_day(reading: Reading, index: int) -> Found | None:
    """Reads ``1st``, never ``first`` (the first chapter) and never ``1``."""
    match = _NTH_TEXT.fullmatch(reading.word(index))
    return (index + 1, int(match[1])) if match and 1 <= int(match[1]) <= 31 else None


def ordinal(reading: Reading, index: int) -> Found | None:
    """Reads ``first`` to ``fifth`` or ``1st`` to ``31st``."""
    number = ORDINAL_WORDS.get(reading.word(index))
    return nth_day(reading, index) if number is None else (index + 1, number)


def _year(reading: Reading, index: int) -> Found | None:
    word = reading.word(index)
    return (index + 1, int(word)) if _YEAR_TEXT.fullmatch(word) and FIRST_YEAR <= int(word) <= LAST_YEAR else None


def _day_of_month(_: Moment, month: int, day: int, year: int | None = None) -> tuple[int, int, int | None] | None:
    return (month, day, year) if day <= LONGEST_MONTHS[month] else None


def _day_first(moment: Moment, day: int, month: int, year: int | None = None) -> tuple[int, int, int | None] | None:
    return _day_of_month(moment, month, day, year)


WORD_SLOTS: dict[str, Slot] = {
    "weekday": weekday,
    "clear-weekday": _clear_weekday,
    "unclear-weekday": _unclear_weekday,
    "month": _month,
    "day": _day_number,
    "nth": nth_day,
    "year": _year,
    "number": _read_number,
    "count": _read_count,
    "unit": _unit,
    "part": _part,
}

# 12/1 is not here: it is ambiguous, 1 December or 12 January.
CALENDAR_PHRASES = Grammar(
    WORD_SLOTS,
    [
        ("{month} {day}", _day_of_month),
        ("{month} {day} [,] {year}", _day_of_month),
        ("[the] {day} [of] {month}", _day_first),
        ("[the] {day} [of] {month} [,] {year}", _day_first),
    ],
)
