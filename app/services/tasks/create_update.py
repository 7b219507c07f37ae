"""Getting, putting and updating tasks, and where a task may be placed.

A write of one row is one statement. A write that must reach other rows (projects, subtasks, series) is recognised by
that statement writing nothing, or by the fields sent, and continues with the same revision; so does one that another
write came before.
"""

from typing import Any

from pydantic import MISSING

from app.db.changes import TAKE_NEXT_REVISION
from app.db.session import Session
from app.domain.recurrence import parse_rule
from app.errors import AlreadyExists, FieldNeeded, OtherProject, StatusConflict, TaskNotFound, TooManyTags
from app.models.task_fields import STATUS_FIELDS, TAGS_MAX, TaskStatus, contradicts, state_of
from app.models.task_rows import due_of, task_row
from app.models.tasks import TaskCreate, TaskUpdate
from app.schemas.task_bulk import BulkChange
from app.services.changes.entities import TASK_ENTITY
from app.services.channels.create_update import NO_TASK, require_channels
from app.services.merge import merge_change
from app.services.projects import require_project
from app.services.tasks.completion import write_completed
from app.services.tasks.creation import create_task
from app.services.tasks.due_dates import NO_SERIES, resolve_due_date
from app.services.tasks.remind_at import resolve_reminders
from app.services.tasks.series import schedule
from app.services.tasks.statements import (
    COMPLETION_ACTION,
    SELECT_TASK,
    Row,
    select_for_write,
    update_rows_statement,
    update_statement,
    write_if_alone,
    write_task,
)
from app.services.tasks.subtasks import Turn, find_parent, select_trees, write_trees_statement
from app.services.uids import (
    PutCondition,
    find_put_target,
    require_own_uid,
    resolve_uids,
)
from app.services.users import lock_owner

Rows = dict[int, Row]
SENT_PLACE_FIELDS = {"project_id", "parent_id"}
# Fields whose change is never about one row alone.
REACHING_FIELDS = SENT_PLACE_FIELDS | {"recurrence", "recurrence_from"}
# The values that null stands for.
NULL_DEFAULTS: Row = {"status": "pending", "priority": "medium", "tags": [], "reminders": [], "recurrence_from": "due"}
NULL_DEFAULTS |= {"favorite": False}
# Completing a recurring task moves its due date, so it conflicts with a write that has moved it.
COMPLETED_SERIES = frozenset({"completed", "recurrence", "due_date"})


async def get_task(session: Session, owner: str, task_id: int) -> Any:
    """Returns a task. Raises TaskNotFound, also for a task in the trash or of another user."""
    row = (await session.exec(SELECT_TASK, {"owner": owner, "task_id": task_id})).first()
    if row is None:
        raise TaskNotFound
    return task_row(row)


async def update_task(
    session: Session, owner: str, task_id: int, change: TaskUpdate, *, versions: list[int] | None = None
) -> Any:
    """Writes the fields that were sent. Raises TaskNotFound; VersionConflict when ``versions`` lacks the current.

    Also UnknownReference, OtherProject, TooDeep, InvalidRecurrence, DueDateNeeded, StatusConflict, OtherUid; what
    ``merge_change`` raises.
    """
    row = await _write_fields(session, owner, task_id, change, versions)
    require_own_uid(change, row)
    return row


async def _write_fields(
    session: Session, owner: str, task_id: int, change: TaskUpdate, versions: list[int] | None
) -> Any:
    change = await resolve_uids(session, owner, change)
    fields = {name: getattr(change, name) for name in change.model_fields_set - change.ABOUT}
    if contradicts(fields):
        fields = await _without_old_status(session, owner, task_id, fields)
    if change.base_version is not MISSING:
        await lock_owner(session, owner)
        task = await get_task(session, owner, task_id)
        yours = await _read_values(session, owner, fields, task_id)
        linked = [COMPLETED_SERIES] if task.recurrence is not None else []
        fields = await merge_change(
            session, owner, TASK_ENTITY, change, row=task, yours=yours, versions=versions, linked=linked
        )
        if not fields:
            return task
    values = await _columns_of(session, owner, fields, task_id)
    if not REACHING_FIELDS.isdisjoint(values) or values.get("state") == TaskStatus.CANCELLED:
        await lock_owner(session, owner)
        task = await select_for_write(session, owner, task_id, versions)
        return await change_task(session, owner, task, values, revision_taken=False)
    completes = values.get("completed") is True
    statement = update_statement(frozenset(values), checks_version=versions is not None, alone=completes)
    row = await write_if_alone(session, owner, statement, task_id, versions, values)
    if row is not None:
        return row
    task = await select_for_write(session, owner, task_id, versions)
    return await change_task(session, owner, task, values, revision_taken=True)


