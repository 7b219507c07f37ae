"""A snapshot: all live rows of an owner, a page at a time, each as a change.

The rows of one page are those of one moment; a later page may have newer ones. So every page has the revision of the
first page, from which the changes lead to what there is now: what is written between two pages is in both, or is
missing here and in the changes alone. No page depends on how many rows are in the trash, or are completed and left out.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, DateTime, bindparam, tuple_

from app.db.compiled import CompiledStatement
from app.db.results import convert_rows
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.errors import InvalidCursor
from app.models.tasks import is_open
from app.pagination import Cursor, decode_cursor, parse_cursor_instant
from app.schemas.changes import SNAPSHOT_ACTION, ChangeRow
from app.services.changes.entities import ENTITY_REGISTRY, Entity
from app.services.changes.entity_pages import entity_page
from app.services.changes.feed import ChangesRead
from app.services.changes.revisions import get_revision_range

SNAPSHOT_PAGE_BYTES = 1_048_576  # of long texts of one entity; the first row of a page may exceed it
SNAPSHOT_GONE = (
    "The changes since this snapshot began are no longer kept: begin again, with /changes?snapshot=true and no cursor."
)
FIRST_KEY = datetime.min.replace(tzinfo=UTC)  # which the driver sends as -infinity
ENTITY_PLACES = {entity.name: place for place, entity in enumerate(ENTITY_REGISTRY)}


class SnapshotPosition(NamedTuple):
    """The row after which a page begins, and what all pages of a snapshot share. ``key`` is that of ``live_key``."""

    next: int
    completed: bool
    entity: Entity
    key: datetime | None = None
    id: int = 0

    def encode(self) -> str:
        key = None if self.key is None else self.key.isoformat()
        return Cursor("snapshot", "", False, [self.entity.name, key, self.completed], self.id, self.next).encode()


def _select_live(entity: Entity, *, only_open: bool = False) -> CompiledStatement:
    c = entity.table.c
    order: list[Any] = [c.id]
    after: list[Any] = [bindparam("after_id", type_=BigInteger)]
    if entity.live_key is not None:
        order.insert(0, c[entity.live_key])
        after.insert(0, bindparam("after_key", type_=DateTime(timezone=True)))
    where = [tuple_(*order) > tuple_(*after)]
    if "deleted_at" in c:
        where.append(c.deleted_at.is_(None))
    if only_open:
        where.append(is_open())
    limit = bindparam("limit", type_=BigInteger)
    columns = kept_columns(entity.table)
    return CompiledStatement(
        entity_page(entity, columns, *where, order=order, limit=limit, bytes_max=SNAPSHOT_PAGE_BYTES)
    )


SELECT_LIVE_ROWS = {entity.name: _select_live(entity) for entity in ENTITY_REGISTRY}
SELECT_OPEN_ROWS = SELECT_LIVE_ROWS | {
    entity.name: _select_live(entity, only_open=True) for entity in ENTITY_REGISTRY if "completed" in entity.table.c
}


async def read_snapshot(
    session: Session, owner: str, *, cursor: str | None, limit: int, completed: bool | None
) -> ChangesRead:
    """Returns a page, in the order of the registry: a row comes after those of other entities that it refers to.

    Without ``completed`` done tasks are left out, and nothing else; None: as the first page had it. Raises
    InvalidCursor, and ChangesGone if the changes since the first page are no longer kept.
    """
    allowed = await get_revision_range(session, owner)
    if cursor is None:
        position = SnapshotPosition(allowed.current, completed is not False, ENTITY_REGISTRY[0])
    else:
        position = _decode_position(cursor, completed)
        allowed.require(position.next, SNAPSHOT_GONE)
    changes: list[Any] = []
    last = position
    for entity in ENTITY_REGISTRY[ENTITY_PLACES[position.entity.name] :]:
        if entity is not position.entity:
            position = SnapshotPosition(position.next, position.completed, entity)
        wanted = limit - len(changes)
        rows = await _read_rows(session, owner, position, wanted + 1)
        more = len(rows) > wanted or _is_cut(entity, rows)
        rows = rows[:wanted]
        changes += await convert_rows(rows, _change_maker(entity))
        if rows:
            key = None if entity.live_key is None else getattr(rows[-1], entity.live_key)
            last = position._replace(key=key, id=rows[-1].id)
        if more:
            return ChangesRead(changes, position.next, True, allowed.current, last.encode())
    return ChangesRead(changes, position.next, False, allowed.current)


async def _read_rows(session: Session, owner: str, position: SnapshotPosition, limit: int) -> list[Any]:
    statement = (SELECT_LIVE_ROWS if position.completed else SELECT_OPEN_ROWS)[position.entity.name]
    after = {"after_key": position.key or FIRST_KEY, "after_id": position.id}
    return (await session.exec(statement, {"owner": owner, "limit": limit, **after})).all()


def _is_cut(entity: Entity, rows: list[Any]) -> bool:
    """Returns whether long texts may have ended the page before its limit did."""
    return bool(entity.long_texts and rows and rows[-1].bytes_read >= SNAPSHOT_PAGE_BYTES)


def _change_maker(entity: Entity) -> Callable[[Any], Any]:
    written_at = "updated_at" if "updated_at" in entity.table.c else "created_at"

    def make_change(row: Any) -> Any:
        data = entity.read_row(row)
        return ChangeRow(
            row.version, entity.name, row.id, SNAPSHOT_ACTION, data, getattr(row, written_at), SNAPSHOT_ACTION
        )

    return make_change


def _decode_position(text: str, completed: bool | None) -> SnapshotPosition:
    """Raises InvalidCursor for what ``SnapshotPosition.encode`` did not write, and for the cursor of another query."""
    cursor = decode_cursor(text, sort="snapshot", order="")
    try:
        name, key, with_completed = cursor.value
        entity = ENTITY_REGISTRY[ENTITY_PLACES[name]]
        instant = None if key is None else parse_cursor_instant(key)
    except (ValueError, TypeError, LookupError):
        raise InvalidCursor(loc=("query", "cursor")) from None
    has_key = (instant is None) == (entity.live_key is None)
    if not has_key or type(with_completed) is not bool or completed not in (None, with_completed):
        raise InvalidCursor(loc=("query", "cursor"))
    return SnapshotPosition(cursor.revision, with_completed, entity, instant, cursor.id)
