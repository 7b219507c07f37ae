"""Reading Outlook's CSV of the folder Tasks: the headings, words and dates are in the language of the user's Office.

Headings that are not known are taken by their place: the first ten are in the same order in every language.
"""

import re
from collections.abc import Iterator, Sequence

from app.domain.date_shift import day_in
from app.domain.written_dates import DayOrder
from app.models.task_fields import TaskStatus
from app.services.transfer.formats.csv import UnknownColumns, day_order_warnings
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading, Table
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.moments import Moment, means_no_date, read_moment
from app.services.transfer.formats.products.outlook_words import (
    COLUMN_HEADINGS,
    COLUMN_PLACES,
    HIGH_WORDS,
    LOW_WORDS,
    OFF_WORDS,
    STATUS_TEXTS,
)
from app.services.transfer.import_row import Fingerprints, ImportRow, LoadedRow, warn_of_file

KEPT_COLUMNS = {
    "actual work": "Actual work in minutes", "billing information": "Billing information", "companies": "Companies",
    "contacts": "Contacts", "mileage": "Mileage", "role": "Role", "sensitivity": "Sensitivity",
}  # fmt: skip
IDLE_VALUES = frozenset({"", "0", "normal", "none", "0%", "standard", "normale", "normaal", "normální"})
NO_DATE_WORDS = frozenset({"none", "keine angabe", "ohne", "aucun", "aucune", "ninguno", "ninguna", "nessuno", "geen"})
# Of Windows, in the languages of the headings. The first stands where they do not show another.
CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp1254", "cp932", "cp936", "cp949", "cp950")
_CELL_END = re.compile("[,;\t|]")
OUTLOOK_TASK_COLUMNS = {"status", "percent", "reminder on", "date completed"}
IDLE_COLUMN = "schedule+ priority"
_HEADING_MARK = "schedule+"  # stands in one heading, in every language


def is_outlook(header: Sequence[str]) -> bool:
    names = columns_of(header)
    if any(_HEADING_MARK in cell.lower() for cell in header) and len(header) >= len(COLUMN_PLACES):
        return True
    return {"subject", "due date"} <= {*names} and bool(
        {"status", "percent", "reminder on", "date completed"} & {*names}
    )


def code_page_of(head: bytes) -> str:
    """Returns the code page in which the first line of a file has the most of the headings."""
    line = head.partition(b"\n")[0]

    def count(code_page: str) -> int:
        cells = _CELL_END.split(line.decode(code_page, "replace"))
        return sum(_word(cell.strip('"\r')) in COLUMN_HEADINGS for cell in cells)

    return max(CODE_PAGES, key=count)


def columns_of(header: Sequence[str]) -> list[str]:
    """Returns the columns by their English names; empty for one that is not known."""
    names = [COLUMN_HEADINGS.get(_word(cell), "") for cell in header]
    if any(_HEADING_MARK in cell.lower() for cell in header):
        names = [
            name or (COLUMN_PLACES[place] if place < len(COLUMN_PLACES) and COLUMN_PLACES[place] not in names else "")
            for place, name in enumerate(names)
        ]
    names = [IDLE_COLUMN if _HEADING_MARK in cell.lower() else name for name, cell in zip(names, header, strict=True)]
    first = {name: place for place, name in reversed([*enumerate(names)])}
    return [name if first[name] == place else "" for place, name in enumerate(names)]


