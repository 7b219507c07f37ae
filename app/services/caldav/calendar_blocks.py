"""The components of a calendar object (RFC 4791, 4.1) as the unfolded lines that were sent.

Lines are kept as text: what is given back is letter by letter what came, whatever this service makes of it.
"""

import re
from dataclasses import dataclass, field

from app.errors import CalendarDataRefused
from app.services.transfer.formats.ics.components import TEXT_PROPERTIES, Component, Property, parse_property
from app.services.transfer.formats.ics.text import unescape, unfold

BLOCK_LEVELS_MAX, BLOCK_LINES_MAX = 8, 5_000
TODO_BLOCK, ZONE_BLOCK = "VTODO", "VTIMEZONE"
# XML 1.0 has no form for other control characters, and PostgreSQL none for NUL.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_LINE_BREAK = re.compile(r"\r\n|\n|\r")  # and none of the others of splitlines(), which a text may hold
_BLOCK_EDGE = re.compile(r"(BEGIN|END)\s*:\s*([A-Za-z0-9-]+)\s*", re.IGNORECASE)
# Parameters that say what holds without them (RFC 5545, 3.2 and 3.8).
_IDLE_PARAMETERS = {("VALUE", "DATE-TIME"), ("VALUE", "TEXT"), ("VALUE", "DURATION"), ("RELTYPE", "PARENT")}
_IDLE_PARAMETERS |= {("RELATED", "START"), ("VALUE", "RECUR"), ("VALUE", "INTEGER"), ("CHARSET", "UTF-8")}
# Lines that say what holds without them.
_IDLE_VALUES = {("PRIORITY", "0"), ("STATUS", "NEEDS-ACTION"), ("PERCENT-COMPLETE", "0")}
_DONE_VALUE = ("PERCENT-COMPLETE", "100")  # which STATUS:COMPLETED says also

LineMeaning = tuple[str, frozenset[tuple[str, str]], str]


@dataclass(slots=True)
class Block:
    """A component: its lines without those that begin and end it, and the components in it."""

    name: str
    lines: list[str] = field(default_factory=list)
    parts: list["Block"] = field(default_factory=list)

    def all_lines(self) -> list[str]:
        """Returns the lines of the whole component."""
        inner = [line for part in self.parts for line in part.all_lines()]
        return [f"BEGIN:{self.name}", *self.lines, *inner, f"END:{self.name}"]

    def to_component(self) -> Component:
        """Returns it as the readers of files take it."""
        found = Component(self.name, 1)
        found.properties = [each for line in self.lines if (each := parse_property(line)) is not None]
        found.children = [part.to_component() for part in self.parts]
        found.size = len(found.properties) + sum(child.size + 1 for child in found.children)
        return found

    def values(self, name: str) -> list[Property]:
        """Returns the properties of this name."""
        begins = name.upper()
        lines = [line for line in self.lines if line[: len(name)].upper() == begins]
        return [found for line in lines if (found := parse_property(line)) is not None and found.name == begins]

    def first(self, name: str) -> str:
        """Returns the value of the first property of this name, empty if there is none."""
        return next((found.value.strip() for found in self.values(name)), "")


def without_control_characters(text: str) -> str:
    return _CONTROL_CHARACTERS.sub("", text)


def read_blocks(text: str) -> Block:
    """Returns the calendar in ``text``. Raises CalendarDataRefused for what is none."""
    top: list[Block] = []
    stack: list[Block] = []
    for number, line in enumerate(unfold(_LINE_BREAK.split(text))):
        if number > BLOCK_LINES_MAX:
            raise CalendarDataRefused("The calendar object has too many lines.")
        edge = _BLOCK_EDGE.fullmatch(line)
        if edge is None:
            _take_line(stack, line)
        elif edge[1].upper() == "BEGIN":
            if len(stack) == BLOCK_LEVELS_MAX:
                raise CalendarDataRefused("Components are nested too deeply.")
            block = Block(edge[2].upper())
            (stack[-1].parts if stack else top).append(block)
            stack.append(block)
        elif not stack or stack.pop().name != edge[2].upper():
            raise CalendarDataRefused(f"END:{edge[2]} does not end what is open.")
    if stack or len(top) != 1 or top[0].name != "VCALENDAR":
        raise CalendarDataRefused("The body is not one VCALENDAR.")
    return top[0]


def _take_line(stack: list[Block], line: str) -> None:
    """Adds a line. One that is no property continues the text before it: some programs write line ends as they are."""
    if not line.strip():
        return
    if not stack:
        raise CalendarDataRefused("A line is outside of the calendar.")
    if parse_property(line) is not None:
        stack[-1].lines.append(line)
        return
    before = parse_property(stack[-1].lines[-1]) if stack[-1].lines else None
    if before is None or before.name not in TEXT_PROPERTIES:
        raise CalendarDataRefused("A line is no property.")
    stack[-1].lines[-1] += f"\\n{line}"


def meaning_of(lines: list[str]) -> list[LineMeaning]:
    """Returns what lines say, equal for lines that differ in order, escapes, case of names, and defaults."""
    found = []
    for line in lines:
        each = parse_property(line)
        if each is None:
            found.append(("", frozenset[tuple[str, str]](), line))
            continue
        parameters = frozenset(
            (name, value)
            for name, value in each.parameters.items()
            if (name, value.upper()) not in _IDLE_PARAMETERS and value
        )
        value = unescape(each.value).strip()
        if not parameters and (each.name, value) in _IDLE_VALUES:
            continue
        found.append((each.name, parameters, value))
    if any(name == "STATUS" and value == "COMPLETED" for name, _, value in found):
        found = [each for each in found if (each[0], each[2]) != _DONE_VALUE]
    return sorted(found, key=repr)
