"""Todoist's CSV (its "backup" and "export as template"): TYPE,CONTENT,PRIORITY,INDENT,DATE,...

It has no ids, so a row is identified by its content and by the number of equal rows before it. INDENT is the depth of a
task below those above it, 1 is the most urgent PRIORITY, labels are @words in CONTENT, a note belongs to the task above
it. A section becomes a tag of the tasks below it. What has no field here is kept as lines of the description: a DATE or
DEADLINE that is not understood, RESPONSIBLE. A note of the project, before the first task, becomes a comment of that
task: comments have no other place.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.recurrence import parse_rule, shifted
from app.domain.todoist_dates import TodoistDate, read_todoist_date
from app.domain.written_dates import DayOrder, read_written_date
from app.models.task_fields import ESTIMATE_MAX, TAG_MAX, TAGS_MAX, TITLE_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.formats.csv import UnknownColumns, day_order_warnings
from app.services.transfer.formats.products.projects import NamedProjects
from app.services.transfer.formats.zone_names import FoundZone, clean_zone_name, find_zone_name
from app.services.transfer.import_row import (
    Deviation,
    Fingerprints,
    ImportRow,
    LoadedRow,
    RowWarning,
    make_warning,
    warn_of_file,
)

TODOIST_COLUMNS = frozenset(
    {
        "TYPE", "CONTENT", "DESCRIPTION", "IS_COLLAPSED", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE",
        "DATE_LANG", "TIMEZONE", "DURATION", "DURATION_UNIT", "DEADLINE", "DEADLINE_LANG", "META",
    }
)  # fmt: skip
TODOIST_PRIORITIES = {"1": "urgent", "2": "high", "3": "medium", "4": "none", "": "none"}
CONTENT_MAX = RAW_FACTOR * (TITLE_MAX + TAGS_MAX * TAG_MAX)  # characters, labels included
PROJECT_NOTES_MAX = 1_000  # notes that are held until there is a task for them
NO_VALUE = frozenset({"", "none", "null", "0"})
UNIT_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_LENGTH_PATTERN = re.compile(r"(\d{1,4}) ?([mh])")
_LABEL_PATTERN = re.compile(r"(?<!\S)@([^\s@]{1,50})(?!\S)")


def is_todoist(header: Sequence[str]) -> bool:
    return {"TYPE", "CONTENT", "INDENT"} <= {name.strip().upper() for name in header}


@dataclass(slots=True)
class TodoistReader:
    """Reads the rows of one file. Times are in ``timezone`` unless a row names another; ``project`` is that of all.

    ``project_number`` tells projects of one name apart.
    """

    now: datetime
    timezone: ZoneInfo
    day_order: DayOrder
    project: str = ""
    project_number: str = ""

    def read(self, table: Iterator[list[str]], header: Sequence[str]) -> Iterator[tuple[str, ImportRow]]:
        """Yields pairs of entity (tasks or comments) and row."""
        names = [name.strip().upper() for name in header]
        unknown = UnknownColumns(header)
        made = Fingerprints("todoist")
        path: list[str] = []
        notes: list[tuple[int, str]] = []
        section = ""
        rows, project = NamedProjects("todoist").refer(self.project)
        yield from rows
        about = ["task", *filter(None, [project, self.project_number])]
        empty: dict[str, None] = {}  # sections without a task
        for number, cells in enumerate(table, start=1):
            unknown.note(cell if name not in TODOIST_COLUMNS else "" for name, cell in zip(names, cells, strict=False))
            row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
            kind, content = row.get("TYPE", "").lower(), row.get("CONTENT", "")
            self.day_order.note(row.get("DATE", ""))
            if kind == "section":
                section = content
                empty[section] = None
            elif kind == "note" and path:
                yield "comments", _comment(number, made.of("note", path[-1], content), content, path[-1])
            elif kind == "note":
                notes = [*notes[-PROJECT_NOTES_MAX:], (number, content)]
            elif kind == "task":
                depth = int(row["INDENT"]) if row.get("INDENT", "").isdecimal() and len(row["INDENT"]) < 3 else 1
                del path[max(0, depth - 1) :]
                source = made.of(*about, section, "/".join(path[-1:]), *cells)
                parent = path[-1] if path else None
                yield "tasks", ImportRow(number, source, self._loader(row, section), parent=parent, project=project)
                path.append(source)
                empty.pop(section, None)
                for place, text in notes:
                    yield "comments", _comment(place, made.of("note", source, text), text, source, PROJECT_NOTE)
                notes = []
            elif content and kind != "meta":
                message = f"Row {number} is of an unknown type: it was left out."
                yield warn_of_file(make_warning("TYPE", message, content))
        for place, text in notes:
            yield warn_of_file(make_warning("note", f"Row {place} is a note without a task: it was left out.", text))
        if empty:
            message = "A section is a tag of its tasks: these have none."
            yield warn_of_file(make_warning("section", message, ", ".join(filter(None, empty))))
        if warnings := [*unknown.warnings(), *day_order_warnings(self.day_order, "DATE")]:
            yield warn_of_file(*warnings)

    def _loader(self, row: dict[str, str], section: str) -> Callable[[], LoadedRow]:
        def load() -> LoadedRow:
            content, lines, warnings = row.get("CONTENT", ""), list[str](), list[RowWarning]()
            labelled = content if len(content) <= CONTENT_MAX else ""
            title = " ".join(_LABEL_PATTERN.sub(" ", labelled).split())
            tags = [*(_LABEL_PATTERN.findall(content) if title else []), *([section] if section else [])]
            fields: dict[str, Any] = {"title": (title or content).removeprefix("* "), "tags": list(dict.fromkeys(tags))}
            if (priority := row.get("PRIORITY", "")) not in TODOIST_PRIORITIES:
                warnings.append(make_warning("priority", "A priority is 1 to 4: it was left out.", priority))
            fields["priority"] = TODOIST_PRIORITIES.get(priority, "none")
            fields |= self._due_fields(row, lines, warnings)
            fields |= self._deadline_fields(row, lines, warnings) | _duration_fields(row, lines, warnings)
            _keep_as_text("RESPONSIBLE", row.get("RESPONSIBLE", ""), "Responsible", lines, warnings)
            fields["description"] = "\n".join(filter(None, [row.get("DESCRIPTION", ""), *lines])) or None
            return LoadedRow(fields, warnings)

        return load

    def _deadline_fields(self, row: dict[str, str], lines: list[str], warnings: list[RowWarning]) -> dict[str, Any]:
        """Returns the deadline, if it is a day that is understood, else its text in the description."""
        text = row.get("DEADLINE", "")
        if text.lower() in NO_VALUE:
            return {}
        found = read_written_date(text, day_first=self.day_order.day_first)
        if found is None and (named := self._read_date(text, self.timezone, row.get("DEADLINE_LANG", ""))) is not None:
            return {"deadline": named.due.isoformat()[:10]}
        if found is None:
            _keep_as_text("DEADLINE", text, "Deadline", lines, warnings, "This date is not understood")
            return {}
        return {"deadline": found.value.isoformat()[:10]}

    def _read_date(self, text: str, zone: tzinfo, language: str) -> TodoistDate | None:
        return read_todoist_date(
            text, now=self.now, timezone=zone, language=language, day_first=self.day_order.day_first
        )

    def _due_fields(self, row: dict[str, str], lines: list[str], warnings: list[RowWarning]) -> dict[str, Any]:
        """Returns the due date and recurrence, if all of the text is understood, else the text in the description."""
        text, name = row.get("DATE", ""), row.get("TIMEZONE", "")
        if not text:
            return {}
        named = find_zone_name(clean_zone_name(name)) if name else FoundZone(self.timezone)
        zone = named.zone if named else self.timezone
        found = self._read_date(text, zone, row.get("DATE_LANG", ""))
        if found is None:
            _keep_as_text("DATE", text, "Date", lines, warnings, "This date is not understood")
            return {}
        if (named is None or named.guessed) and isinstance(found.due, datetime):
            message = f"The time zone is not known: the time was read in {self.timezone.key}."
            if named is not None:
                message = "Only the offset of the time zone was read."
            warnings.append(make_warning("TIMEZONE", message, name, Deviation.GUESSED))
        fields: dict[str, Any] = {
            "due_date": found.due.isoformat(),
            "recurrence": self._rule_here(found, zone, warnings),
        }
        if length := _LENGTH_PATTERN.search(found.duration):
            fields["estimate_minutes"] = int(length[1]) * (60 if length[2] == "h" else 1)
        return fields | ({"recurrence_from": "completion"} if found.from_completion else {})

    def _rule_here(self, found: TodoistDate, zone: tzinfo, warnings: list[RowWarning]) -> str | None:
        """Returns the rule for days in the account's zone; those of a row are days in its own."""
        if found.recurrence is None or not isinstance(found.due, datetime):
            return found.recurrence
        here, there = (found.due.astimezone(each).date() for each in (self.timezone, zone))
        if (rule := shifted(parse_rule(found.recurrence), (here - there).days)) is not None:
            return str(rule)
        message = f"The days of the rule are another day in {self.timezone.key}: they were kept as they are."
        warnings.append(make_warning("recurrence", message, found.recurrence, Deviation.GUESSED))
        return found.recurrence


