"""Completing, reopening and skipping, one task or many.

Completing a task completes its open subtasks, and cancelling it cancels them. A recurring task that is completed moves
to its next due date instead and stays open: the occurrence is kept as a completed task of its own, and its subtasks are
reopened. After its last occurrence the series itself is completed.
"""

import asyncio
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, insert, literal_column, select, true, update

from app.db.changes import CURRENT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.domain.recurrence import Due
from app.errors import NotRecurring
from app.models.task_fields import TaskStatus
from app.models.task_reminders import spell_instant
from app.models.tasks import TASKS, is_open
from app.services.tasks.due_dates import due_columns
from app.services.tasks.series import here_and_now, next_start_of, step_of
from app.services.tasks.statements import (
    COMPLETED_PARAMETER,
    COMPLETES_ALONE,
    COMPLETION_ACTION,
    NO_WRITE_BETWEEN,
    NOT_DELETED,
    OWN_TASKS,
    TASK_IDS,
    Row,
    as_json_values,
    completion_values,
    is_closed,
    joined_write,
    recorded_task_write,
    select_for_write,
    table_of_rows,
    update_own_task,
    update_rows_statement,
    write_if_alone,
    write_task,
)
from app.services.tasks.subtasks import Turn, select_trees, write_trees_statement
from app.services.users import lock_owner

# A toggle always changes ``completed``.
TOGGLE_ACTION: Any = literal_column("case when written.completed then 'completed' else 'reopened' end")
REOPEN_TASKS = joined_write(
    update(TASKS).where(*OWN_TASKS, NOT_DELETED, ~is_open()), "reopened", **completion_values(False)
)
_COPIED_COLUMNS = (
    *("user_id", "title", "description", "priority", "tags", "project_id", "parent_id"),
    *("deadline", "estimate_minutes"),
)
_MOVING_COLUMNS = ("due_on", "due_at", "start_on", "start_at")  # those that have moved on with the series
_occurrences = table_of_rows(frozenset({"uid", "completed_at", *_MOVING_COLUMNS}))
KEEP_OCCURRENCES = recorded_task_write(
    insert(TASKS).from_select(
        [*_COPIED_COLUMNS, "uid", "completed", "completed_at", *_MOVING_COLUMNS, "series_id", "version"],
        select(
            *(TASKS.c[name] for name in _COPIED_COLUMNS),
            _occurrences.c.uid,
            true(),
            func.coalesce(_occurrences.c.completed_at, func.now()),
            *(_occurrences.c[name] for name in _MOVING_COLUMNS),
            TASKS.c.id,
            CURRENT_REVISION,
        )
        .where(TASKS.c.user_id == OWNER, TASKS.c.id == _occurrences.c.id)
        .order_by(func.array_position(TASK_IDS, TASKS.c.id)),
        include_defaults=False,
    ),
    "created",
    columns=["id"],
    revision=CURRENT_REVISION,
)


@lru_cache
def complete_statement(*, toggle: bool, checks_version: bool) -> CompiledStatement:
    """Returns the UPDATE that completes one task, if COMPLETES_ALONE and NO_WRITE_BETWEEN."""
    completed = ~TASKS.c.completed if toggle else COMPLETED_PARAMETER
    statement = update_own_task(checks_version=checks_version, **completion_values(completed))
    alone: Any = COMPLETES_ALONE if toggle else case((COMPLETED_PARAMETER, COMPLETES_ALONE), else_=true())
    action = TOGGLE_ACTION if toggle else COMPLETION_ACTION
    return recorded_task_write(statement.where(alone, NO_WRITE_BETWEEN), action)


def after_occurrence(series: Row, here: tuple[ZoneInfo, datetime]) -> tuple[Row, bool]:
    """Returns the columns of a series once its occurrence is completed or skipped, and whether the series continues."""
    step = step_of(series, *here)
    excluded = frozenset((series.get("ical") or {}).get("excluded", ()))
    while excluded and step.due is not None and _date_key(series, step.due, here[0]) in excluded:
        series = {**series, **_dates_at(series, step.due, here[0]), "occurrences_done": step.occurrences_done}
        step = step_of(series, *here)
    if step.due is None:
        return {"completed": True, "state": TaskStatus.PENDING, "occurrences_done": step.occurrences_done}, False
    columns = _dates_at(series, step.due, here[0])
    return {**columns, "state": TaskStatus.PENDING, "occurrences_done": step.occurrences_done}, True


def _dates_at(series: Row, due: Due, zone: ZoneInfo) -> Row:
    """Returns the columns of the dates of the occurrence that is due at ``due``."""
    return {**due_columns(due), **due_columns(next_start_of(series, due, zone), "start")}


def _date_key(series: Row, due: Due, zone: ZoneInfo) -> str:
    """Returns the date of an occurrence as ``ical`` lists those that a calendar app has taken out of the series."""
    date = next_start_of(series, due, zone) or due
    return spell_instant(date) if isinstance(date, datetime) else date.isoformat()


