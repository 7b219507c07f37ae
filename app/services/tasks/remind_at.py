"""The time at which a task reminds next: ``remind_at`` is a function of its row.

It is the first moment that the reminders name and that has not been fired, so usually one after now; null when there is
none, and while the task is not open or in the trash. Every statement that changes one of the columns it depends on
computes it, by ``remind_at`` below.

Durations count from the due date, and wait for one where there is none. From a day they count from its local midnight
by the clock on the wall (PT9H is nine o'clock, also on the day the clocks change); from an instant, days keep the
time of day and hours are hours (RFC 5545, 3.3.6). ``next_reminder`` is a function of the database (migration 0009),
because a write of many rows computes it for each of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, case, func, null, or_

from app.db.changes import OWNER_TIMEZONE
from app.db.session import Session
from app.models.task_reminders import spell_instant
from app.models.tasks import TASKS, is_open
from app.services.users import LOCAL_TO_INSTANT

REMIND_AT_INPUTS = ("reminders", "due_on", "due_at", "completed", "state", "deleted_at")
TRANSACTION_NOW: Any = func.now()
# A ``remind_at`` in the past has not been fired yet, because no worker was running. No later reminder has been fired
# either, so the next one is sought from there: the same instant, unless it is removed or moved.
AFTER_PENDING: Any = case(
    (TASKS.c.remind_at <= TRANSACTION_NOW, func.just_before(TASKS.c.remind_at, type_=DateTime(timezone=True))),
    else_=TRANSACTION_NOW,
)


def remind_at(*, after: Any = TRANSACTION_NOW, **values: Any) -> ColumnElement[Any]:
    """Returns the value of ``remind_at`` for a row in which ``values`` replace the columns of their names.

    Those are REMIND_AT_INPUTS; what is not given stays as it is. Needs ``owner``.
    """
    row = {name: values.get(name, TASKS.c[name]) for name in ("reminders", "due_on", "due_at")}
    is_live = is_open(*(values.get(name, TASKS.c[name]) for name in ("completed", "state")))
    silent = [func.cardinality(row["reminders"]) == 0, ~is_live]
    if "deleted_at" not in values:  # a write that sets it restores the row
        silent.append(TASKS.c.deleted_at.is_not(None))
    moment = func.next_reminder(*row.values(), OWNER_TIMEZONE, after, type_=DateTime(timezone=True))
    return case((or_(*silent), null()), else_=moment)


def remind_at_after(**values: Any) -> ColumnElement[Any]:
    """Returns ``remind_at`` for an UPDATE that sets ``values``, keeping a reminder that is due and not fired yet."""
    return remind_at(after=AFTER_PENDING, **values)


def remind_at_of(rows: Any, *, update: bool = False) -> ColumnElement[Any]:
    """Returns ``remind_at`` for whole rows of a FROM clause; ``update``: for rows that exist already."""
    values = {name: rows.c[name] for name in REMIND_AT_INPUTS} | {"deleted_at": None}
    moment = remind_at(after=AFTER_PENDING if update else TRANSACTION_NOW, **values)
    return case((rows.c.deleted_at.is_not(None), null()), else_=moment)


async def resolve_reminders(session: Session, owner: str, reminders: Sequence[str] | None) -> list[str]:
    """Returns ``reminders`` without duplicates, local times resolved in the owner's time zone."""
    resolved = []
    for reminder in reminders or ():
        if not reminder.endswith("Z") and "P" not in reminder:
            local = {"owner": owner, "local": datetime.fromisoformat(reminder)}
            resolved.append(spell_instant((await session.exec(LOCAL_TO_INSTANT, local)).one()))
        else:
            resolved.append(reminder)
    return list(dict.fromkeys(resolved))
