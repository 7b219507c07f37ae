"""Writing Todoist's CSV, as its help describes it for importing: open tasks with their subtasks and comments.

Projects are sections. A row is after that of its parent, so the tasks are first written to disk, and only where they
are is kept in memory. Todoist takes an empty PRIORITY for the highest, and an INDENT of at most 4.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date, datetime, tzinfo
from typing import IO, Any, NamedTuple

from app.domain.recurrence import Frequency, Rule, parse_rule
from app.models.task_fields import CLOSED_STATUSES
from app.models.task_rows import due_of, status_of
from app.services.transfer.temporary_files import refusals_named

TEMPLATE_COLUMNS = (
    "TYPE", "CONTENT", "DESCRIPTION", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE", "DATE_LANG", "TIMEZONE",
    "DURATION", "DURATION_UNIT", "DEADLINE", "DEADLINE_LANG",
)  # fmt: skip
TEMPLATE_PRIORITIES = {"urgent": "1", "high": "2", "medium": "3", "low": "4", "none": "4"}
INDENT_MAX = 4
DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNIT_NAMES = {Frequency.DAILY: "day", Frequency.WEEKLY: "week", Frequency.MONTHLY: "month", Frequency.YEARLY: "year"}
_INDENT_MARK = "\ue000"  # in the place of the depth, which is not known yet


class _Place(NamedTuple):
    """The bytes of a row on disk."""

    start: int
    size: int


class TodoistTemplate:
    """The rows of one export. All are added before ``lines`` yields the first."""

    def __init__(self, file: IO[bytes], zone: tzinfo) -> None:
        """Writes to ``file``, an empty temporary one."""
        self._file, self._zone, self._end = file, zone, 0
        self._tasks: dict[int, _Place] = {}
        self._positions: dict[int, str] = {}
        self._children: dict[int | None, list[int]] = {}
        self._parents: dict[int, int] = {}
        self._project_of: dict[int, int | None] = {}
        self._notes: dict[int, list[_Place]] = {}

    def add_task(self, row: Any) -> None:
        """Adds a task, unless it is closed."""
        if status_of(row) in CLOSED_STATUSES:
            return
        self._tasks[row.id] = self._write(_task_cells(row, self._zone))
        self._positions[row.id], self._project_of[row.id] = row.position, row.project_id
        if row.parent_id is not None:
            self._parents[row.id] = row.parent_id

    def add_comment(self, row: Any) -> None:
        if row.task_id in self._tasks:
            self._notes.setdefault(row.task_id, []).append(self._write(["note", row.body]))

    def lines(self, projects: Mapping[int, str]) -> Iterator[bytes]:
        """Yields the rows in order, without projects first."""
        yield b"\xef\xbb\xbf" + _line(TEMPLATE_COLUMNS)
        for id_ in self._tasks:
            parent = self._parents.get(id_)
            self._children.setdefault(parent if parent in self._tasks else None, []).append(id_)
        tops: dict[int | None, list[int]] = {}
        for id_ in sorted(self._children.get(None, ()), key=self._positions.__getitem__):
            tops.setdefault(self._project_of[id_], []).append(id_)
        for project in sorted(tops, key=lambda number: number is not None):
            if project is not None:
                yield _line(["section", projects.get(project, "")])
            for id_ in tops[project]:
                yield from self._tree(id_)

    def _tree(self, top: int) -> Iterator[bytes]:
        open_: list[tuple[int, int]] = [(top, 1)]
        while open_:
            id_, depth = open_.pop()
            indent = str(min(depth, INDENT_MAX))
            yield self._read(self._tasks[id_]).replace(_INDENT_MARK.encode(), indent.encode())
            for note in self._notes.get(id_, ()):
                yield self._read(note)
            below = sorted(self._children.get(id_, ()), key=self._positions.__getitem__, reverse=True)
            open_ += [(child, depth + 1) for child in below]

    def _write(self, cells: list[str]) -> _Place:
        line = _line(cells)
        place = _Place(self._end, len(line))
        with refusals_named():
            self._file.write(line)
        self._end += len(line)
        return place

    def _read(self, place: _Place) -> bytes:
        with refusals_named():
            self._file.seek(place.start)
            return self._file.read(place.size)


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([*cells, *[""] * (len(TEMPLATE_COLUMNS) - len(cells))])
    return text.getvalue().encode()


def _task_cells(row: Any, zone: tzinfo) -> list[str]:
    labels = [f"@{'_'.join(tag.split())}" for tag in row.tags]
    date_, rest = _date_text(row, zone)
    texts = [text.replace(_INDENT_MARK, "") for text in (" ".join([row.title, *labels]), row.description or "")]
    start = due_of(row, "start")
    started = "" if start is None else f"Start: {_local_text(start, zone)}"
    description = "\n".join(filter(None, [texts[1], started, rest]))
    priority = TEMPLATE_PRIORITIES[row.priority]
    zone_name = str(zone) if date_ else ""
    language = "en" if date_ else ""
    minutes, deadline = str(row.estimate_minutes or ""), row.deadline.isoformat() if row.deadline else ""
    return [
        "task", texts[0], description, priority, _INDENT_MARK, "", "", date_, language, zone_name, minutes,
        "minute" if minutes else "", deadline, "en" if deadline else "",
    ]  # fmt: skip


def _local_text(moment: date | datetime, zone: tzinfo) -> str:
    """Returns a day, or a time by the owner's clock."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else moment.isoformat()


def _date_text(row: Any, zone: tzinfo) -> tuple[str, str]:
    """Returns the date in Todoist's words, and what of the rule has none."""
    due = due_of(row)
    if due is None:
        return "", ""
    text = _local_text(due, zone)
    day, _, clock = text.partition(" ")
    if not row.recurrence:
        return text, ""
    rule = parse_rule(row.recurrence)
    if (words := _rule_text(rule, after=row.recurrence_from == "completion")) is None:
        return text, f"Repeats: {rule}"
    end = f" until {rule.until:%Y-%m-%d}" if rule.until else ""
    return f"{words}{f' at {clock}' if clock else ''} starting {day}{end}", ""


def _rule_text(rule: Rule, *, after: bool) -> str | None:
    """Returns a rule in words that Todoist reads; None where it has none for it."""
    every, unit = "every!" if after else "every", UNIT_NAMES[rule.frequency]
    if rule.count or rule.positions or rule.months:
        return None
    if rule.weekdays:
        is_plain = rule.frequency is Frequency.WEEKLY and rule.interval == 1
        return f"{every} {', '.join(DAY_NAMES[each.day] for each in rule.weekdays)}" if is_plain else None
    if rule.month_days:
        is_plain = rule.frequency is Frequency.MONTHLY and rule.interval == 1 and min(rule.month_days) > 0
        return f"{every} {', '.join(map(str, rule.month_days))}" if is_plain else None
    return f"{every} {unit}" if rule.interval == 1 else f"{every} {rule.interval} {unit}s"
