"""Recorded writes with the revision as a parameter: take it, write, record what was written.

A batch is one write, whatever it consists of: within ``join_writes`` all statements share a revision, and the rows that
they wrote are recorded once, at the end, as they then are. On a distributed database every write is one of these, with
a revision of its own (``app.db.citus.session``).
"""

from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, delete, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.visitors import replacement_traverse

from app.db.compiled import CompiledStatement, Executor
from app.db.results import Result
from app.errors import DeletesOwnRow, WriteTooLarge
from app.models.changes import Change

JOINED_ROWS_MAX = 10_000  # rows that one write may join: each is noted in memory
ROWS_OF_AN_INSERT = 20  # of those that a distributed database inserts in one statement
REVISION_PARAMETER: Any = bindparam("taken_revision", type_=BigInteger)
ZONE_PARAMETER: Any = bindparam("owner_zone", type_=Text)
OWNER_PARAMETER: Any = bindparam("owner", type_=Text)
_WRITTEN_IDS: Any = bindparam("written_ids", type_=ARRAY(BigInteger))


class JoinedChanges:
    """The rows that the writes of one revision have written, until they are recorded."""

    def __init__(self, take: CompiledStatement) -> None:
        """Stores ``take``, which returns the revision and the owner's time zone."""
        self._take = take
        self._created: set[tuple[str, int]] = set()
        self.revision: int | None = None
        self.zone = ""  # until the revision is taken
        self.written: list[tuple[JoinedWrite, int, str]] = []
        """Each row each time that it was written: the write, the id and the action."""

    async def take(self, session: Executor) -> int:
        """Returns the revision that all writes share; the first one takes it."""
        if self.revision is None:
            self.revision, self.zone = (await session.exec(self._take, {"owner": session.owner})).one()
        assert self.revision is not None
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

    async def record(self, session: Executor) -> None:
        """Records each row once, one statement for all of one entity with one action."""
        by_kind = sorted(
            ((write.entity, action, row_id, write) for (_, row_id), (write, action) in self.summarize().items()),
            key=itemgetter(0, 1, 2),
        )
        for (_, action), rows in groupby(by_kind, key=itemgetter(0, 1)):
            same = list(rows)
            await self.record_rows(session, same[0][3], action, [row_id for _, _, row_id, _ in same])

    async def record_rows(self, session: Executor, write: "JoinedWrite", action: str, ids: list[int]) -> None:
        """Records rows as they are now."""
        values = {"owner": session.owner, "taken_revision": self.revision, "action": action, "written_ids": ids}
        await session.exec(write.record, {**values, "through": session.source})


