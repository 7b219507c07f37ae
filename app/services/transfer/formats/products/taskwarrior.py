"""Reading Taskwarrior's export: an array of tasks, or a task a line.

A template (``recurring``) and its open instances are one recurring task here; ``wait`` and ``scheduled`` are the start.
Names that are not Taskwarrior's own are a user's attributes, which are kept in the description.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

from app.domain.recurrence import occurrences, parse_rule
from app.errors import AppError
from app.models.task_fields import TaskStatus
from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import (
    EMPTY_JSON,
    DocumentShape,
    JsonPart,
    Row,
    objects,
    readable_rows,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.moments import (
    Moment,
    read_moment,
    simple_rule,
    spell_moment,
    start_of,
    whole_day,
)
from app.services.transfer.formats.products.projects import NamedProjects
from app.services.transfer.import_row import (
    Deviation,
    Fingerprints,
    ImportRow,
    LoadedRow,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

TASKWARRIOR_NAMES = frozenset(
    {
        "id", "description", "due", "end", "entry", "modified", "priority", "project", "scheduled", "start", "status",
        "tags", "urgency", "uuid", "annotations", "depends", "wait", "until", "recur", "rtype", "mask", "imask",
        "parent", "template", "last",
    }
)  # fmt: skip
TASKWARRIOR_PRIORITIES = {"H": "high", "M": "medium", "L": "low", "": "none"}
RECUR_WORDS = {
    "daily": (1, "d"), "day": (1, "d"), "weekly": (1, "w"), "week": (1, "w"), "sennight": (1, "w"),
    "biweekly": (2, "w"), "fortnight": (2, "w"), "monthly": (1, "m"), "month": (1, "m"), "bimonthly": (2, "m"),
    "quarterly": (3, "m"), "semiannual": (6, "m"), "annual": (1, "y"), "yearly": (1, "y"), "year": (1, "y"),
    "biannual": (2, "y"), "biyearly": (2, "y"),
}  # fmt: skip
WORKDAY_WORDS = frozenset({"weekdays", "weekday"})
WORKDAY_RULE = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
_SPAN_PATTERN = re.compile(r"(\d{0,4}) ?(days?|d|weeks?|wks?|w|months?|mo|mths?|mth|quarters?|qtrs?|q|years?|yrs?|y)")
_ISO_PATTERN = re.compile(r"P(\d{1,4})([DWMY])", re.IGNORECASE)
OCCURRENCES_MAX = 1_000  # of a template, until the first one that has no instance


def is_taskwarrior(shape: DocumentShape) -> bool:
    found = shape.names or shape.item_names
    return {"uuid", "description"} <= found and bool(found & {"status", "entry"})


class Taskwarrior:
    """The tasks of one file."""

    def __init__(self, parts: list[JsonPart], context: FileContext) -> None:
        self._context, self._parts = context, parts
        self._projects = NamedProjects("taskwarrior")
        self._titles: dict[str, str] = {}
        self._templates: dict[str, Row] = {}
        self._heads: dict[str, Row] = {}
        self._last: dict[str, Moment] = {}
        self._dates: dict[str, list[str]] = {}  # of open instances
        self._deleted: list[str] = []
        self._comments = count(1)

    def rows(self) -> Iterator[EntityRow]:
        for row in readable_rows(self._parts):
            self._titles[text_at(row, "uuid")] = text_at(row, "description")[:200]
            if text_at(row, "status") == "recurring":
                self._templates[text_at(row, "uuid")] = row
        for row in readable_rows(self._parts):
            self._take_instance(row)
        yield from rows_of("tasks", self._parts, self._rows)
        if self._deleted:
            message = f"{len(self._deleted)} deleted tasks were left out."
            yield warn_of_file(make_warning("status", message, ", ".join(self._deleted)))

    def _take_instance(self, row: Row) -> None:
        """Finds the next open instance of each template, and the last date that has one."""
        template = self._template_of(row)
        if template is None:
            return
        due = self._moment(row, "due")
        if due is not None and (template not in self._last or _is_before(self._last[template], due, self._context)):
            self._last[template] = due
        if text_at(row, "status") not in {"completed", "deleted"}:
            head = self._heads.setdefault(template, row)
            if text_at(row, "due") < text_at(head, "due"):
                self._heads[template] = row
            self._dates.setdefault(template, []).append(text_at(row, "due"))

    def _template_of(self, row: Row) -> str | None:
        parent = text_at(row, "parent")
        return parent if parent in self._templates and _rule_of(self._templates[parent]) is not None else None

    def _moment(self, row: Row, name: str) -> Moment | None:
        """Returns a moment; midnight is a day."""
        moment = read_moment(row.get(name), self._context.timezone)
        return None if moment is None else whole_day(moment, self._context.timezone)

    def _rows(self, number: int, row: Row) -> Iterator[EntityRow]:
        uuid, status, template = text_at(row, "uuid"), text_at(row, "status"), self._template_of(row)
        if status == "deleted":
            self._deleted.append(text_at(row, "description"))
            return
        is_template = uuid in self._templates and _rule_of(row) is not None
        if is_template and uuid in self._heads:
            return  # its next instance stands for it
        if template is not None and status != "completed" and text_at(self._heads[template], "uuid") != uuid:
            return
        is_head = template is not None and status != "completed"
        source = f"taskwarrior:{template if is_head else uuid}"
        rows, project = self._projects.refer(*text_at(row, "project").split("."))
        yield from rows
        yield "tasks", ImportRow(
            number, bounded_source_id(source), lambda: self._load(row), project=project, uid=uuid or None,
            series=bounded_source_id(f"taskwarrior:{template}") if template and not is_head else None,
        )  # fmt: skip
        yield from self._annotations(row, bounded_source_id(source))

    def _annotations(self, row: Row, source: str) -> Iterator[EntityRow]:
        made = Fingerprints(f"{source}:annotation")
        for note in objects(row.get("annotations")):
            text, entry = text_at(note, "description"), text_at(note, "entry")
            loaded = LoadedRow({"body": text, "created_at": entry or None})
            yield "comments", ImportRow(
                next(self._comments), made.of(entry, text), lambda loaded=loaded: loaded, task=source,  # type: ignore[misc]
            )  # fmt: skip

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("description"))
        self._put_status(draft, row)
        self._put_dates(draft, row)
        priority = text_at(row, "priority").upper()
        draft.put("priority", TASKWARRIOR_PRIORITIES.get(priority))
        if priority not in TASKWARRIOR_PRIORITIES:
            draft.keep("priority", row.get("priority"), "Priority")
        tags = row.get("tags")
        draft.put_tags(tags if isinstance(tags, list) else text_at(row, "tags").split(","))
        depends = row.get("depends")
        for uuid in depends if isinstance(depends, list) else filter(None, text_at(row, "depends").split(",")):
            title = self._titles.get(str(uuid).strip()) or uuid
            draft.keep("depends", title, "Depends on", "Tasks are not linked here")
        for name, value in row.items():
            if name not in TASKWARRIOR_NAMES and value not in EMPTY_JSON:
                draft.keep(name, value if isinstance(value, str) else make_warning("", "", value).value, name)
        for name, field in (("entry", "created_at"), ("modified", "updated_at")):
            draft.put_stamp(field, read_moment(row.get(name), self._context.timezone))
        return draft.loaded()

    def _put_status(self, draft: Draft, row: Row) -> None:
        status = text_at(row, "status")
        if status == "completed":
            draft.complete(read_moment(row.get("end") or row.get("modified"), self._context.timezone))
        elif text_at(row, "start"):
            draft.put("status", TaskStatus.IN_PROGRESS)
        if status not in {"", "pending", "waiting", "completed", "recurring"}:
            draft.note("status", "The status is not known: the task is open.", status, Deviation.GUESSED)

    def _put_dates(self, draft: Draft, row: Row) -> None:
        for name, label in (("due", "Due"), ("scheduled", "Start"), ("wait", "Waits until")):
            if self._moment(row, name) is None:
                draft.keep(name, row.get(name), label, "The date cannot be read")
        wait, scheduled = self._moment(row, "wait"), self._moment(row, "scheduled")
        draft.put_moment("due_date", self._due_of(row))
        draft.put_moment("start_date", scheduled if scheduled is not None else wait)
        if wait is not None and scheduled is not None and wait != scheduled:
            draft.keep("wait", spell_moment(wait), "Waits until")
        draft.keep("until", _spelled(self._moment(row, "until"), row.get("until")), "Expires")
        uuid = text_at(row, "uuid")
        template = uuid if uuid in self._templates else self._template_of(row)
        written = text_at(row, "recur") or text_at(self._templates.get(template or "", {}), "recur")
        if not written or draft.fields.get("completed"):
            return
        draft.repeat(_rule_of(self._templates[template] if template else row), written)
        if template and (later := sorted(self._dates.get(template, ()))[1:]):
            message = f"{len(later)} later instances are dates of the recurring task."
            draft.note("parent", message, ", ".join(later), Deviation.CHANGED)

    def _due_of(self, row: Row) -> Moment | None:
        """Returns the due date; of a template whose instances are all closed the date after the last of them."""
        due, last = self._moment(row, "due"), self._last.get(text_at(row, "uuid"))
        rule = _rule_of(row)
        if due is None or last is None or rule is None or text_at(row, "uuid") not in self._templates:
            return due
        try:
            dates = occurrences(parse_rule(rule), due, self._context.timezone, OCCURRENCES_MAX)
        except AppError:
            return due
        return next((date for date in dates if _is_before(last, date, self._context)), due)


def read_taskwarrior(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return Taskwarrior(document.items() or [document], context).rows()


def read_taskwarrior_lines(parts: list[JsonPart], context: FileContext) -> Iterator[EntityRow]:
    return Taskwarrior(parts, context).rows()


def _is_before(one: Moment, other: Moment, context: FileContext) -> bool:
    return start_of(one, context.timezone) < start_of(other, context.timezone)


def _spelled(moment: Moment | None, written: Any) -> Any:
    return written if moment is None else spell_moment(moment)


def _rule_of(row: Row) -> str | None:
    """Returns the rule of ``recur``: a word, a number with a unit, or a duration of ISO 8601 of one unit."""
    word = " ".join(text_at(row, "recur").lower().split())
    if word in WORKDAY_WORDS:
        return WORKDAY_RULE
    number, unit = RECUR_WORDS.get(word, (0, ""))
    if found := _ISO_PATTERN.fullmatch(word):
        number, unit = int(found[1]), found[2].lower()
    elif found := _SPAN_PATTERN.fullmatch(word):
        number, unit = int(found[1] or 1), found[2][0]
        if unit == "q":
            number, unit = number * 3, "m"
    if not number:
        return None
    until = read_moment(row.get("until"), UTC) if row.get("until") else None
    return simple_rule(number, unit) + (f";UNTIL={until:%Y%m%dT%H%M%SZ}" if isinstance(until, datetime) else "")
