"""The key of a row that is moved in its order by hand. It is all that changes: no other row is written."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.ordering import MAX_LENGTH, key_between, keys_after_all
from app.errors import NoRoomBetween, UnknownReference


class Neighbours(NamedTuple):
    """Statements that find the neighbours of a place, those in the trash included: each keeps its own for a restore."""

    before: CompiledStatement
    after: CompiledStatement
    last: CompiledStatement


def neighbours_in(table: str) -> Neighbours:
    """Returns the statements for ``table``."""

    def neighbour_query(comparison: str, direction: str) -> CompiledStatement:
        return CompiledStatement(
            text(f"""
            select h.position as here, (select n.position from {table} n
                where n.user_id = :owner and n.position {comparison} h.position and n.id <> :id
                order by n.position {direction} limit 1) as neighbour
            from {table} h where h.user_id = :owner and h.id = :reference and h.deleted_at is null""")  # noqa: S608
        )

    last = text(f"""
        select position from {table} where user_id = :owner and id <> all(:ids)
        order by position desc limit 1""")  # noqa: S608
    last = last.bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
    return Neighbours(neighbour_query("<", "desc"), neighbour_query(">", "asc"), CompiledStatement(last))


async def find_key(
    session: Session, owner: str, neighbours: Neighbours, row_id: int, *, before: int | None, after: int | None
) -> str:
    """Returns the key directly before or after another row, else after all others. The owner must be locked.

    Raises UnknownReference and NoRoomBetween.
    """
    if before is None and after is None:
        return (await find_keys_after_all(session, owner, neighbours, [row_id]))[0]
    if after is None:
        name, reference, statement = "before", before, neighbours.before
    else:
        name, reference, statement = "after", after, neighbours.after
    values: dict[str, Any] = {"owner": owner, "id": row_id, "reference": reference}
    found = (await session.exec(statement, values)).first() if reference != row_id else None
    if found is None:
        raise UnknownReference(f"There is no such row to move {name}.", loc=("body", name))
    here, neighbour = found
    if after is None:
        return _require_room(key_between(neighbour or "", here, near="middle" if neighbour else "high"))
    return _require_room(keys_after_all(here, 1)[0] if neighbour is None else key_between(here, neighbour))


async def find_keys_after_all(session: Session, owner: str, neighbours: Neighbours, row_ids: list[int]) -> list[str]:
    """Returns the keys of rows that are moved after all others, in their order. The owner must be locked.

    Raises NoRoomBetween.
    """
    last = (await session.exec(neighbours.last, {"owner": owner, "ids": row_ids})).first() or ""
    keys = keys_after_all(last, len(row_ids))
    _require_room(keys[-1])
    return keys


def _require_room(key: str) -> str:
    if len(key) > MAX_LENGTH:
        raise NoRoomBetween
    return key
