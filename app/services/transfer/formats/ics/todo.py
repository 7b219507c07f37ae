"""The to-dos of an iCalendar file as tasks: what becomes of each property of a VTODO.

What a person typed is read, kept in the description, or named in a warning.
"""

import quopri
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from itertools import islice
from typing import Any

from app.errors import Invalid
from app.models.task_fields import TAGS_MAX, TaskStatus
from app.models.types import RAW_FACTOR
from app.services.transfer.formats.ics.alarms import AlarmReader
from app.services.transfer.formats.ics.components import PROPERTIES_MAX, Component, Property
from app.services.transfer.formats.ics.dates import MomentReader, Notes, TodoDates, read_dates
from app.services.transfer.formats.ics.planning import read_planning
from app.services.transfer.formats.ics.rules import COMPLETION_PART, rule_parts
from app.services.transfer.formats.ics.series import Override, SeriesState, read_series, series_fields
from app.services.transfer.formats.ics.text import split, unescape
from app.services.transfer.formats.ics.values import moment_text
from app.services.transfer.formats.ics.zones import ZoneTable
from app.services.transfer.formats.products.markup import markup_text
from app.services.transfer.import_row import Deviation, LoadedRow, uid_of_calendar

TAGS_READ = RAW_FACTOR * TAGS_MAX + 1  # of one to-do: one more than is allowed, so that it is noticed
ICS_PRIORITIES = {0: "none", 1: "urgent", 2: "urgent", 3: "high", 4: "high", 5: "medium"} | dict.fromkeys(
    range(6, 10), "low"
)
READ_STATUSES = {"IN-PROCESS": TaskStatus.IN_PROGRESS, "CANCELLED": TaskStatus.CANCELLED}  # of open to-dos
DEPENDENCY_TYPES = frozenset(
    {"FINISHTOSTART", "FINISHTOFINISH", "STARTTOFINISH", "STARTTOSTART", "DEPENDS-ON", "FIRST", "NEXT"}
)  # RFC 9253


class Effect(Enum):
    """The fate of a property. TECHNICAL carries nothing that a person typed."""

    READ = "read"
    KEPT = "kept in the description"
    WARNED = "left out with a warning"
    TECHNICAL = "left out"


# The properties of RFC 5545, RFC 2445 (EXRULE), 7986, 9073 and 9253, and of programs.
PROPERTY_EFFECTS: dict[str, Effect] = {
    **dict.fromkeys(
        ("SUMMARY", "DESCRIPTION", "CATEGORIES", "PRIORITY", "STATUS", "PERCENT-COMPLETE", "COMPLETED", "CREATED",
         "LAST-MODIFIED", "DTSTAMP", "UID", "DTSTART", "DUE", "DURATION", "RRULE", "RECURRENCE-ID", "EXDATE", "RDATE",
         "EXRULE", "RELATED-TO", "STYLED-DESCRIPTION", "X-ALT-DESC", "X-TODO-PROJECT", "X-TODO-SERIES",
         "X-TODO-RECURRENCE-FROM", "X-TODO-STATUS", "X-TODO-START", "X-TODO-DEADLINE", "X-TODO-FAVORITE",
         "ESTIMATED-DURATION"),
        Effect.READ,
    ),
    **dict.fromkeys(
        ("LOCATION", "URL", "COMMENT", "CONTACT", "GEO", "RESOURCES", "ATTACH", "ATTENDEE", "ORGANIZER", "CONFERENCE",
         "IMAGE", "LINK", "CONCEPT", "REFID", "X-STATUS"),
        Effect.KEPT,
    ),
    **dict.fromkeys(("STRUCTURED-DATA", "REASON", "SUBSTATE"), Effect.WARNED),
    **dict.fromkeys(
        ("CLASS", "SEQUENCE", "COLOR", "REQUEST-STATUS", "TRANSP", "CALENDAR-ADDRESS", "TASK-MODE", "NAME", "METHOD"),
        Effect.TECHNICAL,
    ),
}  # fmt: skip
# Beginnings of the names of properties in which programs keep their own state.
TECHNICAL_PREFIXES = (
    "X-APPLE-", "X-MOZ-", "X-EVOLUTION-", "X-OC-", "X-PINNED", "X-WR-", "X-LIC-", "X-MICROSOFT-", "X-MS-", "X-TODO-",
    "X-TASKS-", "X-SYNOLOGY-", "X-RADICALE-", "X-TINE20-", "X-KDE-", "X-GOOGLE-", "X-ORG-", "X-CALENDARSERVER-",
    "X-ICAL4ANDROID-", "X-2DOAPP-", "X-FUNAMBOL-", "X-LOTUS-", "X-ZIMBRA-", "X-SOGO-", "X-EM-", "X-EMCLIENT-",
)  # fmt: skip
_KEPT_LABELS = {"URL": "URL", "GEO": "Coordinates", "ATTACH": "Attachment", "REFID": "Reference", "X-STATUS": "Status"}
_SINGLE_PROPERTIES = frozenset({"SUMMARY", "PRIORITY", "STATUS", "COMPLETED", "DTSTART", "DUE", "DURATION", "UID"})
_STAMP_PROPERTIES = {"completed_at": ("COMPLETED",), "created_at": ("CREATED", "LAST-MODIFIED", "DTSTAMP"),
           "updated_at": ("LAST-MODIFIED", "DTSTAMP")}  # fmt: skip


