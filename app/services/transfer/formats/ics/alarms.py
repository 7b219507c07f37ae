"""The alarms of a to-do (RFC 5545, 3.6.6) as reminders: instants, or durations from the due date.

A duration counts from the start of the to-do unless RELATED=END says otherwise. Where start and due date differ, it
becomes an instant, and in a series, whose alarms recur, a duration from the due date.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.domain.recurrence import Due
from app.services.transfer.formats.ics.components import Component, Property
from app.services.transfer.formats.ics.dates import MomentReader, TodoDates
from app.services.transfer.formats.ics.text import unescape
from app.services.transfer.formats.ics.values import (
    NominalDuration,
    add_duration,
    moment_text,
    parse_duration,
    to_instant,
)
from app.services.transfer.import_row import Deviation

PLACE_PROPERTIES = ("X-APPLE-PROXIMITY", "PROXIMITY")
NO_ALARM_TIME = datetime(1976, 4, 1, 0, 55, 45, tzinfo=UTC)  # Apple's mark for an alarm that fires at no time
LONGEST_OFFSET = timedelta(days=366)  # of a reminder from its due date


class AlarmReader(NamedTuple):
    """Reads the alarms of one to-do.

    ``recurs``: of a series. ``follows_date``: there also an instant recurs, as Apple's programs mean it. ``own``: the
    file is this service's, whose reminders may wait for a due date.
    """

    dates: TodoDates
    moments: MomentReader
    recurs: bool
    follows_date: bool
    own: bool

    def read(self, alarms: list[Component]) -> tuple[list[str], list[str]]:
        """Returns the reminders, and the places of alarms that fire at a place."""
        reminders: list[str] = []
        places: list[str] = []
        notes = self.moments.notes
        for alarm in alarms:
            first = {found.name: found for found in reversed(alarm.properties)}
            if any(name in first for name in PLACE_PROPERTIES):
                place = ", ".join(_place_names(alarm, first))
                when = next(first[name].value for name in PLACE_PROPERTIES if name in first)
                notes.add("reminders", "An alarm at a place was left out.", f"{when} {place}".strip())
                places.append(place)
                continue
            trigger = first.get("TRIGGER")
            if trigger is None or not trigger.value.strip():
                notes.add("reminders", "An alarm does not say when: it was left out.", "VALARM")
                continue
            reminder = self._reminder(trigger)
            if reminder is None:
                continue
            reminders.append(reminder)
            if (again := first.get("REPEAT")) is not None and again.value.strip() not in {"", "0"}:
                notes.add("reminders", "The repetition of an alarm was left out.", again.value)
        return reminders, [place for place in places if place]

    def _reminder(self, trigger: Property) -> str | None:
        """Returns None for Apple's mark, and what cannot be read as it is: it is refused by name."""
        try:
            if (span := parse_duration(trigger.value)) is not None:
                return self._relative(trigger, span)
            moment = self.moments.read(trigger, "reminders")
            if moment is None:
                return trigger.value
            instant = to_instant(moment, self.moments.zone)
            if instant == NO_ALARM_TIME:
                return None
            if self.recurs and self.follows_date and self.dates.due is not None:
                return self._from_due(instant, self.dates.due)
            return moment_text(instant)
        except OverflowError:
            return trigger.value

    def _relative(self, trigger: Property, span: NominalDuration) -> str:
        start, due = self.dates
        if due is None:
            if not self.own:
                message = "The task has no due date, from which its reminder counts: it waits for one."
                self.moments.notes.add("reminders", message, trigger.value, Deviation.CHANGED)
            return str(span)
        if trigger.parameters.get("RELATED", "").strip().upper() == "END" or start is None or start == due:
            return str(span)
        if not isinstance(start, datetime):
            start = datetime(start.year, start.month, start.day, tzinfo=self.moments.zone)
        instant = to_instant(add_duration(start, span), self.moments.zone)
        return self._from_due(instant, due) if self.recurs else moment_text(instant)

    def _from_due(self, instant: datetime, due: Due) -> str:
        """Returns a reminder as a duration from the due date, by the clock on the wall; a far one as an instant."""
        zone = self.moments.zone
        walls = [moment.astimezone(zone).replace(tzinfo=None) for moment in (instant, to_instant(due, zone))]
        offset = walls[0] - walls[1]
        if abs(offset) > LONGEST_OFFSET:
            return moment_text(instant)
        seconds = abs(offset.days * 86_400 + offset.seconds)
        sign = -1 if offset < timedelta() else 1
        return str(NominalDuration(sign * (seconds // 86_400), sign * (seconds % 86_400)))


def _place_names(alarm: Component, first: dict[str, Property]) -> Iterator[str]:
    """Yields the name and the address of the place of an alarm."""
    place = first.get("X-APPLE-STRUCTURED-LOCATION")
    named = [place.parameters.get(name, "") for name in ("X-TITLE", "X-ADDRESS")] if place else []
    named += [found.value for child in alarm.children for found in child.properties if found.name == "NAME"]
    for name in dict.fromkeys(named):
        if name.strip():
            yield unescape(name).replace("\n", ", ").replace("\\n", ", ")  # Apple escapes them once or twice
