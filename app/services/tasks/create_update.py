"""What can be done with tasks. Each function runs in the caller's transaction and touches only ``owner``'s rows.

A write that is about one row is one statement. What reaches further (projects, subtasks, recurrence) is found out by
that statement writing nothing, or by the fields sent, and goes on in ``task_changes`` under the same number.
"""

from functools import lru_cache
from typing import Any

from pydantic import MISSING
from sqlalchemy import bindparam, case, exists, func, insert, null, or_, select

from app.db.changes import OWNER, REVISION
from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import TaskNotFound
from app.models.task_fields import RecurrenceFrom
from app.models.task_rows import task_row
from app.models.tasks import TASKS, TaskCreate, TaskUpdate
from app.schemas.task_actions import TaskMove
from app.services.tasks.cascades import FAR, change_task, look_at_task, place_of_new, skip_occurrence
from app.services.tasks.reminders import remind_at, remind_at_after, resolve_reminders
from app.services.tasks.reordering import find_place, places
from app.services.tasks.series import schedule
from app.services.tasks.statements import (
    COMPLETED,
    IS_SIMPLE,
    LIVE,
    MINE,
    NOW,
    READ,
    SET,
    TOGGLED,
    UNDISTURBED,
    changed,
    child,
    completed_at,
    numbered_task,
    update_statement,
)
from app.services.tasks.subtasks import DELETE_TREE, RESTORE_TREE, find_return
from app.services.users import lock_owner, to_due_columns

PLACES = places("tasks")
GET = Prepared(select(*READ).where(*MINE, LIVE))


@lru_cache(maxsize=64)
def _create(more: frozenset[str] = frozenset()) -> Prepared:
    """An INSERT of the fields that every task has, and of the columns ``more``."""
    values: dict[str, Any] = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(more)}
    due = {name: bindparam(name, type_=TASKS.c[name].type) for name in ("due_on", "due_at")}
    if "reminders" in values:
        known = {**due, "reminders": values["reminders"], "completed": COMPLETED}
        values["remind_at"] = remind_at(deleted_at=None, **known)
    statement = insert(TASKS).values(
        user_id=OWNER,
        title=bindparam("title"),
        description=bindparam("description"),
        completed=COMPLETED,
        completed_at=case((COMPLETED, func.now()), else_=null()),
        priority=bindparam("priority"),
        tags=bindparam("tags"),
        version=REVISION,
        **due,
        **values,
    )
    return numbered_task(statement, "created")


CREATE = _create()


@lru_cache
def _delete(guarded: bool) -> Prepared:
    has_subtasks = exists().where(
        child.c.user_id == OWNER, child.c.parent_id == TASKS.c.id, child.c.deleted_at.is_(None)
    )
    statement = changed(guarded=guarded, deleted_at=NOW, remind_at=null())
    return numbered_task(statement.where(~has_subtasks, UNDISTURBED), "deleted")


@lru_cache
def _complete(toggle: bool, guarded: bool) -> Prepared:
    completed = ~TASKS.c.completed if toggle else COMPLETED
    values = {"completed_at": completed_at(completed), "remind_at": remind_at_after(completed=completed)}
    statement = changed(guarded=guarded, completed=completed, **values)
    if toggle:
        return numbered_task(statement.where(IS_SIMPLE, UNDISTURBED), TOGGLED)
    return numbered_task(statement.where(or_(~COMPLETED, IS_SIMPLE)), SET)


async def get_task(session: Session, owner: str, task_id: int) -> Any:
    """Raises TaskNotFound, also for a task in the trash or of somebody else."""
    row = (await session.exec(GET, {"owner": owner, "task_id": task_id})).first()
    if row is None:
        raise TaskNotFound
    return task_row(row)


async def create_task(session: Session, owner: str, task: TaskCreate) -> Any:
    """Raises UnknownReference, OtherProject, TooDeep, InvalidRecurrence."""
    due_on, due_at = await to_due_columns(session, owner, task.due_date)
    values = {
        "owner": owner,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "priority": task.priority,
        "due_on": due_on,
        "due_at": due_at,
        "tags": task.tags,
    }
    more: dict[str, Any] = {}
    if task.project_id is not None or task.parent_id is not None:
        await lock_owner(session, owner)
        more |= await place_of_new(session, owner, task.project_id, task.parent_id)
    if task.recurrence is not None:
        series = await schedule(session, owner, task.recurrence, due_at if due_on is None else due_on)
        values |= {name: series.pop(name) for name in ("due_on", "due_at")}
        more |= series
    if task.recurrence_from is not RecurrenceFrom.DUE:
        more["recurrence_from"] = task.recurrence_from
    if task.reminders:
        more["reminders"] = await resolve_reminders(session, owner, task.reminders)
    return task_row((await session.exec(_create(frozenset(more)), values | more)).one())


