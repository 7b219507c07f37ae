"""Dates as spreadsheets, apps and mail programs write them. A date that can be read in two ways is not read."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import NamedTuple

from app.domain.quick_add.words import MONTH_NAMES

DATE_TEXT_MAX = 100  # characters
SECONDS_RANGE = range(100_000_000, 7_258_118_400)  # Unix time: 1973 to 2199
DAY_NUMBERS = range(20_000, 110_000)  # a spreadsheet's number of a day: 1954 to 2201
FIRST_DAY_NUMBER = datetime.combine(date(1899, 12, 30), time())

_SECOND_FORM = r"(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_CLOCK_FORM = rf"(?P<hour>\d{{1,2}})(?::(?P<minute>\d\d)(?::{_SECOND_FORM})?)?\ ?(?P<half>[ap]\.?m\.?)?"
_COMPACT_CLOCK = r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?"
_ZONE_FORM = r"\ ?(?P<zone>z|utc|gmt)?(?:(?P<offset>[+-]\d\d(?::?\d\d)?)(?:\ ?[\[(][^\])]*[\])])?)?"
_WEEKDAY_FORM = r"(?:[a-z]{2,9}\.?,?\ )?"
_MONTH_FORM = r"(?P<name>[a-z]{3,9})\.?"
_YEAR_FORM = r"(?P<year>\d{4}|\d\d)"
_DAY_FORM = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_DATE_FORMS = (
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})",
    rf"(?P<day>\d{{1,2}})\.\ ?(?P<month>\d{{1,2}})\.\ ?{_YEAR_FORM}",
    r"(?P<one>\d{1,2})(?P<sign>[-/])(?P<two>\d{1,2})(?P=sign)(?P<year>\d{4})",
    rf"{_WEEKDAY_FORM}{_DAY_FORM}[ -](?:of\ )?{_MONTH_FORM},?[ -]{_YEAR_FORM}",
    rf"{_WEEKDAY_FORM}{_MONTH_FORM}\ {_DAY_FORM},?\ (?P<year>\d{{4}})",
)


def _pattern(form: str, clock: str = _CLOCK_FORM, before: str = r"(?:t|,?\ (?:at\ )?)") -> re.Pattern[str]:
    return re.compile(rf"(?:{form})(?:{before}{clock}{_ZONE_FORM})?", re.VERBOSE | re.ASCII)


_DATE_PATTERNS = [
    *map(_pattern, _DATE_FORMS),
    _pattern(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)", _COMPACT_CLOCK, "t"),
    _pattern(_DATE_FORMS[0], _COMPACT_CLOCK, "t"),
    re.compile(
        rf"{_WEEKDAY_FORM}{_MONTH_FORM}\ {_DAY_FORM}\ {_CLOCK_FORM}\ (?P<year>\d{{4}})(?P<zone>)(?P<offset>)",
        re.VERBOSE | re.ASCII,
    ),
]
_NUMBER_PATTERN = re.compile(r"\d{5,13}(?:\.\d{1,12})?", re.ASCII)


class WrittenDate(NamedTuple):
    """A day, an instant with its offset, or a local time; a bare number is a guess."""

    value: date | datetime
    is_guess: bool = False


def read_written_date(written: object, *, day_first: bool | None = None) -> WrittenDate | None:
    """Returns the date of a text or number, or None. ``day_first`` settles 01/12/2026; without it that is not read."""
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        return None
    text = " ".join(str(written)[: DATE_TEXT_MAX + 1].lower().split()).rstrip(",;.")
    if len(text) > DATE_TEXT_MAX:
        return None
    try:
        if _NUMBER_PATTERN.fullmatch(text) and (found := _of_number(float(text))):
            return WrittenDate(found, is_guess=True)
        for pattern in _DATE_PATTERNS:
            if match := pattern.fullmatch(text):
                return _of_parts(match.groupdict(), day_first)
    except (ValueError, OverflowError):
        return None
    return None


@dataclass(slots=True)
class DayOrder:
    """The order of day and month in the dates with slashes of one file, as far as they show it.

    ``default`` is the order where none of them does; it is then a guess.
    """

    day_first: bool | None = None
    default: bool | None = None
    ambiguous: str = ""
    guessed: str = ""

    def note(self, written: str) -> None:
        """Notes a date that can be read in one way only: the others of the file are written alike."""
        if (numbers := two_numbers_of(written)) is None or numbers[0] == numbers[1]:
            return
        if max(numbers) <= 12:
            self.ambiguous = self.ambiguous or written
        elif self.day_first is None or numbers[0] > 12:
            self.day_first = numbers[0] > 12

    def settle(self) -> None:
        """Takes the default, if one is needed, before a file is read again."""
        if self.day_first is None and self.ambiguous and self.default is not None:
            self.day_first, self.guessed = self.default, self.ambiguous


def two_numbers_of(text: str) -> tuple[int, int] | None:
    """Returns the two first numbers of a date such as 01/12/2026, else None."""
    if len(text) > DATE_TEXT_MAX or not text[:1].isdigit():
        return None
    match = _DATE_PATTERNS[2].fullmatch(" ".join(text.lower().split()))
    return (int(match["one"]), int(match["two"])) if match else None


def _of_number(number: float) -> date | datetime | None:
    """Reads Unix time in seconds or milliseconds, and the days of a spreadsheet."""
    if int(number) in DAY_NUMBERS:
        found = FIRST_DAY_NUMBER + timedelta(days=number)
        return found.date() if number.is_integer() else (found + timedelta(milliseconds=500)).replace(microsecond=0)
    if int(number) not in SECONDS_RANGE:
        number /= 1000
    return datetime.fromtimestamp(number, UTC) if int(number) in SECONDS_RANGE else None


def _of_parts(parts: dict[str, str | None], day_first: bool | None) -> WrittenDate | None:
    if parts.get("one"):
        one, two = int(parts["one"] or 0), int(parts["two"] or 0)
        if max(one, two) > 12 or one == two:  # it can be read in one way only
            day, month = max(one, two), min(one, two)
        elif day_first is None:
            return None
        else:
            day, month = (one, two) if day_first else (two, one)
    else:
        name = parts.get("name")
        day, month = int(parts["day"] or 0), MONTH_NAMES[name] if name in MONTH_NAMES else int(parts.get("month") or 0)
    found = date(_year(parts["year"] or ""), month, day)
    if parts.get("hour") is None:
        return WrittenDate(found)
    hour, half = int(parts["hour"] or 0), (parts.get("half") or "")[:1]
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    if not half and not parts.get("minute"):
        return None  # a bare number after a date
    minute, second = int(parts.get("minute") or 0), min(int(parts.get("second") or 0), 59)
    days, hour = divmod(hour, 24) if (hour, minute, second) == (24, 0, 0) else (0, hour)
    fraction = int(((parts.get("fraction") or "") + "000000")[:6])
    moment = datetime.combine(found, time(hour, minute, second, fraction)) + timedelta(days=days)
    return WrittenDate(moment.replace(tzinfo=_offset(parts)))


def _year(text: str) -> int:
    """Returns the year; two digits are one of 1970 to 2069, as in spreadsheets and programs."""
    return int(text) + (0 if len(text) > 2 else 1900 if int(text) >= 70 else 2000)


def _offset(parts: dict[str, str | None]) -> timezone | None:
    if offset := parts.get("offset"):
        minutes = int(offset[1:3]) * 60 + int(offset[-2:] if len(offset) > 3 else 0)
        return timezone(timedelta(minutes=minutes if offset[0] == "+" else -minutes))
    return UTC if parts.get("zone") else None
