"""Todoist's CSV (its "backup" and "export as template"): TYPE,CONTENT,PRIORITY,INDENT,DATE,...

It has no ids, so a row is known by what it holds and by how many of the same came before it. INDENT says what a task
belongs to, 1 is the most urgent PRIORITY, labels stand in CONTENT as @words, a note belongs to the task above it.
A section becomes a tag of the tasks below it. A DATE is read as quick add reads it; one that is not understood is
kept in the description.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.quick_add import MAX_TEXT, parse
from app.errors import AppError, Invalid
from app.models.task_fields import TAG_MAX, TAGS_MAX, TITLE_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.import_row import Fingerprints, Item

PRIORITIES = {"1": "urgent", "2": "high", "3": "medium", "4": "none"}
CONTENT_MAX = RAW_FACTOR * (TITLE_MAX + TAGS_MAX * TAG_MAX)  # characters, before labels are taken out
_LABEL = re.compile(r"(?<!\S)@([^\s@]{1,50})(?!\S)")


def is_todoist(header: Sequence[str]) -> bool:
    return {"TYPE", "CONTENT", "INDENT"} <= {name.strip() for name in header}


def read_todoist(
    table: Iterator[list[str]], header: Sequence[str], *, now: datetime, timezone: ZoneInfo
) -> Iterator[tuple[str, Item]]:
    """Pairs of entity (tasks or comments) and row."""
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
            yield "comments", Item(number, made.of("note", path[-1], content), _note(content), task=path[-1])
        elif kind == "task":
            depth = int(row["INDENT"]) if row.get("INDENT", "").isdecimal() and len(row["INDENT"]) < 3 else 1
            del path[max(0, depth - 1) :]
            source = made.of("task", section, "/".join(path[-1:]), *cells)
            parent = path[-1] if path else None
            yield "tasks", Item(number, source, _task(row, section, now, timezone), parent=parent)
            path.append(source)


def _note(content: str) -> Any:
    return lambda: {"body": content}


def _task(row: dict[str, str], section: str, now: datetime, timezone: ZoneInfo) -> Any:
    def load() -> dict[str, Any]:
        content = row.get("CONTENT", "")
        if len(content) > CONTENT_MAX:
            raise Invalid("The content is too long.", loc=("body", "title"))
        title = " ".join(_LABEL.sub(" ", content).split())
        labels = _LABEL.findall(content) if title else []
        tags = [*labels, *([section[:TAG_MAX]] if section else [])]
        fields = {
            "title": (title or content).removeprefix("* "),
            "tags": list(dict.fromkeys(tags))[:TAGS_MAX],
            "priority": PRIORITIES.get(row.get("PRIORITY", ""), "none"),
        }
        return fields | _dated(row.get("DATE", ""), row.get("DESCRIPTION", ""), now, timezone)

    return load


def _dated(text: str, description: str, now: datetime, timezone: ZoneInfo) -> dict[str, Any]:
    """Due date and recurrence, if all of the text says so."""
    if not text:
        return {"description": description or None}
    try:
        found = parse(f"x {text}"[:MAX_TEXT], now=now, timezone=timezone)
    except AppError:
        found = None
    if found is None or found.title != "x" or found.due is None:
        return {"description": f"{description}\nDate: {text}".strip()}
    due = found.due.isoformat()
    return {"description": description or None, "due_date": due, "recurrence": found.recurrence}
