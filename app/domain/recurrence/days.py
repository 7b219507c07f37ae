"""The days of a rule, in bounded time.

RFC 5545, 3.3.10 defines a rule by periods (days, weeks, months, years): every INTERVAL-th, counted from the one that
contains the start. The first relevant period is computed, never reached by counting from the start, and a month or year
has few shapes (4 lengths or 2, times 7 first weekdays), each computed once: a rule that never matches costs no more
than one check of each period until LAST_YEAR. Days are ordinals (``date.toordinal``) throughout.
"""

from calendar import isleap
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final

from app.domain.recurrence.rule import LAST_YEAR, LONGEST_MONTHS, SHORTEST_MONTHS, Frequency, Rule, anchored

LAST_ORDINAL: Final = date(LAST_YEAR, 12, 31).toordinal()


def matching_days(rule: Rule, start: date, after: date) -> Iterator[date]:
    """Yields the days of the series that begins at ``start``, ascending: not before ``start``, later than ``after``."""
    rule = anchored(rule, start)
    first = max(start, after + timedelta(days=1))
    lowest = first.toordinal()
    for day in _DAYS_BY_FREQUENCY[rule.frequency](rule, start, first):
        if day > LAST_ORDINAL:
            return
        if day >= lowest:
            yield date.fromordinal(day)


def _daily(rule: Rule, start: date, first: date) -> Iterator[int]:
    """Yields month by month, as all limits of DAILY concern months; BYSETPOS can only choose the single day."""
    phase, interval = start.toordinal(), rule.interval
    if not (rule.months or rule.month_days or rule.weekdays):
        yield from range(_in_phase(phase, first.toordinal(), interval), LAST_ORDINAL + 1, interval)
        return
    if rule.weekdays and interval % 7 == 0 and start.weekday() not in {weekday.day for weekday in rule.weekdays}:
        return  # whole weeks never change the weekday
    shapes = _PeriodDays(rule)
    for index in range(_month_index(first), (LAST_YEAR + 1) * 12):
        if shapes.has_month(index):
            one, days = shapes.month(index)
            if interval > 1 and days:
                days = [day for day in range((phase - one) % interval, 31, interval) if day in days]
            yield from (one + day for day in days)


def _weekly(rule: Rule, start: date, first: date) -> Iterator[int]:
    """Yields week by week; weeks begin on WKST, and BYMONTH limits single days before BYSETPOS chooses."""
    offsets = sorted((weekday.day - rule.week_start) % 7 for weekday in rule.weekdays)
    whole, allowed = _chosen(offsets, rule.positions), set(rule.months)
    step = 7 * rule.interval
    week = _in_phase(_week_of(start, rule.week_start), _week_of(first, rule.week_start), step)
    while week <= LAST_ORDINAL:
        last = date.fromordinal(week + 6)
        months = {date.fromordinal(week).month, last.month}
        if not allowed or months <= allowed:
            yield from (week + offset for offset in whole)
        elif months.isdisjoint(allowed):
            month_end = last.toordinal() - last.day + LONGEST_MONTHS[last.month]
            week = max(week, _in_phase(week, month_end, step) - step)
        else:
            days = [week + offset for offset in offsets if date.fromordinal(week + offset).month in allowed]
            yield from _chosen(days, rule.positions)
        week += step


def _monthly(rule: Rule, start: date, first: date) -> Iterator[int]:
    shapes = _PeriodDays(rule)
    begin = _in_phase(_month_index(start), _month_index(first), rule.interval)
    for month in range(begin, (LAST_YEAR + 1) * 12, rule.interval):
        if shapes.has_month(month):
            one, days = shapes.month(month)
            yield from (one + day for day in days)


def _yearly(rule: Rule, start: date, first: date) -> Iterator[int]:
    shapes = _PeriodDays(rule)
    begin = _in_phase(start.year, first.year, rule.interval)
    for year in range(begin, LAST_YEAR + 1, rule.interval):
        one, days = shapes.year(year)
        yield from (one + day for day in days)


