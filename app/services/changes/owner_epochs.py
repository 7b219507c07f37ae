"""A new epoch for one owner, whose client shows a revision that the database has not reached.

So the database is older than what that client has seen, and nothing at the start could tell (``app.db.epoch``). Without
a new epoch the next writes would reach the same numbers, and another client could take them for those that it has.
"""

import logging

from sqlalchemy import BigInteger, bindparam, text

from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.services.changes.revisions import get_revision_range

log = logging.getLogger(__name__)

REVISIONS_PER_SECOND = 1_000_000  # of the clock: see ``app.db.epoch``
# A client may claim any revision. It moves its owner at most to the clock, and no more than once a minute.
OWNER_EPOCH_SECONDS = 60
RAISE_OWNER = CompiledStatement(
    text(f"""
    insert into users (id, revision, pruned_revision) values (:owner, :reached, :reached)
    on conflict (id) do update set revision = excluded.revision, pruned_revision = excluded.pruned_revision
    where users.revision < excluded.revision - {OWNER_EPOCH_SECONDS * REVISIONS_PER_SECOND}
    returning revision""").bindparams(bindparam("reached", type_=BigInteger)),  # noqa: S608 - a constant
    notifies=True,
)


async def begin_owner_epoch(session: Session, owner: str, shown: int) -> None:
    """Begins a new epoch of ``owner`` if ``shown``, which a client has sent, is above the owner's revision."""
    reached = int(now().timestamp()) * REVISIONS_PER_SECOND
    current = (await get_revision_range(session, owner)).current
    # No revision is ahead of the clock.
    if not current < shown <= reached:
        return
    if (await session.exec(RAISE_OWNER, {"owner": owner, "reached": reached})).first() is not None:
        log.warning(
            "a client shows revision %d, and the database is at %d: it was restored, and this user begins a new epoch",
            shown,
            current,
            extra={"user_id": owner},
        )
