"""The owner's changes after a revision, in order, whole writes at a time."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.results import convert_rows
from app.db.session import Session
from app.models.changes import CHANGES
from app.models.users import USERS
from app.schemas.changes import ChangeRow
from app.services.changes.entities import ENTITY_REGISTRY
from app.services.changes.revisions import RevisionRange, get_revision_range

SINCE_REVISION = bindparam("since", type_=BigInteger)
READ_SHAPES = {entity.name: entity.to_read_shape for entity in ENTITY_REGISTRY}
CHANGE_FIELDS = ("revision", "entity", "entity_id", "action", "data", "at", "through")
CHANGE_COLUMNS = [CHANGES.c[name] for name in CHANGE_FIELDS]

# WITH TIES ends a page after a whole write. The outer join returns the owner's row even without a change.
_changes_page = (
    select(*CHANGE_COLUMNS)
    .where(CHANGES.c.user_id == OWNER, CHANGES.c.revision > SINCE_REVISION)
    .order_by(CHANGES.c.revision)
    .fetch(bindparam("limit", type_=BigInteger), with_ties=True)
    .lateral("page")
)
SELECT_CHANGES = CompiledStatement(
    select(USERS.c.revision.label("current"), USERS.c.pruned_revision, *_changes_page.c)
    .select_from(USERS.outerjoin(_changes_page, true()))
    .where(USERS.c.id == OWNER)
    .order_by(_changes_page.c.revision, _changes_page.c.entity, _changes_page.c.entity_id)
)
SELECT_WRITE = CompiledStatement(
    select(*CHANGE_COLUMNS)
    .where(CHANGES.c.user_id == OWNER, CHANGES.c.revision == bindparam("revision", type_=BigInteger))
    .order_by(CHANGES.c.entity, CHANGES.c.entity_id)
)
_wanted = func.unnest(bindparam("ids", type_=ARRAY(BigInteger))).table_valued(column("id", BigInteger), name="wanted")
_rows = _wanted.render_derived(name="wanted")
# One step in the index for each row, however many changes it has.
_earlier = (
    select(CHANGES.c.data)
    .where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.entity == bindparam("entity", type_=Text),
        CHANGES.c.entity_id == _rows.c.id,
        CHANGES.c.revision < bindparam("revision", type_=BigInteger),
    )
    .order_by(CHANGES.c.revision.desc())
    .limit(1)
    .lateral("earlier")
)
SELECT_EARLIER_ROWS = CompiledStatement(select(_rows.c.id, _earlier.c.data).select_from(_rows.join(_earlier, true())))


class ChangesRead(NamedTuple):
    """A page. ``current`` is the owner's revision when it was read; ``next`` is the ``since`` of the next page.

    Of a snapshot ``cursor`` leads to the next page, and ``next`` to the changes since its first page.
    """

    changes: list[Any]
    next: int
    has_more: bool
    current: int
    cursor: str | None = None


async def list_changes(session: Session, owner: str, *, since: int, limit: int) -> ChangesRead:
    """Returns the changes after ``since``: more than ``limit`` where its last write would be cut.

    Raises ChangesGone when they are no longer kept, and when ``since`` is in the future.
    """
    rows = (await session.exec(SELECT_CHANGES, {"owner": owner, "since": since, "limit": limit})).all()
    allowed = RevisionRange(*rows[0][:2]) if rows else await get_revision_range(session, owner)
    allowed.require(since)
    current = allowed.current
    if not rows or rows[0].revision is None:
        return ChangesRead([], current, False, current)
    changes = await convert_rows((row[2:] for row in rows), change_row)
    full = len(changes) >= limit
    last = changes[-1].revision if full else current
    return ChangesRead(changes, last, last < current, current)


async def find_position(session: Session, owner: str, since: int | None) -> tuple[int, bool]:
    """Returns where a stream begins (None: now), and whether there are changes to replay. Raises ChangesGone."""
    allowed = await get_revision_range(session, owner)
    if since is None:
        return allowed.current, False
    allowed.require(since)
    return since, since < allowed.current


async def get_change(session: Session, owner: str, revision: int) -> list[Any]:
    """Returns the changes of one write; none when there is no such revision."""
    rows = (await session.exec(SELECT_WRITE, {"owner": owner, "revision": revision})).all()
    return await convert_rows(rows, change_row)


async def find_rows_before(
    session: Session, owner: str, entity: str, ids: list[int], revision: int
) -> dict[int, dict[str, Any]]:
    """Returns ``changes.data`` of each row as it was before ``revision``, without those whose changes are not kept."""
    values = {"owner": owner, "entity": entity, "ids": ids, "revision": revision}
    return dict((await session.exec(SELECT_EARLIER_ROWS, values)).all())


def change_row(values: Any) -> Any:
    """Returns a ChangeRow of the values of ``CHANGE_COLUMNS``, with ``data`` as the API returns it."""
    revision, entity, entity_id, action, data, at, through = values
    return ChangeRow(revision, entity, entity_id, action, to_read_shape(entity, data), at, through)


def to_read_shape(entity: str, data: dict[str, Any]) -> Any:
    """Returns ``changes.data`` as a GET of that entity returns it."""
    shape = READ_SHAPES.get(entity)
    return data if shape is None else shape(data)
