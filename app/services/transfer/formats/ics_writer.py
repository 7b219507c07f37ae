"""Writing tasks as iCalendar (RFC 5545): as to-dos, and as events for calendars that show nothing else.

A recurring task with a time of day keeps its local time when the clocks change: its dates name the owner's zone, which
the calendar describes. All other instants are in UTC.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.clock import now
from app.domain.recurrence import parse_rule
from app.models.task_rows import due_of
from app.services.transfer.export_pages import parent_source_id_of, source_id_of

ICS_NUMBERS = {"none": 0, "urgent": 1, "high": 3, "medium": 5, "low": 7}
YEARS_AHEAD = 10  # for which the changes of the offset are written
_CONTROL_PATTERN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPED_CHARACTERS = (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n"))  # in this order


def escape(text: str) -> str:
    """Returns the TEXT of 3.3.11, without the control characters that it may not hold."""
    text = _CONTROL_PATTERN.sub("", text)
    for character, escaped in _ESCAPED_CHARACTERS:
        text = text.replace(character, escaped)
    return text


def fold(line: str) -> bytes:
    """Folds a content line into pieces of at most 75 octets, without cutting a character (3.1)."""
    raw = line.encode("utf-8", "replace")
    if len(raw) <= 75:
        return raw + b"\r\n"
    pieces, start, room = [], 0, 75
    while start < len(raw):
        end = min(start + room, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(raw[start:end])
        start, room = end, 74
    return b"\r\n ".join(pieces) + b"\r\n"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


class Calendar:
    """Writes the calendar of one owner in their time zone."""

    def __init__(self, owner: str, timezone: str, projects: Mapping[int, str], *, name: str = "") -> None:
        self._owner, self._projects, self._name = owner, projects, name
        self._zone, self._tzid = ZoneInfo(timezone), timezone

    def begin(self) -> bytes:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//todo//todo 1//EN", "CALSCALE:GREGORIAN"]
        if self._name:
            lines += [f"X-WR-CALNAME:{escape(self._name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT15M"]
        return b"".join(fold(line) for line in [*lines, *self._timezone()])

    def end(self) -> bytes:
        return b"END:VCALENDAR\r\n"

    def todo(self, row: Any) -> bytes:
        lines = ["BEGIN:VTODO", *self._common(row)]
        if (due := due_of(row)) is not None:
            lines.append(self._date("DUE", due, row.recurrence))
        lines += self._repeats(row, due)
        lines.append("STATUS:COMPLETED" if row.completed else "STATUS:NEEDS-ACTION")
        if row.completed_at:
            lines.append(f"COMPLETED:{_utc(row.completed_at)}")
        return b"".join(fold(line) for line in [*lines, *_alarms(row), "END:VTODO"])

    def event(self, row: Any) -> bytes:
        """Returns the event of a task with a due date: the whole day, or an instant without duration."""
        due = due_of(row)
        assert due is not None
        lines = ["BEGIN:VEVENT", *self._common(row), *self._repeats(row, due), "TRANSP:TRANSPARENT"]
        if not row.recurrence:
            lines.append(self._date("DTSTART", due, None))
        return b"".join(fold(line) for line in [*lines, "END:VEVENT"])

    def _common(self, row: Any) -> Iterator[str]:
        yield f"UID:{escape(source_id_of(self._owner, row))}"
        yield f"DTSTAMP:{_utc(row.updated_at)}"
        yield f"CREATED:{_utc(row.created_at)}"
        yield f"LAST-MODIFIED:{_utc(row.updated_at)}"
        yield f"SUMMARY:{escape(row.title)}"
        yield f"PRIORITY:{ICS_NUMBERS[row.priority]}"
        if row.description:
            yield f"DESCRIPTION:{escape(row.description)}"
        if row.tags:
            yield "CATEGORIES:" + ",".join(escape(tag) for tag in row.tags)
        if parent := parent_source_id_of(self._owner, row):
            yield f"RELATED-TO:{escape(parent)}"
        if row.project_id in self._projects:
            yield f"X-TODO-PROJECT:{escape(self._projects[row.project_id])}"

    def _repeats(self, row: Any, due: date | datetime | None) -> Iterator[str]:
        if not row.recurrence or due is None:
            return
        yield self._date("DTSTART", due, row.recurrence)  # the start of the rule
        yield f"RRULE:{self._rule(row.recurrence, due)}"
        if row.recurrence_from == "completion":
            yield "X-TODO-RECURRENCE-FROM:COMPLETION"

    def _rule(self, text: str, due: date | datetime) -> str:
        """Returns the rule with an UNTIL of the type of DTSTART: a day, or an instant in UTC (3.3.10)."""
        until = parse_rule(text).until
        if until is None or isinstance(until, datetime) == isinstance(due, datetime):
            return text
        if isinstance(until, datetime):
            other = until.astimezone(self._zone).strftime("%Y%m%d")
        else:
            last = datetime.combine(until + timedelta(days=1), datetime.min.time(), self._zone) - timedelta(seconds=1)
            other = _utc(last)
        return ";".join(f"UNTIL={other}" if part.startswith("UNTIL=") else part for part in text.split(";"))

    def _date(self, name: str, due: date | datetime, recurrence: str | None) -> str:
        if not isinstance(due, datetime):
            return f"{name};VALUE=DATE:{due:%Y%m%d}"
        if recurrence and self._tzid != "UTC":
            return f"{name};TZID={self._tzid}:{due.astimezone(self._zone):%Y%m%dT%H%M%S}"
        return f"{name}:{_utc(due)}"

    def _timezone(self) -> Iterator[str]:
        """Yields a VTIMEZONE: the changes of the offset since last year, and the offset before them."""
        if self._tzid == "UTC":
            return
        start = datetime(now().year - 1, 1, 1, tzinfo=UTC)
        before = start.astimezone(self._zone)
        yield from ("BEGIN:VTIMEZONE", f"TZID:{self._tzid}")
        yield from _observance(datetime(1970, 1, 1), before, before)  # noqa: DTZ001 - local times
        for moment in _changes(start, self._zone):
            old = (moment - timedelta(seconds=1)).astimezone(self._zone)
            new = moment.astimezone(self._zone)
            yield from _observance((moment + (old.utcoffset() or timedelta())).replace(tzinfo=None), old, new)
        yield "END:VTIMEZONE"


def _observance(local: datetime, old: datetime, new: datetime) -> Iterator[str]:
    kind = "DAYLIGHT" if new.dst() else "STANDARD"
    yield from (f"BEGIN:{kind}", f"DTSTART:{local:%Y%m%dT%H%M%S}", f"TZNAME:{escape(new.tzname() or kind)}")
    yield from (f"TZOFFSETFROM:{old:%z}", f"TZOFFSETTO:{new:%z}", f"END:{kind}")


def _changes(start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yields the instants at which the offset changes, to the minute."""
    day = start
    for _ in range(366 * YEARS_AHEAD):
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            low, high = 0, 24 * 60
            while high - low > 1:
                middle = (low + high) // 2
                same = (day + timedelta(minutes=middle)).astimezone(zone).utcoffset() == day.astimezone(
                    zone
                ).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield day + timedelta(minutes=high)
        day = following


def _alarms(row: Any) -> Iterator[str]:
    for reminder in row.reminders:
        if "P" in reminder:
            trigger = f"TRIGGER;RELATED=END:{reminder}"
        else:
            trigger = f"TRIGGER;VALUE=DATE-TIME:{_utc(datetime.fromisoformat(reminder))}"
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{escape(row.title)}", trigger, "END:VALARM")
