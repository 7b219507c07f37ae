"""Moving the dates of copied tasks by one distance, as clocks on the wall show them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

Moment = date | datetime
FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)


class DateShift(NamedTuple):
    """``days`` between days, and ``clock`` between local times: a task at nine stays at nine when the clocks change."""

    days: int
    clock: timedelta
    zone: ZoneInfo

    def apply(self, moment: Moment) -> Moment:
        """Returns the day or the instant that is as much later. Raises OverflowError."""
        if not isinstance(moment, datetime):
            return moment + timedelta(days=self.days)
        local = moment.astimezone(self.zone).replace(tzinfo=None) + self.clock
        return local.replace(tzinfo=self.zone).astimezone(UTC)


def shift_by_days(days: int, zone: ZoneInfo) -> DateShift:
    return DateShift(days, timedelta(days=days), zone)


def shift_between(old: Moment, new: Moment, zone: ZoneInfo) -> DateShift:
    """Returns the shift from one date to another; between a day and an instant in whole days."""
    days = (day_in(new, zone) - day_in(old, zone)).days
    if isinstance(old, datetime) and isinstance(new, datetime):
        clocks = [moment.astimezone(zone).replace(tzinfo=None) for moment in (old, new)]
        return DateShift(days, clocks[1] - clocks[0], zone)
    return shift_by_days(days, zone)


def day_in(moment: Moment, zone: tzinfo) -> date:
    """Returns a day, or that of an instant in ``zone``."""
    return moment.astimezone(zone).date() if isinstance(moment, datetime) else moment


def find_earliest(moments: Iterable[Moment | None], zone: ZoneInfo) -> Moment | None:
    """Returns the date that comes first; a day comes before its times. None if there is none."""

    def order(moment: Moment) -> tuple[date, bool, datetime]:
        is_instant = isinstance(moment, datetime)
        return day_in(moment, zone), is_instant, moment if isinstance(moment, datetime) else FIRST_INSTANT

    return min((moment for moment in moments if moment is not None), key=order, default=None)
