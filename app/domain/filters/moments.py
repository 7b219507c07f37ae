"""Days and instants in filters: absolute ones, and those that count from today or now in the owner's time zone."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from app.models.types import MAX_YEAR, MIN_YEAR, parse_date_or_instant

NEAR_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_RELATIVE_PATTERN = re.compile(r"(today|tomorrow|yesterday|now)?\s*(?:([+-]?)\s*([0-9]{1,4})\s*([a-z]+))?")
# Of each unit: months, days and seconds.
_UNIT_WORDS = {
    **dict.fromkeys(("min", "minute", "minutes"), (0, 0, 60)),
    **dict.fromkeys(("h", "hour", "hours"), (0, 0, 3600)),
    **dict.fromkeys(("d", "day", "days"), (0, 1, 0)),
    **dict.fromkeys(("w", "week", "weeks"), (0, 7, 0)),
    **dict.fromkeys(("m", "month", "months"), (1, 0, 0)),
    **dict.fromkeys(("y", "year", "years"), (12, 0, 0)),
}
# Beyond the dates that tasks have, and far from the last ones of Python.
EARLIEST_DAY, LATEST_DAY = date(MIN_YEAR - 9, 1, 1), date(MAX_YEAR + 9, 1, 1)
_TICK_LENGTH = timedelta(microseconds=1)  # the resolution of PostgreSQL's instants


class Offset(NamedTuple):
    """A time from today or, with ``exact``, from now; months first, as PostgreSQL adds them."""

    exact: bool
    months: int = 0
    days: int = 0
    seconds: int = 0


class FilterMoment(NamedTuple):
    """A day or an instant; ``after`` stands for the next one, so that up to X is before the moment after X."""

    start: date | datetime | Offset
    after: bool = False

    @property
    def is_relative(self) -> bool:
        return isinstance(self.start, Offset)


class DateBound(NamedTuple):
    """A day and an instant that mean the same moment in the owner's time zone."""

    day: date
    instant: datetime


def parse_moment(text: str) -> FilterMoment | None:
    """Parses ``2026-12-01``, ``2026-12-01T09:00``, ``today+7d``, ``now-2h``, ``7d``; None for anything else."""
    if text and (found := _RELATIVE_PATTERN.fullmatch(text.lower())):
        name, sign, number, unit = found.groups()
        if number is not None and unit not in _UNIT_WORDS:
            return None
        count = -int(number or 0) if sign == "-" else int(number or 0)
        months, days, seconds = (count * each for each in _UNIT_WORDS[unit or "d"])
        if name == "now":
            return FilterMoment(Offset(True, months, days, seconds))
        return None if seconds else FilterMoment(Offset(False, months, NEAR_DAYS[name or "today"] + days))
    try:
        return FilterMoment(parse_date_or_instant(text))
    except ValueError:  # of Pydantic
        return None


def resolve_moment(moment: FilterMoment, now: datetime, zone: tzinfo) -> DateBound:
    """Returns what a moment means for a user in ``zone``, at the instant ``now``."""
    start = moment.start
    if isinstance(start, Offset):
        local = now.astimezone(zone).replace(tzinfo=None)
        day = _moved(local.date(), start)
        exact = _to_instant(datetime.combine(day, local.time()), zone) + timedelta(seconds=start.seconds)
        start = exact if start.exact else day
    if not isinstance(start, datetime):
        day = start + timedelta(days=moment.after)
        return DateBound(day, _to_instant(datetime.combine(day, time()), zone))
    instant = (start if start.tzinfo else _to_instant(start, zone)) + _TICK_LENGTH * moment.after
    return DateBound(instant.astimezone(zone).date(), instant)


def _moved(day: date, offset: Offset) -> date:
    """Returns the day so much later; of a shorter month its last day."""
    years, month = divmod(day.month - 1 + offset.months, 12)
    year = day.year + years
    if EARLIEST_DAY.year < year < LATEST_DAY.year:
        moved = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1])) + timedelta(days=offset.days)
        return min(max(moved, EARLIEST_DAY), LATEST_DAY)
    return EARLIEST_DAY if year <= EARLIEST_DAY.year else LATEST_DAY


def _to_instant(local: datetime, zone: tzinfo) -> datetime:
    """Returns the instant of a local time as PostgreSQL does: of two the later one, of none the one before the gap."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    offsets = [each.utcoffset() or timedelta() for each in (first, second)]
    return (second if offsets[0] > offsets[1] else first).astimezone(UTC)