def effect_of(name: str) -> Effect | None:
    """Returns what becomes of a property; None for one that is not known."""
    if (effect := PROPERTY_EFFECTS.get(name)) is not None:
        return effect
    return Effect.TECHNICAL if name.startswith(TECHNICAL_PREFIXES) else None


def read_text(found: Property) -> str:
    """Returns the text of a property, also of one in the encoding of vCalendar 1.0."""
    if found.parameters and found.parameters.get("ENCODING", "").upper() == "QUOTED-PRINTABLE":
        raw = quopri.decodestring(found.value.encode())
        try:
            return raw.decode(found.parameters.get("CHARSET", "utf-8"), "replace")
        except LookupError:
            return raw.decode("utf-8", "replace")
    return unescape(found.value)


@dataclass(slots=True)
class CalendarHead:
    """The properties of a VCALENDAR that concern all its to-dos."""

    project: str | None = None
    local_zone: tzinfo | None = None
    follows_date: bool = False  # whether alarms at an instant recur with their series
    own: bool = False  # written by this service


class Todo:
    """One to-do of a file, with what the file says elsewhere."""

    def __init__(
        self,
        number: int,
        component: Component,
        head: CalendarHead,
        zones: ZoneTable,
        owner_zone: tzinfo,
        description_max: int,
    ) -> None:
        self.number, self.component, self.head = number, component, head
        self._description_max = description_max
        self.first: dict[str, Property] = {}
        for found in component.properties:
            if found.value.strip() or found.name not in self.first:
                self.first.setdefault(found.name, found)
        self.notes = Notes()
        self.moments = MomentReader(zones, component.calendar, owner_zone, self.notes, head.local_zone)

    def text(self, name: str) -> str:
        return read_text(self.first[name]) if name in self.first else ""

    @property
    def status(self) -> str:
        """Returns its STATUS; vCalendar 1.0 has it with a space."""
        return self.text("STATUS").strip().upper().replace(" ", "-")

    @property
    def cancelled(self) -> bool:
        return self.status == "CANCELLED"

    @property
    def closed(self) -> bool:
        return self.completed or self.cancelled

    @property
    def completed(self) -> bool:
        """Returns whether it is done: by its STATUS, else by its stamp or percentage."""
        status = self.status
        if status == "COMPLETED":
            return True
        if status in {"NEEDS-ACTION", "IN-PROCESS", "CANCELLED"}:
            return False
        return bool(self.text("COMPLETED").strip()) or self.text("PERCENT-COMPLETE").strip() == "100"

    @property
    def has_rule(self) -> bool:
        return bool(self.text("RRULE").strip())

    @property
    def is_master(self) -> bool:
        return self.has_rule and "RECURRENCE-ID" not in self.first

    @property
    def changes_later_dates(self) -> bool:
        """Returns whether it is a date of a series from which on the series differs (3.2.13)."""
        found = self.first.get("RECURRENCE-ID")
        return found is not None and found.parameters.get("RANGE", "").strip().upper() == "THISANDFUTURE"

    @property
    def is_series(self) -> bool:
        return self.is_master or (self.has_rule and self.changes_later_dates and not self.closed)

    @property
    def text_key(self) -> int:
        """Returns a number that is equal for to-dos which differ in dates only."""
        names = ("SUMMARY", "DESCRIPTION", "LOCATION", "PRIORITY")
        tags = tuple(found.value for found in self.component.properties if found.name == "CATEGORIES")
        return hash((*(self.text(name).strip() for name in names), tags))

    def series_state(self, overrides: list[Override]) -> SeriesState:
        dates = read_dates(self.first, self.moments)
        return read_series(
            self.first, self.component.properties, dates, self.moments, overrides,
            text=self.text_key, completed=self.closed,
        )  # fmt: skip

    def load(self, state: SeriesState | None) -> LoadedRow:
        """Returns the fields. ``state`` is that of a series whose dates are to-dos of the file. Raises Invalid."""
        if self.component.size > PROPERTIES_MAX:
            raise Invalid(f"A to-do has at most {PROPERTIES_MAX} properties.", loc=("body",))
        self._note_frame()
        fields: dict[str, Any] = {"completed": self.completed, "tags": self._tags(), "priority": self._priority()}
        if (uid := self.text("UID")) and "RECURRENCE-ID" not in self.first:
            fields["uid"] = uid_of_calendar(uid)
        if self.is_series:
            state = state or self.series_state([])
            self.notes.found |= dict.fromkeys(state.warnings)
            dates, recurs = state.dates, True
            fields |= series_fields(state)
            fields["completed"] |= state.ended_by is not None and not self.cancelled
            if COMPLETION_PART in rule_parts(self.text("RRULE")):
                fields["recurrence_from"] = "completion"
        else:
            dates, recurs = self._single_dates(), False
        if self.text("X-TODO-RECURRENCE-FROM").strip().upper() == "COMPLETION":
            fields["recurrence_from"] = "completion"
        if not fields["completed"] and (status := self._open_status()):
            fields["status"] = status
        fields |= self._stamps(state.ended_by if state else None)
        alarms = [child for child in self.component.children if child.name == "VALARM"]
        fields["reminders"], places = AlarmReader(
            dates, self.moments, recurs, self.head.follows_date, self.head.own
        ).read(alarms)
        fields |= read_planning(self.first, dates, self.moments, recurs=recurs)
        lines = [*self._kept_lines(), *(f"Place: {place}" for place in places)]
        fields["title"], fields["description"] = self._texts(lines)
        self._note_status()
        self._note_occurrence()
        self._note_others()
        return LoadedRow({name: value for name, value in fields.items() if value is not None}, [*self.notes.found])

    def _single_dates(self) -> TodoDates:
        """Returns the dates of a to-do that is no series; of a date of a series without its own, that date."""
        dates = read_dates(self.first, self.moments)
        if dates.due is None and "DUE" not in self.first and "RECURRENCE-ID" in self.first:
            return TodoDates(None, self.moments.read(self.first["RECURRENCE-ID"], "due_date"))
        return dates

    def _texts(self, lines: list[str]) -> tuple[str, str | None]:
        title = self.text("SUMMARY").strip()
        parts = [read_text(found) for found in self.component.properties if found.name == "DESCRIPTION"]
        parts = [part for part in dict.fromkeys(parts) if part]
        if not parts:
            styled = self.first.get("STYLED-DESCRIPTION") or self.first.get("X-ALT-DESC")
            if styled is not None and styled.value.strip():
                parts = [markup_text(read_text(styled))]
        if not title and (title := "".join(parts).strip().split("\n", 1)[0]):
            self.notes.add("title", "There is no title: it is the first line of the text.", title, Deviation.GUESSED)
        if lines:
            kept = "\n".join(lines)
            is_long = sum(map(len, parts)) + len(kept) > self._description_max  # the end of the text will be cut
            parts = [kept, *parts] if is_long else [*parts, kept]
        return title, "\n\n".join(parts) or None

    def _kept_lines(self) -> Iterator[str]:
        for found in self.component.properties:
            if effect_of(found.name) is not Effect.KEPT or not (text := read_text(found).strip()):
                continue
            label = _KEPT_LABELS.get(found.name) or found.name.capitalize().replace("-", " ")
            if found.parameters.get("ENCODING", "").upper() == "BASE64" or found.parameters.get("VALUE") == "BINARY":
                file = found.parameters.get("FILENAME") or found.parameters.get("X-FILENAME") or found.name
                self.notes.add(found.name, "The data of an attachment were left out.", file)
                continue
            if person := found.parameters.get("CN"):
                text = f"{unescape(person)} <{text}>"
            self.notes.add(found.name, "It is kept in the description.", text, Deviation.KEPT_AS_TEXT)
            yield f"{label}: {text}"

    def _tags(self) -> list[str]:
        found = (tag for each in self.component.properties if each.name == "CATEGORIES" for tag in split(each.value))
        return list(islice((tag for tag in found if tag.strip()), TAGS_READ))

    def _priority(self) -> str:
        text = self.text("PRIORITY").strip()
        if text.isdecimal() and text.isascii():
            return ICS_PRIORITIES.get(int(text[:3]), "low")
        if text:
            self.notes.add("priority", "A priority is a number from 0 to 9: it was left out.", text)
        return "none"

    def _open_status(self) -> str:
        if self.text("X-TODO-STATUS").strip().upper() == "WAITING" and self.status in {"", "NEEDS-ACTION"}:
            return TaskStatus.WAITING
        return READ_STATUSES.get(self.status, "")

    def _stamps(self, ended_by: Override | None) -> dict[str, Any]:
        found = dict(self.first)
        if ended_by is not None and ended_by.completed is not None:
            found["COMPLETED"] = ended_by.completed
        fields: dict[str, Any] = {}
        for field, names in _STAMP_PROPERTIES.items():
            stamp = next((found[name] for name in names if name in found and found[name].value.strip()), None)
            if stamp is None or (field == "completed_at" and not (self.completed or ended_by)):
                continue
            moment = self.moments.read(stamp, field)
            if moment is not None and not isinstance(moment, datetime):
                moment = datetime(moment.year, moment.month, moment.day, tzinfo=self.moments.zone)
            try:
                fields[field] = stamp.value if moment is None else moment_text(moment)
            except OverflowError:
                fields[field] = stamp.value
        return fields

    def _note_frame(self) -> None:
        if not self.component.ended:
            self.notes.add("END", "The to-do has no end: it was read as far as it goes.", "", Deviation.GUESSED)
        for line in self.component.unreadable:
            self.notes.add("VTODO", "A line is no property; one after a text was read as part of it.", line)

    def _note_status(self) -> None:
        status, percent = self.status, self.text("PERCENT-COMPLETE").strip()
        if status not in {"", "NEEDS-ACTION", "IN-PROCESS", "CANCELLED", "COMPLETED"}:
            self.notes.add("STATUS", "The status is not known: it was left out.", status)
        if not self.completed:
            if self.text("COMPLETED").strip():
                message = "The task is not completed by its status: the date of completion was left out."
                self.notes.add("completed_at", message, self.first["COMPLETED"].value)
            if percent not in {"", "0"}:
                self.notes.add("PERCENT-COMPLETE", "How far a task is has no field: it was left out.", percent)

    def _note_occurrence(self) -> None:
        occurrence = self.first.get("RECURRENCE-ID")
        if occurrence is None or self.closed:
            return
        message = "A changed date of a series is a task of its own."
        if self.changes_later_dates:
            message = "A change of this and all later dates of a series is a task of its own: the series is unchanged."
        self.notes.add("RECURRENCE-ID", message, occurrence.value, Deviation.CHANGED)
        if self.has_rule and not self.is_series:
            self.notes.add("recurrence", "The rule of a single date was left out.", self.first["RRULE"].value)

    def _note_others(self) -> None:
        seen: dict[str, str] = {}
        for found in self.component.properties:
            effect = effect_of(found.name)
            value = found.value.strip()
            if not value or effect is Effect.TECHNICAL:
                continue
            if effect is Effect.WARNED or (effect is None and not found.name.startswith("X-")):
                self.notes.add(found.name, "The property has no field: it was left out.", read_text(found))
            if found.name in {"RDATE", "EXRULE"} or (found.name == "EXDATE" and not self.is_series):
                self.notes.add(found.name, "A series has the dates of its rule only: this was left out.", value)
            if found.name in _SINGLE_PROPERTIES and seen.setdefault(found.name, value) != value:
                self.notes.add(found.name, "It is given twice: the first one was read.", read_text(found))
            if found.name == "RELATED-TO" and relation_of(found) in DEPENDENCY_TYPES:
                self.notes.add("RELATED-TO", "A dependency on another task was left out.", value)
        for other in related(self.component.properties, "PARENT")[1:]:
            self.notes.add("parent", "A task has one parent: another one was left out.", other)
        for child in self.component.children:
            if child.name != "VALARM":
                self.notes.add(child.name, "A part of the to-do was left out.", child.name)


def related(properties: Iterable[Property], kind: str) -> list[str]:
    """Returns the UIDs of related to-dos: ``kind`` is PARENT or CHILD."""
    found = (each for each in properties if each.name == "RELATED-TO" and each.value.strip())
    return [unescape(each.value) for each in found if relation_of(each) == kind]


def relation_of(found: Property) -> str:
    """Returns the type of a relation; one that is not known is PARENT (3.2.15)."""
    kind = found.parameters.get("RELTYPE", "PARENT").strip().upper()
    return kind if kind in {"CHILD", "SIBLING", "SNOOZE"} or kind in DEPENDENCY_TYPES else "PARENT"
