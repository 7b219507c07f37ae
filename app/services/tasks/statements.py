"""Statements about tasks that several verbs share: which rows, which columns, and how a row is written."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    column,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import TaskNotFound, VersionConflict
from app.models.task_fields import CLOSED_STATUSES
from app.models.task_rows import TASK_READ_COLUMNS, task_row
from app.models.tasks import TASKS
from app.services.tasks.remind_at import remind_at, remind_at_after

Row = dict[str, Any]

TASK_COLUMNS = [TASKS.c[name] for name in TASK_READ_COLUMNS]
RECORDED_COLUMNS = kept_columns(TASKS)
TASK_ID = bindparam("task_id", type_=BigInteger)
TASK_IDS = bindparam("ids", type_=ARRAY(BigInteger))
OWN_TASK = (TASKS.c.user_id == OWNER, TASKS.c.id == TASK_ID)
OWN_TASKS = (TASKS.c.user_id == OWNER, TASKS.c.id == func.any(TASK_IDS))
NOT_DELETED = TASKS.c.deleted_at.is_(None)
COMPLETED_PARAMETER = bindparam("completed", type_=Boolean)
TASK_WRITTEN_AT = moment_of(TASKS)
PENDING_STATE: Any = literal_column("'pending'", Text)
# One moment for all that are deleted at once: they are restored together.
DELETED_VALUES: Row = {"deleted_at": select(func.clock_timestamp()).scalar_subquery(), "remind_at": null()}
# Actions that move a series to its next due date: a reminder that waits to be fired was about the date that is over.
ADVANCING_ACTIONS = {"completed", "skipped"}

# The action of a write that sets ``completed`` or ``state``, which may change nothing. ``was``, the row in the snapshot
# of the statement, is the row that it replaces if an earlier one has locked the owner, or if NO_WRITE_BETWEEN.
COMPLETION_CASES = """
         when written.completed and not was.completed then 'completed'
         when not written.completed and written.state = 'cancelled' and (was.completed or was.state <> 'cancelled')
              then 'cancelled'
         when not written.completed and written.state <> 'cancelled' and (was.completed or was.state = 'cancelled')
              then 'reopened'"""
COMPLETION_ACTION: Any = literal_column(f"case {COMPLETION_CASES} else 'updated' end")
# No write came between the statement's snapshot and the owner's lock, which it waits for: the tasks in the snapshot are
# the latest. Else it writes nothing, and the caller reads them under the lock. To lock before costs a round trip.
NO_WRITE_BETWEEN = CURRENT_REVISION + 1 == NEXT_REVISION
_child = TASKS.alias("child")
HAS_SUBTASK = exists().where(_child.c.user_id == OWNER, _child.c.parent_id == TASKS.c.id, _child.c.deleted_at.is_(None))
# Completing it writes no other row. Whether something is open below completed subtasks is left to the statements that
# write trees: it would be one more sub-select, which Citus plans twice at each execution (docs/decisions/citus.md).
COMPLETES_ALONE = or_(TASKS.c.completed, and_(TASKS.c.recurrence.is_(None), ~HAS_SUBTASK))

SELECT_TASK = CompiledStatement(select(*TASK_COLUMNS).where(*OWN_TASK, NOT_DELETED))
SELECT_WHOLE_TASK = CompiledStatement(select(*RECORDED_COLUMNS).where(*OWN_TASK, NOT_DELETED))


def recorded_task_write(
    write: Any, action: Any, *, columns: Sequence[str] = TASK_READ_COLUMNS, revision: ColumnElement[int] = NEXT_REVISION
) -> CompiledStatement:
    """Returns a write of tasks that takes the next revision and returns ``columns`` of each row, in that order."""
    return recorded_write(
        write, entity="task", action=action, returning=RECORDED_COLUMNS, columns=columns, revision=revision
    )


def completion_values(completed: Any) -> Row:
    """Returns the columns of a task that is completed or reopened, by a constant or by an expression.

    A completed task is pending when it is reopened.
    """
    if completed is True:
        return {"completed": true(), "state": PENDING_STATE, "completed_at": TASK_WRITTEN_AT, "remind_at": null()}
    if completed is False:
        opened = {"completed": false(), "state": PENDING_STATE}
        return opened | {"completed_at": null(), "remind_at": remind_at(**opened)}
    moment = case((completed, func.coalesce(TASKS.c.completed_at, TASK_WRITTEN_AT)), else_=null())
    state = case((completed, PENDING_STATE), else_=TASKS.c.state)
    return {
        "completed": completed,
        "state": state,
        "completed_at": moment,
        "remind_at": remind_at_after(completed=completed, state=state),
    }


def is_closed(row: Row) -> bool:
    """Returns whether a row of columns is completed or cancelled."""
    return row["completed"] or row["state"] in CLOSED_STATUSES


def with_derived_values(values: Row, action: str) -> Row:
    """Returns ``values`` with the columns that follow from them."""
    derived = completion_values(values["completed"]) if "completed" in values else {}
    values = derived | values
    if values.keys() & {"completed", "due_on", "reminders"}:
        values["remind_at"] = (remind_at if action in ADVANCING_ACTIONS else remind_at_after)(**values)
    return values


def update_own_task(*, checks_version: bool, revision_taken: bool = False, **values: Any) -> Any:
    """Returns an UPDATE of one task that takes the next revision, or joins the write that has taken it."""
    return update_row(
        TASKS,
        (*OWN_TASK, NOT_DELETED),
        checks_version=checks_version,
        revision=CURRENT_REVISION if revision_taken else NEXT_REVISION,
        **values,
    )


@lru_cache(maxsize=512)
def update_statement(
    columns: frozenset[str],
    *,
    checks_version: bool = False,
    alone: bool = False,
    revision_taken: bool = False,
    action: str = "",
) -> CompiledStatement:
    """Returns an UPDATE of ``columns`` of one task.

    ``alone``: only if COMPLETES_ALONE. Without an ``action`` it follows from the row. If ``completed`` is written, that
    depends on the row before: only if NO_WRITE_BETWEEN, unless the revision is taken.
    """
    values: Row = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(columns)}
    statement = update_own_task(
        checks_version=checks_version, revision_taken=revision_taken, **with_derived_values(values, action)
    )
    recorded: Any = action or (COMPLETION_ACTION if "completed" in columns else "updated")
    if alone:
        statement = statement.where(COMPLETES_ALONE)
    if recorded is COMPLETION_ACTION and not revision_taken:
        statement = statement.where(NO_WRITE_BETWEEN)
    revision = CURRENT_REVISION if revision_taken else NEXT_REVISION
    return recorded_task_write(statement, recorded, revision=revision)


@lru_cache(maxsize=256)
def update_rows_statement(same: frozenset[str], own: frozenset[str], action: Any = "updated") -> CompiledStatement:
    """Returns an UPDATE of the tasks in the parameter ``rows``, as part of the write that has begun.

    The columns ``same`` become the same for all; ``rows`` are objects with an id and the columns ``own``.
    """
    rows = table_of_rows(own)
    values: Row = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(same)}
    values |= {name: rows.c[name] for name in sorted(own)}
    statement = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id == rows.c.id, NOT_DELETED)
    return joined_write(statement, action, **with_derived_values(values, action))


def joined_write(statement: Any, action: Any, *, columns: Sequence[str] = ("id",), **values: Any) -> CompiledStatement:
    """Returns an UPDATE of several tasks as part of the write that has begun. No row may be written twice in it."""
    statement = statement.values(version=CURRENT_REVISION, updated_at=TASK_WRITTEN_AT, **values)
    return recorded_task_write(statement, action, columns=columns, revision=CURRENT_REVISION)


def table_of_rows(names: frozenset[str], name: str = "wanted") -> Any:
    """Returns the objects in the parameter ``rows`` as a table: an id and columns of tasks."""
    columns = [column("id", BigInteger()), *(column(name, TASKS.c[name].type) for name in sorted(names))]
    rows = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(*columns, name=name)
    return rows.render_derived(name=name, with_types=True)


def as_json_values(row: Row) -> Row:
    """Returns a row for ``table_of_rows``: days and instants as text."""
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


async def select_for_write(session: Session, owner: str, task_id: int, versions: list[int] | None) -> Row:
    """Returns all columns of a task. The owner must be locked. Raises TaskNotFound and VersionConflict."""
    found = (await session.exec(SELECT_WHOLE_TASK, {"owner": owner, "task_id": task_id})).first()
    if found is None:
        raise TaskNotFound
    if versions is not None and found["version"] not in versions:
        raise VersionConflict
    return dict(found)


async def write_if_alone(
    session: Session, owner: str, statement: CompiledStatement, task_id: int, versions: list[int] | None, values: Row
) -> Any:
    """Returns the row; None if it is not there with one of ``versions``, other rows must be written, or a write came
    between. The revision is taken in any case.
    """
    params = {"owner": owner, "task_id": task_id, "versions": versions, **values}
    row = (await session.exec(statement, params)).first()
    return None if row is None else task_row(row)


async def write_task(
    session: Session, owner: str, task_id: int, values: Row, *, revision_taken: bool = False, action: str = ""
) -> Any:
    """Writes columns of one task that is there, and returns the row."""
    statement = update_statement(frozenset(values), revision_taken=revision_taken, action=action)
    return task_row((await session.exec(statement, {"owner": owner, "task_id": task_id, **values})).one())
