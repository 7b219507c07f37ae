"""Retention: old changes and trash, deleted by the worker as they expire, and by ``todo prune`` at once."""

import logging

from app.db.contention import retry_on_contention
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.services.retention import pruning, trash

log = logging.getLogger(__name__)


async def prune_user(database: Database, owner: str, *, days: int) -> None:
    """Deletes changes older than ``days`` and expired idempotency keys, batch by batch."""
    while await _prune_once(database, owner, days):
        pass


@retry_on_contention
async def _prune_once(database: Database, owner: str, days: int) -> bool:
    async with database.transaction(owner, role=WORKER_ROLE) as session:
        return await pruning.prune_changes(session, owner, days=days)


async def prune_all_users(database: Database, *, days: int) -> int:
    """Prunes all users, due or not, after a shorter retention was set. Returns the number of users."""
    last, total = "", 0
    while True:
        async with database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            owners = await pruning.list_owners(session, last)
        if not owners:
            return total
        for owner in owners:
            await prune_user(database, owner, days=days)
        last, total = owners[-1], total + len(owners)


async def empty_old_trash(database: Database, *, days: int) -> int:
    """Purges rows deleted more than ``days`` ago, as recorded writes; returns how many. 0 days: none.

    A failure for one owner does not stop the others.
    """
    total, after = 0, None
    while days:
        async with database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            owners, after = await trash.find_old_trash(session, NO_OWNER, days=days, after=after)
        if after is None:
            break
        for owner in owners:
            try:
                while purged := await _purge_once(database, owner, days):
                    total += purged
            except Exception:
                log.exception("the trash of one user could not be emptied")
    return total


@retry_on_contention
async def _purge_once(database: Database, owner: str, days: int) -> int:
    async with database.transaction(owner) as session:
        session.source = "retention"
        return await trash.purge_old_trash(session, owner, days=days)