async def complete_task(
    session: Session,
    owner: str,
    task_id: int,
    completed: bool | None,
    *,
    keep_subtasks: bool = False,
    versions: list[int] | None = None,
    completed_at: datetime | None = None,
) -> Any:
    """Sets ``completed``, or toggles it when None. Raises TaskNotFound and VersionConflict.

    A series takes ``completed_at``, if an app has said when its occurrence was completed.

    With ``keep_subtasks`` its subtasks stay open, unless the series continues: then all subtasks are reopened for the
    next occurrence.
    """
    statement = complete_statement(toggle=completed is None, checks_version=versions is not None)
    row = await write_if_alone(session, owner, statement, task_id, versions, {"completed": completed})
    if row is not None:
        return row
    task = await select_for_write(session, owner, task_id, versions)
    values: Row = {"completed": not task["completed"] if completed is None else completed}
    if task["completed"] or not values["completed"]:
        return await write_task(session, owner, task_id, values, revision_taken=True)
    if completed_at is not None:
        values["completed_at"] = completed_at
    row, below = await write_completed(session, owner, task, values, keep_subtasks=keep_subtasks, revision_taken=True)
    if below is not None:
        await session.exec(write_trees_statement(turn=below), {"owner": owner, "ids": [task_id]})
    return row


async def write_completed(
    session: Session, owner: str, task: Row, values: Row, *, keep_subtasks: bool = False, revision_taken: bool
) -> tuple[Any, Turn | None]:
    """Writes ``values`` to a task that is not completed, and completes it. The owner must be locked.

    Returns the row, and what must be done to its subtasks.
    """
    below: Turn | None = None if keep_subtasks else "completed"
    after = {**task, **values}
    if after["recurrence"] is None:
        return await write_task(session, owner, task["id"], values, revision_taken=revision_taken), below
    columns, continues = after_occurrence(after, await here_and_now(session, owner))
    left_out = {"completed", "completed_at"} if continues else {"completed"}
    values = {name: value for name, value in values.items() if name not in left_out} | columns
    row = await write_task(session, owner, task["id"], values, revision_taken=revision_taken, action="completed")
    if not continues:
        return row, below
    await _keep_occurrences(session, owner, [after])
    return row, "reopened"


async def complete_tasks(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """Completes open tasks. The owner must be locked, and the revision taken.

    Where one is below another, the ancestor is completed, with its subtasks.
    """
    tree = await select_trees(session, owner, targets)
    lower = {row.id for row in tree if row.id != row.root}
    series = [row for task_id, row in targets.items() if task_id not in lower and row["recurrence"] is not None]
    last: list[Row] = []
    continuing: list[Row] = []
    here = await here_and_now(session, owner) if series else None
    for row in series:
        assert here is not None
        columns, continues = after_occurrence(row, here)
        (continuing if continues else last).append({"id": row["id"], **as_json_values(columns)})
        await asyncio.sleep(0)  # a step can take milliseconds, and other requests wait
    open_again = {row["id"] for row in continuing}
    for rows in (last, continuing):
        if rows:
            statement = update_rows_statement(frozenset(), frozenset(rows[0]) - {"id"}, "completed")
            await session.exec(statement, {"owner": owner, "rows": rows})
    if continuing:
        await _keep_occurrences(session, owner, [targets[row["id"]] for row in continuing])
    if completed := targets.keys() - lower - open_again:
        await session.exec(write_trees_statement(turn="completed"), {"owner": owner, "ids": list(completed)})
    if any(row.root in open_again and row.id != row.root for row in tree):
        await session.exec(write_trees_statement(turn="reopened"), {"owner": owner, "ids": list(open_again)})


async def reopen_tasks(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """Reopens tasks that are closed, but not their subtasks. The owner must be locked, and the revision taken."""
    await session.exec(REOPEN_TASKS, {"owner": owner, "ids": list(targets)})


async def skip_task(session: Session, owner: str, task_id: int, *, versions: list[int] | None = None) -> Any:
    """Moves a recurring task to its next due date without completing it; after the last one the series is completed.

    Raises TaskNotFound, VersionConflict, NotRecurring.
    """
    await lock_owner(session, owner)
    task = await select_for_write(session, owner, task_id, versions)
    if task["recurrence"] is None or is_closed(task):
        raise NotRecurring
    columns, continues = after_occurrence(task, await here_and_now(session, owner))
    return await write_task(session, owner, task_id, columns, action="skipped" if continues else "completed")


async def _keep_occurrences(session: Session, owner: str, before: list[Row]) -> None:
    """Keeps the occurrences, in this order, as completed tasks with the dates that their series had ``before``.

    Of an open series ``completed_at`` is that of the occurrence if an app has said it, else null: now.
    """
    names = ("id", "completed_at", *_MOVING_COLUMNS)
    rows = [{"uid": new_uuid7(), **as_json_values({name: row[name] for name in names})} for row in before]
    await session.exec(KEEP_OCCURRENCES, {"owner": owner, "rows": rows, "ids": [row["id"] for row in before]})
