"""The record of the writes that an agent made, so that "undo that" undoes one of its own."""

from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import AppError, ChangeNotFound, NothingToUndo, UndoConflict
from app.services.undo import undo_change
from app.services.users import get_revision, lock_or_create_owner

# Revisions that ``changes`` no longer holds cannot be undone.
PRUNE_AGENT_WRITES = CompiledStatement(
    text("""
    delete from agent_writes where user_id = :owner and source = :source and revision < (
        select min(revision) from changes where user_id = :owner)""").bindparams(bindparam("source", type_=Text))
)
# The revisions are those of the changes and not all numbers in between: numbers have gaps.
INSERT_AGENT_WRITES = CompiledStatement(
    text("""
    insert into agent_writes (user_id, source, revision)
    select distinct user_id, cast(:source as text), revision from changes
    where user_id = :owner and revision > :since""").bindparams(
        bindparam("source", type_=Text), bindparam("since", type_=BigInteger)
    )
)
SELECT_LAST_WRITE = CompiledStatement(
    text("""
    select revision from agent_writes where user_id = :owner and source = :source and revision >= (
        select min(revision) from changes where user_id = :owner)
    order by revision desc limit 1""")
)
DELETE_AGENT_WRITE = CompiledStatement(
    text("delete from agent_writes where user_id = :owner and source = :source and revision = :revision").bindparams(
        bindparam("revision", type_=BigInteger)
    )
)


async def begin_agent_write(session: Session, owner: str) -> int:
    """Locks the owner and returns their revision: until the transaction ends, only it can take the next one."""
    await lock_or_create_owner(session, owner)
    return await get_revision(session, owner)


async def record_agent_writes(session: Session, owner: str, source: str, *, since: int) -> None:
    """Records the revisions that this transaction has taken, those after ``since``, if there are any."""
    values = {"owner": owner, "source": source, "since": since}
    await session.exec(PRUNE_AGENT_WRITES, values)
    await session.exec(INSERT_AGENT_WRITES, values)


async def undo_last_write(session: Session, owner: str, source: str) -> list[Any] | AppError:
    """Undoes the latest write of ``source`` that has not been undone, and returns the changes of the undo.

    A write that cannot be undone (a row was changed or deleted since) is passed over, so that the next undo reaches the
    one before it: then returns UndoConflict, to be raised after the commit. Raises NothingToUndo.
    """
    revision = (await session.exec(SELECT_LAST_WRITE, {"owner": owner, "source": source})).first()
    if revision is None:
        raise NothingToUndo
    undone: list[Any] | AppError
    try:
        async with session.savepoint():
            undone = await undo_change(session, owner, revision)
    except (UndoConflict, ChangeNotFound) as error:
        undone = UndoConflict(f"{error.detail} It stays as it is; the next undo takes the write before it.")
    await session.exec(DELETE_AGENT_WRITE, {"owner": owner, "source": source, "revision": revision})
    return undone
