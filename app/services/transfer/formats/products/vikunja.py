"""Reading Vikunja's export: ``data.json`` of its zip, an array of projects with their tasks.

Relations stand on both sides, each with a copy of the other task. A date of the year 1 is none. Older versions have
lists within namespaces.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import ONLY_NAME, Draft
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
from app.services.transfer.formats.products.markup import is_markup, markup_text
from app.services.transfer.formats.products.moments import means_no_date, read_moment, spell_seconds
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree, color_of, is_inbox, left_out_text
from app.services.transfer.import_row import Deviation, ImportRow, LoadedRow, bounded_source_id, warn_of_file

VIKUNJA_NAMES = frozenset(
    {
        "id", "title", "description", "done", "done_at", "due_date", "reminders", "reminder_dates", "project_id",
        "list_id", "repeat_after", "repeat_mode", "repeat_from_current_date", "priority", "start_date", "end_date",
        "assignees", "labels", "hex_color", "percent_done", "identifier", "index", "related_tasks", "attachments",
        "cover_image_attachment_id", "is_favorite", "created", "updated", "bucket_id", "position", "kanban_position",
        "reactions", "created_by", "comments", "subscription", "is_unread", "comment_count", "buckets",
    }
)  # fmt: skip
VIKUNJA_PRIORITIES = ("none", "low", "medium", "high", "urgent", "urgent")
RELATION_LABELS = {
    "related": "Related to", "blocking": "Blocks", "blocked": "Blocked by", "precedes": "Precedes",
    "follows": "Follows", "duplicateof": "Duplicate of", "duplicates": "Duplicated by", "copiedfrom": "Copied from",
    "copiedto": "Copied to",
}  # fmt: skip
_DAY_SECONDS, _WEEK_SECONDS = 86_400, 604_800


_PROJECT_NAMES = frozenset(
    {
        "id", "title", "description", "parent_project_id", "is_archived", "is_favorite", "hex_color", "created",
        "updated", "buckets", "task_buckets", "background_information",
    }
)  # fmt: skip
CONTAINER_NAMES = {"parent_project_id", "child_projects", "lists", "tasks"}  # of which a project has one
_NESTED_MAX = 10  # levels of projects in a file that has them within each other


def is_vikunja(shape: DocumentShape) -> bool:
    """Returns whether these are the names of projects, or of the namespaces of older versions."""
    return "title" in shape.item_names and bool(
        shape.item_names & {"parent_project_id", "child_projects", "lists", "tasks"}
    )


class Vikunja:
    """The projects of one file."""

    def __init__(self, document: JsonPart, context: FileContext) -> None:
        """Finds the tasks. Raises TooManyRows."""
        self._context = context
        self._tree, self._unknown = ProjectTree("vikunja"), UnknownNames(VIKUNJA_NAMES)
        self._tasks: dict[str, list[JsonPart]] = {}
        self._buckets: dict[str, str] = {}
        self._bucket_of: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._comments = count(1)
        for part in document.items():
            self._take_project(part.names(), "")

    def _take_project(self, names: dict[str, JsonPart], outer: str, depth: int = 0) -> None:
        head = {name: part.value() for name, part in names.items() if name in _PROJECT_NAMES}
        id_ = text_at(head, "id")
        if "lists" in names:  # a namespace, which numbers its own
            id_ = f"namespace {id_}"
        parent = text_at(head, "parent_project_id").removeprefix("0")
        title, text = text_at(head, "title"), text_at(head, "description")
        found = FoundProject(
            title, outer or parent or None, is_inbox=is_inbox(title) and not parent,
            source=f"{id_}:{text_at(head, 'created')}",
            warnings=left_out_text("description", markup_text(text))
            + left_out_text("background_information", head.get("background_information")),
        )  # fmt: skip
        found.put(color=color_of(head.get("hex_color")), favorite=bool(head.get("is_favorite")))
        if head.get("is_archived"):
            updated = head.get("updated")
            found.put(archived_at=self._context.now.isoformat() if means_no_date(updated) else updated)
        self._tree.add(id_, found)
        self._take_buckets(head)
        if "tasks" in names and id_ not in self._tasks:
            self._tasks[id_] = names["tasks"].items()
        for inner in ("lists", "child_projects"):
            for part in names[inner].items() if inner in names and depth < _NESTED_MAX else ():
                self._take_project(part.names(), id_, depth + 1)

    def _take_buckets(self, head: Row) -> None:
        """Notes the columns of a board, without the first, in which all tasks begin."""
        for bucket in objects(head.get("buckets"))[1:]:
            self._buckets[text_at(bucket, "id")] = text_at(bucket, "title")
        for place in objects(head.get("task_buckets")):
            self._bucket_of[text_at(place, "task_id")] = text_at(place, "bucket_id")

    def rows(self) -> Iterator[EntityRow]:
        yield from self._tree.rows()
        for parts in self._tasks.values():
            for row in readable_rows(parts):
                self._take_relations(row)
        first = 0
        for project, parts in self._tasks.items():
            for entity, item in rows_of("tasks", parts, lambda number, row, id_=project: self._rows(number, row, id_)):  # type: ignore[misc]
                item.row += first if entity == "tasks" else 0
                yield entity, item
            first += len(parts)
        if warnings := self._unknown.warnings():
            yield warn_of_file(*warnings)

    def _take_relations(self, row: Row) -> None:
        id_ = text_at(row, "id")
        self._sources.setdefault(id_, _source_of(row))
        related = row.get("related_tasks")
        if not isinstance(related, dict):
            return
        for child in objects(related.get("subtask")):
            self._parents.setdefault(text_at(child, "id"), id_)
        for parent in objects(related.get("parenttask"))[:1]:
            self._parents[id_] = text_at(parent, "id")

    def _rows(self, number: int, row: Row, project: str) -> Iterator[EntityRow]:
        self._unknown.note(row)
        id_, source = text_at(row, "id"), _source_of(row)
        parent = self._parents.get(id_)
        yield "tasks", ImportRow(
            number, source, lambda: self._load(row),
            parent=self._sources.get(parent, f"vikunja:{parent}") if parent else None,
            project=self._tree.refer(project), uid=id_,
        )  # fmt: skip
        for comment in objects(row.get("comments")):
            loaded = LoadedRow(
                {
                    "body": _text(comment.get("comment")),
                    "created_at": comment.get("created"),
                    "updated_at": comment.get("updated"),
                }
            )
            yield "comments", ImportRow(
                next(self._comments), bounded_source_id(f"{source}:comment:{text_at(comment, 'id')}"),
                lambda loaded=loaded: loaded, task=source,  # type: ignore[misc]
            )  # fmt: skip

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("title"), _text(row.get("description")))
        if row.get("done"):
            draft.complete(_moment(row.get("done_at"), draft))
        for name, field, label in (
            ("due_date", "due_date", "Due"), ("start_date", "start_date", "Start"),
            ("created", "created_at", "Created"), ("updated", "updated_at", "Updated"),
        ):  # fmt: skip
            draft.put_date(field, row.get(name), label)
        if not means_no_date(row.get("end_date")):
            draft.keep("end_date", row.get("end_date"), "End")
        draft.put_tags(text_at(label, "title") for label in objects(row.get("labels")))
        self._put_priority(draft, row)
        self._put_reminders(draft, row)
        _put_rule(draft, row)
        draft.put("favorite", bool(row.get("is_favorite")) or None)
        self._keep_others(draft, row)
        return draft.loaded()

    def _put_priority(self, draft: Draft, row: Row) -> None:
        number = int(number_at(row, "priority"))
        known = 0 <= number < len(VIKUNJA_PRIORITIES)
        draft.put("priority", VIKUNJA_PRIORITIES[number] if known else "none")
        if number == len(VIKUNJA_PRIORITIES) - 1 or not known:
            draft.note("priority", "Priorities here end with urgent.", number, Deviation.CHANGED)

    def _put_reminders(self, draft: Draft, row: Row) -> None:
        for reminder in objects(row.get("reminders")):
            moment, kind = _moment(reminder.get("reminder"), draft), text_at(reminder, "relative_to")
            if kind == "due_date" and draft.due is not None:
                draft.remind(spell_seconds(int(number_at(reminder, "relative_period"))))
            elif moment is not None:
                draft.remind(moment)
        for written in [*items_of(row.get("reminder_dates")), *items_of(row.get("reminders"))]:  # of older versions
            if (moment := _moment(written, draft)) is not None:
                draft.remind(moment)

    def _keep_others(self, draft: Draft, row: Row) -> None:
        if done := number_at(row, "percent_done"):
            draft.keep("percent_done", f"{round(done * 100)} %", "Done")
        for person in objects(row.get("assignees")):
            draft.keep("assignees", text_at(person, "name") or text_at(person, "username"), "Assigned to")
        for attachment in objects(row.get("attachments")):
            name = text_at(attachment, "file", "name") or f"file {text_at(attachment, 'id')}"
            draft.keep("attachments", name, "Attachment", ONLY_NAME)
        related = row.get("related_tasks")
        for kind, label in RELATION_LABELS.items():
            for other in objects(related.get(kind) if isinstance(related, dict) else None):
                draft.keep(f"related_tasks.{kind}", text_at(other, "title"), label, "Tasks are not linked here")
        bucket = self._bucket_of.get(text_at(row, "id")) or text_at(row, "bucket_id")
        if (title := self._buckets.get(bucket)) and not row.get("done"):
            draft.put_section("bucket_id", title)
        if row.get("hex_color"):
            draft.note("hex_color", "A task has no color: it was left out.", row["hex_color"])


def read_vikunja(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    return Vikunja(document, context).rows()


def _source_of(row: Row) -> str:
    """Returns what identifies a task: every installation of Vikunja counts from 1."""
    return bounded_source_id(f"vikunja:{text_at(row, 'id')}:{text_at(row, 'created')}")


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return markup_text(text) if is_markup(text) else text


def _moment(written: object, draft: Draft) -> Any:
    return None if means_no_date(written) else read_moment(written, draft.zone)


def _put_rule(draft: Draft, row: Row) -> None:
    """Puts the rule of ``repeat_after``, in seconds; mode 1 is monthly, 2 counts from the completion."""
    seconds, mode = int(number_at(row, "repeat_after")), int(number_at(row, "repeat_mode"))
    from_completion = mode == 2 or bool(row.get("repeat_from_current_date"))
    if mode == 1:
        draft.repeat("FREQ=MONTHLY", "every month")
    elif seconds > 0:
        draft.repeat(_rule_of(seconds), f"every {seconds} seconds", from_completion=from_completion)


def _rule_of(seconds: int) -> str | None:
    if seconds % _DAY_SECONDS:
        return None
    unit, length = ("WEEKLY", _WEEK_SECONDS) if seconds % _WEEK_SECONDS == 0 else ("DAILY", _DAY_SECONDS)
    number = seconds // length
    return f"FREQ={unit}" + (f";INTERVAL={number}" if number > 1 else "")