def read_outlook(table: Table, header: Sequence[str], context: FileContext, first: FirstReading) -> Iterator[EntityRow]:
    """Yields the tasks. Days and months of ``first.order`` are in the order of the headings' language by default."""
    names, unknown, made = columns_of(header), UnknownColumns(header), Fingerprints("outlook")
    order = first.order
    order.default = "subject" not in {_word(cell) for cell in header}
    dated = [place for place, name in enumerate(names) if "date" in name]
    for number, cells in enumerate(table, start=1):
        if not any(map(str.strip, cells)):
            continue
        unknown.note("" if name else cell for name, cell in zip(names, cells, strict=False))
        for place in dated:
            order.note(cells[place].strip() if place < len(cells) else "")
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
        key = [row.get(name, "") for name in ("subject", "start date", "due date", "notes")]
        yield "tasks", ImportRow(
            number, made.of(*key), lambda row=row: OutlookRow(row, context, order).load(),  # type: ignore[misc]
        )  # fmt: skip
    if warnings := [*unknown.warnings(), *day_order_warnings(order, "Due Date")]:
        yield warn_of_file(*warnings)


def _word(text: str) -> str:
    return " ".join(text.strip("\ufeff ").replace("\u2019", "'").casefold().split())


class OutlookRow:
    """One row of the table."""

    def __init__(self, row: dict[str, str], context: FileContext, order: DayOrder) -> None:
        self._row, self._order = row, order
        self._draft = Draft(context, row.get("subject"), row.get("notes"))

    def load(self) -> LoadedRow:
        draft, row = self._draft, self._row
        self._put_status()
        for name, field in (("due date", "due_date"), ("start date", "start_date")):
            draft.put_day(field, self._moment(name))
        if _word(row.get("reminder on", "")) not in OFF_WORDS and (moment := self._reminder()) is not None:
            draft.remind(moment)
        self._put_priority()
        categories = row.get("categories", "")
        draft.put_tags(categories.split(";" if ";" in categories else ","))
        if (work := row.get("total work", "").partition(" ")[0]).isdecimal():
            draft.put_minutes(int(work[:9]))
        elif row.get("total work"):
            draft.keep("total work", row["total work"], "Total work")
        for name, label in KEPT_COLUMNS.items():
            if _word(row.get(name, "")) not in IDLE_VALUES:
                draft.keep(name, row[name], label)
        if _word(row.get("private", "")) not in OFF_WORDS:
            draft.note("private", "Every task is private here.", row["private"])
        return draft.loaded()

    def _put_status(self) -> None:
        draft, row = self._draft, self._row
        written = row.get("status", "")
        status = STATUS_TEXTS.get(_word(written))
        percent = row.get("percent", "").replace("%", "").strip()
        completed = self._moment("date completed")
        if completed is not None or percent in {"100", "1"} or status == TaskStatus.COMPLETED:
            draft.complete(completed)
            return
        if status is None and written:
            draft.keep("status", written, "Status", "The status is not known")
        elif status not in {None, TaskStatus.PENDING}:
            draft.put("status", status)
        if percent.rstrip("0.,"):
            part = percent.replace(",", ".")
            is_fraction = part.startswith("0.") and "%" not in row.get("percent", "")
            draft.keep("% complete", f"{round(float(part) * 100)} %" if is_fraction else f"{percent} %", "Complete")

    def _put_priority(self) -> None:
        word = _word(self._row.get("priority", ""))
        self._draft.put("priority", "high" if word in HIGH_WORDS else "low" if word in LOW_WORDS else "none")

    def _moment(self, name: str) -> Moment | None:
        written = self._row.get(name, "")
        if means_no_date(written) or _word(written) in NO_DATE_WORDS:
            return None
        moment = read_moment(written, self._draft.zone, day_first=self._order.day_first)
        if moment is None:
            self._draft.keep(name, written, name.capitalize(), "The date cannot be read")
        return moment

    def _reminder(self) -> Moment | None:
        """Returns the time of the reminder on its day, by the owner's clock."""
        draft, clock = self._draft, self._row.get("reminder time", "").replace(".", ":")
        day = self._moment("reminder date")
        if day is None or not clock:
            return day
        written = f"{day_in(day, draft.zone).isoformat()} {clock}"
        if (moment := read_moment(written, draft.zone)) is None:
            draft.keep("reminder time", self._row["reminder time"], "Reminder", "The time cannot be read")
        return moment