class JoinedWrite:
    """A recorded write in its joined form. Each of its statements is compiled when it is used for the first time."""

    def __init__(
        self,
        write: Insert | Update | Delete,
        *,
        entity: str,
        action: str | ColumnElement[str],
        returning: Sequence[Any],
        columns: Sequence[str],
        values: Mapping[Any, Any],
        take: CompiledStatement,
    ) -> None:
        """Stores the parts. ``values`` replace the sub-selects that read the owner's row, and ``take`` reads it."""
        self.entity = entity
        self._write: Any = write
        self._action = action
        self._values = values
        self._kept = returning
        self._columns = list(columns)
        self._take = take
        self.is_delete = isinstance(write, Delete)

    @cached_property
    def statement(self) -> CompiledStatement:
        """Builds the write. It returns the columns, the id, and the action where that depends on the row."""
        return self._compile_write(_with_default_times(self._write))

    @cached_property
    def lookup(self) -> CompiledStatement | None:
        """Builds the SELECT of an INSERT from one. A distributed database inserts only values into another table."""
        found = self._write.select if isinstance(self._write, Insert) else None
        return None if found is None else CompiledStatement(replace_elements(found, self._values))

    @cached_property
    def insert_row(self) -> CompiledStatement:
        """Builds the INSERT of one row that ``lookup`` returns."""
        return self.compile_insert(1)

    @cached_property
    def insert_rows(self) -> CompiledStatement:
        """Builds the INSERT of ROWS_OF_AN_INSERT such rows."""
        return self.compile_insert(ROWS_OF_AN_INSERT)

    def compile_insert(self, count: int) -> CompiledStatement:
        """Compiles the INSERT of ``count`` such rows, with the parameters that ``_numbered`` returns."""
        table = self._write.table
        rows = []
        for number in range(count):
            names = self._write._select_names
            row = {name: bindparam(f"{name}_{number}", type_=table.c[name].type) for name in names}
            rows.append(_default_times(table, row) | row)
        write = pg_insert(table).values(rows if count > 1 else rows[0])
        write._post_values_clause = self._write._post_values_clause  # ON CONFLICT
        return self._compile_write(write)

    def _numbered(self, rows: Sequence[Any]) -> dict[str, Any]:
        names = self._write._select_names
        return {
            f"{name}_{number}": value for number, row in enumerate(rows) for name, value in zip(names, row, strict=True)
        }

    @cached_property
    def whole(self) -> CompiledStatement:
        """Builds the write so that it also returns what is recorded: one row is then recorded without reading it."""
        return self._compile_write(_with_default_times(self._write), *self._kept)

    @cached_property
    def record_returned(self) -> CompiledStatement:
        """Builds the INSERT of the change of one row that ``whole`` has returned."""
        data: list[Any] = []
        for column in self._kept:
            data += literal_column(f"'{column.key}'"), bindparam(f"kept_{column.key}", type_=column.type)
        values = {
            "user_id": OWNER_PARAMETER,
            "revision": REVISION_PARAMETER,
            "entity": literal_column(f"'{self.entity}'"),
            "entity_id": bindparam("written_id", type_=BigInteger),
            "action": bindparam("action", type_=Text),
            "data": func.jsonb_build_object(*data),
            "at": func.now(),
            "through": bindparam("through", type_=Text),
        }
        return CompiledStatement(insert(Change).values(values))

    def _compile_write(self, write: Any, *also: Any) -> CompiledStatement:
        table = write.table
        returned = [table.c[name] for name in self._columns] + [table.c.id.label("written_id")]
        returned += [column.label(f"kept_{column.key}") for column in also]
        if not isinstance(self._action, str):
            action = str(self._action)
            if "was." in action:
                # A join, and no sub-select in RETURNING. The row is as it was: the owner's lock was taken before.
                was = table.alias("was")
                write = write.where(was.c.user_id == table.c.user_id, was.c.id == table.c.id)
            returned.append(literal_column(action.replace("written.", f"{table.name}."), Text).label("action"))
        return CompiledStatement(replace_elements(write, self._values).returning(*returned))

    @cached_property
    def deletion(self) -> tuple[CompiledStatement, CompiledStatement]:
        """Builds the SELECT of the ids that a DELETE finds, and the DELETE of them: they are recorded in between."""
        table = self._write.table
        found = replace_elements(select(table.c.id).where(*self._write._where_criteria), self._values)
        write = delete(table).where(table.c.user_id == OWNER_PARAMETER, table.c.id == func.any(_WRITTEN_IDS))
        return CompiledStatement(found), CompiledStatement(write.returning(*(table.c[name] for name in self._columns)))

    @cached_property
    def record(self) -> CompiledStatement:
        """Builds the INSERT of the changes of rows with one action."""
        table = self._write.table
        written = (
            select(*self._kept)
            .where(table.c.user_id == OWNER_PARAMETER, table.c.id == func.any(_WRITTEN_IDS))
            .subquery("written")
        )
        change = select(
            written.c.user_id,
            REVISION_PARAMETER,
            literal_column(f"'{self.entity}'"),
            written.c.id,
            bindparam("action", type_=Text),
            func.to_jsonb(literal_column("written")),
            func.now(),
            bindparam("through", type_=Text),
        ).select_from(written)
        into = ["user_id", "revision", "entity", "entity_id", "action", "data", "at", "through"]
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
        """Runs the write, and returns the rows that the plain form would return.

        They are noted in the write that it joins, or else recorded at once.
        """
        if session.joined is not None:
            return await self._run(session, session.joined, values)
        alone = JoinedChanges(self._take)
        if self.is_delete or self.lookup is not None:
            result = await self._run(session, alone, values)
            await alone.record(session)
            return result
        values = {**values, "taken_revision": await alone.take(session), "owner_zone": alone.zone}
        rows = (await session.exec(self.whole, values)).all()
        if len(rows) == 1:
            await self._record_returned(session, alone, rows[0])
        else:
            self._note_rows(alone, rows)
            await alone.record(session)
        return Result([self._pick_columns(row) for row in rows])

    async def _record_returned(self, session: Executor, joined: JoinedChanges, row: Any) -> None:
        first = len(self._columns) + 1
        kept = {f"kept_{column.key}": row[first + place] for place, column in enumerate(self._kept)}
        values = {"owner": session.owner, "taken_revision": joined.revision, "through": session.source}
        action = self._action if isinstance(self._action, str) else row.action
        await session.exec(self.record_returned, {**values, **kept, "written_id": row.written_id, "action": action})

    def _note_rows(self, joined: JoinedChanges, rows: Sequence[Any]) -> None:
        for row in rows:
            joined.note(self, row.written_id, self._action if isinstance(self._action, str) else row.action)

    async def _run(self, session: Executor, joined: JoinedChanges, values: Mapping[str, Any]) -> Result:
        values = {**values, "taken_revision": await joined.take(session), "owner_zone": joined.zone}
        if self.is_delete:
            return await self._delete(session, joined, values)
        if session.distributed and self.lookup is not None:
            rows = await self._insert_found(session, (await session.exec(self.lookup, values)).all())
        else:
            rows = (await session.exec(self.statement, values)).all()
        self._note_rows(joined, rows)
        return Result([self._pick_columns(row) for row in rows])

    async def _insert_found(self, session: Executor, found: Sequence[Any]) -> list[Any]:
        """Inserts many rows in statements of as many as one takes: each row alone would be a message to its server."""
        rows = list[Any]()
        whole = len(found) - len(found) % ROWS_OF_AN_INSERT
        for start in range(0, whole, ROWS_OF_AN_INSERT):
            values = self._numbered(found[start : start + ROWS_OF_AN_INSERT])
            rows += (await session.exec(self.insert_rows, values)).all()
        return rows + await session.exec_each(self.insert_row, [self._numbered([row]) for row in found[whole:]])

    async def _delete(self, session: Executor, joined: JoinedChanges, values: Mapping[str, Any]) -> Result:
        assert isinstance(self._action, str)
        find, write = self.deletion
        ids = (await session.exec(find, values)).all()
        await joined.record_rows(session, self, self._action, ids)
        return await session.exec(write, {**values, "written_ids": ids})


