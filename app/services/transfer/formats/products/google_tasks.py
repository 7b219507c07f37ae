"""Reading Google Takeout's file of tasks: lists with their tasks.

A ``due`` is a day, written as midnight in UTC. Files of 2026 have ``scheduled_time`` instead, the rules of series in
their list, and one task for each date of a series: the open ones are one recurring task here.
"""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from app.domain.date_shift import day_in
from app.models.task_fields import TITLE_MAX
from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import (
    DocumentShape,
    JsonPart,
    Row,
    UnknownNames,
    objects,
    readable_rows,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.moments import DAY_CODES, Moment, read_moment, utc_day
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree
from app.services.transfer.formats.zone_names import find_zone_name
from app.services.transfer.import_row import (
    Deviation,
    ImportRow,
    LoadedRow,
    RowWarning,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

GOOGLE_NAMES = frozenset(
    {
        "kind", "id", "title", "task_type", "created", "updated", "selfLink", "status", "parent", "position", "notes",
        "due", "starred", "completed", "hidden", "deleted", "links", "webViewLink", "etag", "scheduled_time",
        "task_recurrence_id", "assignmentInfo",
    }
)  # fmt: skip
COUNT_NAMES = ("number_of_instances", "count", "max_instances")
UNTIL_NAMES = ("last_instance_date", "end_date", "until")
SCHEDULE_NAMES = {"first_instance_date", "interval", "time_zone", "time_of_day", *COUNT_NAMES, *UNTIL_NAMES}
INTERVAL_NAMES = {"day_of_week", "day_of_month", "week_of_month", "week"}
DATES_LISTED = 10  # of a series, in a warning


def is_google_tasks(shape: DocumentShape) -> bool:
    if {"kind", "items"} <= shape.names:
        return str(shape.parts["kind"].value()).startswith("tasks#")
    lists = shape.names_within("items") or shape.item_names
    return {"title", "items"} <= lists


class GoogleTasks:
    """The lists of one file."""

    def __init__(self, document: JsonPart, context: FileContext) -> None:
        """Finds the tasks. Raises TooManyRows."""
        self._context = context
        self._lists = _lists_of(document)
        self._tasks = [names["items"].items() if "items" in names else [] for names in self._lists]
        self._tree, self._unknown = ProjectTree("google"), UnknownNames(GOOGLE_NAMES)
        self._rules: dict[str, tuple[Row, str]] = {}
        self._written: dict[str, str] = {}
        self._series: dict[str, Row] = {}
        self._later: dict[str, list[str]] = {}
        self._deleted: list[str] = []
        self._number = 0

    def rows(self) -> Iterator[EntityRow]:
        for place, names in enumerate(self._lists):
            id_ = _id_of(names, place)
            title = names["title"].value() if "title" in names else ""
            self._tree.add(id_, FoundProject(str(title), is_inbox=not title and len(self._lists) == 1))
            self._take_rules(names["recurrences"].value() if "recurrences" in names else None)
        yield from self._tree.rows()
        for parts in self._tasks:
            self._find_series(parts)
        for place, parts in enumerate(self._tasks):
            list_id = _id_of(self._lists[place], place)
            for entity, item in rows_of("tasks", parts, lambda _, row, list_id=list_id: self._task(row, list_id)):  # type: ignore[misc]
                self._number += 1
                item.row = self._number
                yield entity, item
        if warnings := [*self._unknown.warnings(), *self._deleted_warning()]:
            yield warn_of_file(*warnings)

    def _take_rules(self, found: Any) -> None:
        for series in objects(found):
            id_ = text_at(series, "id")
            self._written[id_] = make_warning("", "", series.get("schedule")).value
            if (rule := _rule_of(series.get("schedule"))) is not None:
                self._rules[id_] = series, rule

    def _deleted_warning(self) -> list[RowWarning]:
        message = f"{len(self._deleted)} deleted tasks were left out."
        return [make_warning("deleted", message, ", ".join(self._deleted))] if self._deleted else []

    def _find_series(self, parts: list[JsonPart]) -> None:
        """Finds the next open date of each series whose rule can be held, then the later ones."""
        for row in readable_rows(parts):
            series = text_at(row, "task_recurrence_id")
            if series in self._rules and not _is_closed(row) and not row.get("deleted"):
                head = self._series.setdefault(series, row)
                if _written_date(row) < _written_date(head):
                    self._series[series] = row
        for row in readable_rows(parts):
            if self._is_later_date(row):
                self._later.setdefault(text_at(row, "task_recurrence_id"), []).append(_written_date(row))

    def _is_later_date(self, row: Row) -> bool:
        """Returns whether a task is a date of a series that the recurring task stands for."""
        head = self._series.get(text_at(row, "task_recurrence_id"))
        if head is None or _is_closed(row) or text_at(head, "id") == text_at(row, "id"):
            return False
        return all(row.get(name) == head.get(name) for name in ("title", "notes", "starred"))

    def _task(self, row: Row, list_id: str) -> Iterator[EntityRow]:
        if row.get("deleted"):
            self._deleted.append(text_at(row, "title")[:TITLE_MAX])
            return
        self._unknown.note(row)
        if self._is_later_date(row):
            return
        id_, series = text_at(row, "id"), text_at(row, "task_recurrence_id")
        head = self._series.get(series)
        is_head = head is not None and text_at(head, "id") == id_
        parent = text_at(row, "parent")
        yield "tasks", ImportRow(
            0, bounded_source_id(f"google:series:{series}" if is_head else f"google:{id_}"),
            lambda: self._load(row, is_head=is_head),
            parent=bounded_source_id(f"google:{parent}") if parent else None, project=self._tree.refer(list_id),
            series=bounded_source_id(f"google:series:{series}") if head is not None and _is_closed(row) else None,
            uid=id_ or None,
        )  # fmt: skip

    def _load(self, row: Row, *, is_head: bool) -> LoadedRow:
        zone = self._context.timezone
        draft = Draft(self._context, row.get("title"), row.get("notes"))
        if _is_closed(row):
            draft.complete(read_moment(row.get("completed") or row.get("updated"), zone))
        due = _due_of(row, draft)
        draft.put_moment("due_date", due)
        if row.get("starred"):
            draft.put("favorite", value=True)
        for link in objects(row.get("links")):
            text = " ".join(filter(None, [text_at(link, "description"), text_at(link, "link")]))
            draft.keep("links", text, "Link")
        draft.keep("assignmentInfo", text_at(row, "assignmentInfo", "linkToTask"), "Assigned in")
        self._repeat(draft, text_at(row, "task_recurrence_id"), is_head=is_head)
        for stamp, field in (("created", "created_at"), ("updated", "updated_at")):
            draft.put_stamp(field, read_moment(row.get(stamp), zone))
        return draft.loaded()

    def _repeat(self, draft: Draft, series: str, *, is_head: bool) -> None:
        if is_head:
            found, rule = self._rules[series]
            zone = find_zone_name(text_at(found, "schedule", "time_zone"))
            draft.repeat(rule, self._written[series], zone=zone.zone if zone else None)
        elif series in self._written and not draft.is_closed and series not in self._rules:
            draft.repeat(None, self._written[series])
        if is_head and (later := self._later.get(series)):
            message = f"{len(later)} later dates of the series are dates of the recurring task."
            draft.note("scheduled_time", message, ", ".join(later[:DATES_LISTED]), Deviation.CHANGED)


def read_google_tasks(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return GoogleTasks(document, context).rows()


def _lists_of(document: JsonPart) -> list[dict[str, JsonPart]]:
    """Returns the lists of a file; the API's answer for one list is that list, without a title."""
    names = document.names()
    found = [part.names() for part in names.get("items", document).items()]
    is_one = any("status" in each and "items" not in each for each in found)
    return [names] if is_one else found


def _id_of(names: dict[str, JsonPart], place: int) -> str:
    return str(names["id"].value()) if "id" in names else f"list {place}"


def _is_closed(row: Row) -> bool:
    return row.get("status") == "completed"


def _scheduled(row: Row) -> str:
    """Returns the current one of the times at which a task was scheduled, else the last."""
    times = objects(row.get("scheduled_time"))
    found = next((each for each in reversed(times) if each.get("current")), times[-1] if times else {})
    return text_at(found, "start") or text_at(found, "start_time") or text_at(found, "date")


def _written_date(row: Row) -> str:
    """Returns the date of a task as text, which sorts as the dates do."""
    return _scheduled(row) or text_at(row, "due")


def _due_of(row: Row, draft: Draft) -> Moment | None:
    """Returns the day, or the instant at which a task is scheduled."""
    zone = draft.zone
    day = read_moment(row.get("due"), zone)
    time = read_moment(_scheduled(row), zone)
    for name, found, written in (("due", day, row.get("due")), ("scheduled_time", time, _scheduled(row))):
        if found is None and written:
            draft.keep(name, written, "Due", "The date cannot be read")
    return utc_day(time) if time is not None else utc_day(day) if day is not None else None


def _rule_of(schedule: Any) -> str | None:
    """Returns the rule of a schedule; None unless every part of it is known."""
    interval = schedule.get("interval") if isinstance(schedule, dict) else None
    if not isinstance(interval, dict) or not schedule.keys() <= SCHEDULE_NAMES:
        return None
    names = [name for name in ("daily", "weekly", "monthly", "yearly") if name in interval]
    if len(names) != 1 or not interval.keys() <= {*names, "interval_multiplier"}:
        return None
    detail = interval[names[0]] if isinstance(interval[names[0]], dict) else {}
    if not detail.keys() <= INTERVAL_NAMES:
        return None
    parts = [f"FREQ={names[0].upper()}"]
    if (many := text_at(interval, "interval_multiplier")) not in {"", "0", "1"}:
        parts.append(f"INTERVAL={many}")
    week = next((text_at(detail, name) for name in ("week_of_month", "week") if name in detail), "")
    codes = [week + DAY_CODES.get(day.lower(), "?") for day in _texts(detail.get("day_of_week"))]
    for part, values in (("BYDAY", codes), ("BYMONTHDAY", _texts(detail.get("day_of_month")))):
        if values:
            parts.append(f"{part}={','.join(values)}")
    return ";".join([*parts, *_end_of(schedule)])


def _texts(value: Any) -> list[str]:
    """Returns the texts and numbers of a list, or of one that stands without a list."""
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each not in (None, "")]


def _end_of(schedule: Row) -> list[str]:
    for name in COUNT_NAMES:
        if count := text_at(schedule, name):
            return [f"COUNT={count}"]
    for name in UNTIL_NAMES:
        if (moment := read_moment(text_at(schedule, name), UTC)) is not None:
            return [f"UNTIL={day_in(moment, UTC):%Y%m%d}"]
    return []
