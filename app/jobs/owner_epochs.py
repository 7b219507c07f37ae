"""A new epoch for the owner of a request that shows a revision from before a restore, after that request."""

import logging

from app.db.contention import retry_on_contention
from app.db.database import Database
from app.errors import AppError
from app.services.changes import owner_epochs

log = logging.getLogger(__name__)


async def begin_owner_epoch(database: Database, owner: str, shown: int) -> None:
    """Begins a new epoch of ``owner`` if ``shown`` is above the owner's revision.

    Raises no application error: the response to the request is right without it.
    """
    try:
        await _begin_once(database, owner, shown)
    except AppError as error:
        log.warning("a user could not begin a new epoch: %s", error.code, extra={"user_id": owner})


@retry_on_contention
async def _begin_once(database: Database, owner: str, shown: int) -> None:
    async with database.transaction(owner) as session:
        await owner_epochs.begin_owner_epoch(session, owner, shown)
