"""The owner's row in ``users``: its revision, its time zone, its lock."""

from sqlalchemy import DateTime, Text, bindparam, false, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db.changes import OWNER, OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.users import USERS
from app.services.changes.revisions import get_initial_revision

SELECT_REVISION = CompiledStatement(select(USERS.c.revision).where(USERS.c.id == OWNER))
# The lock of a write. FOR UPDATE would also block inserts of rows that refer to the owner, by transactions that hold
# other locks.
LOCK_OWNER = CompiledStatement(select(USERS.c.id).where(USERS.c.id == OWNER).with_for_update(key_share=True))
# A condition that is false still locks the row (INSERT, "conflict_action"); where it is missing it is created.
LOCK_OR_CREATE_OWNER = CompiledStatement(
    insert(USERS)
    .values(id=OWNER)
    .on_conflict_do_update(index_elements=[USERS.c.id], set_={"revision": USERS.c.revision}, where=false())
)
LOCAL_TO_INSTANT = CompiledStatement(select(func.timezone(OWNER_TIMEZONE, bindparam("local", type_=DateTime()))))

SELECT_TIMEZONE = CompiledStatement(select(OWNER_TIMEZONE))
_zone = bindparam("timezone", type_=Text)
# timezone() fails at once for a zone that PostgreSQL does not know: later any write of a task would.
CHECK_TIMEZONE = CompiledStatement(select(func.timezone(_zone, func.now())))
SET_TIMEZONE = CompiledStatement(
    insert(USERS)
    .values(id=OWNER, timezone=_zone)
    .on_conflict_do_update(index_elements=[USERS.c.id], set_={"timezone": _zone})
    .returning(USERS.c.timezone)
)


async def get_timezone(session: Session, owner: str) -> str:
    """Returns the owner's time zone, as its name in the IANA database."""
    found: str = (await session.exec(SELECT_TIMEZONE, {"owner": owner})).one()
    return found


async def get_revision(session: Session, owner: str) -> int:
    """Returns the revision of the owner's latest write; before the first, the one at which new users begin."""
    found: int | None = (await session.exec(SELECT_REVISION, {"owner": owner})).first()
    return await get_initial_revision(session, owner) if found is None else found


async def lock_owner(session: Session, owner: str) -> bool:
    """Keeps every other write of this owner out until the transaction ends. Comes before any other lock.

    Returns whether there is a row to lock: there is none before the first write, and after an erasure.
    """
    return (await session.exec(LOCK_OWNER, {"owner": owner})).first() is not None


async def lock_or_create_owner(session: Session, owner: str) -> None:
    """Locks the row, and creates it for an owner who has never written: else nothing would be locked.

    A count by a later statement holds until the transaction ends: limits of rows depend on it.
    """
    await session.exec(LOCK_OR_CREATE_OWNER, {"owner": owner})
