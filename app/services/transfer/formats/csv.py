"""Writing and reading tasks as CSV (RFC 4180), safe to open in a spreadsheet.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, as does one that begins with an
apostrophe; reading removes it. A list is one cell, which is itself a line of CSV.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from app.domain.written_dates import DayOrder, read_written_date, two_numbers_of
from app.models.task_fields import TAG_MAX, TAGS_MAX
from app.models.task_rows import due_of, status_of
from app.models.types import RAW_FACTOR
from app.services.transfer.export_pages import parent_source_id_of, series_source_id_of, source_id_of
from app.services.transfer.import_row import (
    Deviation,
    Fingerprints,
    ImportRow,
    LoadedRow,
    RowWarning,
    bounded_source_id,
    make_warning,
    warn_of_file,
)
from app.services.transfer.row_repair import DATE_FIELDS

CSV_COLUMNS = (
    "source_id", "uid", "title", "description", "completed", "priority", "due_date", "tags", "project", "parent",
    "recurrence", "recurrence_from", "reminders", "completed_at", "created_at", "updated_at", "anchor_date",
    "occurrences_done", "series", "status",
    "start_date", "deadline", "estimate_minutes", "favorite",
)  # fmt: skip
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# Names that other programs give a column; a file that is read by one of them gets a warning.
GUESSED_HEADINGS = {
    "notes": "description", "note": "description", "details": "description", "due": "due_date", "due_on": "due_date",
    "start": "start_date", "starts": "start_date", "defer_date": "start_date", "estimate": "estimate_minutes",
    "duration": "estimate_minutes", "flagged": "favorite", "starred": "favorite", "favourite": "favorite",
    "done": "completed", "labels": "tags", "categories": "tags", "list": "project",
}  # fmt: skip
HEADING_MAX = 100  # characters
UNKNOWN_COLUMNS_LISTED = 50
FLAG_COLUMNS = ("completed", "favorite")
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
        source_id_of(owner, row), row.uid, row.title, row.description or "", str(row.completed).lower(), row.priority,
        _moment(due_of(row)), _list_cell(row.tags), projects.get(row.project_id, ""), parent, row.recurrence or "",
        row.recurrence_from, _list_cell(row.reminders), _moment(row.completed_at), _moment(row.created_at),
        _moment(row.updated_at), _moment(due_of(row, "anchor")) if row.recurrence else "",
        str(row.occurrences_done or ""), series_source_id_of(owner, row) or "",
        status_of(row), _moment(due_of(row, "start")), _moment(row.deadline), str(row.estimate_minutes or ""),
        str(row.favorite).lower(),
    ]  # fmt: skip


def _moment(value: date | datetime | None) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if value else ""


def _list_cell(values: Sequence[str]) -> str:
    return _line(values).removesuffix("\r\n") if values else ""


class UnknownColumns:
    """The cells of a file that have no field, by column."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._found: dict[int, tuple[int, str]] = {}  # how many cells, and the first

    def note(self, cells: Iterable[str]) -> None:
        """Counts the cells of a row; those that have a field are passed as empty."""
        for place, cell in enumerate(cells):
            if cell:
                count, first = self._found.get(place, (0, cell))
                self._found[place] = count + 1, first

    def warnings(self) -> list[RowWarning]:
        """Returns one warning for each column."""
        found = []
        for place, (count, first) in sorted(self._found.items())[:UNKNOWN_COLUMNS_LISTED]:
            message = f"There is no such field here: the column was left out, in {count} rows."
            found.append(make_warning(self._header[place].strip() or f"column {place + 1}", message, first))
        if (more := len(self._found) - UNKNOWN_COLUMNS_LISTED) > 0:
            found.append(make_warning("", f"{more} more columns were left out."))
        return found


class CsvColumns:
    """The columns of a file as fields; ``guessed`` are the headings whose meaning was guessed."""

    def __init__(self, header: Sequence[str]) -> None:
        self.names: list[str] = []
        self.guessed: list[RowWarning] = []
        found = [heading_of(cell) for cell in header]
        for name, cell in zip(found, header, strict=True):
            if name not in CSV_COLUMNS and (guess := GUESSED_HEADINGS.get(name, "")) not in {*found, *self.names, ""}:
                message = f"The column was read as {guess}."
                self.guessed.append(make_warning(cell.strip(), message, cell.strip(), Deviation.GUESSED))
                name = guess
            self.names.append(name if name in CSV_COLUMNS and name not in self.names else "")


def heading_of(cell: str) -> str:
    """Returns a heading as columns are named here: "Due Date" is due_date."""
    return re.sub(r"[\s_-]+", "_", cell.strip().strip(":*").strip().lower())[:HEADING_MAX]


def is_own_csv(header: Sequence[str]) -> bool:
    return "title" in {heading_of(cell) for cell in header}


def read_own_csv(
    table: Iterator[list[str]], header: Sequence[str], day_order: DayOrder
) -> Iterator[tuple[str, ImportRow]]:
    """Yields the tasks. Columns may be in any order, and any but ``title`` may be missing."""
    columns, unknown = CsvColumns(header), UnknownColumns(header)
    dated = [place for place, name in enumerate(columns.names) if name in DATE_FIELDS]
    made = Fingerprints("csv")
    for number, cells in enumerate(table, start=1):
        if not any(map(str.strip, cells)):
            continue
        unknown.note("" if name else cell for name, cell in zip(columns.names, cells, strict=False))
        for place in dated:
            day_order.note(cells[place] if place < len(cells) else "")
        fields = {name: unescape_cell(cell) for name, cell in zip(columns.names, cells, strict=False) if cell and name}
        source = fields.pop("source_id", None)
        uid = source or fields.get("uid")
        parent, series = fields.pop("parent", None), fields.pop("series", None)
        project = fields.pop("project", None)
        yield "tasks", ImportRow(
            number, bounded_source_id(uid or made.of(*cells)),
            _loader(fields, [cell for cell in cells[len(header) :] if cell], day_order.day_first),
            parent=bounded_source_id(parent) if parent else None, project_name=project, uid=uid,
            series=bounded_source_id(series) if series else None, refers_by_uid=source is None,
        )  # fmt: skip
    if warnings := [*columns.guessed, *unknown.warnings(), *day_order_warnings(day_order, "due_date")]:
        yield warn_of_file(*warnings)


def day_order_warnings(day_order: DayOrder, field: str) -> list[RowWarning]:
    if not day_order.guessed:
        return []
    first = "day" if day_order.day_first else "month"
    return [make_warning(field, f"Dates were read with the {first} first.", day_order.guessed, Deviation.GUESSED)]


def _loader(fields: dict[str, str], beyond: list[str], day_first: bool | None) -> Callable[[], LoadedRow]:
    def load() -> LoadedRow:
        values: dict[str, Any] = dict(fields)
        warnings = (
            [make_warning("", "Cells beyond the last column were left out.", ", ".join(beyond))] if beyond else []
        )
        for name in LIST_COLUMNS:
            if len(values.get(name, "")) > LIST_CELL_MAX:
                warnings.append(make_warning(name, "The list is too long: it was left out.", values.pop(name)))
            elif name in values:
                values[name] = next(csv.reader(io.StringIO(values[name], newline="")), [])
        for name in DATE_FIELDS & values.keys() if day_first is not None else ():
            if two_numbers_of(values[name]) and (found := read_written_date(values[name], day_first=day_first)):
                values[name] = found.value
        for name in FLAG_COLUMNS:
            if (word := values.get(name, "").lower()) in {"true", "false"}:
                values[name] = word == "true"
        return LoadedRow(values, warnings)

    return load
