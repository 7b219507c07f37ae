"""Reading Microsoft To Do: its lists and tasks as Microsoft Graph returns them, which is what export tools write.

That is an array of lists with their tasks, an object with such lists, or one page of lists or tasks (``value``). A due
date is a day of its own time zone, in UTC one of the owner's. A time has seven digits after the second and no offset.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, tzinfo
from itertools import count
from typing import Any

from app.domain.date_shift import day_in
from app.models.task_fields import TaskStatus
from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import ONLY_NAME, Draft
from app.services.transfer.formats.products.json_file import (
    DocumentShape,
    JsonPart,
    Row,
    UnknownNames,
    items_of,
    objects,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.markup import is_markup, markup_text
from app.services.transfer.formats.products.moments import DAY_CODES, Moment, means_no_date, read_moment
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree
from app.services.transfer.formats.zone_names import clean_zone_name, find_zone_name
from app.services.transfer.import_row import ImportRow, LoadedRow, bounded_source_id, make_warning, warn_of_file

GRAPH_NAMES = frozenset(
    {
        "id", "importance", "isReminderOn", "status", "title", "createdDateTime", "lastModifiedDateTime",
        "hasAttachments", "categories", "body", "bodyLastModifiedDateTime", "dueDateTime", "startDateTime",
        "reminderDateTime", "completedDateTime", "recurrence", "checklistItems", "linkedResources", "attachments",
        "extensions", "parentFolderId", "parentList", "listId", "etag",
    }
)  # fmt: skip
GRAPH_STATUSES = {
    "notstarted": TaskStatus.PENDING, "inprogress": TaskStatus.IN_PROGRESS, "completed": TaskStatus.COMPLETED,
    "waitingonothers": TaskStatus.WAITING, "deferred": TaskStatus.WAITING, "": TaskStatus.PENDING,
}  # fmt: skip
GRAPH_PRIORITIES = {"low": "low", "normal": "none", "high": "high", "": "none"}
WEEK_PLACES = {"first": "1", "second": "2", "third": "3", "fourth": "4", "last": "-1"}
AROUND_NAMES = ("value", "lists", "taskLists", "tasks")
DEFAULT_LIST = "defaultList"
_LIST_NAMES = frozenset({"displayName", "id", "wellknownListName", "isShared"})


def is_microsoft_todo(shape: DocumentShape) -> bool:
    """Returns whether these are the names of lists or tasks, or of an object around them."""
    found = shape.item_names or shape.names_within(*AROUND_NAMES)
    return "displayName" in found or {"status", "title"} <= found or "@odata.context" in shape.names


class MicrosoftTodo:
    """The lists of one file."""

    def __init__(self, document: JsonPart, context: FileContext) -> None:
        """Finds the tasks. Raises TooManyRows."""
        self._context = context
        self._tree, self._unknown = ProjectTree("mstodo"), UnknownNames(GRAPH_NAMES)
        self._tasks: list[tuple[str, list[JsonPart]]] = []
        names = document.names()
        if "displayName" in names:  # one list
            self._take_list(names, 0)
            return
        around = next((names[name] for name in AROUND_NAMES if name in names), document)
        loose: list[JsonPart] = []
        for place, part in enumerate(around.items()):
            found = part.names()
            self._take_list(found, place) if "displayName" in found else loose.append(part)
        self._tasks.append(("", loose))

    def _take_list(self, names: dict[str, JsonPart], place: int) -> None:
        head = {name: part.value() for name, part in names.items() if name in _LIST_NAMES}
        id_ = text_at(head, "id") or f"list {place}"
        is_inbox = head.get("wellknownListName") == DEFAULT_LIST
        found = FoundProject(text_at(head, "displayName"), is_inbox=is_inbox)
        if head.get("isShared"):
            found.warnings.append(make_warning("isShared", "Lists are not shared here.", found.name))
        self._tree.add(id_, found)
        tasks = next((names[name] for name in ("tasks", "value") if name in names), None)
        self._tasks.append((id_, tasks.items() if tasks is not None else []))

    def rows(self) -> Iterator[EntityRow]:
        yield from self._tree.rows()
        numbers = count(1)
        for list_id, parts in self._tasks:
            for entity, item in rows_of("tasks", parts, lambda _, row, id_=list_id: self._rows(row, id_)):  # type: ignore[misc]
                item.row = next(numbers)
                yield entity, item
        if warnings := self._unknown.warnings():
            yield warn_of_file(*warnings)

    def _rows(self, row: Row, list_id: str) -> Iterator[EntityRow]:
        self._unknown.note({name: value for name, value in row.items() if "@odata" not in name})
        id_ = text_at(row, "id")
        key = id_ or f"{list_id}:{text_at(row, 'title')}:{text_at(row, 'createdDateTime')}"
        source, project = bounded_source_id(f"mstodo:{key}"), self._tree.refer(list_id)
        yield "tasks", ImportRow(0, source, lambda: self._load(row), project=project, uid=id_ or None)
        for item in objects(row.get("checklistItems")):
            item_id = text_at(item, "id") or text_at(item, "displayName")
            yield "tasks", ImportRow(
                0, bounded_source_id(f"{source}:item:{item_id}"), lambda item=item: self._load_item(item),  # type: ignore[misc]
                parent=source, project=project,
            )  # fmt: skip

    def _load_item(self, item: Row) -> LoadedRow:
        draft = Draft(self._context, item.get("displayName"))
        if item.get("isChecked"):
            draft.complete(read_moment(item.get("checkedDateTime"), UTC))
        draft.put_stamp("created_at", read_moment(item.get("createdDateTime"), UTC))
        return draft.loaded()

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("title"), _body_of(row))
        self._put_status(draft, row)
        for name, field, label in (("dueDateTime", "due_date", "Due"), ("startDateTime", "start_date", "Start")):
            draft.put_moment(field, self._day(draft, row, name, label))
        importance = text_at(row, "importance").lower()
        draft.put("priority", GRAPH_PRIORITIES.get(importance, "none"))
        if importance not in GRAPH_PRIORITIES:
            draft.note("importance", "The importance is not known: it was left out.", importance)
        draft.put_tags(items_of(row.get("categories")))
        if row.get("isReminderOn") and (moment := self._moment(draft, row, "reminderDateTime", "Reminder")) is not None:
            draft.remind(moment)
        if isinstance(rule := row.get("recurrence"), dict):
            if draft.due is None and not draft.is_closed:
                draft.put_day("due_date", read_moment(text_at(rule, "range", "startDate"), draft.zone))
            draft.repeat(rule_of_graph(rule), make_warning("", "", rule).value)
        for link in objects(row.get("linkedResources")):
            texts = (text_at(link, name) for name in ("displayName", "applicationName", "webUrl"))
            draft.keep("linkedResources", " ".join(filter(None, texts)), "Link")
        self._keep_attachments(draft, row)
        for name, field in (("createdDateTime", "created_at"), ("lastModifiedDateTime", "updated_at")):
            draft.put_stamp(field, read_moment(row.get(name), UTC))
        return draft.loaded()

    def _put_status(self, draft: Draft, row: Row) -> None:
        written = text_at(row, "status")
        status = GRAPH_STATUSES.get(written.lower())
        if status is None:
            draft.note("status", "The status is not known: it was left out.", written)
        elif status == TaskStatus.COMPLETED:
            draft.complete(self._moment(draft, row, "completedDateTime", "Completed"))
        elif status != TaskStatus.PENDING:
            draft.put("status", status)

    def _keep_attachments(self, draft: Draft, row: Row) -> None:
        attachments = objects(row.get("attachments"))
        for attachment in attachments:
            name = text_at(attachment, "name") or text_at(attachment, "displayName") or "a file"
            draft.keep("attachments", name, "Attachment", ONLY_NAME)
        if row.get("hasAttachments") and not attachments:
            draft.note("hasAttachments", "Tasks have no attachments here: they were left out.", "true")

    def _moment(self, draft: Draft, row: Row, name: str, label: str) -> Moment | None:
        """Returns the instant of an object with ``dateTime`` and ``timeZone``, or of a text."""
        written, zone = self._written(draft, row, name)
        if means_no_date(written):
            return None
        if (moment := read_moment(written, zone)) is None:
            draft.keep(name, written, label, "The date cannot be read")
        return moment

    def _day(self, draft: Draft, row: Row, name: str, label: str) -> Moment | None:
        """Returns the day on which the local time is that the object names; of a time in UTC the owner's day."""
        moment, (_, zone) = self._moment(draft, row, name, label), self._written(draft, row, name)
        if not isinstance(moment, datetime):
            return moment
        is_local = zone is not UTC or moment.astimezone(UTC).time() == time()
        return day_in(moment, zone if is_local else self._context.timezone)

    def _written(self, draft: Draft, row: Row, name: str) -> tuple[str, tzinfo]:
        value = row.get(name)
        if not isinstance(value, dict):
            return text_at(row, name), UTC
        named = clean_zone_name(text_at(value, "timeZone"))
        if named.upper() in {"", "UTC"}:
            return text_at(value, "dateTime"), UTC
        if (found := find_zone_name(named)) is None:
            message = f"The time zone is not known: {self._context.timezone.key} was taken."
            if not any(warning.value == named for warning in draft.warnings):
                draft.note(name, message, named)
            return text_at(value, "dateTime"), self._context.timezone
        return text_at(value, "dateTime"), found.zone


