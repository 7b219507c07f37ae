"""Reading Todoist's API as JSON: a whole answer of /sync, or the tasks of the REST API.

Here 4 is the most urgent priority, in the CSV 1 is. Older versions write ids as numbers and 0 or 1 for no and yes. A
recurring date is a text, in the language of ``lang``.
"""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from app.domain.todoist_dates import read_todoist_date
from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import (
    DocumentShape,
    JsonPart,
    Row,
    UnknownNames,
    is_on,
    items_of,
    number_at,
    readable_rows,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.moments import read_moment, spell_seconds
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree, left_out_text
from app.services.transfer.formats.zone_names import clean_zone_name, find_zone_name
from app.services.transfer.import_row import (
    Deviation,
    ImportRow,
    LoadedRow,
    RowWarning,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

ITEM_NAMES = frozenset(
    {
        "id", "v2_id", "user_id", "project_id", "v2_project_id", "section_id", "v2_section_id", "parent_id",
        "v2_parent_id", "content", "description", "priority", "due", "deadline", "duration", "labels", "child_order",
        "order", "day_order", "is_collapsed", "collapsed", "checked", "is_completed", "is_deleted", "added_at",
        "date_added", "created_at", "added_by_uid", "creator_id", "assigned_by_uid", "assigner_id", "responsible_uid",
        "assignee_id", "completed_at", "date_completed", "completed_by_uid", "updated_at", "note_count",
        "comment_count", "sync_id", "url", "goal_ids", "is_uncompletable",
    }
)  # fmt: skip
API_PRIORITIES = {"4": "urgent", "3": "high", "2": "medium", "1": "none", "": "none"}
COLOR_PALETTE = {
    "berry_red": "#b8256f", "red": "#db4035", "orange": "#ff9933", "yellow": "#fad000", "olive_green": "#afb83b",
    "lime_green": "#7ecc49", "green": "#299438", "mint_green": "#6accbc", "teal": "#158fad", "sky_blue": "#14aaf5",
    "light_blue": "#96c3eb", "blue": "#4073ff", "grape": "#884dff", "violet": "#af38eb", "lavender": "#eb96eb",
    "magenta": "#e05194", "salmon": "#ff8d85", "charcoal": "#808080", "grey": "#b8b8b8", "taupe": "#ccac93",
}  # fmt: skip
DURATION_MINUTES = {"minute": 1, "day": 1440}
TASK_COLLECTIONS = ("items", "tasks", "results")
# Collections that hold what has no place here, and the name that their rows have.
NAMED_COLLECTIONS = {"filters": "name", "goals": "name"}


def is_todoist_json(shape: DocumentShape) -> bool:
    """Returns whether these are the names of an answer of /sync, or of tasks."""
    if {"sync_token", "items"} <= shape.names:
        return True
    return "content" in shape.names_within(*TASK_COLLECTIONS) or {"content", "project_id"} <= shape.item_names


class TodoistAnswer:
    """One answer of the API."""

    def __init__(self, document: JsonPart, context: FileContext) -> None:
        """Finds tasks and comments. Raises TooManyRows."""
        self._context = context
        names = document.names()
        self._names = names
        around = next((names[name] for name in TASK_COLLECTIONS if name in names), document)
        self._items = around.items()
        self._notes = [part for name in ("notes", "comments", "project_notes") for part in self._parts(name)]
        self._sections = {text_at(row, "id"): text_at(row, "name") for row in self._rows("sections")}
        self._people = {text_at(row, "id"): text_at(row, "full_name") or text_at(row, "name")
                        for row in self._rows("collaborators")}  # fmt: skip
        self._tree, self._unknown = ProjectTree("todoist"), UnknownNames(ITEM_NAMES)
        self._reminders: dict[str, list[Row]] = {}
        self._first_of: dict[str, str] = {}
        self._filled: set[str] = set()  # sections with a task
        user = names["user"].value() if "user" in names else {}
        found = (
            find_zone_name(clean_zone_name(text_at(user, "tz_info", "timezone"))) if isinstance(user, dict) else None
        )
        self._zone: tzinfo = found.zone if found else context.timezone

    def _parts(self, name: str) -> list[JsonPart]:
        """Returns the rows of a collection: an array, or an object of rows by id as lists of completed tasks have."""
        return (self._names[name].items() or self._names[name].values()) if name in self._names else []

    def _rows(self, name: str) -> Iterator[Row]:
        """Yields the rows of a collection that are not deleted."""
        return (row for row in readable_rows(self._parts(name)) if not is_on(row.get("is_deleted")))

    def rows(self) -> Iterator[EntityRow]:
        for row in self._rows("projects"):
            self._add_project(row)
        yield from self._tree.rows()
        for reminder in self._rows("reminders"):
            self._reminders.setdefault(text_at(reminder, "item_id"), []).append(reminder)
        for row in readable_rows(self._items):
            if not is_on(row.get("is_deleted")):
                self._first_of.setdefault(text_at(row, "project_id"), text_at(row, "id"))
        yield from rows_of("tasks", self._items, self._item)
        yield from rows_of("comments", self._notes, self._note)
        if warnings := [*self._unknown.warnings(), *self._others()]:
            yield warn_of_file(*warnings)

    def _add_project(self, row: Row) -> None:
        is_inbox = any(is_on(row.get(name)) for name in ("inbox_project", "is_inbox_project"))
        parent = text_at(row, "parent_id")
        found = FoundProject(
            text_at(row, "name"), parent or None, is_inbox=is_inbox,
            warnings=left_out_text("description", row.get("description")),
        )  # fmt: skip
        found.put(color=COLOR_PALETTE.get(text_at(row, "color")), favorite=is_on(row.get("is_favorite")))
        if is_on(row.get("is_archived")):
            found.put(archived_at=row.get("archived_at") or row.get("updated_at") or self._context.now.isoformat())
        self._tree.add(text_at(row, "id"), found)

    def _others(self) -> list[RowWarning]:
        found = []
        for name, title in NAMED_COLLECTIONS.items():
            names = [text_at(row, title) for row in self._rows(name)]
            if names:
                found.append(make_warning(name, "They have no such form here: they were left out.", ", ".join(names)))
        if empty := [name for id_, name in self._sections.items() if id_ not in self._filled]:
            message = "A section is a tag of its tasks: these have none."
            found.append(make_warning("sections", message, ", ".join(empty)))
        return found

    def _item(self, number: int, row: Row) -> Iterator[EntityRow]:
        if is_on(row.get("is_deleted")):
            return
        self._unknown.note(row)
        self._filled.add(text_at(row, "section_id"))
        id_, parent = text_at(row, "id"), text_at(row, "parent_id")
        yield "tasks", ImportRow(
            number, bounded_source_id(f"todoist:{id_}"), lambda: self._load(row),
            parent=bounded_source_id(f"todoist:{parent}") if parent else None,
            project=self._tree.refer(text_at(row, "project_id")), uid=id_ or None,
        )  # fmt: skip

    def _note(self, number: int, row: Row) -> Iterator[EntityRow]:
        """Yields a comment; one of a project is a comment of its first task."""
        if is_on(row.get("is_deleted")):
            return
        task, warnings = text_at(row, "item_id") or text_at(row, "task_id"), list[RowWarning]()
        if not task:
            task = self._first_of.get(text_at(row, "project_id"), "")
            message = "A note of the project has no place of its own: it is a comment of its first task."
            warnings.append(make_warning("project_notes", message, row.get("content"), Deviation.CHANGED))
        file = row.get("file_attachment") or row.get("attachment")
        body = text_at(row, "content")
        if isinstance(file, dict):
            name = " ".join(
                filter(None, [text_at(file, "file_name") or text_at(file, "title"), text_at(file, "file_url")])
            )
            body = "\n".join(filter(None, [body, f"Attachment: {name}"]))
            message = "Only the link of an attachment stays."
            warnings.append(make_warning("file_attachment", message, name, Deviation.KEPT_AS_TEXT))
        loaded = LoadedRow({"body": body, "created_at": row.get("posted_at") or row.get("posted")}, warnings)
        source = bounded_source_id(f"todoist:note:{text_at(row, 'id')}")
        yield "comments", ImportRow(number, source, lambda: loaded, task=bounded_source_id(f"todoist:{task}"))

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("content"), row.get("description"))
        if _is_done(row):
            draft.complete(read_moment(row.get("completed_at") or row.get("date_completed"), self._zone))
        draft.put_tags(items_of(row.get("labels")))
        if section := self._sections.get(text_at(row, "section_id")):
            draft.put_section("section_id", section)
        priority = text_at(row, "priority")
        draft.put("priority", API_PRIORITIES.get(priority, "none"))
        if priority not in API_PRIORITIES:
            draft.note("priority", "A priority is 1 to 4: it was left out.", priority)
        self._put_due(draft, row.get("due"))
        deadline = row.get("deadline")
        draft.put_date("deadline", text_at(deadline, "date") if isinstance(deadline, dict) else deadline, "Deadline")
        self._put_duration(draft, row)
        for reminder in self._reminders.get(text_at(row, "id"), ()):
            self._remind(draft, reminder)
        if person := text_at(row, "responsible_uid") or text_at(row, "assignee_id"):
            draft.keep("responsible_uid", self._people.get(person) or person, "Responsible")
        added = row.get("added_at") or row.get("date_added") or row.get("created_at")
        draft.put_stamp("created_at", read_moment(added, self._zone))
        draft.put_stamp("updated_at", read_moment(row.get("updated_at"), self._zone))
        return draft.loaded()

    def _put_due(self, draft: Draft, due: Any) -> None:
        """Puts a due date; a time without an offset is in the user's zone, or in the one that it names."""
        if not isinstance(due, dict):
            draft.put_date("due_date", due, "Due")
            return
        name = text_at(due, "timezone")
        named = find_zone_name(clean_zone_name(name)) if name else None
        zone = named.zone if named else self._zone
        if name and named is None:
            draft.note("timezone", f"The time zone is not known: {zone} was taken.", name, Deviation.GUESSED)
        draft.put_date("due_date", due.get("datetime") or due.get("date"), "Due", zone=zone)
        text = text_at(due, "string")
        if is_on(due.get("is_recurring")) or is_on(due.get("recurring")):
            found = read_todoist_date(text, now=self._context.now, timezone=zone, language=text_at(due, "lang"))
            rule = found.recurrence if found else None
            draft.repeat(rule, text, zone=zone, from_completion=bool(found and found.from_completion))

    def _put_duration(self, draft: Draft, row: Row) -> None:
        duration = row.get("duration")
        if not isinstance(duration, dict):
            return
        unit, amount = text_at(duration, "unit"), number_at(duration, "amount")
        if unit in DURATION_MINUTES:
            draft.put_minutes(amount * DURATION_MINUTES[unit])
        else:
            draft.keep("duration", f"{text_at(duration, 'amount')} {unit}", "Duration")

    def _remind(self, draft: Draft, reminder: Row) -> None:
        kind = text_at(reminder, "type")
        if kind == "location":
            place = text_at(reminder, "name") or f"{text_at(reminder, 'loc_lat')}, {text_at(reminder, 'loc_long')}"
            draft.keep("reminders", place, "Place", "A reminder at a place has no such form here")
        elif kind == "absolute" and isinstance(due := reminder.get("due"), dict):
            moment = read_moment(due.get("date"), self._zone)
            draft.remind(moment) if moment else draft.keep(
                "reminders", due.get("date"), "Reminder", "It cannot be read"
            )
        else:
            minutes = number_at(reminder, "minute_offset") or number_at(reminder, "mm_offset")
            draft.remind(spell_seconds(-60 * int(minutes)))


def _is_done(row: Row) -> bool:
    """Returns whether a task is completed; lists of completed tasks only say when."""
    states = [row[name] for name in ("checked", "is_completed") if name in row]
    return any(map(is_on, states)) if states else bool(row.get("completed_at") or row.get("date_completed"))


def read_todoist_json(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return TodoistAnswer(document, context).rows()
