"""The meaning of a recurrence phrase: a rule, its start, its end."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo

from app.domain.quick_add.days import Day
from app.domain.quick_add.words import moved
from app.domain.recurrence.days import matching_days
from app.domain.recurrence.rule import Rule


@dataclass(frozen=True, slots=True)
class Repeat:
    """``plain``: any day may be its first. ``weak``: the words may also describe a noun after them (daily standup)."""

    rule: Rule
    weak: bool = False
    part: str | None = None

    @property
    def plain(self) -> bool:
        return not (self.rule.weekdays or self.rule.month_days)

    def first(self, start: date) -> date | None:
        """Returns the first day of the rule that is not before ``start``."""
        days = matching_days(replace(self.rule, interval=1), start, start - timedelta(days=1))
        return next(days, None)


@dataclass(frozen=True, slots=True)
class Start:
    """``starting tomorrow``: the first day of a recurrence, else the start of the task.

    ``loose``: ``from monday``, which may also say where something comes from (notes from monday).
    """

    day: Day
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """The end of a recurrence: after ``count`` times, after ``count`` units or, without a count, with a day."""

    count: int = 0
    unit: int | None = None
    on: date | None = None

    @property
    def is_counted(self) -> bool:
        return self.on is None

    def applied(self, rule: Rule, first: date, *, timed: tzinfo | None) -> Rule | None:
        """Returns the rule with its end; None when it would end before it begins.

        ``timed``: the zone when the due date is an instant. UNTIL is then also an instant (RFC 5545, 3.3.10).
        """
        if self.on is None and self.unit is None:
            return replace(rule, count=self.count)
        until = self.on
        if until is None and self.unit is not None and (after := moved(first, self.count, self.unit)):
            until = after - timedelta(days=1)
        if until is None or until < first:
            return None
        return replace(rule, until=datetime.combine(until, time(23, 59, 59), timed) if timed else until)
