"""Pages of an entity's rows after a key, bounded by their number and by their long texts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Text, cast, func, select

from app.db.changes import OWNER
from app.services.changes.entities import Entity


def entity_page(
    entity: Entity, columns: Sequence[Any], *where: Any, order: Sequence[Any], limit: Any, bytes_max: int
) -> Any:
    """Builds the query of the first ``limit`` rows in ``order``, without those after ``bytes_max`` of long texts.

    The row that reaches ``bytes_max`` is the last one. The rows of an entity with long texts have one more column,
    ``bytes_read``: the bytes up to and including the row's own.
    """
    table = entity.table
    statement: Any = select(*columns).where(table.c.user_id == OWNER, *where).order_by(*order).limit(limit)
    if not entity.long_texts:
        return statement
    # The length of a text costs PostgreSQL no read of it.
    sizes = [func.octet_length(func.coalesce(cast(table.c[name], Text), "")) for name in entity.long_texts]
    size: Any = sum(sizes[1:], sizes[0])
    page = statement.add_columns(
        func.sum(size).over(order_by=order).label("bytes_read"), size.label("own_bytes")
    ).subquery("page")
    kept = [column for column in page.c if column.name != "own_bytes"]
    statement = select(*kept).where(page.c.bytes_read - page.c.own_bytes < bytes_max)
    return statement.order_by(*(page.c[column.name] for column in order))
