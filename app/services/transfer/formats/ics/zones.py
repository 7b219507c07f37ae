"""The time zones that the dates of an iCalendar file name (RFC 5545, 3.2.19).

A name of the IANA database means that zone. Any other means what the file's own VTIMEZONE says, else what programs are
known to mean by it.
"""

import re
from bisect import bisect_right
from datetime import MAXYEAR, UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.domain.recurrence import parse_rule
from app.domain.recurrence.days import matching_days
from app.errors import InvalidRecurrence
from app.models.accounts import known_time_zones
from app.models.types import MAX_YEAR, MIN_YEAR
from app.services.transfer.formats.ics.components import Component
from app.services.transfer.formats.ics.rules import normalize_rule
from app.services.transfer.formats.ics.text import split
from app.services.transfer.formats.ics.values import parse_moment
from app.services.transfer.formats.zone_names import ZONE_NAME_MAX, FoundZone, clean_zone_name, find_zone_name

ZONE_PROPERTIES_MAX = 50_000  # of all definitions of a file that are kept
ZONE_RULES_MAX = 2_000  # of a file; each takes up to 1 ms
ONSETS_MAX = 1_000  # of one rule; a yearly one has 300
_OFFSET_PATTERN = re.compile(r"([+-])(\d\d):?(\d\d)(?::?(\d\d))?", re.ASCII)
_ALIAS_PROPERTIES = ("TZID-ALIAS-OF", "X-LIC-LOCATION")


class Onset(NamedTuple):
    """The moment at which an offset begins: ``local`` by the offset before it."""

    local: datetime
    before: timedelta
    after: timedelta


class FileZone(tzinfo):
    """A zone as a VTIMEZONE describes it (3.6.5), with gaps and overlaps as in ``zoneinfo``."""

    def __init__(self, name: str, onsets: list[Onset]) -> None:
        self._name, self._first = name, onsets[0].before
        self._walls = []  # by fold: when, on the wall, the offset after each change counts
        for choose in (max, min):
            walls = [onset.local + choose(timedelta(), onset.after - onset.before) for onset in onsets]
            wall = sorted(zip(walls, (onset.after for onset in onsets), strict=True))
            self._walls.append(([local for local, _ in wall], [offset for _, offset in wall]))
        self._instants = [onset.local - onset.before for onset in onsets], [onset.after for onset in onsets]

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        times, offsets = self._walls[moment.fold]
        return self._at(times, offsets, moment.replace(tzinfo=None))

    def fromutc(self, moment: datetime) -> datetime:
        offset = self._at(*self._instants, moment.replace(tzinfo=None))
        local = moment + offset
        return local if self.utcoffset(local) == offset else local.replace(fold=1)

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return self._name

    def __str__(self) -> str:
        return self._name

    def _at(self, times: list[datetime], offsets: list[timedelta], moment: datetime) -> timedelta:
        place = bisect_right(times, moment)
        return offsets[place - 1] if place else self._first


class ZoneTable:
    """The zones of one file. A name may be defined in each calendar, also after it is used."""

    def __init__(self) -> None:
        self._definitions: dict[str, dict[int, Component]] = {}
        self._same: dict[object, Component] = {}
        self._found: dict[tuple[int, str], FoundZone | None] = {}
        self._zones: dict[int, tzinfo | None] = {}
        self._properties = self._rules = 0
        self.dropped = 0  # definitions beyond the limit

    def add(self, definition: Component) -> None:
        name = clean_zone_name(next((found.value for found in definition.properties if found.name == "TZID"), ""))
        if not name or name in known_time_zones() or len(name) > ZONE_NAME_MAX:
            return
        parts = [definition, *definition.children]
        content = (name, *((part.name, found.name, found.value) for part in parts for found in part.properties))
        if (known := self._same.get(content)) is None:
            self._properties += definition.size
            if self._properties > ZONE_PROPERTIES_MAX:
                self.dropped += 1
                return
            known = self._same[content] = definition
        self._definitions.setdefault(name, {})[definition.calendar] = known

    def find(self, calendar: int, name: str) -> FoundZone | None:
        name = clean_zone_name(name)
        if name in known_time_zones():
            return FoundZone(ZoneInfo(name))
        key = calendar, name
        if key not in self._found:
            self._found[key] = self._defined(calendar, name) or find_zone_name(name)
        return self._found[key]

    def _defined(self, calendar: int, name: str) -> FoundZone | None:
        definitions = self._definitions.get(name, {})
        definition = definitions.get(calendar) or next(iter(definitions.values()), None)
        if definition is None:
            return None
        if id(definition) not in self._zones:
            self._zones[id(definition)] = self._read(name, definition)
        zone = self._zones[id(definition)]
        return FoundZone(zone) if zone else None

    def _read(self, name: str, definition: Component) -> tzinfo | None:
        for found in definition.properties:
            if found.name in _ALIAS_PROPERTIES and found.value.strip() in known_time_zones():
                return ZoneInfo(found.value.strip())
        observances = [child for child in definition.children if child.name in {"STANDARD", "DAYLIGHT"}]
        self._rules += sum(found.name == "RRULE" for child in observances for found in child.properties)
        if self._rules > ZONE_RULES_MAX:
            return None
        onsets = [onset for child in observances for onset in _onsets_of(child)]
        onsets.sort(key=lambda onset: onset.local - onset.before)
        return FileZone(name, onsets) if onsets else None


def _onsets_of(observance: Component) -> list[Onset]:
    first = {found.name: found for found in reversed(observance.properties)}
    offsets = [parse_offset(first[name].value) if name in first else None for name in ("TZOFFSETFROM", "TZOFFSETTO")]
    before, after = offsets
    start = parse_moment(first["DTSTART"].value) if "DTSTART" in first else None
    if after is None:
        return []
    before = after if before is None else before
    if not isinstance(start, datetime):
        start = datetime(MIN_YEAR, 1, 1)  # noqa: DTZ001 - local times
    start = start.replace(tzinfo=None)
    locals_ = {start}
    for found in observance.properties:
        if found.name == "RDATE":
            dates = [parse_moment(value.partition("/")[0]) for value in split(found.value)]
            locals_ |= {moment.replace(tzinfo=None) for moment in dates if isinstance(moment, datetime)}
        elif found.name == "RRULE":
            locals_ |= _rule_onsets(found.value, start, before)
    return [Onset(local, before, after) for local in locals_ if 1 < local.year < MAXYEAR]


def _rule_onsets(text: str, start: datetime, before: timedelta) -> set[datetime]:
    if start.year > MAX_YEAR:
        return set()
    try:
        rule = parse_rule(normalize_rule(text, start.replace(tzinfo=timezone(before))))
    except InvalidRecurrence:
        return set()
    after = start.date() if rule.count is not None else max(start.date(), date(MIN_YEAR - 2, 1, 1))
    days = islice(matching_days(rule, start.date(), after), ONSETS_MAX if rule.count is None else rule.count - 1)
    onsets = {datetime.combine(day, start.time()) for day in days if day.year <= MAX_YEAR}
    if isinstance(rule.until, datetime):
        last = rule.until.astimezone(UTC).replace(tzinfo=None) + before
        return {local for local in onsets if local <= last}
    return onsets if rule.until is None else {local for local in onsets if local.date() <= rule.until}


def parse_offset(text: str) -> timedelta | None:
    """Returns a UTC offset (3.3.14)."""
    if (found := _OFFSET_PATTERN.fullmatch(text.strip())) is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]), seconds=int(found[4] or 0))
    if offset >= timedelta(days=1):
        return None
    return -offset if found[1] == "-" else offset
