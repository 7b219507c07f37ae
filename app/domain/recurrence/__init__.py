"""The next due date of a recurring task. Pure functions: no clock, no database.

Rules (RFC 5545, 3.3.10) determine the days, the due date the time of day, if any, and the user's zone the instant of
that time. Where the RFC leaves it open:

- **Never in the past, never the same date.** The next due date is after the day of the current one and after the
  completion: on a later day for an all-day task, at a later instant for one with a time. A daily task two weeks overdue
  is completed once, not fourteen times, and then due tomorrow (at 18:00 every day, completed at noon: today at 18:00).
  Completed early, it still moves to a date after its own.
- **The phase stays.** Every other week keeps its weeks however late a task is completed; only
  ``recurrence_from="completion"`` counts from the completion's local day.
- **The time of day is local.** 09:00 stays 09:00 across clock changes. A time in the gap of a clock change moves
  forward by the gap, an ambiguous one is the first (3.3.5).
- **Month ends clamp and come back**: see ``rule.anchored``.

What to store with a series: its rule as ``str(rule)``, ``occurrences_done``, and as ``anchor`` the due it had when the
rule was set. The anchor keeps phase, day and time when one occurrence was moved by the user or by a clock change.
Without one the current due date is used; then store ``str(anchored(rule, due))``, or a series clamped to 28 February
stays on the 28th. With "completion" store the plain rule: its days follow the completion.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from app.domain.date_shift import day_in
from app.domain.recurrence.days import matching_days
from app.domain.recurrence.rule import Frequency, Rule, Weekday, anchored, parse_rule, shifted
from app.models.task_fields import RecurrenceFrom

__all__ = [
    "Due", "Frequency", "Rule", "Step", "Weekday",
    "advance", "anchored", "occurrence_of", "occurrences", "parse_rule", "shifted",
]  # fmt: skip

Due: TypeAlias = date | datetime
"""A date is a whole day; a datetime is an instant, aware."""


class Step(NamedTuple):
    """The next due date of a series, None when it has ended, and ``occurrences_done`` to store for the next step."""

    due: Due | None
    occurrences_done: int


def advance(
    rule: Rule,
    due: Due,
    *,
    timezone: ZoneInfo,
    completed_at: datetime,
    recurrence_from: RecurrenceFrom,
    occurrences_done: int,
    anchor: Due | None = None,
) -> Step:
    """Returns the step from ``due``, completed (or skipped) at ``completed_at``, to the next due date of its series.

    ``occurrences_done``: the number of occurrences before ``due``, 0 for the first. COUNT includes all occurrences from
    the start, as in RFC 5545: with "due" those that were missed while overdue also count (without COUNT the number is
    unused and they are not counted), with "completion" there are none. An instant is returned in UTC. To step through
    missed occurrences one by one, pass ``due`` (or an instant of its day) as ``completed_at``.
    """
    completed_on, due_on = completed_at.astimezone(timezone).date(), day_in(due, timezone)
    anchor = due if anchor is None else anchor
    by_completion = recurrence_from == RecurrenceFrom.COMPLETION
    start = completed_on if by_completion else day_in(anchor, timezone)
    clock = _local_clock(due, anchor, timezone)
    # An instant later on the day of the completion is in the future; a whole day is not.
    passed = completed_on if clock is None or by_completion else completed_on - timedelta(days=1)
    after = due_on if rule.count is not None and not by_completion else max(due_on, passed)
    done = occurrences_done + 1
    for day in matching_days(rule, start, after):
        if rule.count is not None and done >= rule.count:
            break
        if day > passed:
            candidate = _at(day, clock, timezone)
            if not isinstance(candidate, datetime) or candidate > completed_at:
                return Step(candidate if _is_within(rule, day, candidate, timezone) else None, done)
        done += 1
    return Step(None, done)


def occurrences(rule: Rule, start: Due, timezone: ZoneInfo, limit: int) -> Iterator[Due]:
    """Yields the first ``limit`` due dates of a series, including ``start``, until COUNT, UNTIL or the end of 2199.

    ``start`` comes first even where its day does not match the rule (RFC 5545, 3.8.5.3). Instants are in UTC.
    """
    start_on, clock = day_in(start, timezone), _local_clock(start, start, timezone)
    left = limit if rule.count is None else min(limit, rule.count)
    if left < 1 or not _is_within(rule, start_on, start, timezone):
        return
    previous = start.astimezone(UTC) if isinstance(start, datetime) else start
    yield previous
    for day in matching_days(rule, start_on, start_on):
        left -= 1
        candidate = _at(day, clock, timezone)
        if left < 1 or not _is_within(rule, day, candidate, timezone):
            return
        if candidate > previous:  # a day that the zone skipped has the instant of the next day
            yield candidate
            previous = candidate


def occurrence_of(
    rule: Rule, due: Due, *, timezone: ZoneInfo, recurrence_from: RecurrenceFrom, anchor: Due | None = None
) -> Due:
    """Returns the date of the series that ``due`` stands for: ``due`` itself, unless that occurrence was moved.

    ``advance`` returns the same dates from either. With "completion" only the time of day can have been moved.
    """
    anchor = due if anchor is None else anchor
    due_on, start = day_in(due, timezone), day_in(anchor, timezone)
    clock = _local_clock(due, anchor, timezone)
    if recurrence_from == RecurrenceFrom.COMPLETION:
        return _at(due_on, clock, timezone)
    end = due_on if rule.until is None else min(due_on, day_in(rule.until, timezone))
    if not _is_within(rule, end, _at(end, clock, timezone), timezone):
        end -= timedelta(days=1)
    return _at(start if end <= start else _last_day(rule, start, end), clock, timezone)


def _last_day(rule: Rule, start: date, end: date) -> date:
    """Returns the last day of a series that is not after ``end``, else ``start``."""
    for span in (1, 100, 10_000, 200_000):  # nearly always the first; the last is longer than any series
        after = max(start, end - timedelta(days=span))
        if found := deque(takewhile(end.__ge__, matching_days(rule, start, after)), maxlen=1):
            return found[0]
        if after == start:
            break
    return start


def _local_clock(due: Due, anchor: Due, timezone: ZoneInfo) -> time | None:
    """Returns the local time of day of a series; None when it has whole days."""
    if not isinstance(due, datetime):
        return None
    return (anchor if isinstance(anchor, datetime) else due).astimezone(timezone).time().replace(fold=0)


def _at(day: date, clock: time | None, timezone: ZoneInfo) -> Due:
    """Returns the due date on ``day``; fold=0 is RFC 5545, 3.3.5: the first of two, or the offset before the gap."""
    return day if clock is None else datetime.combine(day, clock, timezone).astimezone(UTC)


def _is_within(rule: Rule, day: date, due: Due, timezone: ZoneInfo) -> bool:
    """Returns whether ``due`` is not after UNTIL; unless both are instants, local days are compared."""
    if rule.until is None:
        return True
    if isinstance(rule.until, datetime) and isinstance(due, datetime):
        return due <= rule.until
    return day <= day_in(rule.until, timezone)