def _duration_fields(row: dict[str, str], lines: list[str], warnings: list[RowWarning]) -> dict[str, Any]:
    """Returns the estimate of a number of minutes or days."""
    number, unit = row.get("DURATION", ""), row.get("DURATION_UNIT", "").lower().removesuffix("s") or "minute"
    if number.lower() in NO_VALUE:
        return {}
    minutes = int(number[:9]) * UNIT_MINUTES.get(unit, 0) if number.isascii() and number.isdecimal() else 0
    if 0 < minutes <= ESTIMATE_MAX:
        return {"estimate_minutes": minutes}
    _keep_as_text("DURATION", f"{number} {unit}s", "Duration", lines, warnings)
    return {}


PROJECT_NOTE = make_warning(
    "note", "A note of the project has no place of its own: it is a comment of the first task.", "", Deviation.CHANGED
)


def _comment(number: int, source: str, text: str, task: str, warning: RowWarning | None = None) -> ImportRow:
    warnings = [warning._replace(value=make_warning("note", "", text).value)] if warning else []
    return ImportRow(number, source, lambda: LoadedRow({"body": text}, warnings), task=task)


def _keep_as_text(
    column: str,
    value: str,
    label: str,
    lines: list[str],
    warnings: list[RowWarning],
    reason: str = "There is no such field here",
) -> None:
    if value.lower() not in NO_VALUE:
        lines.append(f"{label}: {value}")
        message = f"{reason}: it was kept in the description."
        warnings.append(make_warning(column, message, value, Deviation.KEPT_AS_TEXT))