def read_microsoft_todo(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return MicrosoftTodo(document, context).rows()


def _body_of(row: Row) -> str:
    text = text_at(row, "body", "content") or text_at(row, "body")
    return markup_text(text) if text_at(row, "body", "contentType") == "html" or is_markup(text) else text


def rule_of_graph(found: Row) -> str | None:
    """Returns the rule of a ``patternedRecurrence``; None where it has a part that is not known."""
    pattern, extent = found.get("pattern"), found.get("range")
    if not isinstance(pattern, dict):
        return None
    kind = text_at(pattern, "type").lower()
    days = [DAY_CODES.get(str(day).lower(), "?") for day in items_of(pattern.get("daysOfWeek"))]
    place = WEEK_PLACES.get(text_at(pattern, "index").lower(), "1")
    day, month = text_at(pattern, "dayOfMonth"), text_at(pattern, "month")
    by_place = f"BYDAY={','.join(days)}" + (f";BYSETPOS={place}" if len(days) > 1 else "")
    if len(days) == 1:
        by_place = f"BYDAY={place}{days[0]}"
    parts = {
        "daily": ["FREQ=DAILY"],
        "weekly": ["FREQ=WEEKLY", f"BYDAY={','.join(days)}" if days else ""],
        "absolutemonthly": ["FREQ=MONTHLY", f"BYMONTHDAY={day}" if day not in {"", "0"} else ""],
        "relativemonthly": ["FREQ=MONTHLY", by_place],
        "absoluteyearly": ["FREQ=YEARLY", *_of_year(month, f"BYMONTHDAY={day}" if day not in {"", "0"} else "")],
        "relativeyearly": ["FREQ=YEARLY", *_of_year(month, by_place)],
    }.get(kind)
    if parts is None:
        return None
    if (interval := text_at(pattern, "interval")) not in {"", "0", "1"}:
        parts.append(f"INTERVAL={interval}")
    first = DAY_CODES.get(text_at(pattern, "firstDayOfWeek").lower(), "MO")
    if kind == "weekly" and first != "MO" and interval not in {"", "0", "1"}:
        parts.append(f"WKST={first}")
    return ";".join(filter(None, [*parts, _end_of(extent if isinstance(extent, dict) else {})]))


def _of_year(month: str, day: str) -> list[str]:
    return [f"BYMONTH={month}" if month not in {"", "0"} else "", day]


def _end_of(extent: dict[str, Any]) -> str:
    kind = text_at(extent, "type").lower()
    if kind == "numbered" and (number := text_at(extent, "numberOfOccurrences")) not in {"", "0"}:
        return f"COUNT={number}"
    end = read_moment(text_at(extent, "endDate"), UTC) if kind == "enddate" else None
    return f"UNTIL={end:%Y%m%d}" if end is not None else ""
