"""Firing and snoozing reminders. ``remind_at`` computes when the next one fires."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import MISSING
from sqlalchemy import func, null, or_, select, text, update

from app.clock import now
from app.db.changes import NEXT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import ReminderPassed, TaskCompleted, TooManyReminders, VersionConflict
from app.models.task_fields import CLOSED_STATUSES
from app.models.task_reminders import REMINDERS_MAX, spell_instant
from app.models.tasks import TASKS, TaskUpdate, is_open
from app.schemas.task_actions import Snooze
from app.services.channels.outbox import FiredReminder, enqueue_reminders
from app.services.tasks.create_update import get_task, update_task
from app.services.tasks.remind_at import remind_at
from app.services.tasks.statements import NOT_DELETED, OWN_TASK, TASK_IDS, recorded_task_write
from app.services.users import LOCAL_TO_INSTANT, lock_owner

ON_TIME_SOURCE, LATE_SOURCE = "reminder", "reminder:late"  # ``changes.through`` of such a write
UPCOMING_MAX = 500

# An index range across users; the first row that is not due yet gives the time of the next query.
SELECT_UPCOMING = CompiledStatement(
    text("""
    select user_id, id, remind_at from tasks
    where remind_at is not null and user_id <> all(cast(:without as text[])) order by remind_at limit :limit""")
)
_due = (TASKS.c.user_id == OWNER, TASKS.c.id == func.any(TASK_IDS), TASKS.c.remind_at <= func.now())
SELECT_STILL_DUE = CompiledStatement(
    select(TASKS.c.id, TASKS.c.remind_at, TASKS.c.remind_channels).where(*_due, NOT_DELETED, is_open())
)
# Closing and deleting a task clear ``remind_at``. If a write does not, the worker does: else it would find the task
# again at each query.
SILENCE_REMINDERS = CompiledStatement(
    update(TASKS).where(*_due, or_(~NOT_DELETED, ~is_open())).values(remind_at=null())
)
# Not an edit: ``updated_at`` stays. A second worker finds the next reminder instead of this one.
FIRE_REMINDERS = recorded_task_write(
    update(TASKS).where(*_due, NOT_DELETED, is_open()).values(version=NEXT_REVISION, remind_at=remind_at()),
    "reminded",
    columns=["id", "version"],
)
# A snooze replaces the reminder that waits to be fired.
PASS_REMINDER = CompiledStatement(
    update(TASKS).where(*OWN_TASK, NOT_DELETED, TASKS.c.remind_at <= func.now()).values(remind_at=remind_at())
)


class Upcoming(NamedTuple):
    owner: str
    task_id: int
    at: datetime


async def find_upcoming(session: Session, owner: str, *, without: list[str]) -> list[Upcoming]:
    """Returns the next reminders of all users but ``without``, earliest first. The worker's role sees no more."""
    rows = (await session.exec(SELECT_UPCOMING, {"without": without, "limit": UPCOMING_MAX})).all()
    return [Upcoming(*row) for row in rows]


async def fire_reminders(session: Session, owner: str, task_ids: list[int], *, late: bool) -> int:
    """Records one change for each of ``task_ids`` that is still due, as one write, and returns how many were.

    In the same transaction what is to be sent to channels is put into their outbox.
    """
    values = {"owner": owner, "ids": task_ids}
    if not await lock_owner(session, owner):  # no other worker fires them between the check and the write
        return 0
    await session.exec(SILENCE_REMINDERS, values)
    due = {row.id: row for row in (await session.exec(SELECT_STILL_DUE, values)).all()}
    if not due:
        return 0
    session.source = LATE_SOURCE if late else ON_TIME_SOURCE
    fired = [
        FiredReminder(row.id, row.version, due[row.id].remind_at, due[row.id].remind_channels)
        for row in (await session.exec(FIRE_REMINDERS, values)).all()
    ]
    await enqueue_reminders(session, owner, fired)
    return len(fired)


async def snooze_task(
    session: Session, owner: str, task_id: int, snooze: Snooze, *, versions: list[int] | None = None
) -> Any:
    """Sets one more reminder; those at instants that have passed make room for it.

    Raises TaskNotFound, VersionConflict, TaskCompleted, ReminderPassed, TooManyReminders.
    """
    await lock_owner(session, owner)
    task = await get_task(session, owner, task_id)
    if versions is not None and task.version not in versions:
        raise VersionConflict
    if task.status in CLOSED_STATUSES:
        raise TaskCompleted
    until = await _until(session, owner, snooze)
    if until <= now():
        raise ReminderPassed(loc=("body", "until"))
    kept = [reminder for reminder in task.reminders if _is_ahead(reminder)]
    reminders = list(dict.fromkeys([*kept, spell_instant(until)]))
    if len(reminders) > REMINDERS_MAX:
        raise TooManyReminders
    await session.exec(PASS_REMINDER, {"owner": owner, "task_id": task_id})
    return await update_task(session, owner, task_id, TaskUpdate.model_construct({"reminders"}, reminders=reminders))


def _is_ahead(reminder: str) -> bool:
    return "P" in reminder or datetime.fromisoformat(reminder) > now()


async def _until(session: Session, owner: str, snooze: Snooze) -> datetime:
    if snooze.minutes is not MISSING:
        return (now() + timedelta(minutes=snooze.minutes)).replace(microsecond=0)
    assert snooze.until is not MISSING
    if snooze.until.tzinfo is not None:
        return snooze.until
    instant: datetime = (await session.exec(LOCAL_TO_INSTANT, {"owner": owner, "local": snooze.until})).one()
    return instant
