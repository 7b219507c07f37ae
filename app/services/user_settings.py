"""The owner's time zone, when it is set: reminders that count from a due date are at other moments then."""

from sqlalchemy import func, or_, select, update

from app.db.changes import OWNER, REVISION
from app.db.compiled import Prepared
from app.db.session import Session
from app.models.tasks import TASKS
from app.services.tasks.remind_at import remind_at
from app.services.tasks.statements import NOT_DELETED, numbered_task
from app.services.users import SET_ZONE, lock_owner

# A moment that has passed and not fired yet stays: it is late in any zone.
_elsewhen = (
    TASKS.c.user_id == OWNER,
    NOT_DELETED,
    ~TASKS.c.completed,
    func.cardinality(TASKS.c.reminders) > 0,
    or_(TASKS.c.remind_at.is_(None), TASKS.c.remind_at > func.now()),
    TASKS.c.remind_at.is_distinct_from(remind_at()),
)
ANY_ELSEWHEN = Prepared(select(TASKS.c.id).where(*_elsewhen).limit(1))
BATCH_ROWS = 5_000  # as of tags: what one statement can write in time


def shift_statement(rows: int) -> Prepared:
    """Writes the next ``rows`` of them. Not an edit: ``updated_at`` stays, as when a reminder fires."""
    batch = select(TASKS.c.id).where(*_elsewhen).order_by(TASKS.c.id).limit(rows)
    write = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(batch))
    return numbered_task(write.values(version=REVISION, remind_at=remind_at()), "updated", answer=["id"])


SHIFT = shift_statement(BATCH_ROWS)


async def set_timezone(session: Session, owner: str, timezone: str) -> str:
    """Also for a subject that has never written. Raises UnknownTimeZone."""
    found: str = (await session.exec(SET_ZONE, {"owner": owner, "timezone": timezone})).one()
    await shift_reminders(session, owner)
    return found


async def shift_reminders(session: Session, owner: str) -> None:
    """After the time zone was set: writes the tasks that remind at another moment, BATCH_ROWS under a number."""
    await lock_owner(session, owner)
    while (await session.exec(ANY_ELSEWHEN, {"owner": owner})).first() is not None:
        await session.exec(SHIFT, {"owner": owner})
