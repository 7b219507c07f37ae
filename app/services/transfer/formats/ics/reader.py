"""Reading the to-dos of an iCalendar file (RFC 5545). Events and other components are counted and left out.

The file is read three times, so that it need not fit into memory: what a to-do refers to may come after it. The first
time finds zones, the heads of the calendars, and the to-dos of single dates; the second, if there are any such dates,
the state of their series; the third yields the rows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from app.services.transfer.formats.file_context import FileContext
from app.services.transfer.formats.ics.components import Component, ComponentReader
from app.services.transfer.formats.ics.series import Override, SeriesState
from app.services.transfer.formats.ics.text import unescape
from app.services.transfer.formats.ics.todo import CalendarHead, Todo, effect_of, related
from app.services.transfer.formats.ics.writer import PRODUCT_ID
from app.services.transfer.formats.ics.zones import ZoneTable
from app.services.transfer.import_row import (
    Deviation,
    Fingerprints,
    ImportRow,
    RowWarning,
    bounded_source_id,
    make_warning,
)

UNKNOWN_NAMES_MAX = 50  # of properties, that are listed
OVERRIDE_DATES = ("DTSTART", "DUE", "DURATION")


class IcsFile:
    """The facts that the to-dos of one file need of the others."""

    def __init__(self, context: FileContext) -> None:
        self._owner_zone, self._budget = context.timezone, context.budget
        self._description_max = context.description_max
        self._zones = ZoneTable()
        self._heads: dict[int, CalendarHead] = {}
        self._zone_names: dict[int, str] = {}
        self._overrides: dict[str, list[Override]] = {}
        self._states: dict[str, tuple[int, SeriesState]] = {}
        self._absorbed: set[int] = set()
        self._parents: dict[str, str] = {}
        self._unknown: Counter[str] = Counter()
        self._warnings: list[RowWarning] = []

    @property
    def has_overrides(self) -> bool:
        return bool(self._overrides)

    def scan(self, lines: Iterable[str]) -> None:
        """Reads what to-dos refer to. Raises TooManyRows, NotACalendar and NestedTooDeep."""
        components = ComponentReader()
        number = 0
        for found in components.read(lines):
            if found.name == "VTIMEZONE":
                self._zones.add(found)
            elif found.name == "VCALENDAR":
                self._take_head(found)
            else:
                number += 1
                self._budget.take()
                self._take_references(number, found)
        for calendar, name in self._zone_names.items():
            zone = self._zones.find(calendar, name)
            self._heads[calendar].local_zone = zone.zone if zone else None
        self._note_file(components)

    def read_series(self, lines: Iterable[str]) -> None:
        """Finds the state of each series of which a date is a to-do of its own. ``scan`` comes first."""
        for number, found in self._todos(lines):
            todo = self._todo(number, found)
            uid = todo.text("UID")
            if uid in self._overrides and uid not in self._states and todo.is_master:
                state = todo.series_state(self._overrides[uid])
                state.warnings = [*todo.notes.found]
                self._states[uid] = number, state
                self._absorbed |= state.absorbed

    def rows(self, lines: Iterable[str]) -> Iterator[ImportRow]:
        """Yields the to-dos."""
        made = Fingerprints("ics")
        for number, found in self._todos(lines):
            if number not in self._absorbed:
                yield self._row(number, found, made)

    def warnings(self) -> list[RowWarning]:
        """Returns what is wrong with the file as a whole."""
        return self._warnings

    def _todos(self, lines: Iterable[str]) -> Iterator[tuple[int, Component]]:
        todos = (found for found in ComponentReader().read(lines) if found.name == "VTODO")
        return enumerate(todos, start=1)

    def _todo(self, number: int, found: Component) -> Todo:
        head = self._heads.get(found.calendar) or CalendarHead()
        return Todo(number, found, head, self._zones, self._owner_zone, self._description_max)

    def _take_head(self, calendar: Component) -> None:
        values = {found.name: unescape(found.value).strip() for found in reversed(calendar.properties)}
        product = values.get("PRODID", "")
        own = product == PRODUCT_ID  # whose feeds have a name that is no list's, and whose to-dos name their projects
        name = None if own else values.get("X-WR-CALNAME") or values.get("NAME") or None
        self._heads[calendar.calendar] = CalendarHead(project=name, follows_date="Apple" in product, own=own)
        if zone := values.get("X-WR-TIMEZONE"):
            self._zone_names[calendar.calendar] = zone

    def _take_references(self, number: int, found: Component) -> None:
        names = {each.name for each in found.properties if each.value.strip()}
        if "RECURRENCE-ID" in names:
            self._take_override(self._todo(number, found))
        if "RELATED-TO" in names and (children := related(found.properties, "CHILD")):
            uid = self._todo(number, found).text("UID")
            for child in children:
                self._parents.setdefault(child, uid)
        for name in names:
            if name.startswith("X-") and effect_of(name) is None and len(self._unknown) < UNKNOWN_NAMES_MAX:
                self._unknown[name] += 1

    def _take_override(self, todo: Todo) -> None:
        if uid := todo.text("UID"):
            dates = {name: todo.first[name] for name in OVERRIDE_DATES if name in todo.first}
            self._overrides.setdefault(uid, []).append(
                Override(
                    number=todo.number,
                    calendar=todo.component.calendar,
                    occurrence=todo.first["RECURRENCE-ID"],
                    dates=dates,
                    done=todo.closed,
                    cancelled=todo.cancelled,
                    completed=todo.first.get("COMPLETED"),
                    text=todo.text_key,
                )
            )

    def _note_file(self, components: ComponentReader) -> None:
        found = self._warnings
        for message, line in components.faults.items():
            found.append(make_warning("VCALENDAR", message, line, Deviation.GUESSED))
        for name, count in components.ignored.items():
            found.append(make_warning(name, "Only to-dos are imported: these were left out.", count))
        for name, count in self._unknown.items():
            found.append(make_warning(name, "The property is not known: it was left out of these to-dos.", count))
        if self._zones.dropped:
            found.append(
                make_warning("VTIMEZONE", "There are too many zones: these were left out.", self._zones.dropped)
            )

    def _row(self, number: int, found: Component, made: Fingerprints) -> ImportRow:
        todo = self._todo(number, found)
        uid = todo.text("UID")
        source = uid or made.of(*(each.value for each in found.properties))
        series = None
        if "RECURRENCE-ID" in todo.first:  # one date of a series, which shares its UID
            source = f"{source}#{todo.text('RECURRENCE-ID')}"
            series = uid if todo.closed else None
        series = todo.text("X-TODO-SERIES") or series
        parent = next(iter(related(found.properties, "PARENT")), None) or self._parents.get(uid)
        place, state = self._states.get(uid, (0, None))
        return ImportRow(
            number, bounded_source_id(source), lambda: todo.load(state if place == number else None),
            parent=bounded_source_id(parent) if parent else None,
            series=bounded_source_id(series) if series else None,
            project_name=todo.text("X-TODO-PROJECT") or todo.head.project, uid=uid or None, refers_by_uid=True,
        )  # fmt: skip
