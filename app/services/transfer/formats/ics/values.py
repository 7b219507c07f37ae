"""The dates and durations of iCalendar (RFC 5545, 3.3.4 to 3.3.6), also as careless programs write them."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import NamedTuple

from app.models.types import MAX_YEAR, MIN_YEAR

_MOMENT_PATTERN = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d{1,9})?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?",
    re.ASCII,
)
_DURATION_PATTERN = re.compile(
    r"([+-])?P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?", re.ASCII
)


def parse_moment(value: str) -> date | datetime | None:
    """Returns a day, or a local time or an instant, as written; None when it is neither."""
    if (found := _MOMENT_PATTERN.fullmatch(value.strip())) is None:
        return None
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return day
        clock = time(int(found[4]) % 24, int(found[5]), min(int(found[6] or 0), 59))  # 60 is a leap second
        local = datetime.combine(day + timedelta(days=int(found[4]) // 24), clock)  # 24:00 is the day's end
        if int(found[4]) > 24:
            return None
        if found[7]:
            return local.replace(tzinfo=UTC)
        if found[8]:
            offset = timedelta(hours=int(found[9]), minutes=int(found[10]))
            return local.replace(tzinfo=timezone(-offset if found[8] == "-" else offset))
    except (ValueError, OverflowError):
        return None
    return local


class NominalDuration(NamedTuple):
    """A duration: days keep the time of day, seconds are exact (3.3.6)."""

    days: int
    seconds: int

    def __str__(self) -> str:
        """Returns the text in which reminders are stored; the parts have one sign."""
        days, seconds = abs(self.days), abs(self.seconds)
        clock = "".join(
            f"{number}{unit}"
            for number, unit in zip((seconds // 3600, seconds // 60 % 60, seconds % 60), "HMS", strict=True)
            if number
        )
        if not (days or clock):
            return "PT0S"
        sign = "-" if self.days < 0 or self.seconds < 0 else ""
        return f"{sign}P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"


def parse_duration(value: str) -> NominalDuration | None:
    text = value.strip().upper()
    found = _DURATION_PATTERN.fullmatch(text)
    if found is None or text[-1] in "PT":
        return None
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in found.groups()[1:])
    sign = -1 if found[1] == "-" else 1
    return NominalDuration(sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds))


def add_duration(moment: date | datetime, span: NominalDuration) -> date | datetime:
    """Returns a day for a day and whole days, else an instant. Raises OverflowError."""
    moved = moment + timedelta(days=span.days)  # of an instant with a zone: on the wall clock
    if not span.seconds or not isinstance(moved, datetime):
        return moved
    return moved.astimezone(UTC) + timedelta(seconds=span.seconds)


def to_instant(moment: date | datetime, zone: tzinfo) -> datetime:
    """Returns the instant of a moment; a day begins at its midnight in ``zone``. Raises OverflowError."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), zone)
    return moment.astimezone(UTC)


def moment_text(moment: date | datetime) -> str:
    """Returns ISO 8601. Raises OverflowError for a date that cannot be stored."""
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        raise OverflowError
    return moment.astimezone(UTC).isoformat() if isinstance(moment, datetime) else moment.isoformat()