def replace_elements(statement: Any, values: Mapping[Any, Any]) -> Any:
    """Returns a copy of ``statement`` with ``values`` in the places of their keys, which are elements of it."""
    return replacement_traverse(statement, {}, lambda element, **_: values.get(element))


def _with_default_times(write: Any) -> Any:
    """Returns an INSERT of values with its times written out: a default may be of another clock than its parameters."""
    if not isinstance(write, Insert) or write.select is not None:
        return write
    given: set[Any] = {getattr(column, "name", column) for column in write._values or ()}
    return write.values(_default_times(write.table, given))


def _default_times(table: Any, given: Collection[str]) -> dict[str, Any]:
    times = [c.name for c in table.c if str(getattr(c.server_default, "arg", "")) == "now()"]
    return {name: func.now() for name in times if name not in given}


class JoinedTake:
    """The taking of a revision alone, where it is that of the joined writes."""

    def __init__(self, take: CompiledStatement) -> None:
        """Stores ``take``, the statement outside of ``join_writes``."""
        self._take = take

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        if session.joined is None:
            return await session.exec(self._take, values)
        return Result([await session.joined.take(session)])


@asynccontextmanager
async def join_writes(session: Any, take: CompiledStatement) -> AsyncIterator[None]:
    """Makes all writes of the block one, with the revision that ``take`` returns. The owner must be locked."""
    joined = session.joined = JoinedChanges(take)
    try:
        yield
    finally:
        session.joined = None
    await joined.record(session)
