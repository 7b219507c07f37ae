"""The calendar object that an app has sent, as it is kept beside the columns of its task: ``ical``.

``text`` is what was sent, letter by letter. ``values`` are those that the columns of each group of lines got from it,
and ``alarms`` the reminder of each alarm, null for one that is none here. While the columns have these values the text
is given back; what differs since is written anew, and all other lines stay.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import CalendarDataRefused, ObjectTooLarge
from app.services.caldav.calendar_blocks import TODO_BLOCK, ZONE_BLOCK, Block, read_blocks
from app.services.transfer.formats.ics.components import parse_property
from app.services.transfer.formats.ics.todo import relation_of

KEPT_BYTES_MAX = 65_536  # of a text
Lines = list[str]
KeptData = dict[str, Any]

# The columns that say what the lines of a group do.
GROUP_COLUMNS: dict[str, tuple[str, ...]] = {
    "title": ("title",),
    "description": ("description",),
    "status": ("completed", "state"),
    "priority": ("priority",),
    "tags": ("tags",),
    "dates": ("due_on", "due_at", "start_on", "start_at", "recurrence"),
    "parent": ("parent_uid",),
}
LINE_GROUPS = {
    "SUMMARY": "title", "DESCRIPTION": "description", "STATUS": "status", "COMPLETED": "status",
    "PERCENT-COMPLETE": "status", "PRIORITY": "priority", "CATEGORIES": "tags", "DTSTART": "dates", "DUE": "dates",
    "DURATION": "dates", "RRULE": "dates", "RELATED-TO": "parent",
}  # fmt: skip
# Lines that are written anew with a to-do, and those of a calendar.
STAMP_LINES = frozenset({"UID", "DTSTAMP", "LAST-MODIFIED"})
HEAD_NAMES = ("VERSION", "PRODID", "METHOD")


class SentParts(NamedTuple):
    """The parts of a calendar object: of its to-do the lines by their group, and the others."""

    groups: dict[str, Lines]
    other: Lines
    alarms: list[Block]
    overrides: list[Block]
    zones: dict[str, Lines]
    head: Lines


def split_master(todos: list[Block]) -> tuple[Block, list[Block]]:
    """Returns the to-do of an object, and those of single dates of its series."""
    master = next((todo for todo in todos if not todo.values("RECURRENCE-ID")), todos[0])
    return master, [todo for todo in todos if todo is not master]


def split_text(text: str) -> SentParts:
    """Returns the parts of a kept text. Raises CalendarDataRefused."""
    calendar = read_blocks(text)
    todos = [part for part in calendar.parts if part.name == TODO_BLOCK]
    if not todos:
        raise CalendarDataRefused
    master, overrides = split_master(todos)
    groups, other = group_lines(master)
    alarms = [part for part in master.parts if part.name == "VALARM"]
    zones = {part.first("TZID"): part.all_lines() for part in calendar.parts if part.name == ZONE_BLOCK}
    head = [line for line in calendar.lines if not line.upper().startswith(HEAD_NAMES)]
    return SentParts(groups, other, alarms, overrides, zones, head)


def group_lines(block: Block) -> tuple[dict[str, Lines], Lines]:
    """Returns the lines of a to-do by their group, and the others, with the components that are no alarms."""
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


def keep(
    text: str,
    uid: str | None,
    reminders: list[str | None],
    values: Mapping[str, list[Any]],
    excluded: list[str],
) -> KeptData:
    """Returns ``ical`` for a text. Raises ObjectTooLarge.

    ``uid`` is its UID where the task's is another; ``excluded`` are dates that its series leaves out.
    """
    if len(text.encode()) > KEPT_BYTES_MAX:
        raise ObjectTooLarge
    kept: KeptData = {"text": text, "values": dict(values), "alarms": reminders}
    if excluded:
        kept["excluded"] = excluded
    return kept if uid is None else {**kept, "uid": uid}
