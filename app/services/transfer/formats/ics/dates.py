"""The dates of a to-do: when it starts and when it is due, in every way in which RFC 5545 says it (3.6.2)."""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from app.domain.recurrence import Due
from app.models.types import MAX_YEAR, MIN_YEAR
from app.services.transfer.formats.ics.components import Property
from app.services.transfer.formats.ics.values import add_duration, parse_duration, parse_moment
from app.services.transfer.formats.ics.zones import ZoneTable
from app.services.transfer.import_row import Deviation, RowWarning, make_warning


class Notes:
    """The warnings of one to-do, each once."""

    def __init__(self) -> None:
        self.found: dict[RowWarning, None] = {}

    def add(self, field: str, message: str, value: object = "", kind: Deviation = Deviation.LEFT_OUT) -> None:
        self.found[make_warning(field, message, value, kind)] = None


class MomentReader:
    """Reads the dates of one calendar.

    Times without a zone are in ``local_zone``: the one that the calendar names (X-WR-TIMEZONE), else the owner's. So
    are times in a zone that is not known, with a warning.
    """

    def __init__(
        self, zones: ZoneTable, calendar: int, owner_zone: tzinfo, notes: Notes, local_zone: tzinfo | None = None
    ) -> None:
        self._zones, self._calendar, self._local_zone = zones, calendar, local_zone or owner_zone
        self.zone, self.notes = owner_zone, notes
        self._unknown: set[str] = set()

    def of_calendar(self, calendar: int) -> "MomentReader":
        """Returns a reader for dates of another calendar of the file."""
        if calendar == self._calendar:
            return self
        return MomentReader(self._zones, calendar, self.zone, self.notes, self._local_zone)

    def read(self, found: Property, field: str) -> Due | None:
        """Returns a day or an instant with its zone; None for what is no date that can be stored."""
        return self.read_value(found.value, found.parameters.get("TZID", ""), field)

    def read_value(self, value: str, name: str, field: str) -> Due | None:
        moment = parse_moment(value)
        if moment is None and ":" in value:  # an unquoted name with a colon: TZID=(GMT+01:00) Berlin
            rest, _, value = value.rpartition(":")
            moment, name = parse_moment(value), f"{name}:{rest}"
        if moment is not None and not MIN_YEAR <= moment.year <= MAX_YEAR:
            return None
        if not isinstance(moment, datetime) or moment.tzinfo is not None:
            return moment
        if not name:
            return moment.replace(tzinfo=self._local_zone)
        zone = self._zones.find(self._calendar, name)
        if (zone is None or zone.guessed) and name not in self._unknown:
            self._unknown.add(name)
            message = f"The time zone is not known: its times were read in {self._local_zone}."
            if zone is not None:
                message = "Only the offset of the time zone was read."
            self.notes.add(field, message, name, Deviation.GUESSED)
        if zone is None:
            return moment.replace(tzinfo=self._local_zone)
        return moment.replace(tzinfo=zone.zone)


class TodoDates(NamedTuple):
    """``due`` is the start of a to-do that names no other date. None: there is no such date, or it cannot be read."""

    start: Due | None
    due: Due | None


def read_dates(first: Mapping[str, Property], moments: MomentReader) -> TodoDates:
    start = moments.read(first["DTSTART"], "start") if "DTSTART" in first else None
    if "DTSTART" in first and start is None and "DUE" in first:
        moments.notes.add("start", "The start is no date: it was left out.", first["DTSTART"].value)
    due = moments.read(first["DUE"], "due_date") if "DUE" in first else None
    if "DURATION" in first and ("DUE" in first or start is None):
        _note_duration(first["DURATION"].value, moments.notes)
    if due is None and start is not None:
        if "DUE" in first:
            message = "The due date is no date: the task is due at its start."
            moments.notes.add("due_date", message, first["DUE"].value, Deviation.GUESSED)
        due = start
        if "DURATION" in first and "DUE" not in first:
            due = _end(start, first["DURATION"].value, moments.notes)
    return TodoDates(start, due)


def _note_duration(text: str, notes: Notes) -> None:
    if text.strip() and parse_duration(text) != (0, 0):
        notes.add("DURATION", "A task has a due date, or a start and a duration: the duration was left out.", text)


def _end(start: Due, text: str, notes: Notes) -> Due:
    span = parse_duration(text)
    if span is not None and span >= (0, 0):
        if isinstance(start, datetime):
            end = add_duration(start, span)
        else:  # hours of a day end on that day
            end = start + timedelta(days=span.days + span.seconds // 86_400)
        if end.year <= MAX_YEAR:
            return end
    notes.add("due_date", "The duration cannot be read: the task is due at its start.", text, Deviation.GUESSED)
    return start


def spelled_day(moment: Due) -> str:
    """Returns a date as people read it in a text: a day, or a local time with its offset."""
    return f"{moment:%Y-%m-%d %H:%M%z}" if isinstance(moment, datetime) else str(moment)
