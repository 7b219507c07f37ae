"""The filter of a calendar-query (RFC 4791, 9.7): which to-dos of a collection are wanted."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from app.dav.names import caldav
from app.dav.xml_reader import Element
from app.errors import FilterRefused
from app.services.caldav.calendar_blocks import Block, read_blocks
from app.services.caldav.todo_writer import row_date
from app.services.transfer.formats.ics.text import unescape
from app.services.transfer.formats.ics.values import parse_moment

COMP_FILTER, PROP_FILTER, PARAM_FILTER = caldav("comp-filter"), caldav("prop-filter"), caldav("param-filter")
TEXT_MATCH, TIME_RANGE, IS_NOT_DEFINED = caldav("text-match"), caldav("time-range"), caldav("is-not-defined")
QUERY_CONDITIONS_MAX = 100
RANGE_BEGINNING, RANGE_END = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
UID_SEARCH_MIN = 16  # characters from which a text in a UID is taken for the whole of it
TEXT_COLLATIONS = {"i;ascii-casemap", "i;octet", "i;unicode-casemap", "default", ""}
_LATIN_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

Condition = Callable[[Any, Block], bool]  # of a task and its to-do


class QueryFilter:
    """A filter. ``matches_nothing``: of to-dos; ``uid`` is the text that is looked for in UIDs, if that is all."""

    def __init__(self, root: Element, zone: ZoneInfo) -> None:
        self._zone, self._count = zone, 0
        self.conditions: list[Condition] = []
        self.matches_nothing = False
        self.uid: str | None = None
        top = root.find_all(COMP_FILTER)
        if len(top) != 1 or top[0].attributes.get("name", "").upper() != "VCALENDAR":
            raise FilterRefused
        for part in top[0].children:
            if part.name == IS_NOT_DEFINED:
                self.matches_nothing = True
            elif part.name == COMP_FILTER:
                self._add_component(part)

    @property
    def needs_data(self) -> bool:
        return bool(self.conditions)

    def matches(self, row: Any, text: str) -> bool:
        """Returns whether a task is wanted; ``text`` is its calendar object."""
        if self.matches_nothing:
            return False
        if not self.conditions:
            return True
        todo = next(part for part in read_blocks(text).parts if part.name == "VTODO")
        return all(condition(row, todo) for condition in self.conditions)

    def _add_component(self, part: Element) -> None:
        is_todo = part.attributes.get("name", "").upper() == "VTODO"
        wants_none = part.find(IS_NOT_DEFINED) is not None
        if is_todo == wants_none:
            self.matches_nothing = True
        for inner in part.children if is_todo and not wants_none else ():
            self._count += 1
            if self._count > QUERY_CONDITIONS_MAX:
                raise FilterRefused
            self.conditions.append(self._read_condition(inner))

    def _read_condition(self, part: Element) -> Condition:
        if part.name == TIME_RANGE:
            start, end = self._read_range(part)
            return lambda row, _: _overlaps(row, start, end, self._zone)
        if part.name == PROP_FILTER:
            return self._read_property(part)
        if part.name == COMP_FILTER:
            name, wanted = part.attributes.get("name", "").upper(), part.find(IS_NOT_DEFINED) is None
            return lambda _, todo: any(each.name == name for each in todo.parts) is wanted
        raise FilterRefused

    def _read_property(self, part: Element) -> Condition:
        name = part.attributes.get("name", "").upper()
        if part.find(IS_NOT_DEFINED) is not None:
            return lambda _, todo: not todo.values(name)
        tests: list[Callable[[str, dict[str, str]], bool]] = []
        for inner in part.children:
            if inner.name == TEXT_MATCH:
                test = read_text_match(inner)
                if name == "UID" and not _is_negated(inner) and len(inner.text) >= UID_SEARCH_MIN:
                    self.uid = inner.text
                tests.append(lambda value, _, test=test: test(unescape(value)))  # type: ignore[misc]
            elif inner.name == TIME_RANGE:
                start, end = self._read_range(inner)
                tests.append(lambda value, _, start=start, end=end: self._is_within(value, start, end))  # type: ignore[misc]
            elif inner.name == PARAM_FILTER:
                tests.append(_read_parameter(inner))
            else:
                raise FilterRefused
        return lambda _, todo: any(
            all(test(found.value, found.parameters) for test in tests) for found in todo.values(name)
        )

    def _read_range(self, part: Element) -> tuple[datetime, datetime]:
        limits = []
        for name, default in (("start", RANGE_BEGINNING), ("end", RANGE_END)):
            text = part.attributes.get(name)
            moment = parse_moment(text) if text else default
            if not isinstance(moment, datetime) or moment.tzinfo is None:
                raise FilterRefused
            limits.append(moment)
        return limits[0], limits[1]

    def _is_within(self, value: str, start: datetime, end: datetime) -> bool:
        moment = parse_moment(value)
        return moment is not None and start <= _instant(moment, self._zone) < end


def read_text_match(part: Element) -> Callable[[str], bool]:
    """Returns whether a text has that of a text-match in it. Raises FilterRefused for an unknown collation."""
    collation = part.attributes.get("collation", "")
    if collation not in TEXT_COLLATIONS:
        raise FilterRefused
    fold = (lambda text: text) if collation == "i;octet" else _fold_case
    wanted, negated = fold(part.text), _is_negated(part)
    return lambda text: (wanted in fold(text)) is not negated


def _fold_case(text: str) -> str:
    return text.translate(_LATIN_UPPER)


def _is_negated(part: Element) -> bool:
    return part.attributes.get("negate-condition", "no") == "yes"


def _read_parameter(part: Element) -> Callable[[str, dict[str, str]], bool]:
    name = part.attributes.get("name", "").upper()
    if part.find(IS_NOT_DEFINED) is not None:
        return lambda _, parameters: name not in parameters
    match = part.find(TEXT_MATCH)
    test = read_text_match(match) if match is not None else None
    return lambda _, parameters: name in parameters and (test is None or test(parameters[name]))


def _instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    """Returns an instant; a day begins at its midnight in ``zone``, in which local times are also."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _overlaps(row: Any, start: datetime, end: datetime, zone: ZoneInfo) -> bool:
    """Returns whether a task is in a time range, by the table of RFC 4791, 9.9. A series goes on for ever."""
    begins, due = row_date(row, "start"), row_date(row, "due")
    if due is not None or begins is not None:
        first = _instant(begins if begins is not None else due, zone)  # type: ignore[arg-type]
        if row["recurrence"] is not None:
            return end > first
        if due is None:
            return start <= first < end
        last = _instant(due, zone)
        if begins is None:
            return (start < last and end >= last) or start <= last < end
        return (start < last or start <= first) and (end > first or end >= last)
    made, completed = row["created_at"], row["completed_at"]
    if completed is not None:
        return bool((start <= made or start <= completed) and (end >= made or end >= completed))
    return bool(end > made)
