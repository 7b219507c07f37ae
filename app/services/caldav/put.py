"""Writing a calendar object as a task.

Of a task that is there, only what the app has changed is written: each group of lines is compared with what the app was
given. So a value that lines cannot say, such as a priority between two numbers, outlives a change of another one.
"""

from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.clock import now
from app.db.session import Session
from app.errors import AlreadyExists, DoesNotExist, UidConflict, VersionConflict
from app.models.task_fields import RecurrenceFrom, TaskStatus
from app.services.caldav.calendar_blocks import meaning_of
from app.services.caldav.collections import Collection
from app.services.caldav.done_copies import find_apps_copy, replace_own_copy
from app.services.caldav.kept_lines import GROUP_COLUMNS, group_lines, keep
from app.services.caldav.objects import OBJECT_SUFFIX, find_object_by_uid, find_objects, require_object_name
from app.services.caldav.overrides import apply_overrides, complete_object
from app.services.caldav.parents import link_children, place_object
from app.services.caldav.series_dates import read_date_change, read_past_occurrence
from app.services.caldav.todo_reader import SentObject, TodoFields, read_object
from app.services.caldav.todo_writer import TodoWriter, values_of
from app.services.tasks.completion import after_occurrence
from app.services.tasks.create_update import change_task
from app.services.tasks.creation import create_statement
from app.services.tasks.due_dates import NO_SERIES, due_columns
from app.services.tasks.series import here_and_now
from app.services.tasks.statements import write_task
from app.services.tasks.trash import restore_task
from app.services.transfer.import_row import SOURCE_MAX
from app.services.users import get_timezone, lock_or_create_owner

Row = dict[str, Any]
# Columns that every change writes, so that few statements are prepared.
OBJECT_WRITE_COLUMNS = (
    "title", "description", "priority", "tags", "due_on", "due_at", "start_on", "start_at", "reminders", "ical",
    "dav_name", "parent_wanted",
)  # fmt: skip
STATUS_COLUMNS = ("completed", "state")
STILL_OPEN: Row = {"completed": False}
SERIES_COLUMNS = ("recurrence", "recurrence_from", "occurrences_done", "anchor_on", "anchor_at")


class ObjectCondition(NamedTuple):
    """The condition of a write: If-Match with its ``versions``, or any (``must_exist``); If-None-Match: *."""

    versions: list[int] | None = None
    must_exist: bool = False
    must_be_new: bool = False

    def require(self, row: Any) -> None:
        """Raises AlreadyExists, DoesNotExist and VersionConflict; ``row`` is what the name stands for, or None."""
        if row is not None and self.must_be_new:
            raise AlreadyExists
        if row is None and (self.must_exist or self.versions is not None):
            raise DoesNotExist
        if row is not None and self.versions is not None and row["version"] not in self.versions:
            raise VersionConflict


class PutOutcome(NamedTuple):
    """The effect of a PUT: ``version`` is that of the object if a GET returns the bytes that were sent."""

    created: bool
    version: int | None


async def put_object(
    session: Session,
    owner: str,
    collection: Collection,
    name: str,
    body: bytes,
    *,
    condition: ObjectCondition,
    description_max: int,
) -> PutOutcome:
    """Writes a calendar object.

    A task with its UID that is elsewhere moves here, and one in the trash is restored. Raises CalendarDataRefused,
    ComponentRefused, ObjectTooLarge, UidConflict, and what ``condition`` does.
    """
    require_object_name(name)
    timezone = await get_timezone(session, owner)
    sent = read_object(body, ZoneInfo(timezone), description_max)
    await lock_or_create_owner(session, owner)
    named = (await find_objects(session, owner, collection, [name])).get(name)
    condition.require(named)
    if named is not None and named["uid"] != sent.row_uid:
        raise UidConflict
    row = dict(named) if named is not None else await find_object_by_uid(session, owner, sent.row_uid)
    if row is not None and row["deleted_at"] is not None:
        await restore_task(session, owner, row["id"])
        row = await find_object_by_uid(session, owner, sent.row_uid)
    dav_name = None if name == f"{sent.row_uid}{OBJECT_SUFFIX}" else name
    if row is None:
        task_id = await _create(session, owner, collection, sent, dav_name)
    else:
        task_id = row["id"]
        sent = complete_object(sent, TodoWriter(timezone).object(row), ZoneInfo(timezone), description_max)
        has_read = condition.versions is not None
        await _update(session, owner, collection, sent, dav_name, row, timezone, has_read=has_read)
    await apply_overrides(session, owner, task_id, sent)
    await link_children(session, owner, sent.row_uid, task_id, collection.project_id)
    written = await find_object_by_uid(session, owner, sent.row_uid)
    assert written is not None
    is_same = TodoWriter(timezone).object(written).encode() == body
    return PutOutcome(named is None, written["version"] if is_same else None)


def _keep(sent: SentObject, row: Row) -> Row:
    """Returns ``ical`` for the columns of ``row``."""
    values = {group: values_of(row, group) for group in GROUP_COLUMNS}
    uid = None if sent.uid == sent.row_uid else sent.uid
    excluded = sent.fields.spelled_exclusions() if row["recurrence"] is not None else []
    return keep(sent.text, uid, [alarm.reminder for alarm in sent.fields.alarms], values, excluded)


