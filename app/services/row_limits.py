"""The maximum number of rows of an entity that an owner may have."""

from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.services.changes.entities import ENTITY_REGISTRY, Entity


def _count_rows(entity: Entity) -> Any:
    table = entity.table
    return select(func.count()).select_from(table).where(table.c.user_id == OWNER, table.c.deleted_at.is_(None))


COUNT_ROWS = {entity.name: CompiledStatement(_count_rows(entity)) for entity in ENTITY_REGISTRY if entity.limit}


def has_room(entity: Entity) -> ColumnElement[bool]:
    """Returns the condition of an INSERT of one row. The owner must be locked by an earlier statement."""
    assert entity.limit is not None
    return _count_rows(entity).scalar_subquery() < literal_column(str(entity.limit.rows))  # type: ignore[no-any-return]


async def find_room(session: Session, owner: str, entity: Entity) -> int:
    """Returns how many more rows there can be: 0 or less at the limit. The owner must be locked."""
    assert entity.limit is not None
    return entity.limit.rows - int((await session.exec(COUNT_ROWS[entity.name], {"owner": owner})).one())
