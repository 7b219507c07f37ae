"""Deleting old changes, idempotency keys and deliveries.

Done by the worker's role: the service's role can only add changes.
"""

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.services.users import lock_owner

PRUNED_WRITES = 5_000  # revisions in one transaction

SELECT_PRUNABLE_OWNERS = CompiledStatement(
    text("select id from users where prune_at <= now() order by prune_at limit 100")
)
SELECT_OWNERS = CompiledStatement(text("select id from users where id > :after order by id limit 100"))
# Only a prefix of the changes is deleted: everything before the first change that is young enough.
SELECT_PRUNABLE_RANGE = CompiledStatement(
    text("""
    select (select min(revision) from changes where user_id = :owner) as oldest,
           coalesce((select revision from changes
                     where user_id = :owner and at >= now() - make_interval(days => cast(:days as integer))
                     order by revision limit 1) - 1,
                    (select max(revision) from changes where user_id = :owner), 0) as cut""")
)
DELETE_CHANGES = CompiledStatement(text("delete from changes where user_id = :owner and revision <= :cut"))
DELETE_IDEMPOTENCY_KEYS = CompiledStatement(
    text("delete from idempotency_keys where user_id = :owner and created_at <= now() - interval '24 hours'")
)
# Of messages that were sent or given up. Those that wait are given up within days.
DELETE_DELIVERIES = CompiledStatement(
    text("""
    delete from deliveries where user_id = :owner and outcome is not null
      and created_at < now() - make_interval(days => cast(:days as integer))""")
)
SELECT_NEXT_PRUNING = CompiledStatement(
    text("""
    select case when :more then now() else greatest(now() + interval '1 hour', least(
            least(coalesce((select at from changes where user_id = :owner order by revision limit 1), now()),
                  (select min(created_at) from deliveries where user_id = :owner and outcome is not null))
                + make_interval(days => cast(:days as integer)),
            (select min(created_at) from idempotency_keys where user_id = :owner) + interval '24 hours')) end""")
)
RECORD_PRUNING = CompiledStatement(
    text("""
    update users set pruned_revision = greatest(pruned_revision, cast(:cut as bigint)), prune_at = :prune_at
    where id = :owner""")
)
DEFER_PRUNING = CompiledStatement(text("update users set prune_at = now() + interval '1 hour' where id = :owner"))


async def find_prunable_owners(session: Session, owner: str) -> list[str]:
    """Returns owners whose oldest change or idempotency key has reached its age limit."""
    found: list[str] = (await session.exec(SELECT_PRUNABLE_OWNERS)).all()
    return found


async def list_owners(session: Session, owner: str) -> list[str]:
    """Returns the next owners after ``owner``, in order: all owners in parts of 100."""
    found: list[str] = (await session.exec(SELECT_OWNERS, {"after": owner})).all()
    return found


async def prune_changes(session: Session, owner: str, *, days: int) -> bool:
    """Deletes changes older than ``days``, at most ``PRUNED_WRITES`` writes; returns whether there are more.

    And deliveries of that age, and expired idempotency keys.
    """
    if not await lock_owner(session, owner):
        return False
    extent = (await session.exec(SELECT_PRUNABLE_RANGE, {"owner": owner, "days": days})).one()
    cut, more = 0, False
    if extent.oldest is not None and extent.cut >= extent.oldest:
        cut = min(extent.cut, extent.oldest + PRUNED_WRITES - 1)
        more = cut < extent.cut
        await session.exec(DELETE_CHANGES, {"owner": owner, "cut": cut})
    await session.exec(DELETE_IDEMPOTENCY_KEYS, {"owner": owner})
    await session.exec(DELETE_DELIVERIES, {"owner": owner, "days": days})
    prune_at = (await session.exec(SELECT_NEXT_PRUNING, {"owner": owner, "more": more, "days": days})).one()
    await session.exec(RECORD_PRUNING, {"owner": owner, "cut": cut, "prune_at": prune_at})
    return more


async def defer_owner(session: Session, owner: str) -> None:
    """Makes ``owner`` due again in an hour."""
    await session.exec(DEFER_PRUNING, {"owner": owner})