def _text_columns(fields: TodoFields) -> Row:
    return {"title": fields.title, "description": fields.description, "priority": fields.priority, "tags": fields.tags}


def _status_columns(fields: TodoFields) -> Row:
    return {"completed": fields.completed, "state": fields.state}


def _reminders_of(fields: TodoFields) -> list[str]:
    return [*dict.fromkeys(alarm.reminder for alarm in fields.alarms if alarm.reminder is not None)]


async def _create(session: Session, owner: str, collection: Collection, sent: SentObject, dav_name: str | None) -> int:
    fields = sent.fields
    dates = fields.dates
    place = await place_object(session, owner, fields.parent, collection.project_id)
    row: Row = {
        **_text_columns(fields),
        **_status_columns(fields),
        **due_columns(dates.due),
        **due_columns(dates.start, "start"),
        **NO_SERIES,
        "recurrence_from": RecurrenceFrom.COMPLETION if dates.from_completion else RecurrenceFrom.DUE,
        "reminders": _reminders_of(fields),
        "project_id": collection.project_id,
        "completed_at": (fields.completed_at or now()) if fields.completed else None,
        "source_id": sent.uid if sent.uid != sent.row_uid and len(sent.uid) <= SOURCE_MAX else None,
        "dav_name": dav_name,
        **place.columns,
    }
    if dates.recurrence is not None:
        row |= {"recurrence": dates.recurrence, **due_columns(dates.due, "anchor")}
    row["ical"] = _keep(sent, {**row, "parent_uid": fields.parent})
    row["series_id"] = await replace_own_copy(session, owner, row)
    every = ("title", "description", "completed", "priority", "tags", "due_on", "due_at")
    values = {name: row.pop(name) for name in every} | {"owner": owner, "uid": sent.row_uid}
    made = (await session.exec(create_statement(frozenset(row)), values | row)).one()
    task_id: int = made[0]
    return task_id


async def _update(
    session: Session,
    owner: str,
    collection: Collection,
    sent: SentObject,
    dav_name: str | None,
    row: Row,
    timezone: str,
    *,
    has_read: bool,
) -> None:
    """Writes what differs from the task; an app that ``has_read`` it as it is means what it sends."""
    fields = sent.fields
    groups, _ = group_lines(sent.master)
    given = TodoWriter(timezone).groups(row)
    changed = {group for group, lines in groups.items() if meaning_of(lines) != meaning_of(given[group])}
    past: Row = {}
    if "dates" in changed and not has_read:
        past = await read_past_occurrence(session, owner, sent, groups["dates"], row)
    if past:
        changed -= {"dates", "status"}
    values: Row = {name: row[name] for name in OBJECT_WRITE_COLUMNS}
    for group, column in (("title", "title"), ("description", "description"), ("priority", "priority")):
        if group in changed:
            values[column] = getattr(fields, column)
    if "tags" in changed:
        values["tags"] = fields.tags
    if set(reminders := _reminders_of(fields)) != set(row["reminders"]):
        values["reminders"] = reminders
    values["dav_name"] = dav_name
    if "status" in changed:
        values |= _changed_status(fields, row)
    if "dates" in changed:
        values |= await read_date_change(session, owner, sent, groups["dates"], row)
    parent_uid = fields.parent if "parent" in changed else row["parent_uid"] or row["parent_wanted"]
    if "parent" in changed or row["project_id"] != collection.project_id:
        place = await place_object(session, owner, parent_uid, collection.project_id, task_id=row["id"])
        values |= {"project_id": collection.project_id, **place.columns}
    values["ical"] = _keep(sent, {**row, **values, **past, "parent_uid": parent_uid})
    copy_id = None
    if values.get("completed") and not row["completed"] and "dates" in changed and "status" not in changed:
        copy_id = await find_apps_copy(session, owner, row)
    if copy_id is None:
        await _write(session, owner, row, values)
        return
    columns, _ = after_occurrence(row, await here_and_now(session, owner))
    await change_task(session, owner, row, {**values, **STILL_OPEN, **columns}, revision_taken=False)
    await write_task(session, owner, copy_id, {"series_id": row["id"]})


def _changed_status(fields: TodoFields, row: Row) -> Row:
    status = _status_columns(fields)
    if row["state"] == TaskStatus.WAITING and status == {"completed": False, "state": TaskStatus.PENDING}:
        status["state"] = TaskStatus.WAITING  # which apps have no word for
    if status["completed"] and fields.completed_at is not None:
        status["completed_at"] = fields.completed_at
    return status


async def _write(session: Session, owner: str, row: Row, values: Row) -> None:
    """Writes what differs, with all OBJECT_WRITE_COLUMNS; nothing if nothing does."""
    different = {name for name, value in values.items() if row[name] != value}
    if not different:
        return
    for names in (STATUS_COLUMNS, SERIES_COLUMNS, ("project_id", "parent_id")):
        if different.isdisjoint(names):
            values = {name: value for name, value in values.items() if name not in names}
    await change_task(session, owner, row, values, revision_taken=False)
