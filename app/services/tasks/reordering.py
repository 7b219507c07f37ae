"""Where a row goes when it is moved. Its key is all that changes: no other row is written."""

from typing import Any, NamedTuple

from sqlalchemy import text

from app.db.compiled import Prepared
from app.db.session import Session
from app.domain.ordering import MAX_LENGTH, key_after_all, key_between
from app.errors import NoRoomBetween, UnknownReference


class Places(NamedTuple):
    """Statements that find the neighbours, those in the trash included: whoever comes back has a place of its own."""

    before: Prepared
    after: Prepared
    last: Prepared


def places(table: str) -> Places:
    """How neighbours are found in ``table``."""

    def beside(comparison: str, direction: str) -> Prepared:
        return Prepared(
            text(f"""
            select h.position as here, (select n.position from {table} n
                where n.user_id = :owner and n.position {comparison} h.position and n.id <> :id
                order by n.position {direction} limit 1) as neighbour
            from {table} h where h.user_id = :owner and h.id = :reference and h.deleted_at is null""")  # noqa: S608
        )

    last = f"""
        select position from {table} where user_id = :owner and id <> :id order by position desc limit 1"""  # noqa: S608
    return Places(beside("<", "desc"), beside(">", "asc"), Prepared(text(last)))


async def find_place(
    session: Session, owner: str, of: Places, row_id: int, *, before: int | None, after: int | None
) -> str:
    """The key directly before or after another row, else behind all. The owner must be locked.

    Raises UnknownReference and NoRoomBetween.
    """
    if before is None and after is None:
        return _fitting(key_after_all((await session.exec(of.last, {"owner": owner, "id": row_id})).first() or ""))
    name, reference, statement = ("before", before, of.before) if after is None else ("after", after, of.after)
    values: dict[str, Any] = {"owner": owner, "id": row_id, "reference": reference}
    found = (await session.exec(statement, values)).first() if reference != row_id else None
    if found is None:
        raise UnknownReference(f"{name}: no such row to move to.", loc=("body", name))
    here, neighbour = found
    if after is None:
        return _fitting(key_between(neighbour or "", here, near="middle" if neighbour else "high"))
    return _fitting(key_after_all(here) if neighbour is None else key_between(here, neighbour))


def _fitting(key: str) -> str:
    if len(key) > MAX_LENGTH:
        raise NoRoomBetween
    return key
