"""Recorded writes that share one revision: a batch is one write, whatever it consists of.

Within ``join_writes`` each statement gets the revision as a parameter, and the rows that it wrote are noted. At the end
each of them is recorded once, as it then is.
"""

from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.visitors import replacement_traverse

from app.db.compiled import CompiledStatement, Executor
from app.db.results import Result
from app.errors import DeletesOwnRow, WriteTooLarge
from app.models.changes import Change

JOINED_ROWS_MAX = 10_000  # rows that one write may join: each is noted in memory
REVISION_PARAMETER: Any = bindparam("taken_revision", type_=BigInteger)


class JoinedChanges:
    """The rows that the joined writes of a transaction have written, until they are recorded."""

    def __init__(self, take: CompiledStatement) -> None:
        self._take = take
        self._created: set[tuple[str, int]] = set()
        self.revision: int | None = None
        self.written: list[tuple[JoinedWrite, int, str]] = []
        """Each row each time that it was written: the write, the id and the action."""

    async def take(self, session: Executor) -> int:
        """Returns the revision that all writes share; the first one takes it."""
        if self.revision is None:
            self.revision = (await session.exec(self._take, {"owner": session.owner})).one()
        return self.revision

    def note(self, write: "JoinedWrite", row_id: int, action: str) -> None:
        """Notes a row. Raises WriteTooLarge; DeletesOwnRow: as one change a row is either created or deleted."""
        key = write.entity, row_id
        if action == "created":
            self._created.add(key)
        if action == "deleted" and key in self._created:
            raise DeletesOwnRow
        if len(self.written) >= JOINED_ROWS_MAX:
            raise WriteTooLarge
        self.written.append((write, row_id, action))

    def summarize(self) -> dict[tuple[str, int], tuple["JoinedWrite", str]]:
        """Returns the write and the action to record for each row: what happened last that says more than "updated"."""
        found: dict[tuple[str, int], tuple[JoinedWrite, str]] = {}
        for write, row_id, action in self.written:
            key = write.entity, row_id
            before = found.get(key, (write, "updated"))
            if before[1] == "created" or action == "updated":
                action = before[1]
            found[key] = write, action
        return found


class JoinedWrite:
    """A recorded write in its joined form. Compiled when it is used for the first time."""

    def __init__(
        self,
        write: Insert | Update | Delete,
        *,
        entity: str,
        action: str | ColumnElement[str],
        returning: Sequence[Any],
        columns: Sequence[str],
        values: Mapping[Any, Any],
    ) -> None:
        """Stores the parts. ``values`` replace the sub-selects that read the revision."""
        self.entity = entity
        self._write: Any = write
        self._action = action
        self._values = values
        self._kept = returning
        self._columns = list(columns)

    @cached_property
    def statement(self) -> CompiledStatement:
        """Builds the write. It returns the columns, the id, and the action where that depends on the row."""
        table = self._write.table
        returned = [table.c[name] for name in self._columns] + [table.c.id.label("written_id")]
        if not isinstance(self._action, str):
            # Computed in RETURNING, where the statement's snapshot still has the row as it was.
            here = str(self._action).replace("written.", f"{table.name}.")
            returned.append(literal_column(here, Text).label("action"))
        bound: Any = replacement_traverse(self._write, {}, lambda element, **_: self._values.get(element))
        return CompiledStatement(bound.returning(*returned))

    @cached_property
    def record(self) -> CompiledStatement:
        """Builds the INSERT of the changes of rows with one action."""
        table = self._write.table
        ids = bindparam("ids", type_=ARRAY(BigInteger))
        written = (
            select(*self._kept)
            .where(table.c.user_id == bindparam("owner", type_=Text), table.c.id == func.any(ids))
            .subquery("written")
        )
        change = select(
            written.c.user_id,
            REVISION_PARAMETER,
            literal_column(f"'{self.entity}'"),
            written.c.id,
            bindparam("action", type_=Text),
            func.to_jsonb(literal_column("written")),
            bindparam("through", type_=Text),
        ).select_from(written)
        into = ["user_id", "revision", "entity", "entity_id", "action", "data", "through"]
        return CompiledStatement(insert(Change).from_select(into, change, include_defaults=False))

    @cached_property
    def _pick_columns(self) -> Callable[[Any], Any]:
        """Picks the columns that the caller wants; of a single one its value."""
        if len(self._columns) == 1:
            return itemgetter(0)
        wanted = slice(len(self._columns))
        make = namedtuple("Row", self._columns, rename=True)._make  # type: ignore[attr-defined]
        return lambda row: make(row[wanted])

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        """Runs the write and notes its rows. Returns those that the plain form would return."""
        joined = session.joined
        assert joined is not None, "used within join_writes"
        revision = await joined.take(session)
        rows = (await session.exec(self.statement, {**values, "taken_revision": revision})).all()
        for row in rows:
            action = self._action if isinstance(self._action, str) else row.action
            joined.note(self, row.written_id, action)
        return Result([self._pick_columns(row) for row in rows])


class JoinedTake:
    """The taking of a revision alone, where it is that of the joined writes."""

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        joined = session.joined
        assert joined is not None, "used within join_writes"
        return Result([await joined.take(session)])


@asynccontextmanager
async def join_writes(session: Any, take: CompiledStatement) -> AsyncIterator[None]:
    """Makes all writes of the block one, with the revision that ``take`` returns. The owner must be locked."""
    joined = session.joined = JoinedChanges(take)
    try:
        yield
    finally:
        session.joined = None
    by_kind = sorted(
        ((write.entity, action, row_id, write) for (_, row_id), (write, action) in joined.summarize().items()),
        key=itemgetter(0, 1, 2),
    )
    for (_, action), rows in groupby(by_kind, key=itemgetter(0, 1)):
        same = list(rows)
        ids = [row_id for _, _, row_id, _ in same]
        values = {"owner": session.owner, "taken_revision": joined.revision, "action": action, "ids": ids}
        await session.exec(same[0][3].record, {**values, "through": session.source})
