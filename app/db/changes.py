"""Recorded writes: each takes its owner's next revision and inserts a row into ``changes``, in the same statement.

A service builds an INSERT, UPDATE or DELETE of SQLAlchemy Core, uses ``NEXT_REVISION`` where the revision belongs,
and wraps the statement with ``recorded_write``. The result is

    WITH rev AS (INSERT INTO users ... ON CONFLICT DO UPDATE SET revision = users.revision + 1 RETURNING revision),
         written AS (<the statement> RETURNING ...),
         log AS (INSERT INTO changes ... SELECT ... FROM written)
    SELECT ... FROM written

The lock on the owner's row serialises the writes of one owner and no others, so revisions are gap-free in commit
order: a reader that asks for changes after 41 can never miss a 40 that commits later. A write that hits no row must
be rolled back together with its revision: services raise an application error in that case.

The writes of a batch share one revision, and on a distributed database a write is several statements:
``app.db.joined_changes``.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, func, insert, literal, literal_column, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.sql.dml import Delete, Insert, Update

from app.db.compiled import NO_COLUMN, SAME_REVISION, CompiledStatement
from app.db.joined_changes import REVISION_PARAMETER, ZONE_PARAMETER, JoinedTake, JoinedWrite, replace_elements
from app.models.changes import Change
from app.models.users import USERS

OWNER = bindparam("owner", type_=Text)
WRITE_SOURCE = bindparam("through", "api", type_=Text)  # set by the session, so that services need not pass it
_ONE_LITERAL: Any = literal_column("1")  # in the SQL text, so that it is not an argument of each call
_take_revision = (
    pg_insert(USERS)
    .values(id=OWNER, revision=func.initial_revision(type_=BigInteger) + _ONE_LITERAL)
    .on_conflict_do_update(index_elements=[USERS.c.id], set_={"revision": USERS.c.revision + _ONE_LITERAL})
    .returning(USERS.c.revision)
)
_rev = _take_revision.returning(USERS.c.timezone).cte("rev")
NEXT_REVISION: ColumnElement[int] = select(_rev.c.revision).scalar_subquery()
# The revision that this transaction has already taken: the owner's lock keeps it the latest one.
_select_revision = select(USERS.c.revision).where(USERS.c.id == OWNER)
CURRENT_REVISION: ColumnElement[int] = _select_revision.scalar_subquery()
# A subject that has never written has no row yet, and the default zone. A write that takes a revision reads the zone
# with it: the statement's snapshot is older than a change of the zone that the write waited for.
OWNER_TIMEZONE: Any = func.coalesce(
    select(USERS.c.timezone).where(USERS.c.id == OWNER).scalar_subquery(), literal("UTC")
)
_AT_NEXT_REVISION = {
    OWNER_TIMEZONE: select(_rev.c.timezone).scalar_subquery(),
    NEXT_REVISION: NEXT_REVISION,  # as it is: a copy would be another CTE
}
# The revision alone, for writes of several statements. Only when something will be written: a revision without a
# change must not exist.
TAKE_NEXT_REVISION = CompiledStatement(
    _take_revision, notifies=True, joined=JoinedTake(CompiledStatement(_take_revision)), revision_column=0
)
# What the joined form of a write reads of the owner's row, and puts in the places of the sub-selects that read it. It
# begins when the revision is taken, so that CURRENT_REVISION next to NEXT_REVISION is the revision before this one, as
# it would be without a concurrent write.
TAKE_JOINED_REVISION = CompiledStatement(_take_revision.returning(USERS.c.timezone), notifies=True, revision_column=0)
_FIRST_VALUES = {
    NEXT_REVISION: REVISION_PARAMETER,
    CURRENT_REVISION: REVISION_PARAMETER - 1,
    OWNER_TIMEZONE: ZONE_PARAMETER,
}
_SELECT_TAKEN = CompiledStatement(_select_revision.add_columns(USERS.c.timezone))
_JOINED_VALUES = {CURRENT_REVISION: REVISION_PARAMETER, OWNER_TIMEZONE: ZONE_PARAMETER}


def recorded_write(
    write: Insert | Update | Delete,
    *,
    entity: str,
    action: str | ColumnElement[str],
    returning: Sequence[Any],
    columns: Sequence[str],
    revision: ColumnElement[int] = NEXT_REVISION,
) -> CompiledStatement:
    """Wraps ``write`` so that it takes the next revision and records each row it wrote.

    ``returning`` are the columns kept in ``changes.data``; ``columns`` names those of them that are returned, in order.
    ``action`` may be a text over the columns of ``written``, and of ``was``: the row in the statement's snapshot.

    With ``revision=CURRENT_REVISION``, here and in ``write``, the statement joins the write that this transaction has
    begun, for writes of several statements. Only after one that took a revision: else it would join an earlier write.
    No row may be written twice.
    """
    if isinstance(write, Delete):  # it does not use the revision, and without this it would lock its rows first
        write = write.where(revision.is_not(None))
    joins = revision is CURRENT_REVISION
    whole: Any = write if joins else replace_elements(write, _AT_NEXT_REVISION)
    written = whole.returning(*returning).cte("written")
    log = (
        insert(Change)
        .from_select(
            ["user_id", "revision", "entity", "entity_id", "action", "data", "through"],
            select(
                written.c.user_id,
                revision,
                literal_column(f"'{entity}'"),
                written.c.id,
                _action_of(action, write.table),
                func.to_jsonb(literal_column("written")),
                WRITE_SOURCE,
            ).select_from(written),
            include_defaults=False,
        )
        .cte("log")
    )
    values, take = (_JOINED_VALUES, _SELECT_TAKEN) if joins else (_FIRST_VALUES, TAKE_JOINED_REVISION)
    parts: dict[str, Any] = {"entity": entity, "action": action, "returning": returning, "columns": columns}
    return CompiledStatement(
        select(*(written.c[name] for name in columns)).add_cte(log),
        notifies=True,
        joined=JoinedWrite(write, values=values, take=take, **parts),
        revision_column=_revision_column(write, columns, joins=joins),
    )


def _action_of(action: str | ColumnElement[str], table: Any) -> Any:
    """Returns the action of a row of ``written``; what it was is there in the statement's snapshot."""
    if isinstance(action, str):
        return literal_column(f"'{action}'")
    if "was." not in str(action):
        return action
    row = f"from {table.name} was where was.user_id = written.user_id and was.id = written.id"
    return literal_column(f"(select {action} {row})")


def _revision_column(write: Insert | Update | Delete, columns: Sequence[str], *, joins: bool) -> int:
    """Returns the place of the write's revision among ``columns``. A deleted row has that of the write before."""
    if "version" in columns and not isinstance(write, Delete):
        return list(columns).index("version")
    return SAME_REVISION if joins else NO_COLUMN
