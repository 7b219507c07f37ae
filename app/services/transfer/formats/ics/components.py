"""The components of an iCalendar file, read line by line, however its frame is damaged.

Several calendars in one file, a missing END, lines between calendars and to-dos outside of any are common: programs
join files, and copies end early. What can be read is read, and what is wrong is noted for the report.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from app.errors import NESTED_MAX, NestedTooDeep, NotACalendar
from app.services.transfer.formats.ics.text import unfold

PROPERTIES_MAX = 1_000  # of one to-do, with its alarms
_PROPERTY_PATTERN = re.compile(
    r"([A-Za-z0-9_-]+)((?:;[A-Za-z0-9-]+=(?:\"[^\"]*\"|[^\";:,]*)(?:,(?:\"[^\"]*\"|[^\";:,]*))*)*):", re.DOTALL
)
_LENIENT_PATTERN = re.compile(r"([A-Za-z0-9_-]{1,60});[^:]*:")  # with parameters that cannot be read
_PARAMETER_PATTERN = re.compile(r";([A-Za-z0-9-]+)=(\"[^\"]*\"|[^;]*)")
_EDGE_LETTERS = frozenset("BbEe")  # the first letters of BEGIN and END
READ_COMPONENTS = frozenset({"VTODO", "VTIMEZONE"})
# Components that are never inside of one another: one that begins ends those that are open.
TOP_COMPONENTS = READ_COMPONENTS | {"VEVENT", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY", "VPOLL"}
# Names that programs write wrongly.
PROPERTY_ALIASES = {
    "PERCENT_COMPLETE": "PERCENT-COMPLETE",
    "LAST-MOD": "LAST-MODIFIED",
    "LAST_MODIFIED": "LAST-MODIFIED",
}
# A line that is no property continues the text before it: some programs write line ends as they are.
TEXT_PROPERTIES = frozenset({"SUMMARY", "DESCRIPTION", "COMMENT", "LOCATION", "CONTACT"})


class Property(NamedTuple):
    """A property of a component; ``value`` is as it is in the file."""

    name: str
    parameters: dict[str, str]
    value: str


@dataclass(slots=True)
class Component:
    """A component with its properties. ``calendar`` is the number of its VCALENDAR in the file, 0 for none.

    ``size`` counts its properties and those of the components in it, of which ``PROPERTIES_MAX`` are kept.
    """

    name: str
    calendar: int = 0
    read: bool = True
    properties: list[Property] = field(default_factory=list)
    children: list["Component"] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    size: int = 0
    ended: bool = True


def parse_property(line: str) -> Property | None:
    name, colon, value = line.partition(":")
    if colon and name.isascii() and name.replace("-", "").isalnum():  # most have no parameters
        return Property(_name(name), {}, value)
    if (found := _PROPERTY_PATTERN.match(line)) is None:
        if (found := _LENIENT_PATTERN.match(line)) is None:
            return None
        return Property(_name(found[1]), {}, line[found.end() :])
    parameters: dict[str, str] = {}
    if found[2]:
        parameters = {name.upper(): value.strip('"') for name, value in _PARAMETER_PATTERN.findall(found[2])}
    return Property(_name(found[1]), parameters, line[found.end() :])


def _name(text: str) -> str:
    name = text.upper()
    return PROPERTY_ALIASES.get(name, name)


class ComponentReader:
    """Reads the components of one file; ``faults`` and ``ignored`` are complete after the last one."""

    def __init__(self) -> None:
        self._stack: list[Component] = []
        self._calendar = 0
        self._found = False
        self.faults: dict[str, str] = {}  # what is wrong with the frame, with the first line of its kind
        self.ignored: Counter[str] = Counter()  # components that are no to-dos, by name

    def read(self, lines: Iterable[str]) -> Iterator[Component]:
        """Yields to-dos and time zones, and calendars with their own properties when they end.

        Raises NotACalendar and NestedTooDeep.
        """
        stack = self._stack
        for line in unfold(lines):
            if stack and not stack[-1].read and line[:1] not in _EDGE_LETTERS:
                continue  # most of a large calendar is events
            found = parse_property(line)
            if found is None:
                self._take_text(line)
            elif found.name == "BEGIN":
                yield from self._begin(found.value.strip().upper())
            elif found.name == "END":
                yield from self._end(found.value.strip().upper())
            elif not stack:
                self.faults.setdefault("A line outside of the calendars was left out.", line)
            else:
                self._take(found)
        while stack:
            if stack[-1].name in {"VCALENDAR", "VTODO"}:
                self.faults.setdefault("The file ends before its calendar does.", f"END:{stack[0].name}")
            stack[-1].ended = False
            yield from self._close()
        if not self._found:
            raise NotACalendar(loc=("body",))

    def _begin(self, name: str) -> Iterator[Component]:
        stack = self._stack
        if name == "VCALENDAR" or (name in TOP_COMPONENTS and any(open_.name in TOP_COMPONENTS for open_ in stack)):
            while stack and (name == "VCALENDAR" or stack[-1].name != "VCALENDAR"):
                self.faults.setdefault("A component has no end.", f"BEGIN:{stack[-1].name}")
                stack[-1].ended = False
                yield from self._close()
        if len(stack) == NESTED_MAX:
            raise NestedTooDeep(loc=("body",))
        if name == "VCALENDAR":
            self._calendar += 1
            self._found = True
        elif name == "VTODO":
            self._found = True
            if not stack:
                self.faults.setdefault("A to-do is outside of the calendars.", "BEGIN:VTODO")
        top = stack[-1] if stack else None
        nested = top is not None and top.name != "VCALENDAR"
        reads = (top is not None and top.read) if nested else name in READ_COMPONENTS or name == "VCALENDAR"
        stack.append(Component(name, self._calendar if stack or name == "VCALENDAR" else 0, reads))

    def _end(self, name: str) -> Iterator[Component]:
        stack = self._stack
        if not any(open_.name == name for open_ in stack):
            self.faults.setdefault("An end without its begin was left out.", f"END:{name}")
            return
        while stack[-1].name != name:
            self.faults.setdefault("A component has no end.", f"BEGIN:{stack[-1].name}")
            stack[-1].ended = False
            yield from self._close()
        yield from self._close()

    def _close(self) -> Iterator[Component]:
        closed = self._stack.pop()
        above = self._stack[-1] if self._stack else None
        if closed.name == "VCALENDAR" or (closed.name in READ_COMPONENTS and closed.read):
            if above is None or above.name == "VCALENDAR":
                yield closed
        elif above is not None and above.name != "VCALENDAR":
            above.size += closed.size + 1
            if above.read and above.size <= PROPERTIES_MAX:
                above.children.append(closed)
        else:
            self.ignored[closed.name] += 1

    def _take(self, found: Property) -> None:
        top = self._stack[-1]
        top.size += 1
        if top.read and top.size <= PROPERTIES_MAX:
            top.properties.append(found)

    def _take_text(self, line: str) -> None:
        if not line.strip():
            return
        if not self._stack:
            self.faults.setdefault("A line outside of the calendars was left out.", line)
            return
        top = self._stack[-1]
        top.size += 1
        if not top.read or top.size > PROPERTIES_MAX:
            return
        if top.properties and top.properties[-1].name in TEXT_PROPERTIES:
            before = top.properties[-1]
            top.properties[-1] = before._replace(value=f"{before.value}\\n{line}")
        top.unreadable.append(line)