async def update_task(
    session: Session, owner: str, task_id: int, change: TaskUpdate, *, versions: list[int] | None = None
) -> Any:
    """Write the fields that were sent. Raises TaskNotFound; VersionConflict when ``versions`` lacks the current.

    Also UnknownReference, OtherProject, TooDeep, InvalidRecurrence, DueDateNeeded.
    """
    values: dict[str, Any] = {name: getattr(change, name) for name in change.model_fields_set}
    if (due := values.pop("due_date", MISSING)) is not MISSING:
        values["due_on"], values["due_at"] = await to_due_columns(session, owner, due)
    if "reminders" in values:
        values["reminders"] = await resolve_reminders(session, owner, values["reminders"])
    for name, default in (("priority", "medium"), ("tags", []), ("recurrence_from", "due")):
        if name in values and values[name] is None:
            values[name] = default
    if not FAR.isdisjoint(values):
        await lock_owner(session, owner)
        task = await look_at_task(session, owner, task_id, versions)
        return await change_task(session, owner, task, values, taken=False)
    if "completed" in values:
        await lock_owner(session, owner)
    completes = values.get("completed") is True
    statement = update_statement(frozenset(values), guarded=versions is not None, simple=completes)
    row = await _write_one(session, statement, owner, task_id, versions, values)
    if row is not None:
        return row
    task = await look_at_task(session, owner, task_id, versions)
    return await change_task(session, owner, task, values, taken=True)


async def complete_task(
    session: Session,
    owner: str,
    task_id: int,
    completed: bool | None,
    *,
    keep_subtasks: bool = False,
    versions: list[int] | None = None,
) -> Any:
    """Set, or toggle when ``completed`` is None. Raises TaskNotFound and VersionConflict.

    Open subtasks are completed, too, unless ``keep_subtasks``; a recurring task goes on to its next date.
    """
    if completed is not None:
        await lock_owner(session, owner)
    statement = _complete(completed is None, versions is not None)
    row = await _write_one(session, statement, owner, task_id, versions, {"completed": completed})
    if row is not None:
        return row
    task = await look_at_task(session, owner, task_id, versions)
    values = {"completed": not task["completed"] if completed is None else completed}
    return await change_task(session, owner, task, values, keep_subtasks=keep_subtasks, taken=True)


async def skip_task(session: Session, owner: str, task_id: int, *, versions: list[int] | None = None) -> Any:
    """A recurring task goes on to its next date, with nothing done.

    Raises TaskNotFound, VersionConflict, NotRecurring.
    """
    await lock_owner(session, owner)
    return await skip_occurrence(session, owner, await look_at_task(session, owner, task_id, versions))


async def move_task(
    session: Session, owner: str, task_id: int, move: TaskMove, *, versions: list[int] | None = None
) -> Any:
    """Directly before or after another task, else behind all; into another project or below another task if told.

    Raises TaskNotFound, VersionConflict, UnknownReference, OtherProject, TooDeep, NoRoomBetween.
    """
    await lock_owner(session, owner)
    task = await look_at_task(session, owner, task_id, versions)
    values = {name: getattr(move, name) for name in move.model_fields_set & {"project_id", "parent_id"}}
    key = await find_place(session, owner, PLACES, task_id, before=_id(move.before), after=_id(move.after))
    return await change_task(session, owner, task, {**values, "moved_to": key}, taken=False)


async def delete_task(session: Session, owner: str, task_id: int, *, versions: list[int] | None = None) -> Any:
    """Move to the trash, with all below it. Raises TaskNotFound and VersionConflict."""
    row = await _write_one(session, _delete(versions is not None), owner, task_id, versions, {})
    if row is not None:
        return row
    await look_at_task(session, owner, task_id, versions)
    rows = (await session.exec(DELETE_TREE, {"owner": owner, "task_id": task_id})).all()
    return next(task_row(row) for row in rows if row[0] == task_id)


async def restore_task(session: Session, owner: str, task_id: int) -> Any:
    """Bring back from the trash, with what below it went there together with it. Raises TaskNotFound.

    A task that is not in the trash stays as it is, without a number. Where parent or project are no longer there, it
    comes back at the top, in the inbox.
    """
    await lock_owner(session, owner)  # nobody else can restore it between the look and the write
    live = (await session.exec(GET, {"owner": owner, "task_id": task_id})).first()
    if live is not None:
        return task_row(live)
    place = await find_return(session, owner, task_id)
    if place is None:
        raise TaskNotFound
    rows = (await session.exec(RESTORE_TREE, {"owner": owner, "task_id": task_id, **place._asdict()})).all()
    return next(task_row(row) for row in rows if row[0] == task_id)


async def _write_one(
    session: Session, statement: Prepared, owner: str, task_id: int, versions: list[int] | None, values: dict[str, Any]
) -> Any:
    """The row; None when there is none, or the write reaches further. The number is taken in any case."""
    params = {"owner": owner, "task_id": task_id, "versions": versions, **values}
    row = (await session.exec(statement, params)).first()
    return None if row is None else task_row(row)


def _id(sent: int | MISSING) -> int | None:
    return None if sent is MISSING else sent
