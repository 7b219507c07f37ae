"""The revisions from which a client may continue: of the changes, of a stream, of the pages of a list."""

from typing import NamedTuple

from sqlalchemy import BigInteger, func, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.epoch import EPOCH_GAP
from app.db.session import UNREAD_REVISION, Session
from app.errors import ChangesGone
from app.models.users import USERS

SELECT_REVISION_RANGE = CompiledStatement(select(USERS.c.revision, USERS.c.pruned_revision).where(USERS.c.id == OWNER))
# A separate statement: only an owner without a row needs it.
SELECT_INITIAL_REVISION = CompiledStatement(select(func.initial_revision(type_=BigInteger)))
CURSOR_GONE = "The list of this cursor began before a restore: list again, from the first page."


class RevisionRange(NamedTuple):
    """The revisions from which a client may continue, both included."""

    current: int
    pruned: int

    def require(self, revision: int, message: str | None = None) -> None:
        """Raises ChangesGone, with ``message``, unless a client may continue from ``revision``.

        One above the range is from before the database was restored from a backup.
        """
        if revision > self.current:
            raise ChangesGone(message, ahead=revision)
        if revision < self.pruned:
            raise ChangesGone(message)


async def require_same_epoch(session: Session, owner: str, revision: int, *, current: int) -> None:
    """Raises ChangesGone if a new epoch has begun since the page at ``revision`` was read.

    Costs nothing within an epoch: a new one is at least ``EPOCH_GAP`` away.
    """
    if 0 <= current - revision < EPOCH_GAP:
        return
    if revision > current:
        raise ChangesGone(CURSOR_GONE, ahead=revision)
    if revision < (await get_revision_range(session, owner)).pruned:
        raise ChangesGone(CURSOR_GONE)


async def get_revision_range(session: Session, owner: str) -> RevisionRange:
    """Returns the latest revision, and the earliest one from which a client may continue."""
    row = (await session.exec(SELECT_REVISION_RANGE, {"owner": owner})).first()
    if row is None:
        initial = await get_initial_revision(session, owner)
        return RevisionRange(initial, initial)
    return RevisionRange(*row)


async def get_written_revision(session: Session, owner: str) -> int | None:
    """Returns the revision of the latest write of this transaction; None if it wrote nothing."""
    if session.revision == UNREAD_REVISION:
        session.revision = (await get_revision_range(session, owner)).current
    return session.revision


async def get_initial_revision(session: Session, owner: str) -> int:
    """Returns the revision at which an owner without a row begins: 0, or more since a restore."""
    found: int = (await session.exec(SELECT_INITIAL_REVISION)).one()
    return found
