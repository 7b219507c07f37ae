"""When a task reminds of itself: ``remind_at`` is a function of its row.

It is the first moment after now that the reminders name; null when there is none, and while the task is completed or in
the trash. Every statement that writes one of the columns it depends on computes it, by ``remind_at`` below.

Durations count from the due date, and wait for one where there is none. From a day they count from its local midnight
by the clock on the wall (PT9H is nine o'clock, also on the day the clocks change); from an instant, days keep the
time of day and hours are hours (RFC 5545, 3.3.6). ``next_reminder`` is a function of the database (migration 0009),
because a write of many rows computes it for each of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, case, func, null, or_

from app.db.session import Session
from app.models.task_reminders import spell
from app.models.tasks import Task
from app.services.users import LOCAL_TO_INSTANT, TIMEZONE

TASKS = Task.__table__  # type: ignore[attr-defined]


def remind_at(**values: Any) -> ColumnElement[Any]:
    """The value of ``remind_at`` for a row in which ``values`` take the place of the columns of their names.

    Those are reminders, due_on, due_at, completed and deleted_at; what is not given stays as it is. Needs ``owner``.
    """
    row = {name: values.get(name, TASKS.c[name]) for name in ("reminders", "due_on", "due_at")}
    silent = [func.cardinality(row["reminders"]) == 0, values.get("completed", TASKS.c.completed)]
    if "deleted_at" not in values:  # who gives it brings the row back
        silent.append(TASKS.c.deleted_at.is_not(None))
    moment = func.next_reminder(*row.values(), TIMEZONE, func.now(), type_=DateTime(timezone=True))
    return case((or_(*silent), null()), else_=moment)


def remind_at_of(rows: Any) -> ColumnElement[Any]:
    """The same for whole rows of a task's columns, from a FROM clause."""
    names = ("reminders", "due_on", "due_at", "completed")
    moment = remind_at(deleted_at=None, **{name: rows.c[name] for name in names})
    return case((rows.c.deleted_at.is_not(None), null()), else_=moment)


async def resolve_reminders(session: Session, owner: str, reminders: Sequence[str] | None) -> list[str]:
    """Local times without offset read in the owner's time zone."""
    resolved = []
    for reminder in reminders or ():
        if not reminder.endswith("Z") and "P" not in reminder:
            local = {"owner": owner, "local": datetime.fromisoformat(reminder)}
            resolved.append(spell((await session.exec(LOCAL_TO_INSTANT, local)).one()))
        else:
            resolved.append(reminder)
    return list(dict.fromkeys(resolved))
