"""Writing and reading tasks as CSV (RFC 4180), safe to open in a spreadsheet.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, as does one that begins with an
apostrophe; reading removes it. A list is one cell, which is itself a line of CSV.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from app.models.task_fields import TAG_MAX, TAGS_MAX
from app.models.task_rows import due_of
from app.models.types import RAW_FACTOR
from app.services.transfer.export_pages import parent_source_id_of, source_id_of
from app.services.transfer.import_row import Fingerprints, ImportRow, LoadedRow, bounded_source_id, make_warning

CSV_COLUMNS = (
    "source_id", "title", "description", "completed", "priority", "due_date", "tags", "project", "parent",
    "recurrence", "recurrence_from", "reminders", "completed_at", "created_at", "updated_at",
)  # fmt: skip
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
LIST_COLUMNS = ("tags", "reminders")
LIST_CELL_MAX = RAW_FACTOR * TAGS_MAX * TAG_MAX  # characters of a cell with a list


def csv_header() -> bytes:
    return _line(CSV_COLUMNS).encode()


def csv_line(owner: str, row: Any, projects: Mapping[int, str]) -> bytes:
    return _line([escape_cell(cell) for cell in _cells(owner, row, projects)]).encode()


def escape_cell(cell: str) -> str:
    """Escapes a cell that a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith((*FORMULA_STARTS, "'")) else cell


def unescape_cell(cell: str) -> str:
    """Removes the apostrophe that ``escape_cell`` adds, and no other."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith((*FORMULA_STARTS, "'")) else cell


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _cells(owner: str, row: Any, projects: Mapping[int, str]) -> list[str]:
    parent = parent_source_id_of(owner, row) or ""
    return [
        source_id_of(owner, row), row.title, row.description or "", str(row.completed).lower(), row.priority,
        _moment(due_of(row)), _list_cell(row.tags), projects.get(row.project_id, ""), parent, row.recurrence or "",
        row.recurrence_from, _list_cell(row.reminders), _moment(row.completed_at), _moment(row.created_at),
        _moment(row.updated_at),
    ]  # fmt: skip


def _moment(value: date | datetime | None) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if value else ""


def _list_cell(values: Sequence[str]) -> str:
    return _line(values).removesuffix("\r\n") if values else ""


def read_own_csv(owner: str, table: Iterator[list[str]], header: Sequence[str]) -> Iterator[ImportRow]:
    """Yields the tasks. Columns may be in any order, and any but ``title`` may be missing."""
    names = [name.strip().lower() for name in header]
    made = Fingerprints("csv")
    for number, cells in enumerate(table, start=1):
        if not any(cells):
            continue
        fields = {name: unescape_cell(cell) for name, cell in zip(names, cells, strict=False) if cell and name}
        uid = fields.pop("source_id", None)
        source = uid or made.of(*cells)
        parent, project = fields.pop("parent", None), fields.pop("project", None)
        yield ImportRow(
            number, bounded_source_id(source), _loader(fields), parent=bounded_source_id(parent) if parent else None,
            project_name=project, uid=uid,
        )  # fmt: skip


def _loader(fields: dict[str, str]) -> Any:
    def load() -> LoadedRow:
        values: dict[str, Any] = dict(fields)
        warnings = []
        for name in LIST_COLUMNS:
            if len(values.get(name, "")) > LIST_CELL_MAX:
                warnings.append(make_warning(name, "The list is too long: it was left out.", values.pop(name)))
            elif name in values:
                values[name] = next(csv.reader(io.StringIO(values[name], newline="")), [])
        if (word := values.get("completed", "").lower()) in {"true", "false"}:
            values["completed"] = word == "true"
        return LoadedRow(values, warnings)

    return load
