"""Writing tasks as iCalendar (RFC 5545): as to-dos, and as events for calendars that show nothing else.

A recurring task with a time of day keeps its local time when the clocks change: its dates name the owner's zone, which
the calendar describes. All other instants are in UTC.

A series is written from its current occurrence on, with the days of its rule and the rest of its COUNT. An occurrence
that was moved has a component of its own (RECURRENCE-ID), so that the others keep their days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.clock import now
from app.domain.date_shift import day_in
from app.domain.recurrence import Due, Rule, anchored, occurrence_of, parse_rule
from app.models.task_fields import TaskStatus
from app.models.task_rows import due_of, status_of
from app.services.transfer.export_pages import calendar_uid_of
from app.services.transfer.formats.ics.text import escape, fold
from app.services.transfer.formats.ics.vtimezone import vtimezone_lines

PRODUCT_ID = "-//todo//todo 1//EN"
# There is none for a task that waits for somebody.
ICS_STATUSES: dict[str, str] = {
    TaskStatus.PENDING: "NEEDS-ACTION",
    TaskStatus.IN_PROGRESS: "IN-PROCESS",
    TaskStatus.WAITING: "NEEDS-ACTION",
    TaskStatus.CANCELLED: "CANCELLED",
    TaskStatus.COMPLETED: "COMPLETED",
}
ICS_NUMBERS = {"none": 0, "urgent": 1, "high": 3, "medium": 5, "low": 7}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


class WrittenSeries(NamedTuple):
    """``start`` is the current occurrence, where the rule has it; ``moved`` is where it is due if that differs."""

    start: Due
    rule: str
    moved: Due | None


class Calendar:
    """Writes the calendar of one owner in their time zone."""

    def __init__(self, owner: str, timezone: str, projects: Mapping[int, str], *, name: str = "") -> None:
        self._owner, self._projects, self._name = owner, projects, name
        self._zone, self._tzid = ZoneInfo(timezone), timezone

    def begin(self) -> bytes:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT_ID}", "CALSCALE:GREGORIAN"]
        if self._name:
            lines += [f"X-WR-CALNAME:{escape(self._name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT15M"]
        if self._tzid != "UTC":
            lines += vtimezone_lines(self._tzid, now().year)
        return b"".join(fold(line) for line in lines)

    def end(self) -> bytes:
        return b"END:VCALENDAR\r\n"

    def todo(self, row: Any) -> bytes:
        """Returns the to-do of a task; of a series whose current occurrence was moved, two."""
        series = self._series(row)
        if series is None:
            return self._todo(row, [*self._start_and_due(row)])
        dates = [self.local_line("DTSTART", series.start), self.local_line("DUE", series.start), f"RRULE:{series.rule}"]
        found = self._todo(row, dates)
        if series.moved is not None:
            moved = [self.local_line("RECURRENCE-ID", series.start), self.date_line("DUE", series.moved)]
            found += self._todo(row, moved)
        return found

    def event(self, row: Any) -> bytes:
        """Returns the event of a task with a due date: the whole day, or an instant without duration.

        Of a series whose current occurrence was moved, two.
        """
        series = self._series(row)
        if series is None:
            due = due_of(row)
            assert due is not None
            return self._event(row, [self.date_line("DTSTART", due)])
        found = self._event(row, [self.local_line("DTSTART", series.start), f"RRULE:{series.rule}"])
        if series.moved is not None:
            moved = [self.local_line("RECURRENCE-ID", series.start), self.date_line("DTSTART", series.moved)]
            found += self._event(row, moved)
        return found

    def _start_and_due(self, row: Any) -> Iterator[str]:
        """Yields the dates of a to-do. DTSTART is of the type of DUE and before it (3.8.2.3)."""
        due, start = due_of(row), due_of(row, "start")
        if start is not None and (due is None or (type(start) is type(due) and start < due)):
            yield self.date_line("DTSTART", start)
        if due is not None:
            yield self.date_line("DUE", due)

    def _planning(self, row: Any) -> Iterator[str]:
        if (start := due_of(row, "start")) is not None:
            yield self.date_line("X-TODO-START", start)
        if row.deadline is not None:
            yield self.date_line("X-TODO-DEADLINE", row.deadline)
        if row.estimate_minutes is not None:
            yield f"ESTIMATED-DURATION:PT{row.estimate_minutes}M"
        if row.favorite:
            yield "X-TODO-FAVORITE:TRUE"

    def _todo(self, row: Any, dates: list[str]) -> bytes:
        lines = ["BEGIN:VTODO", *self._common(row), *dates, *self._planning(row)]
        status = status_of(row)
        lines.append(f"STATUS:{ICS_STATUSES[status]}")
        if status == TaskStatus.WAITING:
            lines.append("X-TODO-STATUS:WAITING")
        if row.completed_at:
            lines.append(f"COMPLETED:{_utc(row.completed_at)}")
        return b"".join(fold(line) for line in [*lines, *_alarms(row), "END:VTODO"])

    def _event(self, row: Any, dates: list[str]) -> bytes:
        lines = ["BEGIN:VEVENT", *self._common(row), *dates, "TRANSP:TRANSPARENT", "END:VEVENT"]
        return b"".join(fold(line) for line in lines)

    def _common(self, row: Any) -> Iterator[str]:
        yield f"UID:{escape(calendar_uid_of(row))}"
        yield f"DTSTAMP:{_utc(row.updated_at)}"
        yield f"CREATED:{_utc(row.created_at)}"
        yield f"LAST-MODIFIED:{_utc(row.updated_at)}"
        yield f"SUMMARY:{escape(row.title)}"
        yield f"PRIORITY:{ICS_NUMBERS[row.priority]}"
        if row.description:
            yield f"DESCRIPTION:{escape(row.description)}"
        if row.tags:
            yield "CATEGORIES:" + ",".join(escape(tag) for tag in row.tags)
        if parent := calendar_uid_of(row, "parent_"):
            yield f"RELATED-TO:{escape(parent)}"
        if series := calendar_uid_of(row, "series_"):
            yield f"X-TODO-SERIES:{escape(series)}"
        if row.project_id in self._projects:
            yield f"X-TODO-PROJECT:{escape(self._projects[row.project_id])}"
        if row.recurrence_from == "completion":
            yield "X-TODO-RECURRENCE-FROM:COMPLETION"

    def _series(self, row: Any) -> WrittenSeries | None:
        due = due_of(row)
        if not row.recurrence or due is None:
            return None
        rule = parse_rule(row.recurrence)
        anchor = due_of(row, "anchor") or due
        start = occurrence_of(rule, due, timezone=self._zone, recurrence_from=row.recurrence_from, anchor=anchor)
        rule = self.remaining_rule(rule, anchor, row.recurrence_from, row.occurrences_done)
        return WrittenSeries(start, str(self.typed_rule(rule, start)), None if start == due else due)

    def remaining_rule(self, rule: Rule, anchor: Due, recurrence_from: str, occurrences_done: int) -> Rule:
        """Returns the rule of a series from its current occurrence on, with the days that it has by its ``anchor``."""
        if recurrence_from != "completion":  # then its days follow the completion
            rule = anchored(rule, day_in(anchor, self._zone))
        return rule if rule.count is None else replace(rule, count=max(1, rule.count - occurrences_done))

    def typed_rule(self, rule: Rule, start: Due) -> Rule:
        """Returns the rule with an UNTIL of the type of DTSTART: a day, or an instant (3.3.10)."""
        until = rule.until
        if until is None or isinstance(until, datetime) == isinstance(start, datetime):
            return rule
        if isinstance(until, datetime):
            return replace(rule, until=day_in(until, self._zone))
        last = datetime.combine(until + timedelta(days=1), datetime.min.time(), self._zone) - timedelta(seconds=1)
        return replace(rule, until=last)

    def date_line(self, name: str, due: Due) -> str:
        return f"{name}:{_utc(due)}" if isinstance(due, datetime) else f"{name};VALUE=DATE:{due:%Y%m%d}"

    def local_line(self, name: str, due: Due) -> str:
        """Returns a date of a series: an instant as the local time that it keeps."""
        if not isinstance(due, datetime) or self._tzid == "UTC":
            return self.date_line(name, due)
        return f"{name};TZID={self._tzid}:{due.astimezone(self._zone):%Y%m%dT%H%M%S}"


def _alarms(row: Any) -> Iterator[str]:
    for reminder in row.reminders:
        if "P" in reminder:
            trigger = f"TRIGGER;RELATED=END:{reminder}"
        else:
            trigger = f"TRIGGER;VALUE=DATE-TIME:{_utc(datetime.fromisoformat(reminder))}"
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{escape(row.title)}", trigger, "END:VALARM")
