"""Days and instants as other products write them."""

from datetime import UTC, date, datetime, time, tzinfo
from typing import TypeAlias

from app.domain.written_dates import read_written_date
from app.models.types import MAX_YEAR, MIN_YEAR
from app.services.transfer.formats.ics.values import NominalDuration

Moment: TypeAlias = date | datetime
"""A whole day, or an instant with its zone."""
FREQUENCY_UNITS = {"d": "DAILY", "w": "WEEKLY", "m": "MONTHLY", "y": "YEARLY"}
DAY_CODES = {
    "monday": "MO", "tuesday": "TU", "wednesday": "WE", "thursday": "TH", "friday": "FR", "saturday": "SA",
    "sunday": "SU",
}  # fmt: skip
NO_DATE_YEARS = frozenset({1, 1601, 4501})  # with which programs of Go and of Windows write that there is no date


def read_moment(written: object, zone: tzinfo, *, day_first: bool | None = None) -> Moment | None:
    """Returns a day or an instant; a time without an offset is in ``zone``. None for what cannot be stored."""
    found = read_written_date(written, day_first=day_first)
    if found is None or not MIN_YEAR <= found.value.year <= MAX_YEAR:
        return None
    if isinstance(found.value, datetime) and found.value.tzinfo is None:
        return found.value.replace(tzinfo=zone)
    return found.value


def means_no_date(written: object) -> bool:
    """Returns whether a value says that there is no date."""
    if written in (None, "", 0, "0", False):
        return True
    found = read_written_date(written, day_first=False)
    return found is not None and found.value.year in NO_DATE_YEARS


def read_milliseconds(value: object) -> datetime | None:
    """Returns an instant of Unix time in milliseconds, also where it is text."""
    try:
        moment = datetime.fromtimestamp(float(str(value)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if MIN_YEAR <= moment.year <= MAX_YEAR else None


def whole_day(moment: Moment, zone: tzinfo) -> Moment:
    """Returns the day of an instant that is a midnight in ``zone``, else the moment itself."""
    if isinstance(moment, datetime) and moment.astimezone(zone).time() == time():
        return moment.astimezone(zone).date()
    return moment


def utc_day(moment: Moment) -> Moment:
    """Returns the day of an instant that is a midnight in UTC, in which some products write days."""
    return whole_day(moment, UTC)


def start_of(moment: Moment, zone: tzinfo) -> datetime:
    """Returns the instant of a moment; a day begins at its midnight in ``zone``."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), zone)


def spell_moment(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return moment.isoformat()


def simple_rule(number: int, unit: str) -> str:
    """Returns the rule "every so many days (d), weeks, months or years"."""
    return f"FREQ={FREQUENCY_UNITS[unit]}" + (f";INTERVAL={number}" if number > 1 else "")


def spell_seconds(seconds: int) -> str:
    """Returns a reminder that many seconds after the due date."""
    days, rest = divmod(abs(seconds), 86_400)
    sign = 1 if seconds >= 0 else -1
    return str(NominalDuration(sign * days, sign * rest))
