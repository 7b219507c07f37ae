"""Reading Super Productivity's backup: collections of ``ids`` and ``entities``, since version 14 within an envelope.

Times are milliseconds. The tag TODAY is a view of the program. Repeating tasks have a configuration apart, from which
the program makes a task for each date.
"""

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any

from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import (
    DocumentShape,
    JsonPart,
    Row,
    UnknownNames,
    items_of,
    number_at,
    objects,
    readable_rows,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.moments import DAY_CODES, read_milliseconds, read_moment
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree, color_of, is_inbox
from app.services.transfer.import_row import (
    Deviation,
    ImportRow,
    LoadedRow,
    RowWarning,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

TASK_NAMES = frozenset(
    {
        "id", "title", "subTaskIds", "timeSpentOnDay", "timeSpent", "timeEstimate", "isDone", "doneOn", "notes",
        "tagIds", "created", "attachments", "projectId", "dueDay", "dueWithTime", "parentId", "remindAt", "reminderId",
        "plannedAt", "repeatCfgId", "_hideSubTasksMode", "hasPlannedTime", "modified", "deadlineDay",
        "deadlineWithTime", "deadlineRemindAt", "issueId", "issueProviderId", "issueType", "issueWasUpdated",
        "issueLastUpdated", "issueAttachmentNr", "issueTimeTracked", "issuePoints", "_showSubTasksMode", "dueDate",
        "_hideSubTasks", "theme",
    }
)  # fmt: skip
INBOX_PROJECTS = frozenset({"INBOX_PROJECT", "DEFAULT"})
VIEW_TAGS = frozenset({"TODAY"})
ARCHIVE_COLLECTIONS = ("archiveYoung", "archiveOld", "taskArchive")
# Collections that hold what tasks are not, by their names.
UNPLACED_COLLECTIONS = {"simpleCounter": "Counters and habits", "metric": "Metrics", "improvement": "Improvements",
                     "obstruction": "Obstructions"}  # fmt: skip
REPEAT_CYCLES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
# How long before its time a task of a configuration reminds.
REMINDER_SPANS = {"AtStart": "PT0S", "m5": "-PT5M", "m10": "-PT10M", "m15": "-PT15M", "m30": "-PT30M", "h1": "-PT1H"}
PLACES_IN_MONTH = frozenset({"1", "2", "3", "4", "-1"})
FOLDER_KINDS = frozenset({"f", "folder"})
_FOLDERS_MAX = 10  # levels of folders
_MINUTE_MILLISECONDS = 60_000  # milliseconds


def is_super_productivity(shape: DocumentShape) -> bool:
    found = shape.parts["data"].names().keys() if "data" in shape.names else shape.names
    return {"task", "project", "tag"} <= found


class SuperProductivity:
    """The collections of one backup."""

    def __init__(self, document: JsonPart, context: FileContext) -> None:
        """Finds the tasks. Raises TooManyRows."""
        self._context = context
        names = document.names()
        self._data = names["data"].names() if "data" in names else names
        self._tasks = _entities(self._data, "task")
        for name in ARCHIVE_COLLECTIONS:
            inner = self._data[name].names() if name in self._data else {}
            self._tasks += _entities(inner, "task") if "task" in inner else _entities(self._data, name)
        self._notes = _entities(self._data, "note")
        self._projects = {text_at(row, "id"): row for row in readable_rows(_entities(self._data, "project"))}
        self._tags = {text_at(row, "id"): row for row in readable_rows(_entities(self._data, "tag"))}
        self._repeats = {text_at(row, "id"): row for row in readable_rows(_entities(self._data, "taskRepeatCfg"))}
        reminders = self._data["reminders"].value() if "reminders" in self._data else None
        self._reminders = {text_at(row, "relatedId") or text_at(row, "id"): row for row in objects(reminders)}
        self._planned = self._planned_days()
        self._folder_of: dict[str, str] = {}
        self._folders: dict[str, tuple[str, str]] = {}  # names, and the folders they are in
        menu = self._data["menuTree"].value() if "menuTree" in self._data else None
        self._take_folders(objects(menu.get("projectTree")) if isinstance(menu, dict) else [], "")
        self._tree, self._unknown = ProjectTree("superproductivity"), UnknownNames(TASK_NAMES)
        self._open_of: dict[str, Row] = {}
        self._numbers = count(1)

    def _take_folders(self, nodes: list[Row], outer: str, depth: int = 0) -> None:
        """Notes the folders of the menu that have projects, and what is in them."""
        for node in nodes if depth < _FOLDERS_MAX else ():
            id_, children = text_at(node, "id"), objects(node.get("children"))
            if (text_at(node, "k") or text_at(node, "kind")) not in FOLDER_KINDS:
                self._folder_of[id_] = outer
            elif children:
                folder = f"folder {id_ or text_at(node, 'name')}"
                self._folders[folder] = text_at(node, "name"), outer
                self._take_folders(children, folder, depth + 1)

    def _planned_days(self) -> dict[str, str]:
        """Returns the days for which older versions plan tasks."""
        planner = self._data["planner"].value() if "planner" in self._data else None
        days = planner.get("days") if isinstance(planner, dict) else None
        found: dict[str, str] = {}
        for day, tasks in days.items() if isinstance(days, dict) else ():
            found |= {str(task): str(day) for task in items_of(tasks)}
        return found

    def rows(self) -> Iterator[EntityRow]:
        for id_, (name, outer) in self._folders.items():
            self._tree.add(id_, FoundProject(name, outer or None))
        for id_, row in self._projects.items():
            title = text_at(row, "title")
            is_first = id_ in INBOX_PROJECTS and is_inbox(title or "inbox")
            found = FoundProject(title, self._folder_of.get(id_) or None, is_inbox=is_first)
            theme = row.get("theme")
            found.put(color=color_of(theme.get("primary")) if isinstance(theme, dict) else None)
            if row.get("isArchived"):
                found.put(archived_at=self._context.now.isoformat())
            self._tree.add(id_, found)
        yield from self._tree.rows()
        for row in readable_rows(self._tasks):
            if (repeat := text_at(row, "repeatCfgId")) in self._repeats and not row.get("isDone"):
                newest = self._open_of.setdefault(repeat, row)
                if number_at(row, "created") > number_at(newest, "created"):
                    self._open_of[repeat] = row
        for entity, item in self._all_rows():
            item.row = next(self._numbers)
            yield entity, item
        if warnings := [*self._unknown.warnings(), *self._other_warnings()]:
            yield warn_of_file(*warnings)

    def _all_rows(self) -> Iterator[EntityRow]:
        yield from rows_of("tasks", self._tasks, self._task)
        for id_, repeat in self._repeats.items():
            if id_ not in self._open_of:
                yield from self._repeat_row(id_, repeat)
        yield from rows_of("tasks", self._notes, self._note)

    def _other_warnings(self) -> list[RowWarning]:
        found = []
        for name, label in UNPLACED_COLLECTIONS.items():
            titles = [text_at(row, "title") or text_at(row, "id") for row in readable_rows(_entities(self._data, name))]
            if titles:
                found.append(make_warning(name, f"{label} have no place here: they were left out.", ", ".join(titles)))
        return found

    def _task(self, number: int, row: Row) -> Iterator[EntityRow]:
        self._unknown.note({name: value for name, value in row.items() if not name.startswith("issue")})
        id_, parent = text_at(row, "id"), text_at(row, "parentId")
        yield "tasks", ImportRow(
            number, bounded_source_id(f"superproductivity:{id_}"), lambda: self._load(row),
            parent=bounded_source_id(f"superproductivity:{parent}") if parent else None,
            project=self._tree.refer(text_at(row, "projectId")), uid=id_ or None,
        )  # fmt: skip

    def _note(self, number: int, row: Row) -> Iterator[EntityRow]:
        """Yields a note of a project as a task, which here holds texts."""

        def load() -> LoadedRow:
            draft = Draft(self._context, "", row.get("content"))
            draft.note("note", "A note is a task here.", row.get("content"), Deviation.CHANGED)
            draft.put_stamp("created_at", read_milliseconds(row.get("created")))
            return draft.loaded()

        source = bounded_source_id(f"superproductivity:note:{text_at(row, 'id')}")
        yield "tasks", ImportRow(number, source, load, project=self._tree.refer(text_at(row, "projectId")))

    def _repeat_row(self, id_: str, repeat: Row) -> Iterator[EntityRow]:
        """Yields a task for a configuration without an open one."""

        def load() -> LoadedRow:
            draft = Draft(self._context, repeat.get("title"), repeat.get("notes"))
            self._put_tags(draft, repeat)
            draft.put_minutes(number_at(repeat, "defaultEstimate") / _MINUTE_MILLISECONDS)
            self._put_repeat(draft, repeat)
            return draft.loaded()

        source = bounded_source_id(f"superproductivity:repeat:{id_}")
        yield "tasks", ImportRow(0, source, load, project=self._tree.refer(text_at(repeat, "projectId")), uid=id_)

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("title"), row.get("notes"))
        if row.get("isDone"):
            draft.complete(read_milliseconds(row.get("doneOn")))
        self._put_due(draft, row)
        self._put_tags(draft, row)
        draft.put_minutes(number_at(row, "timeEstimate") / _MINUTE_MILLISECONDS)
        if spent := round(number_at(row, "timeSpent") / _MINUTE_MILLISECONDS):
            draft.keep("timeSpent", f"{spent} min", "Time spent")
        reminder = self._reminders.get(text_at(row, "id"), {})
        moment = read_milliseconds(row.get("remindAt") or reminder.get("remindAt"))
        for each in (moment, read_milliseconds(row.get("deadlineRemindAt"))):
            if each is not None:
                draft.remind(each)
        for attachment in objects(row.get("attachments")):
            texts = dict.fromkeys([text_at(attachment, "title"), text_at(attachment, "path")])
            draft.keep(
                "attachments", " ".join(filter(None, texts)), "Attachment", "Only the link of an attachment stays"
            )
        if issue := text_at(row, "issueId"):
            draft.keep("issueId", f"{text_at(row, 'issueType')} {issue}".strip(), "Issue")
        draft.put_stamp("created_at", read_milliseconds(row.get("created")))
        repeat = text_at(row, "repeatCfgId")
        if repeat in self._repeats and text_at(self._open_of.get(repeat, {}), "id") == text_at(row, "id"):
            self._put_repeat(draft, self._repeats[repeat])
        return draft.loaded()

    def _put_due(self, draft: Draft, row: Row) -> None:
        moment = read_milliseconds(row.get("dueWithTime") or row.get("plannedAt"))
        if moment is not None:
            draft.put_moment("due_date", moment)
        else:
            draft.put_date("due_date", row.get("dueDay") or self._planned.get(text_at(row, "id")), "Due")
        deadline = read_milliseconds(row.get("deadlineWithTime"))
        draft.put_day("deadline", deadline or read_moment(row.get("deadlineDay"), draft.zone))

    def _put_tags(self, draft: Draft, row: Row) -> None:
        ids = [str(id_) for id_ in items_of(row.get("tagIds"))]
        draft.put_tags(text_at(self._tags.get(id_, {"title": id_}), "title") for id_ in ids if id_ not in VIEW_TAGS)

    def _put_repeat(self, draft: Draft, repeat: Row) -> None:
        """Puts the rule of a configuration; a task without a due date is due today, or when the rule starts."""
        written = make_warning("", "", repeat).value
        if repeat.get("isPaused"):
            draft.keep("taskRepeatCfg", written, "Repeats", "A paused repetition has no such form here")
            return
        if draft.due is None:
            start = read_moment(repeat.get("startDate"), draft.zone)
            today = self._context.now.astimezone(draft.zone).date()
            day = max(start, today) if type(start) is date else today
            time = read_moment(f"{day}T{text_at(repeat, 'startTime')}", draft.zone)
            draft.put_moment("due_date", time or day)
            if time is not None and (span := REMINDER_SPANS.get(text_at(repeat, "remindAt"))):
                draft.remind(span)
        if days := items_of(repeat.get("deletedInstanceDates")):
            message = "A series has no days without an occurrence here: they were left out."
            draft.note("deletedInstanceDates", message, ", ".join(map(str, days)))
        draft.repeat(_rule_of(repeat), written, from_completion=bool(repeat.get("repeatFromCompletionDate")))


def read_super_productivity(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return SuperProductivity(document, context).rows()


def _entities(data: dict[str, JsonPart], name: str) -> list[JsonPart]:
    collection = data[name].names() if name in data else {}
    return collection["entities"].values() if "entities" in collection else []


def _rule_of(repeat: Row) -> str | None:
    cycle = text_at(repeat, "repeatCycle")
    if cycle not in REPEAT_CYCLES:
        return None
    parts = [f"FREQ={cycle}"]
    if (every := text_at(repeat, "repeatEvery")) not in {"", "0", "1"}:
        parts.append(f"INTERVAL={every}")
    days: list[Any] = [code for name, code in DAY_CODES.items() if repeat.get(name)]
    if cycle == "WEEKLY" and days:
        parts.append(f"BYDAY={','.join(days)}")
    place, weekday = text_at(repeat, "monthlyWeekOfMonth"), text_at(repeat, "monthlyWeekday")
    if cycle == "MONTHLY" and place in PLACES_IN_MONTH and weekday.isdecimal():  # 0 is Sunday
        parts.append(f"BYDAY={place}{[*DAY_CODES.values()][int(weekday[:3]) % 7 - 1]}")
    return ";".join(parts)
