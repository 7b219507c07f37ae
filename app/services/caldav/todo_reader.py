"""Reading the to-do of a calendar object as the columns of a task, as far as those can hold it.

An app is never refused for what a column cannot hold: the column gets what fits, and ``kept_lines`` keeps the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.clock import now
from app.domain.recurrence import Due, parse_rule
from app.errors import CalendarDataRefused, ComponentRefused, InvalidRecurrence, ObjectTooLarge
from app.models.task_fields import RECURRENCE_MAX, TAG_MAX, TAGS_MAX, TITLE_MAX, TaskStatus
from app.models.task_reminders import REMINDERS_MAX, Reminder, spell_instant
from app.models.types import MAX_YEAR, MIN_YEAR, RAW_FACTOR, clean_text, visible_text
from app.services.caldav.calendar_blocks import TODO_BLOCK, ZONE_BLOCK, Block, read_blocks, without_control_characters
from app.services.caldav.kept_lines import KEPT_BYTES_MAX, split_master
from app.services.transfer.formats.ics.alarms import AlarmReader
from app.services.transfer.formats.ics.components import Component
from app.services.transfer.formats.ics.dates import MomentReader, TodoDates, read_dates
from app.services.transfer.formats.ics.rules import COMPLETION_PART, normalize_rule, rule_parts
from app.services.transfer.formats.ics.series import due_dates_of_rule
from app.services.transfer.formats.ics.text import split, unescape
from app.services.transfer.formats.ics.todo import ICS_PRIORITIES, READ_STATUSES, CalendarHead, Todo, related
from app.services.transfer.formats.ics.values import add_duration, moment_text, parse_duration, to_instant
from app.services.transfer.formats.ics.zones import ZoneTable
from app.services.transfer.import_row import uid_of_calendar

UNTITLED_TEXT = "(no title)"  # shown for a to-do without one, which has none when it is given back
_REMINDER_ADAPTER: TypeAdapter[str] = TypeAdapter(Reminder)
_TEXT_ERRORS = (PydanticCustomError, PydanticKnownError)
EXCLUSIONS_MAX = 500  # of a series
CLOCK_TOLERANCE = timedelta(days=1)  # a completion may be stamped so far ahead of this clock


class SentAlarm(NamedTuple):
    """An alarm, and the reminder that it is here; None if it is none, such as one at a place."""

    block: Block
    reminder: str | None


class SeriesDates(NamedTuple):
    """The dates of a to-do, and its rule if this service has such series."""

    start: Due | None
    due: Due | None
    recurrence: str | None
    from_completion: bool


@dataclass(slots=True)
class SentObject:
    """A calendar object: one to-do, or one series with the dates of it that differ (``overrides``)."""

    uid: str
    master: Block
    overrides: list[Block]
    zones: list[Block]
    text: str
    fields: "TodoFields" = field(init=False)

    @property
    def row_uid(self) -> str:
        return uid_of_calendar(self.uid)


def read_object(body: bytes, zone: ZoneInfo, description_max: int) -> SentObject:
    """Returns what an app has sent. Raises CalendarDataRefused and ComponentRefused."""
    try:
        text = without_control_characters(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise CalendarDataRefused("The body is not UTF-8.") from None
    if len(body) > KEPT_BYTES_MAX:
        raise ObjectTooLarge
    calendar = read_blocks(text)
    todos = [part for part in calendar.parts if part.name == TODO_BLOCK]
    if not todos:
        raise ComponentRefused
    uids = {unescape(todo.first("UID")) for todo in todos}
    if len(uids) != 1 or not (uid := uids.pop()):
        raise CalendarDataRefused("All to-dos of an object have one UID, the same.")
    masters = [todo for todo in todos if not todo.values("RECURRENCE-ID")]
    if len(masters) > 1:
        raise CalendarDataRefused("Two to-dos have the same UID, and neither is a date of the other.")
    master, overrides = split_master(todos)
    zones = [part for part in calendar.parts if part.name == ZONE_BLOCK]
    sent = SentObject(uid, master, overrides, zones, text)
    sent.fields = TodoFields(sent, calendar, zone, description_max)
    return sent


class TodoFields:
    """The columns of a to-do. Each is read when it is asked for."""

    def __init__(self, sent: SentObject, calendar: Block, zone: ZoneInfo, description_max: int) -> None:
        table = ZoneTable()
        for block in sent.zones:
            table.add(block.to_component())
        self._head = CalendarHead(follows_date="Apple" in calendar.first("PRODID"))
        named = table.find(1, calendar.first("X-WR-TIMEZONE"))
        self._head.local_zone = named.zone if named else None
        self._zone, self._table, self._description_max = zone, table, description_max
        self._master = sent.master
        self._todo = self._read_todo(sent.master)
        self.moments: MomentReader = self._todo.moments

    def _read_todo(self, block: Block) -> Todo:
        return Todo(1, block.to_component(), self._head, self._table, self._zone, self._description_max)

    @property
    def title(self) -> str:
        return self._title_of(self._todo)

    @staticmethod
    def _title_of(todo: Todo) -> str:
        text = todo.text("SUMMARY")[: RAW_FACTOR * TITLE_MAX]
        try:
            return visible_text(visible_text(text, TITLE_MAX)[:TITLE_MAX], TITLE_MAX)
        except _TEXT_ERRORS:
            return UNTITLED_TEXT

    @property
    def description(self) -> str | None:
        return self._description_of(self._todo)

    def _description_of(self, todo: Todo) -> str | None:
        text = todo.text("DESCRIPTION")[: self._description_max]
        try:
            return clean_text(text, self._description_max)[: self._description_max] or None
        except _TEXT_ERRORS:
            return None

    @property
    def completed(self) -> bool:
        return self._todo.completed

    @property
    def state(self) -> str:
        """Returns the state of an open to-do."""
        if self.completed:
            return TaskStatus.PENDING
        return READ_STATUSES.get(self._todo.status, TaskStatus.PENDING)

    @property
    def completed_at(self) -> datetime | None:
        return self._read_completion(self._todo)

    def _read_completion(self, todo: Todo) -> datetime | None:
        """Returns when a to-do was completed, unless that is no possible time."""
        stamp = todo.first.get("COMPLETED")
        moment = todo.moments.read(stamp, "completed_at") if stamp is not None and todo.completed else None
        if moment is None:
            return None
        instant = to_instant(moment, self._zone)
        return instant if instant <= now() + CLOCK_TOLERANCE else None

    @property
    def priority(self) -> str:
        text = self._todo.text("PRIORITY").strip()
        return ICS_PRIORITIES.get(int(text[:3]), "low") if text.isdecimal() and text.isascii() else "none"

    @property
    def tags(self) -> list[str]:
        found: dict[str, None] = {}
        for each in self._master.values("CATEGORIES"):
            for tag in split(each.value):
                try:
                    cleaned = visible_text(tag, TAG_MAX)
                except _TEXT_ERRORS:
                    continue
                if len(cleaned) <= TAG_MAX and len(found) < TAGS_MAX:
                    found[cleaned] = None
        return [*found]

    @property
    def parent(self) -> str | None:
        """Returns the uid of its parent."""
        found = related(self._todo.component.properties, "PARENT")
        return uid_of_calendar(found[0].strip()) if found else None

    @cached_property
    def dates(self) -> SeriesDates:
        found = self._todo.first
        both = read_dates(found, self.moments)
        start, due = _storable(both.start), _storable(both.due)
        if rule := self._todo.text("RRULE").strip():
            from_completion = COMPLETION_PART in rule_parts(rule)
            if (series := self._read_rule(rule, TodoDates(start, due))) is not None:
                dates, recurrence = series
                begins = None if dates.start == dates.due else dates.start
                return SeriesDates(begins, dates.due, recurrence, from_completion)
        if "DUE" not in found and "DURATION" not in found:
            return SeriesDates(start, None, None, from_completion=False)
        return SeriesDates(None if start == due else start, due, None, from_completion=False)

    def _read_rule(self, text: str, dates: TodoDates) -> tuple[TodoDates, str] | None:
        """Returns the dates and the rule of a series; None for a rule that this service has not."""
        start = dates.start or dates.due
        if start is None or dates.due is None:
            return None
        try:
            rule = parse_rule(normalize_rule(text, start))
            placed, moved = due_dates_of_rule(rule, TodoDates(start, dates.due), self.moments)
        except (InvalidRecurrence, OverflowError):
            return None
        recurrence = str(moved)
        return (placed, recurrence) if len(recurrence) <= RECURRENCE_MAX else None

    @cached_property
    def alarms(self) -> list[SentAlarm]:
        blocks = [part for part in self._master.parts if part.name == "VALARM"]
        found: list[SentAlarm] = []
        known: set[str] = set()
        for block in blocks:
            reminder = self._read_reminder(block.to_component())
            if reminder is not None and reminder not in known and len(known) >= REMINDERS_MAX:
                reminder = None
            if reminder is not None:
                known.add(reminder)
            found.append(SentAlarm(block, reminder))
        return found

    def _read_reminder(self, alarm: Component) -> str | None:
        start, due, recurrence, _ = self.dates
        dates = TodoDates(start or due, due) if due is not None else TodoDates(start, start)
        reader = AlarmReader(dates, self.moments, recurrence is not None, self._head.follows_date, own=True)
        reminders, _ = reader.read([alarm])
        try:
            text = _REMINDER_ADAPTER.validate_python(reminders[0]) if reminders else None
            if text is not None and "P" in text and due is None and start is not None:
                span = parse_duration(text)
                text = None if span is None else moment_text(to_instant(add_duration(start, span), self._zone))
                return None if text is None else _REMINDER_ADAPTER.validate_python(text)
        except (ValidationError, OverflowError):
            return None
        return text

    def read_override(self, block: Block) -> "OverrideFields | None":
        """Returns a date of the series that differs; None if it does not say which."""
        todo = self._read_todo(block)
        moment = todo.moments.read(todo.first["RECURRENCE-ID"], "RECURRENCE-ID")
        if moment is None:
            return None
        dates = read_dates(todo.first, todo.moments)
        own = {"title": ("SUMMARY", self._title_of), "description": ("DESCRIPTION", self._description_of)}
        texts = {column: read(todo) for column, (name, read) in own.items() if name in todo.first}
        completed_at = self._read_completion(todo)
        return OverrideFields(moment, todo.completed, todo.cancelled, _storable(dates.due), completed_at, texts)

    def spelled_exclusions(self) -> list[str]:
        """Returns the dates of EXDATE in the form in which a series is compared with them."""
        dates = islice(self.excluded_dates(), EXCLUSIONS_MAX)
        return [spell_instant(date) if isinstance(date, datetime) else date.isoformat() for date in dates]

    def excluded_dates(self) -> Iterator[Due]:
        """Yields the dates of EXDATE."""
        for found in self._master.values("EXDATE"):
            for value in split(found.value):
                moment = self.moments.read_value(value, found.parameters.get("TZID", ""), "EXDATE")
                if moment is not None:
                    yield moment


class OverrideFields(NamedTuple):
    """A date of a series that has a to-do of its own; ``texts`` are the columns of its own title and description."""

    occurrence: Due
    completed: bool
    cancelled: bool
    due: Due | None
    completed_at: datetime | None
    texts: dict[str, str | None]


def _storable(moment: Due | None) -> Due | None:
    """Returns a date in the form in which it is stored; None for one that cannot be."""
    if not isinstance(moment, datetime):
        return moment
    try:
        instant = to_instant(moment, ZoneInfo("UTC"))
    except OverflowError:
        return None
    return moment if MIN_YEAR <= instant.year <= MAX_YEAR else None
