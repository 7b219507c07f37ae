"""Setting the owner's time zone, which shifts the reminders that are relative to a due date, and digests."""

from sqlalchemy import func, or_, select, update

from app.db.changes import NEXT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.tasks import TASKS, is_open
from app.services.channels.schedule import schedule_channels
from app.services.tasks.remind_at import remind_at
from app.services.tasks.statements import NOT_DELETED, recorded_task_write
from app.services.users import CHECK_TIMEZONE, SET_TIMEZONE, lock_owner

# Reminders that are due but not sent yet stay: they are late in any zone.
_is_shifted = (
    TASKS.c.user_id == OWNER,
    NOT_DELETED,
    is_open(),
    func.cardinality(TASKS.c.reminders) > 0,
    or_(TASKS.c.remind_at.is_(None), TASKS.c.remind_at > func.now()),
    TASKS.c.remind_at.is_distinct_from(remind_at()),
)
FIND_SHIFTED = CompiledStatement(select(TASKS.c.id).where(*_is_shifted).limit(1))
BATCH_ROWS = 5_000  # as for tags: as many as one statement writes within its timeout


def shift_statement(rows: int) -> CompiledStatement:
    """Returns the UPDATE of the next ``rows`` tasks. It is no edit: ``updated_at`` stays, as when a reminder fires."""
    batch = select(TASKS.c.id).where(*_is_shifted).order_by(TASKS.c.id).limit(rows)
    write = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(batch))
    return recorded_task_write(
        write.values(version=NEXT_REVISION, remind_at=remind_at()), "updated", columns=["version"]
    )


SHIFT_REMINDERS = shift_statement(BATCH_ROWS)


async def set_timezone(session: Session, owner: str, timezone: str) -> str:
    """Sets the time zone, also of an owner who has never written. Raises UnknownTimeZone."""
    await session.exec(CHECK_TIMEZONE, {"timezone": timezone})
    found: str = (await session.exec(SET_TIMEZONE, {"owner": owner, "timezone": timezone})).one()
    await shift_reminders(session, owner)
    await schedule_channels(session, owner)
    return found


async def shift_reminders(session: Session, owner: str) -> None:
    """Updates the tasks whose reminders a new time zone shifts, ``BATCH_ROWS`` per revision."""
    await lock_owner(session, owner)
    while (await session.exec(FIND_SHIFTED, {"owner": owner})).first() is not None:
        await session.exec(SHIFT_REMINDERS, {"owner": owner})
