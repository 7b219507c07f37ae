"""What statements about tasks have in common."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
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
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.changes import OWNER, REVISION, TAKEN, numbered
from app.db.compiled import Prepared
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.models.task_rows import READ_COLUMNS
from app.models.tasks import TASKS
from app.services.tasks.reminders import remind_at, remind_at_after

READ = [TASKS.c[name] for name in READ_COLUMNS]
KEPT = kept_columns(TASKS)
TASK_ID = bindparam("task_id", type_=BigInteger)
MINE = (TASKS.c.user_id == OWNER, TASKS.c.id == TASK_ID)
LIVE = TASKS.c.deleted_at.is_(None)
COMPLETED = bindparam("completed", type_=Boolean)
# What a series goes on by: a reminder that waits to be fired was about the date that is over.
GOES_ON = {"completed", "skipped"}

# A toggle always turns the task over.
TOGGLED: Any = literal_column("case when written.completed then 'completed' else 'reopened' end")
# Setting may change nothing. What the task was before, the statement's own snapshot shows; that is the row it wrote
# over only if the owner's lock was taken by an earlier statement.
SET: Any = literal_column("""
    case (select old.completed from tasks old where old.user_id = written.user_id and old.id = written.id)
         when written.completed then 'updated' else case when written.completed then 'completed' else 'reopened' end
    end""")
# Nobody wrote between the statement's snapshot and the owner's lock, which it waits for: what the snapshot says of
# other rows still holds. Costs no round trip, unlike taking the lock first.
UNDISTURBED = TAKEN + 1 == REVISION
NOW = moment_of(TASKS)
# What a write of several tasks sets. One moment for all that are deleted: what went together comes back together.
DONE: dict[str, Any] = {"completed": true(), "completed_at": NOW, "remind_at": null()}
OPEN: dict[str, Any] = {"completed": false(), "completed_at": null(), "remind_at": remind_at(completed=false())}
GONE: dict[str, Any] = {"deleted_at": select(func.clock_timestamp()).scalar_subquery(), "remind_at": null()}


def numbered_task(
    write: Any, action: Any, *, answer: Sequence[str] = READ_COLUMNS, revision: ColumnElement[int] = REVISION
) -> Prepared:
    """A write of tasks that takes the next number and answers ``answer`` of each row, in that order."""
    return numbered(write, entity="task", action=action, returning=KEPT, answer=answer, revision=revision)


def changed(*, guarded: bool, taken: bool = False, **values: Any) -> Any:
    """An UPDATE of one task of the owner that numbers it, or joins the number ``taken`` already."""
    return update_row(TASKS, (*MINE, LIVE), guarded=guarded, revision=TAKEN if taken else REVISION, **values)


def rows_of(names: frozenset[str]) -> Any:
    """The objects in the parameter ``rows`` as a table: an id and columns of tasks."""
    columns = [column("id", BigInteger()), *(column(name, TASKS.c[name].type) for name in sorted(names))]
    rows = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(*columns, name="wanted")
    return rows.render_derived(name="wanted", with_types=True)


def completed_at(completed: Any) -> Any:
    return case((completed, func.coalesce(TASKS.c.completed_at, NOW)), else_=null())


# What only its own row is about when it is completed; the rest is up to ``task_changes``.
child = TASKS.alias("child")
_has_open_subtask = exists().where(
    child.c.user_id == OWNER, child.c.parent_id == TASKS.c.id, child.c.deleted_at.is_(None), ~child.c.completed
)
IS_SIMPLE = or_(TASKS.c.completed, and_(TASKS.c.recurrence.is_(None), ~_has_open_subtask))
TRASH = select(TASKS.c.id).where(TASKS.c.user_id == OWNER, ~LIVE)
LOOK = Prepared(select(*KEPT).where(*MINE, LIVE))


@lru_cache(maxsize=512)
def update_statement(
    columns: frozenset[str], *, guarded: bool = False, simple: bool = False, taken: bool = False, action: str = ""
) -> Prepared:
    """An UPDATE of ``columns`` of one task. No ``action``: what the columns say. ``simple``: if IS_SIMPLE."""
    values: dict[str, Any] = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(columns)}
    if "completed" in columns:
        values["completed_at"] = completed_at(values["completed"])
    if columns & {"completed", "due_on", "reminders"}:
        values["remind_at"] = (remind_at if action in GOES_ON else remind_at_after)(**values)
    statement = changed(guarded=guarded, taken=taken, **values)
    said: Any = action or (SET if "completed" in columns else "updated")
    revision = TAKEN if taken else REVISION
    return numbered_task(statement.where(IS_SIMPLE) if simple else statement, said, revision=revision)