async def _without_old_status(session: Session, owner: str, task_id: int, fields: Row) -> Row:
    """Returns ``fields`` without the one of ``status`` and ``completed`` that the task has.

    Clients send back what they got: of two that contradict each other, the new one counts. Raises StatusConflict if
    both are new.
    """
    await lock_owner(session, owner)
    task = await get_task(session, owner, task_id)
    old = {name for name in STATUS_FIELDS if getattr(task, name) == fields[name]}
    if not old:
        raise StatusConflict(loc=("body", "status"))
    return {name: value for name, value in fields.items() if name not in old}


async def put_task(
    session: Session,
    owner: str,
    target: int | str,
    change: TaskUpdate,
    *,
    versions: list[int] | None,
    condition: PutCondition,
) -> tuple[Any, bool]:
    """Changes a task, or creates one with the uid if there is none. Returns it, and whether it is new.

    Raises what ``create_task``, ``update_task`` and ``find_put_target`` raise, and FieldNeeded without a title.
    """
    task_id = await find_put_target(session, owner, "task", target, change, condition)
    if task_id is not None:
        if not condition.may_change:
            await get_task(session, owner, task_id)
            raise AlreadyExists
        return await update_task(session, owner, task_id, change, versions=versions), False
    assert isinstance(target, str), "a task that has an id is changed"
    # null stands for the default, as in a change.
    fields = {name: value for name in change.model_fields_set if (value := getattr(change, name)) is not None}
    if "title" not in fields:
        raise FieldNeeded(loc=("body", "title"))
    fields["uid"] = target
    task = await create_task(session, owner, TaskCreate.model_construct(set(fields), **fields))
    require_own_uid(change, task)
    return task, True


async def change_task(session: Session, owner: str, task: Row, values: Row, *, revision_taken: bool) -> Any:
    """Writes ``values`` (columns) to ``task``, and what follows from them, as one write. The owner must be locked.

    ``revision_taken``: this transaction has taken its revision.

    Raises UnknownReference, OtherProject, TooDeep, InvalidRecurrence.
    """
    task_id = task["id"]
    if values.keys() & SENT_PLACE_FIELDS:
        values = {**values, **(await place_tasks(session, owner, {task_id: task}, values, loc=("body",)))[task_id]}
    if "recurrence" in values:
        values = {**values, **await _schedule_again(session, owner, task, values)}
    below: Turn | None = None
    if values.get("completed") and not task["completed"]:
        row, below = await write_completed(session, owner, task, values, revision_taken=revision_taken)
    else:
        below = "cancelled" if values.get("state") == TaskStatus.CANCELLED else None
        row = await write_task(session, owner, task_id, values, revision_taken=revision_taken)
    project_id = values.get("project_id", task["project_id"])
    moves = project_id != task["project_id"]
    if moves or below is not None:
        parameters = {"owner": owner, "ids": [task_id], "project_id": project_id}
        await session.exec(write_trees_statement(moves=moves, turn=below), parameters)
    return row


async def update_tasks(
    session: Session, owner: str, change: BulkChange, tasks: Rows, *, keys: dict[int, str] | None = None
) -> int | None:
    """Writes ``change`` to ``tasks``, and ``keys`` as their positions. The owner must be locked.

    Returns the revision of the write; None when no task changed. Raises UnknownReference, TooDeep, TooManyTags,
    DueDateNeeded.
    """
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    added, removed = fields.pop("add_tags", None), fields.pop("remove_tags", None)
    values = await _columns_of(session, owner, fields, NO_TASK, loc=("body", "change"))
    own: Rows = {task_id: {} for task_id in tasks}
    if added is not None or removed is not None:
        own = {task_id: _change_tags(row["tags"], added or [], removed or []) for task_id, row in tasks.items()}
    moves = False
    if place := {name: values.pop(name) for name in SENT_PLACE_FIELDS & values.keys()}:
        places = await place_tasks(session, owner, tasks, place, loc=("body", "change"))
        own = {task_id: own[task_id] | places[task_id] for task_id in tasks}
        moves = any(own[task_id]["project_id"] != row["project_id"] for task_id, row in tasks.items())
    if keys is not None:
        own = {task_id: own[task_id] | {"moved_to": keys[task_id]} for task_id in tasks}
    wanted = {task_id: own[task_id] for task_id, row in tasks.items() if keys or _differs(row, values | own[task_id])}
    if not wanted:
        return None
    revision: int = (await session.exec(TAKE_NEXT_REVISION, {"owner": owner})).one()
    rows = [{"id": task_id, **columns} for task_id, columns in wanted.items()]
    action = COMPLETION_ACTION if "completed" in values else "updated"
    statement = update_rows_statement(frozenset(values), frozenset(rows[0]) - {"id"}, action)
    await session.exec(statement, {"owner": owner, "rows": rows, **values})
    turn: Turn | None = "cancelled" if values.get("state") == TaskStatus.CANCELLED else None
    if moves or turn:
        parameters = {"owner": owner, "ids": list(wanted), "project_id": rows[0].get("project_id")}
        await session.exec(write_trees_statement(moves=moves, turn=turn), parameters)
    return revision


