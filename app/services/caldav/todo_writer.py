"""Writing a task as the calendar object of an app: what the app sent, where the task still says the same.

The lines of a to-do are in groups, one for each field of a task (``kept_lines``). Those of a group whose columns have
changed are written anew. Lines that no field understands are always given back.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.clock import now
from app.domain.date_shift import day_in
from app.domain.recurrence import Due, parse_rule, shifted
from app.errors import CalendarDataRefused
from app.models.accounts import known_time_zones
from app.models.task_rows import due_of
from app.services.caldav.calendar_blocks import Block
from app.services.caldav.kept_lines import GROUP_COLUMNS, Lines, SentParts, split_text
from app.services.transfer.formats.ics.components import parse_property
from app.services.transfer.formats.ics.rules import COMPLETION_PART
from app.services.transfer.formats.ics.text import escape, fold
from app.services.transfer.formats.ics.values import parse_moment
from app.services.transfer.formats.ics.vtimezone import vtimezone_lines
from app.services.transfer.formats.ics.writer import ICS_NUMBERS, ICS_STATUSES, PRODUCT_ID, Calendar
from app.services.transfer.import_row import uid_of_calendar

Row = Any  # of a task, with all its columns

PLAIN_GROUPS = frozenset({"title", "description", "priority", "tags"})  # whose one column is its own JSON value
_ZONE_PARAMETER = re.compile(r";TZID=(\"[^\"]*\"|[^;:]*)", re.IGNORECASE)
_HEAD_LINES = ("BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT_ID}")
_CALENDAR_HEAD = "".join(f"{line}\r\n" for line in _HEAD_LINES)


def values_of(row: Mapping[str, Any], group: str) -> list[Any]:
    """Returns what the columns of a group say, as JSON values."""
    if group == "parent":
        return [row.get("parent_uid") or row.get("parent_wanted")]
    return [_json_value(row[name]) for name in GROUP_COLUMNS[group]]


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=256)
def _calendar_in(timezone: str) -> Calendar:
    return Calendar("", timezone, {})


class TodoWriter:
    """Writes the tasks of one owner, whose series are in ``timezone``."""

    def __init__(self, timezone: str) -> None:
        self._timezone = timezone

    def object(self, row: Row) -> str:
        """Returns the calendar object of a task: the text that its app has sent, while it says what the task does."""
        row = row if isinstance(row, dict) else dict(row)
        kept = row["ical"]
        if kept is None:
            return _join_calendar([*self._new_lines(row)], NO_PARTS)
        if not (changed := _changed_groups(row, kept)) and not _alarms_differ(row, kept):
            text: str = kept["text"]
            return text
        try:
            sent = split_text(kept["text"])
        except CalendarDataRefused:  # of an import: a file may hold anything
            return _join_calendar([*self._new_lines(row)], NO_PARTS)
        return _join_calendar([*self._changed_lines(row, kept, sent, changed)], sent)

    def _new_lines(self, row: Row) -> Iterator[str]:
        yield from _stamp_lines(row)
        yield f"CREATED:{utc_text(row['created_at'])}"
        for group in GROUP_COLUMNS:
            yield from self.generate(row, group)
        for reminder in row["reminders"]:
            yield from alarm_lines(reminder, row["title"])
        yield "END:VTODO"

    def _changed_lines(self, row: Row, kept: Mapping[str, Any], sent: SentParts, changed: set[str]) -> Iterator[str]:
        yield from _stamp_lines(row)
        for group, lines in sent.groups.items():
            yield from self.generate(row, group, sent.groups["dates"]) if group in changed else lines
        yield from sent.other
        yield from _changed_alarms(row, kept["alarms"], sent.alarms)
        yield "END:VTODO"
        zone = ZoneInfo(_zone_of(sent.groups["dates"]) or self._timezone)
        for override in sent.overrides:
            if "dates" not in changed or _is_later(override, row, zone):
                yield from override.all_lines()

    def groups(self, row: Row) -> dict[str, Lines]:
        """Returns the lines of each group, as ``object`` has them."""
        kept = row["ical"]
        if kept is None:
            return {group: self.generate(row, group) for group in GROUP_COLUMNS}
        try:
            sent, changed = split_text(kept["text"]).groups, _changed_groups(row, kept)
        except CalendarDataRefused:
            return self.groups({**row, "ical": None})
        return {
            group: self.generate(row, group, sent["dates"]) if group in changed else lines
            for group, lines in sent.items()
        }

    def generate(self, row: Row, group: str, sent_dates: Lines | None = None) -> Lines:
        """Returns the lines that say what the columns of a group do, dates in the zone of ``sent_dates``."""
        if group == "dates":
            return [*self._date_lines(row, sent_dates or [])]
        return [*_GROUP_WRITERS[group](self, row)]

    def title_lines(self, row: Row) -> Iterator[str]:
        yield f"SUMMARY:{escape(row['title'])}"

    def description_lines(self, row: Row) -> Iterator[str]:
        if row["description"]:
            yield f"DESCRIPTION:{escape(row['description'])}"

    def status_lines(self, row: Row) -> Iterator[str]:
        yield f"STATUS:{'COMPLETED' if row['completed'] else ICS_STATUSES[row['state']]}"
        if row["completed"]:
            if row["completed_at"]:
                yield f"COMPLETED:{utc_text(row['completed_at'])}"
            yield "PERCENT-COMPLETE:100"

    def priority_lines(self, row: Row) -> Iterator[str]:
        if number := ICS_NUMBERS[row["priority"]]:
            yield f"PRIORITY:{number}"

    def tag_lines(self, row: Row) -> Iterator[str]:
        if row["tags"]:
            yield "CATEGORIES:" + ",".join(map(escape, row["tags"]))

    def parent_lines(self, row: Row) -> Iterator[str]:
        parent = _parent_uid_of(row) if row.get("parent_uid") else row.get("parent_wanted")
        if parent:
            yield f"RELATED-TO:{escape(parent)}"

    def _date_lines(self, row: Row, sent: Lines) -> Iterator[str]:
        due, start = due_of(row), due_of(row, "start")
        zone = _zone_of(sent)
        if row["recurrence"] and due is not None:
            yield from self._series_lines(row, start, due, sent, zone or self._timezone)
            return
        calendar = _calendar_in(zone or "UTC")
        if start is not None and (due is None or _precedes(start, due)):
            yield calendar.local_line("DTSTART", start)
        if due is not None:
            yield calendar.local_line("DUE", due)

    def _series_lines(self, row: Row, start: Due | None, due: Due, sent: Lines, zone: str) -> Iterator[str]:
        """Yields the dates of the current occurrence, also where it was moved: apps know no other place for it."""
        calendar = _calendar_in(zone)
        rule = parse_rule(row["recurrence"])
        anchor = due_of(row, "anchor") or due
        rule = calendar.remaining_rule(rule, anchor, row["recurrence_from"], row["occurrences_done"])
        if start is not None and _precedes(start, due):
            days = (day_in(due, ZoneInfo(zone)) - day_in(start, ZoneInfo(zone))).days
            moved = shifted(rule, -days) if days else rule
            start, rule = (start, moved) if moved is not None else (due, rule)
        else:
            start = due
        yield calendar.local_line("DTSTART", start)
        yield calendar.local_line("DUE", due)
        from_completion = any(COMPLETION_PART in line.upper() for line in sent)
        yield f"RRULE:{calendar.typed_rule(rule, start)}{f';{COMPLETION_PART}' if from_completion else ''}"


NO_PARTS = SentParts({}, [], [], [], {}, [])


def _changed_groups(row: Row, kept: Mapping[str, Any]) -> set[str]:
    """Returns the groups whose columns have changed since an app has sent them."""
    known = kept["values"]
    return {
        group
        for group, names in GROUP_COLUMNS.items()
        if (sent := known.get(group)) is None
        or (sent != [row[names[0]]] if group in PLAIN_GROUPS else sent != values_of(row, group))
    }


def _alarms_differ(row: Row, kept: Mapping[str, Any]) -> bool:
    return {each for each in kept["alarms"] if each is not None} != set(row["reminders"])


def _changed_alarms(row: Row, known: list[str | None], sent: list[Block]) -> Iterator[str]:
    """Yields the alarms that were sent, unless their reminder is gone, then one for each other reminder."""
    reminders = set(row["reminders"])
    for reminder, block in zip(known, sent, strict=False):
        if reminder is None or reminder in reminders:
            yield from block.all_lines()
    for reminder in row["reminders"]:
        if reminder not in known:
            yield from alarm_lines(reminder, row["title"])


def _is_later(override: Block, row: Row, zone: ZoneInfo) -> bool:
    """Returns whether a date of a series is after its current one: others are tasks of their own, or are over."""
    here = due_of(row, "start") or due_of(row)
    moment = parse_moment(override.first("RECURRENCE-ID"))
    if here is None or moment is None or row["recurrence"] is None or row["completed"]:
        return False
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    day = moment.date() if isinstance(moment, datetime) else moment
    return day > day_in(here, zone)


def _stamp_lines(row: Row) -> Iterator[str]:
    stamp = utc_text(row["updated_at"])
    yield from ("BEGIN:VTODO", f"UID:{escape(object_uid_of(row))}", f"DTSTAMP:{stamp}", f"LAST-MODIFIED:{stamp}")


def _join_calendar(lines: Lines, sent: SentParts) -> str:
    zones = [*_zone_lines(lines, sent.zones)] if _names_zone(lines) else []
    return _CALENDAR_HEAD + "".join(map(fold_text, (*sent.head, *zones, *lines))) + "END:VCALENDAR\r\n"


def fold_text(line: str) -> str:
    return f"{line}\r\n" if line.isascii() and len(line) <= 75 else fold(line).decode()


def alarm_lines(reminder: str, title: str) -> Iterator[str]:
    """Yields the alarm of a reminder."""
    if "P" in reminder:
        trigger = f"TRIGGER;RELATED=END:{reminder}"
    else:
        trigger = f"TRIGGER;VALUE=DATE-TIME:{utc_text(datetime.fromisoformat(reminder))}"
    yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{escape(title)}", trigger, "END:VALARM")


_GROUP_WRITERS: dict[str, Callable[[TodoWriter, Row], Iterator[str]]] = {
    "title": TodoWriter.title_lines,
    "description": TodoWriter.description_lines,
    "status": TodoWriter.status_lines,
    "priority": TodoWriter.priority_lines,
    "tags": TodoWriter.tag_lines,
    "parent": TodoWriter.parent_lines,
}


def row_date(row: Row, prefix: str) -> Due | None:
    """Returns the due date of a task, or its ``start``."""
    return due_of(row, prefix)


def object_uid_of(row: Row) -> str:
    """Returns the UID of a task as its app sent it."""
    sent: str | None = (row["ical"] or {}).get("uid")
    return sent or row["uid"]


def _parent_uid_of(row: Row) -> str:
    """Returns the UID of the parent: its uid, or the text of which that is the hash."""
    uid: str = row["parent_uid"]
    source = row.get("parent_source_id") or ""
    return source if source and uid_of_calendar(source) == uid else uid


def _precedes(start: Due, due: Due) -> bool:
    """Returns whether a start may be a DTSTART: of the type of the due date and before it (RFC 5545, 3.8.2.3)."""
    return isinstance(start, datetime) == isinstance(due, datetime) and start < due


def _zone_of(lines: Lines) -> str | None:
    """Returns the zone in which an app writes the dates of a to-do, if it is one of the IANA database."""
    for line in lines:
        found = parse_property(line)
        name = found.parameters.get("TZID", "") if found else ""
        if name in known_time_zones():
            return name
    return None


def _names_zone(lines: Lines) -> bool:
    return any(";TZID=" in line or ";tzid=" in line for line in lines)


def _zone_lines(lines: Lines, sent: Mapping[str, Lines]) -> Iterator[str]:
    """Yields the VTIMEZONEs that ``lines`` name: as they were sent, else from the IANA database."""
    names = {found[1].strip('"') for line in lines if (found := _ZONE_PARAMETER.search(line.partition(":")[0]))}
    for name in sorted(names):
        if name in sent:
            yield from sent[name]
        elif name in known_time_zones():
            yield from vtimezone_lines(name, now().year)