_DAYS_BY_FREQUENCY: Final[dict[Frequency, Callable[[Rule, date, date], Iterator[int]]]] = {
    Frequency.DAILY: _daily,
    Frequency.WEEKLY: _weekly,
    Frequency.MONTHLY: _monthly,
    Frequency.YEARLY: _yearly,
}


def _in_phase(start: int, wanted: int, step: int) -> int:
    """Returns the last period not after ``wanted`` that is a whole number of steps after ``start``."""
    return start + (wanted - start) // step * step


def _month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _week_of(day: date, week_start: int) -> int:
    return day.toordinal() - (day.weekday() - week_start) % 7


def _chosen(days: list[int], positions: tuple[int, ...]) -> list[int]:
    """Applies BYSETPOS: positions count from 1 at the beginning or -1 at the end of the period's set."""
    if not positions:
        return days
    size = len(days)
    return sorted({days[p - 1 if p > 0 else p] for p in positions if abs(p) <= size})


class _PeriodDays:
    """The days of a rule in a month or year, as offsets from its first day; equal shapes are computed once."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._every = {weekday.day for weekday in rule.weekdays if not weekday.ordinal}
        self._numbered = {(weekday.ordinal, weekday.day) for weekday in rule.weekdays if weekday.ordinal}
        self._months: dict[tuple[int, int], list[int]] = {}
        self._years: dict[tuple[bool, int], list[int]] = {}
        self._in_month = [not rule.months or month in rule.months for month in range(1, 13)]

    def has_month(self, index: int) -> bool:
        return self._in_month[index % 12]

    def month(self, index: int) -> tuple[int, list[int]]:
        """Returns the month's first day and the offsets in it (index: 12 a year from year 0)."""
        year, month = divmod(index, 12)
        one = date(year, month + 1, 1)
        shape = (_length(year, month + 1), one.weekday())
        if shape not in self._months:
            found = self._days(0, shape[0], shape[1], shape[0])
            self._months[shape] = _chosen(found, self._rule.positions) if self._rule.frequency == "MONTHLY" else found
        return one.toordinal(), self._months[shape]

    def year(self, year: int) -> tuple[int, list[int]]:
        """Returns 1 January and the offsets in its year."""
        one = date(year, 1, 1)
        shape = (isleap(year), one.weekday())
        if shape not in self._years:
            self._years[shape] = _chosen(self._year_days(year, shape[1]), self._rule.positions)
        return one.toordinal(), self._years[shape]

    def _year_days(self, year: int, weekday: int) -> list[int]:
        """Returns the offsets; numbered weekdays count in the month with BYMONTH, else in the year (note 2)."""
        found: list[int] = []
        begin = 0
        for month in range(1, 13):
            length = _length(year, month)
            if self._rule.months:
                if month in self._rule.months:
                    found += [begin + day for day in self._days(0, length, (weekday + begin) % 7, length)]
            else:
                found += self._days(begin, length, weekday, 366 if isleap(year) else 365)
            begin += length
        return found

    def _days(self, begin: int, length: int, weekday: int, span: int) -> list[int]:
        """Returns offsets within a span (a month or a year) of ``span`` days that begins on ``weekday``.

        They are those of one month of it, of ``length`` days from offset ``begin``.
        """
        wanted = self._rule.month_days
        days = [d for d in range(length) if not wanted or d + 1 in wanted or d - length in wanted]
        if not self._rule.weekdays:
            return [begin + day for day in days]
        return [offset for day in days if self._is_weekday(offset := begin + day, (weekday + begin + day) % 7, span)]

    def _is_weekday(self, offset: int, weekday: int, span: int) -> bool:
        if weekday in self._every or not self._numbered:
            return weekday in self._every
        from_end = (span - 1 - offset) // 7 + 1
        return not self._numbered.isdisjoint({(offset // 7 + 1, weekday), (-from_end, weekday)})


def _length(year: int, month: int) -> int:
    return (LONGEST_MONTHS if isleap(year) else SHORTEST_MONTHS)[month]