async def place_tasks(
    session: Session, owner: str, tasks: Rows, fields: Row, *, loc: tuple[str, ...]
) -> dict[int, Row]:
    """Returns the columns of each task's place.

    One column determines the other: a subtask is in its parent's project. Clients send back what they got: of two
    fields that contradict each other, the new one counts. The owner must be locked. Raises UnknownReference,
    OtherProject, TooDeep, at a field below ``loc``.
    """
    parent_id, project_id = fields.get("parent_id"), fields.get("project_id")
    below = [task_id for task_id, row in tasks.items() if parent_id not in (None, row["parent_id"])]
    parents_project = None
    if below and parent_id is not None:
        parents_project = await find_parent(session, owner, parent_id, below, loc=(*loc, "parent_id"))
    elsewhere = [
        task_id for task_id, row in tasks.items() if "project_id" in fields and project_id != row["project_id"]
    ]
    moved_too: set[int] = set()
    if len(tasks) > 1 and any(tasks[task_id]["parent_id"] is not None for task_id in elsewhere):
        moved_too = {row.id for row in await select_trees(session, owner, tasks)}
    if project_id is not None and set(elsewhere) - set(below):
        await require_project(session, owner, project_id, loc=(*loc, "project_id"))
    places = {}
    for task_id, row in tasks.items():
        above = fields.get("parent_id", row["parent_id"])
        if task_id in below:
            if task_id in elsewhere and project_id != parents_project:
                raise OtherProject(loc=(*loc, "project_id"))
            places[task_id] = {"parent_id": above, "project_id": parents_project}
        elif task_id in elsewhere:  # which takes it from its parent, unless that moves with it
            places[task_id] = {"parent_id": above if above in moved_too else None, "project_id": project_id}
        else:
            places[task_id] = {"parent_id": above, "project_id": row["project_id"]}
    return places


async def _columns_of(
    session: Session, owner: str, fields: Row, task_id: int, *, loc: tuple[str, ...] = ("body",)
) -> Row:
    """Returns the columns that hold the fields of a change, with the defaults that null stands for.

    Raises UnknownReference, at a field below ``loc``, for a channel that is not there, unless the task names it.
    """
    values = {
        name: NULL_DEFAULTS[name] if value is None and name in NULL_DEFAULTS else value
        for name, value in fields.items()
    }
    if "status" in values and (fields["status"] is not None or "completed" not in values):
        values["completed"] = values["status"] == TaskStatus.COMPLETED
        values["state"] = state_of(values["status"])
    values.pop("status", None)
    if "due_date" in values:
        values |= await resolve_due_date(session, owner, values.pop("due_date"))
    if "start_date" in values:
        values |= await resolve_due_date(session, owner, values.pop("start_date"), "start")
    if "reminders" in values:
        values["reminders"] = await resolve_reminders(session, owner, values["reminders"])
    if "remind_channels" in values:
        channels = values["remind_channels"]
        await require_channels(session, owner, channels, task_id=task_id, loc=(*loc, "remind_channels"))
    return values


async def _read_values(session: Session, owner: str, fields: Row, task_id: int) -> Row:
    """Returns the fields of a change as a GET returns them afterwards. Raises InvalidRecurrence, UnknownReference."""
    values = await _columns_of(session, owner, fields, task_id)
    if "due_date" in fields:
        values["due_date"] = due_of(values)
    if "start_date" in fields:
        values["start_date"] = due_of(values, "start")
    if "status" in fields:
        values["status"] = TaskStatus.COMPLETED if values["completed"] else values.get("state", TaskStatus.PENDING)
    if values.get("recurrence") is not None:
        values["recurrence"] = str(parse_rule(values["recurrence"]))
    return {name: values[name] for name in fields}


def _differs(row: Row, values: Row) -> bool:
    return any(row[name] != value for name, value in values.items())


def _change_tags(tags: list[str], added: list[str], removed: list[str]) -> Row:
    """Raises TooManyTags."""
    changed = list(dict.fromkeys([*(tag for tag in tags if tag not in removed), *added]))
    if len(changed) > TAGS_MAX:
        raise TooManyTags(loc=("body", "change", "add_tags"))
    return {"tags": changed}


async def _schedule_again(session: Session, owner: str, task: Row, values: Row) -> Row:
    """Returns the columns of a series: a new rule begins one, the same one changes nothing, null ends it."""
    if values["recurrence"] is None:
        return NO_SERIES
    series = await schedule(session, owner, values["recurrence"], due_of({**task, **values}))
    return {"recurrence": task["recurrence"]} if series["recurrence"] == task["recurrence"] else series
