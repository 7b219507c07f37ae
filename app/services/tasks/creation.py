"""Creating tasks: one by one statement, or many by another one."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, null, select
from sqlalchemy.dialects.postgresql import insert

from app.db.changes import NEXT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.errors import OtherProject, StatusConflict
from app.models.task_fields import STATUS_FIELDS, RecurrenceFrom, TaskStatus, contradicts, state_of
from app.models.task_rows import due_of, task_row
from app.models.tasks import TASKS, TaskCreate
from app.services.channels.create_update import NO_TASK, require_channels
from app.services.projects import require_project
from app.services.tasks.due_dates import NO_SERIES, resolve_due_date
from app.services.tasks.remind_at import remind_at, remind_at_of, resolve_reminders
from app.services.tasks.series import schedule
from app.services.tasks.statements import COMPLETED_PARAMETER, PENDING_STATE, Row, recorded_task_write, table_of_rows
from app.services.tasks.subtasks import find_parent
from app.services.uids import find_by_uid, resolve_uids, taken_error
from app.services.users import lock_owner

UID_COLUMNS = [TASKS.c.user_id, TASKS.c.uid]


@lru_cache(maxsize=64)
def create_statement(more: frozenset[str], *, named: bool = False) -> CompiledStatement:
    """Returns an INSERT of the fields that every task has, and of the columns ``more``.

    ``named``: by the client, so that it inserts nothing if there is a task with this uid.
    """
    values: Row = {name: bindparam(name, type_=TASKS.c[name].type) for name in sorted(more)}
    due = {name: bindparam(name, type_=TASKS.c[name].type) for name in ("due_on", "due_at")}
    if "reminders" in values:
        state = values.get("state", PENDING_STATE)
        known = {**due, "reminders": values["reminders"], "completed": COMPLETED_PARAMETER, "state": state}
        values["remind_at"] = remind_at(deleted_at=None, **known)
    statement = insert(TASKS).values(
        user_id=OWNER,
        uid=bindparam("uid"),
        title=bindparam("title"),
        description=bindparam("description"),
        completed=COMPLETED_PARAMETER,
        priority=bindparam("priority"),
        tags=bindparam("tags"),
        version=NEXT_REVISION,
        **due,
        **{"completed_at": case((COMPLETED_PARAMETER, func.now()), else_=null()), **values},
    )
    return recorded_task_write(
        statement.on_conflict_do_nothing(index_elements=UID_COLUMNS) if named else statement, "created"
    )


CREATE_TASK = create_statement(frozenset())  # compiled at the start, for the first request
# The columns besides, and their values for a task that has none of them.
NEW_TASK_COLUMNS: Row = {
    "state": TaskStatus.PENDING,
    "start_on": None,
    "start_at": None,
    "deadline": None,
    "estimate_minutes": None,
    "favorite": False,
    "project_id": None,
    "parent_id": None,
    "recurrence_from": RecurrenceFrom.DUE,
    "reminders": [],
    "remind_channels": None,
    **NO_SERIES,
}


PLAIN_FIELDS = ("deadline", "estimate_minutes", "favorite")  # those that are columns as they are sent
INSERTED_COLUMNS = frozenset(
    {"uid", "title", "description", "completed", "priority", "tags", "due_on", "due_at", *NEW_TASK_COLUMNS}
)


def insert_statement(*more: str, revision: ColumnElement[int] = NEXT_REVISION) -> CompiledStatement:
    """Returns an INSERT of the tasks in the parameter ``rows``, except those of which the uid is taken.

    They have INSERTED_COLUMNS and ``more``.
    """
    names = INSERTED_COLUMNS | {*more}
    rows = table_of_rows(names | {"deleted_at"}, "new")
    values = {name: rows.c[name] for name in sorted(names)} | {
        "user_id": OWNER,
        "completed_at": case((rows.c.completed, func.now()), else_=null()),
        "remind_at": remind_at_of(rows),
        "version": revision,
    }
    statement = insert(TASKS).from_select(list(values), select(*values.values()), include_defaults=False)
    return recorded_task_write(
        statement.on_conflict_do_nothing(index_elements=UID_COLUMNS), "created", revision=revision
    )


INSERT_TASKS = insert_statement()


async def create_task(session: Session, owner: str, task: TaskCreate) -> Any:
    """Creates a task.

    Raises UnknownReference, OtherProject, TooDeep, InvalidRecurrence, StatusConflict, UidTaken, UidInTrash.
    """
    place = await place_new_task(session, owner, task)
    values, more = await prepare_task(session, owner, task, place)
    statement = create_statement(frozenset(more), named=task.uid is not None)
    if (row := (await session.exec(statement, values | more)).first()) is None:
        raise taken_error("task", await find_by_uid(session, owner, "task", values["uid"]))
    return task_row(row)


async def place_new_task(session: Session, owner: str, task: TaskCreate) -> Row:
    """Returns the columns of the place of a new task. Locks the owner if it is in a project or below another task.

    Raises UnknownReference, OtherProject, TooDeep.
    """
    task = await resolve_uids(session, owner, task)
    if task.project_id is None and task.parent_id is None:
        return {}
    await lock_owner(session, owner)
    if task.parent_id is None:
        assert task.project_id is not None
        await require_project(session, owner, task.project_id, loc=("body", "project_id"))
        return {"project_id": task.project_id}
    parents_project = await find_parent(session, owner, task.parent_id, [], loc=("body", "parent_id"))
    if task.project_id is not None and task.project_id != parents_project:
        raise OtherProject(loc=("body", "project_id"))
    return {"project_id": parents_project, "parent_id": task.parent_id}


async def prepare_task(session: Session, owner: str, task: TaskCreate, place: Row) -> tuple[Row, Row]:
    """Returns the columns that every new task has, with the owner, and those that this one has besides.

    Raises InvalidRecurrence, StatusConflict.
    """
    completed, state = _read_status(task)
    values = {
        "owner": owner,
        "uid": task.uid or new_uuid7(),
        "title": task.title,
        "description": task.description,
        "completed": completed,
        "priority": task.priority,
        "tags": task.tags,
        **await resolve_due_date(session, owner, task.due_date),
    }
    more: Row = {**place}
    if task.recurrence is not None:
        series = await schedule(session, owner, task.recurrence, due_of(values))
        values |= {name: series.pop(name) for name in ("due_on", "due_at")}
        more |= series
    if state is not TaskStatus.PENDING:
        more["state"] = state
    if task.start_date is not None:
        more |= await resolve_due_date(session, owner, task.start_date, "start")
    more |= {name: value for name in PLAIN_FIELDS if (value := getattr(task, name)) != NEW_TASK_COLUMNS[name]}
    if task.recurrence_from is not RecurrenceFrom.DUE:
        more["recurrence_from"] = task.recurrence_from
    if task.reminders:
        more["reminders"] = await resolve_reminders(session, owner, task.reminders)
    if task.remind_channels is not None:
        loc, channels = ("body", "remind_channels"), task.remind_channels
        more["remind_channels"] = await require_channels(session, owner, channels, task_id=NO_TASK, loc=loc)
    return values, more


def _read_status(task: TaskCreate) -> tuple[bool, TaskStatus]:
    """Returns ``completed`` and ``state``. Raises StatusConflict."""
    if not task.completed and task.status is TaskStatus.PENDING:
        return False, TaskStatus.PENDING
    if contradicts({name: getattr(task, name) for name in STATUS_FIELDS & task.model_fields_set}):
        raise StatusConflict(loc=("body", "status"))
    return task.completed or task.status is TaskStatus.COMPLETED, state_of(task.status)


async def insert_tasks(session: Session, owner: str, prepared: Sequence[tuple[Row, Row]]) -> dict[str, Any]:
    """Inserts what ``prepare_task`` has returned, by one statement. Returns the new tasks by uid.

    One whose uid is taken is missing.
    """
    rows = [NEW_TASK_COLUMNS | values | more for values, more in prepared]
    made = (await session.exec(INSERT_TASKS, {"owner": owner, "rows": rows})).all()
    return {row.uid: task_row(row) for row in made}
