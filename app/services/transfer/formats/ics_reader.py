"""Reading the to-dos of an iCalendar file (RFC 5545), line by line. Events and other components are ignored."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.errors import NESTED_MAX, Invalid, NestedTooDeep, NotACalendar
from app.models.accounts import known_time_zones
from app.models.task_fields import TAGS_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.formats.ics_text import split, unescape, unfold
from app.services.transfer.import_row import Fingerprints, ImportRow, LoadedRow, bounded_source_id

PROPERTIES_MAX = 1_000  # of one to-do
TAGS_READ = RAW_FACTOR * TAGS_MAX + 1  # of one to-do: one more than is allowed, so that it is refused
ICS_PRIORITIES = {0: "none", 1: "urgent", 2: "urgent", 3: "high", 4: "high", 5: "medium"} | dict.fromkeys(
    range(6, 10), "low"
)
_NAME_PATTERN = re.compile(
    r"([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:\"[^\"]*\"|[^\";:,]*)(?:,(?:\"[^\"]*\"|[^\";:,]*))*)*):", re.DOTALL
)
_PARAMETER_PATTERN = re.compile(r";([A-Za-z0-9-]+)=(\"[^\"]*\"|[^;]*)")
_EDGE_LETTERS, _READ_COMPONENTS = (
    frozenset("BbEe"),
    frozenset({"VTODO", "VALARM"}),
)  # the first letters of BEGIN and END; the components that are read
_DATE_PATTERN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z)?)?", re.ASCII)


class Property(NamedTuple):
    name: str
    parameters: dict[str, str]
    value: str


def read_ics(lines: Iterable[str]) -> Iterator[ImportRow]:
    """Yields the to-dos. Raises NotACalendar and NestedTooDeep."""
    made = Fingerprints("ics")
    stack: list[str] = []
    todo: list[Property] = []
    alarms: list[Property] = []
    number = 0
    for line in unfold(lines):
        if (
            stack
            and line[:1] not in _EDGE_LETTERS
            and not (stack[-1] in _READ_COMPONENTS and len(todo) <= PROPERTIES_MAX)
        ):
            continue  # most of a large calendar is events
        found = _property(line)
        if found is None:
            continue
        if not stack and (found.name, found.value.upper()) != ("BEGIN", "VCALENDAR"):
            raise NotACalendar(loc=("body",))
        if found.name == "BEGIN":
            if len(stack) == NESTED_MAX:
                raise NestedTooDeep(loc=("body",))
            stack.append(found.value.upper())
            if stack[-1] == "VTODO":
                todo, alarms = [], []
        elif found.name == "END":
            if stack[-1] == "VTODO":
                number += 1
                yield _item(number, todo, alarms, made)
            stack.pop()
            if not stack:
                return
        elif stack[-1] == "VTODO" and len(todo) <= PROPERTIES_MAX:
            todo.append(found)
        elif stack[-2:] == ["VTODO", "VALARM"] and found.name == "TRIGGER" and len(alarms) <= PROPERTIES_MAX:
            alarms.append(found)
    if not stack:
        raise NotACalendar(loc=("body",))


def _property(line: str) -> Property | None:
    if (found := _NAME_PATTERN.match(line)) is None:
        return None
    parameters = {name.upper(): value.strip('"') for name, value in _PARAMETER_PATTERN.findall(found[2])}
    return Property(found[1].upper(), parameters, line[found.end() :])


def _item(number: int, properties: list[Property], alarms: list[Property], made: Fingerprints) -> ImportRow:
    first: dict[str, Property] = {}
    for found in properties:
        first.setdefault(found.name, found)
    text = {name: unescape(found.value) for name, found in first.items()}
    source = text.get("UID") or made.of(*(found.value for found in properties))
    if "RECURRENCE-ID" in text:  # one occurrence of a series, which shares its UID
        source = f"{source}#{text['RECURRENCE-ID']}"
    parent = next(
        (unescape(p.value) for p in properties
         if p.name == "RELATED-TO" and p.parameters.get("RELTYPE", "PARENT").upper() == "PARENT"),
        None,
    )  # fmt: skip
    tags = (tag for p in properties if p.name == "CATEGORIES" for tag in split(p.value) if tag.strip())
    too_many = max(len(properties), len(alarms)) > PROPERTIES_MAX
    fields = _refuse_todo if too_many else lambda: _todo_fields(first, text, list(islice(tags, TAGS_READ)), alarms)
    return ImportRow(
        number, bounded_source_id(source), fields, parent=bounded_source_id(parent) if parent else None,
        project_name=text.get("X-TODO-PROJECT"), uid=text.get("UID"),
    )  # fmt: skip


def _refuse_todo() -> LoadedRow:
    raise Invalid(f"A to-do has at most {PROPERTIES_MAX} properties.", loc=("body",))


def _todo_fields(
    first: dict[str, Property], text: dict[str, str], tags: list[str], alarms: list[Property]
) -> LoadedRow:
    completed = text.get("STATUS", "").upper() == "COMPLETED" or "COMPLETED" in text
    fields: dict[str, Any] = {
        "title": text.get("SUMMARY", ""),
        "description": text.get("DESCRIPTION") or None,
        "completed": completed,
        "tags": tags,
        "recurrence": text.get("RRULE") or None,
        "reminders": [_trigger(alarm) for alarm in alarms],
    }
    if (due := first.get("DUE") or first.get("DTSTART")) is not None:
        fields["due_date"] = moment(due)
    if text.get("PRIORITY", "").isdecimal():
        fields["priority"] = ICS_PRIORITIES.get(int(text["PRIORITY"][:3]), "low")
    if text.get("X-TODO-RECURRENCE-FROM", "").upper() == "COMPLETION":
        fields["recurrence_from"] = "completion"
    names = {"COMPLETED": "completed_at", "CREATED": "created_at", "LAST-MODIFIED": "updated_at"}
    return LoadedRow(fields | {field: moment(first[name]) for name, field in names.items() if name in first})


def _trigger(alarm: Property) -> str:
    return moment(alarm) if _DATE_PATTERN.fullmatch(alarm.value) else alarm.value


def moment(found: Property) -> str:
    """Converts a DATE or DATE-TIME to ISO 8601. One in an unknown zone stays local: in the owner's zone."""
    if (parts := _DATE_PATTERN.fullmatch(found.value.strip())) is None:
        return found.value
    year, month, day, hour, minute, second, utc = parts.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    local = f"{year}-{month}-{day}T{hour}:{minute}:{second}"
    zone = found.parameters.get("TZID", "")
    if utc or zone not in known_time_zones():
        return local + ("Z" if utc else "")
    try:
        return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return local
