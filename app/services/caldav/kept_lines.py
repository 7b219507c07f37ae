"""Lines of a calendar object that are kept beside the columns of its task: ``ical``, at most KEPT_BYTES_MAX of JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.errors import ObjectTooLarge
from app.models.accounts import known_time_zones
from app.services.caldav.calendar_blocks import Block, meaning_of
from app.services.caldav.todo_reader import SentAlarm, SentObject
from app.services.caldav.todo_writer import (
    GROUP_COLUMNS,
    LINE_GROUPS,
    STAMP_LINES,
    TodoWriter,
    alarm_lines,
    utc_text,
    values_of,
)
from app.services.transfer.formats.ics.components import parse_property
from app.services.transfer.formats.ics.todo import relation_of

KEPT_BYTES_MAX = 65_536
Lines = list[str]
KeptData = dict[str, Any]


def group_lines(block: Block) -> tuple[dict[str, Lines], Lines]:
    """Returns the lines of a to-do by their group, and the others."""
    groups: dict[str, Lines] = {group: [] for group in GROUP_COLUMNS}
    other: Lines = []
    for line in block.lines:
        found = parse_property(line)
        name = found.name if found else ""
        group = LINE_GROUPS.get(name)
        if group == "parent" and found is not None and (groups["parent"] or relation_of(found) != "PARENT"):
            group = None  # a task has one parent
        if group is not None:
            groups[group].append(line)
        elif name not in STAMP_LINES:
            other.append(line)
    other += [line for part in block.parts if part.name != "VALARM" for line in part.all_lines()]
    return groups, other


def keep(sent: SentObject, groups: Mapping[str, Lines], other: Lines, row: Mapping[str, Any]) -> KeptData | None:
    """Returns what ``ical`` holds when the columns of ``row`` are written. Raises ObjectTooLarge."""
    writer = TodoWriter("UTC")
    bare = {**row, "ical": None}
    kept: KeptData = {}
    differing = {
        group: [lines, values_of(row, group)]
        for group, lines in groups.items()
        if meaning_of(lines) != meaning_of(writer.generate(bare, group))
    }
    if differing:
        kept["groups"] = differing
    if row.get("created_at"):
        created = f"CREATED:{utc_text(row['created_at'])}"
        other = [line for line in other if line != created]
    if other:
        kept["other"] = other
    alarms = [
        [alarm.block.all_lines(), alarm.reminder] for alarm in sent.fields.alarms if not _is_plain(alarm, row["title"])
    ]
    if alarms:
        kept["alarms"] = alarms
    if sent.row_uid != sent.uid:
        kept["uid"] = sent.uid
    if sent.overrides:
        kept["overrides"] = [block.all_lines() for block in sent.overrides]
    if zones := _needed_zones(sent):
        kept["zones"] = zones
    if len(msgspec.json.encode(kept)) > KEPT_BYTES_MAX:
        raise ObjectTooLarge
    return kept or None


def _is_plain(alarm: SentAlarm, title: str) -> bool:
    """Returns whether the alarm says no more than its reminder."""
    if alarm.reminder is None:
        return False
    lines = [*alarm_lines(alarm.reminder, title)]
    return meaning_of(alarm.block.all_lines()) == meaning_of(lines)


def _needed_zones(sent: SentObject) -> dict[str, Lines]:
    """Returns the zones that are not in the IANA database, by name."""
    zones = {block.first("TZID"): block.all_lines() for block in sent.zones}
    return {name: lines for name, lines in zones.items() if name and name not in known_time_zones()}
