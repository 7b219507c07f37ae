"""Reading TickTick's backup, a CSV: three cells about the file, then the header, then the tasks.

``taskId`` counts from 1 in each file, so rows are identified by their content. A day is midnight in the row's time
zone. A checklist is lines of the text. Besides RRULEs there are rules of TickTick's own.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from app.domain.date_shift import day_in
from app.models.task_reminders import REMINDERS_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.formats.csv import UnknownColumns
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading, Table
from app.services.transfer.formats.ics.values import parse_duration
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.moments import Moment, read_moment, whole_day
from app.services.transfer.formats.products.projects import NamedProjects
from app.services.transfer.formats.zone_names import clean_zone_name, find_zone_name
from app.services.transfer.import_row import Deviation, Fingerprints, ImportRow, LoadedRow, warn_of_file

TICKTICK_COLUMNS = frozenset(
    {
        "folder name", "list name", "title", "kind", "tags", "content", "is check list", "start date", "due date",
        "reminder", "repeat", "priority", "status", "created time", "completed time", "order", "timezone",
        "is all day", "is floating", "column name", "column order", "view mode", "taskid", "parentid", "projectkind",
    }
)  # fmt: skip
TICKTICK_PRIORITIES = {"": "none", "0": "none", "1": "low", "3": "medium", "5": "high"}
CHECK_MARKS = "▫▪"  # in front of an open and of a completed line of a checklist
NO_SECTIONS = frozenset({"", "not sectioned", "未分组", "unsectioned"})
REMINDERS_READ = RAW_FACTOR * REMINDERS_MAX  # of one task
ITEMS_MAX = 500  # of one checklist
_WORKDAY_CODES = "MO,TU,WE,TH,FR"
_OWN_PART = re.compile(r"TT_[A-Z]+=[^;]*;?")


def is_ticktick(header: Sequence[str]) -> bool:
    return {"list name", "title", "due date", "status"} <= {_name_of(cell) for cell in header}


def read_ticktick(
    table: Table, header: Sequence[str], context: FileContext, first: FirstReading
) -> Iterator[EntityRow]:
    """Yields projects and tasks; ``first.sources`` has those of the first reading, by taskId."""
    names = [_name_of(cell) for cell in header]
    unknown, made, projects = UnknownColumns(header), Fingerprints("ticktick"), NamedProjects("ticktick")
    for number, cells in enumerate(table, start=1):
        if not any(map(str.strip, cells)):
            continue
        unknown.note("" if name in TICKTICK_COLUMNS else cell for name, cell in zip(names, cells, strict=False))
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        rows, project = projects.refer(row.get("folder name", ""), row.get("list name", ""))
        yield from rows
        source = made.of(*(row.get(name, "") for name in ("created time", "list name", "title")))
        if (id_ := row.get("taskid", "")) != "":
            first.sources.setdefault(id_, source)
        parent = row.get("parentid", "")
        yield "tasks", ImportRow(
            number, source, lambda row=row: TickTickRow(row, context).load(),  # type: ignore[misc]
            parent=first.sources.get(parent, f"ticktick:{parent}") if parent else None, project=project,
            uid=id_ or None,
        )  # fmt: skip
        yield from _checklist(number, source, row, project)
    if warnings := unknown.warnings():
        yield warn_of_file(*warnings)


def _checklist(number: int, source: str, row: dict[str, str], project: str | None) -> Iterator[EntityRow]:
    """Yields the lines of a checklist as subtasks; of a closed task closed ones."""
    if not _has_checklist(row):
        return
    made = Fingerprints(f"{source}:item")
    is_closed = row.get("status", "") not in {"", "0"}
    lines = [line.strip() for line in row.get("content", "").splitlines()]
    for line in [line for line in lines if line[:1] and line[0] in CHECK_MARKS and line[1:].strip()][:ITEMS_MAX]:
        title = line[1:].strip()
        fields = {"title": title, "completed": is_closed or line[0] == CHECK_MARKS[1], "priority": "none"}
        loaded = LoadedRow(fields)
        yield "tasks", ImportRow(
            number, made.of(title), lambda loaded=loaded: loaded,  # type: ignore[misc]
            parent=source, project=project,
        )  # fmt: skip


def _has_checklist(row: dict[str, str]) -> bool:
    return row.get("is check list", "").upper() in {"Y", "TRUE"} or row.get("kind", "").upper() == "CHECKLIST"


def _name_of(cell: str) -> str:
    return cell.strip().strip("\ufeff").lower()


class TickTickRow:
    """One row of the table."""

    def __init__(self, row: dict[str, str], context: FileContext) -> None:
        self._row, self._context = row, context
        found = find_zone_name(clean_zone_name(row.get("timezone", ""))) if row.get("timezone") else None
        self._zone: tzinfo = found.zone if found else context.timezone
        self._is_unknown_zone = found is None and bool(row.get("timezone"))
        self._draft = Draft(context, row.get("title"), self._text())

    def _text(self) -> str:
        text = self._row.get("content", "")
        if not _has_checklist(self._row):
            return text
        lines = text.splitlines()
        marked = [line for line in lines if line.strip()[:1] in {*CHECK_MARKS}]
        kept = [line for line in lines if line.strip()[:1] not in {*CHECK_MARKS}] + marked[ITEMS_MAX:]
        return "\n".join(kept)

    def load(self) -> LoadedRow:
        draft, row = self._draft, self._row
        self._put_state()
        draft.put_tags(row.get("tags", "").split(","))
        written = row.get("priority", "")
        priority = written.lower().removeprefix("p")
        draft.put("priority", TICKTICK_PRIORITIES.get(priority))
        if priority not in TICKTICK_PRIORITIES or priority != written:
            draft.note("priority", "A priority is 0, 1, 3 or 5.", written, Deviation.GUESSED)
        self._put_dates()
        if (section := row.get("column name", "")).lower() not in NO_SECTIONS:
            draft.put_section("column name", section)
        if row.get("kind", "").upper() == "NOTE":
            draft.note("kind", "A note is a task here.", "NOTE", Deviation.CHANGED)
        draft.put_stamp("created_at", read_moment(row.get("created time"), self._zone))
        return draft.loaded()

    def _put_state(self) -> None:
        status, draft = self._row.get("status", "") or "0", self._draft
        if status == "-1":
            draft.cancel()
            draft.keep("completed time", self._row.get("completed time"), "Abandoned")
        elif status in {"1", "2"}:
            draft.complete(read_moment(self._row.get("completed time"), self._zone))
        elif status != "0":
            draft.note("status", "The status is not known: the task is open.", status, Deviation.GUESSED)

    def _put_dates(self) -> None:
        draft, row = self._draft, self._row
        start, due = self._moment("start date"), self._moment("due date")
        draft.put_moment("due_date", due if due is not None else start)
        if start is not None and due is not None and start != due:
            draft.put_moment("start_date", start)
        if self._is_unknown_zone and (start or due):
            message = f"The time zone is not known: {self._context.timezone.key} was taken."
            draft.note("timezone", message, row.get("timezone"), Deviation.GUESSED)
        reminders = row.get("reminder", "").replace(",", "\n").split(maxsplit=REMINDERS_READ)
        for reminder in reminders[:REMINDERS_READ]:
            self._remind(reminder, start if start is not None else due)
        for more in reminders[REMINDERS_READ:]:
            draft.note("reminder", "There are too many reminders: these were left out.", more)
        if written := row.get("repeat"):
            self._repeat(written)

    def _moment(self, name: str) -> Moment | None:
        """Returns a day for a row of whole days; a floating time is the same on the clock everywhere."""
        written, row = self._row.get(name, ""), self._row
        moment = read_moment(written, self._zone)
        if moment is None:
            self._draft.keep(name, written, name.capitalize(), "The date cannot be read")
            return None
        is_day = row.get("is all day", "").lower()
        if is_day == "true":
            return day_in(moment, self._zone)
        if is_day == "":
            moment = whole_day(moment, self._zone)
        if row.get("is floating", "").lower() == "true" and isinstance(moment, datetime):
            return moment.astimezone(self._zone).replace(tzinfo=self._context.timezone)
        return moment

    def _remind(self, written: str, start: Moment | None) -> None:
        """Adds a reminder, which counts from the start: of a day from its midnight."""
        span = parse_duration(written.upper().removeprefix("TRIGGER:"))
        draft = self._draft
        if span is None:
            moment = read_moment(written, self._zone)
            draft.remind(moment) if moment else draft.keep("reminder", written, "Reminder", "It cannot be read")
        elif start is not None and start != draft.due:
            draft.remind_from(start, span)
        else:
            draft.remind(str(span))

    def _repeat(self, written: str) -> None:
        rule = written.strip().removeprefix("RRULE:")
        if not rule.upper().startswith("FREQ="):
            self._draft.repeat(None, written)
            return
        upper = rule.upper()
        read = _OWN_PART.sub("", upper).rstrip(";")
        if "TT_WORKDAY=" in upper and "BYDAY" not in read:
            place = "-1" if "TT_WORKDAY=-1" in upper else "1"
            read = re.sub(r";?BYMONTHDAY=[^;]*", "", read) + f";BYDAY={_WORKDAY_CODES};BYSETPOS={place}"
        if "WEEKEND" in upper.partition("TT_SKIP=")[2] and read in {"FREQ=DAILY", "FREQ=DAILY;INTERVAL=1"}:
            read = f"FREQ=WEEKLY;BYDAY={_WORKDAY_CODES}"
        if self._draft.repeat(read, written, zone=self._zone) and "TT_" in upper:
            reason = "Not all of the repetition has such a form here"
            self._draft.keep("recurrence", written, "Repeats", reason)
