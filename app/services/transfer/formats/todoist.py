"""Todoist's CSV (its "backup" and "export as template"): TYPE,CONTENT,PRIORITY,INDENT,DATE,...

It has no ids, so a row is identified by its content and by the number of equal rows before it. INDENT is the depth of a
task below those above it, 1 is the most urgent PRIORITY, labels are @words in CONTENT, a note belongs to the task above
it. A section becomes a tag of the tasks below it. Quick add parses a DATE; one that it does not understand is kept in
the description.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.quick_add import QUICK_ADD_TEXT_MAX, parse
from app.errors import AppError
from app.models.task_fields import TAG_MAX, TAGS_MAX, TITLE_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.import_row import Fingerprints, ImportRow, LoadedRow

TODOIST_PRIORITIES = {"1": "urgent", "2": "high", "3": "medium", "4": "none"}
CONTENT_MAX = RAW_FACTOR * (TITLE_MAX + TAGS_MAX * TAG_MAX)  # characters, labels included
_LABEL_PATTERN = re.compile(r"(?<!\S)@([^\s@]{1,50})(?!\S)")


def is_todoist(header: Sequence[str]) -> bool:
    return {"TYPE", "CONTENT", "INDENT"} <= {name.strip() for name in header}


def read_todoist(
    table: Iterator[list[str]], header: Sequence[str], *, now: datetime, timezone: ZoneInfo
) -> Iterator[tuple[str, ImportRow]]:
    """Yields pairs of entity (tasks or comments) and row."""
    names = [name.strip() for name in header]
    made = Fingerprints("todoist")
    path: list[str] = []
    section = ""
    for number, cells in enumerate(table, start=1):
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        kind, content = row.get("TYPE", "").lower(), row.get("CONTENT", "")
        if kind == "section":
            section = content
        elif kind == "note" and path:
            yield (
                "comments",
                ImportRow(number, made.of("note", path[-1], content), _comment_loader(content), task=path[-1]),
            )
        elif kind == "task":
            depth = int(row["INDENT"]) if row.get("INDENT", "").isdecimal() and len(row["INDENT"]) < 3 else 1
            del path[max(0, depth - 1) :]
            source = made.of("task", section, "/".join(path[-1:]), *cells)
            parent = path[-1] if path else None
            yield "tasks", ImportRow(number, source, _task_loader(row, section, now, timezone), parent=parent)
            path.append(source)


def _comment_loader(content: str) -> Any:
    return lambda: LoadedRow({"body": content})


def _task_loader(row: dict[str, str], section: str, now: datetime, timezone: ZoneInfo) -> Any:
    def load() -> LoadedRow:
        content = row.get("CONTENT", "")
        labelled = content if len(content) <= CONTENT_MAX else ""
        title = " ".join(_LABEL_PATTERN.sub(" ", labelled).split())
        labels = _LABEL_PATTERN.findall(content) if title else []
        tags = [*labels, *([section[:TAG_MAX]] if section else [])]
        fields = {
            "title": (title or content).removeprefix("* "),
            "tags": list(dict.fromkeys(tags))[:TAGS_MAX],
            "priority": TODOIST_PRIORITIES.get(row.get("PRIORITY", ""), "none"),
        }
        return LoadedRow(fields | _due_fields(row.get("DATE", ""), row.get("DESCRIPTION", ""), now, timezone))

    return load


def _due_fields(text: str, description: str, now: datetime, timezone: ZoneInfo) -> dict[str, Any]:
    """Returns the due date and recurrence, if all of the text is understood, else the text in the description."""
    if not text:
        return {"description": description or None}
    try:
        found = parse(f"x {text}"[:QUICK_ADD_TEXT_MAX], now=now, timezone=timezone)
    except AppError:
        found = None
    if found is None or found.title != "x" or found.due is None:
        return {"description": f"{description}\nDate: {text}".strip()}
    due = found.due.isoformat()
    return {"description": description or None, "due_date": due, "recurrence": found.recurrence}
