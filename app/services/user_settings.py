"""Setting the owner's time zone, which shifts the reminders that are relative to a due date."""

from sqlalchemy import func, or_, select, update

from app.db.changes import OWNER, REVISION
from app.db.compiled import Prepared
from app.db.session import Session
from app.models.tasks import TASKS
from app.services.tasks.remind_at import remind_at
from app.services.tasks.statements import NOT_DELETED, numbered_task
from app.services.users import SET_ZONE, lock_owner

# Reminders that are due but not sent yet stay: they are late in any zone.
_elsewhen = (
    TASKS.c.user_id == OWNER,
    NOT_DELETED,
    ~TASKS.c.completed,
    func.cardinality(TASKS.c.reminders) > 0,
    or_(TASKS.c.remind_at.is_(None), TASKS.c.remind_at > func.now()),
    TASKS.c.remind_at.is_distinct_from(remind_at()),
)
ANY_ELSEWHEN = Prepared(select(TASKS.c.id).where(*_elsewhen).limit(1))
BATCH_ROWS = 5_000  # as for tags: as many as one statement writes within its timeout


def shift_statement(rows: int) -> Prepared:
    """Returns the UPDATE of the next ``rows`` tasks. It is no edit: ``updated_at`` stays, as when a reminder fires."""
    batch = select(TASKS.c.id).where(*_elsewhen).order_by(TASKS.c.id).limit(rows)
    write = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(batch))
    return numbered_task(write.values(version=REVISION, remind_at=remind_at()), "updated", answer=["id"])


SHIFT = shift_statement(BATCH_ROWS)


async def set_timezone(session: Session, owner: str, timezone: str) -> str:
    """Sets the time zone, also of an owner who has never written. Raises UnknownTimeZone."""
    found: str = (await session.exec(SET_ZONE, {"owner": owner, "timezone": timezone})).one()
    await shift_reminders(session, owner)
    return found


async def shift_reminders(session: Session, owner: str) -> None:
    """Updates the tasks whose reminders a new time zone shifts, ``BATCH_ROWS`` per revision."""
    await lock_owner(session, owner)
    while (await session.exec(ANY_ELSEWHEN, {"owner": owner})).first() is not None:
        await session.exec(SHIFT, {"owner": owner})
