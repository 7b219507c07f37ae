"""The session provider: one owner, one transaction, three round trips (BEGIN, the statement, COMMIT).

``Session`` has the interface of SQLModel's AsyncSession (``(await session.exec(select(Task)...)).all()``) without its
unit of work: statements run on asyncpg and return rows. The transaction begins with the first statement, so a request
that fails before it (403, 422) costs the database nothing, and is committed by ``app.http.routing`` before the
response is sent.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.sql.base import Executable

from app.db.compiled import SAME_REVISION, CompiledStatement, bind_statement
from app.db.error_mapping import to_app_error
from app.db.fair_semaphore import Lane
from app.db.joined_changes import JoinedChanges
from app.db.results import Result
from app.errors import AppError

log = logging.getLogger(__name__)

ROLLBACK_TIMEOUT = 2.0  # seconds
NO_ROWS: Mapping[tuple[str, int], Any] = {}
UNREAD_REVISION = 0  # the number of a write that is looked up when it is needed


class ConnectionSource(Protocol):
    """The part of ``app.db.database.Database`` that a session uses."""

    on_commit: Callable[[str], None] | None

    async def begin(self, statement: str, lane: Lane | None, *, reads_of: str | None = None) -> Any: ...

    def release(self, connection: Any, *, is_read_only: bool = False) -> None: ...

    def discard(self, connection: Any) -> None: ...


class Session:
    """One transaction of one owner. Not for use by two tasks at once."""

    distributed = False
    __slots__ = (
        "_begin", "_connection", "_database", "_defers_commit", "_lane", "_notifies", "_reads_of", "_responds",
        "joined", "owner", "revision", "round_trips", "rows_before", "source",
    )  # fmt: skip

    def __init__(
        self,
        database: ConnectionSource,
        owner: str,
        begin: str,
        *,
        lane: Lane | None = None,
        defers_commit: bool = False,
        reads_owner: bool = False,
    ) -> None:
        self._begin = begin
        self._reads_of = owner if reads_owner else None
        self._lane = lane
        self._defers_commit = defers_commit
        self._database = database
        self._connection: Any = None
        self._notifies = False
        self._responds = True
        self.joined: JoinedChanges | None = None  # within ``app.db.joined_changes.join_writes``
        # Rows that a batch merges, by entity and id, in the shape of a GET, as they were before it.
        self.rows_before: Mapping[tuple[str, int], Any] = NO_ROWS
        self.owner = owner
        # Of the latest recorded write of this transaction: None before the first, UNREAD_REVISION if its rows lack it.
        self.revision: int | None = None
        self.round_trips = 0
        self.source = "api"  # or a token's name, mcp, chat, import: recorded in ``changes``

    @property
    def database(self) -> ConnectionSource:
        """Returns the database, by which a process keeps apart what it remembers of owners."""
        return self._database

    async def exec(self, statement: Executable | CompiledStatement, params: Mapping[str, Any] | None = None) -> Result:
        """Runs one statement. Raises errors of ``app.db.error_mapping``; any other exception is a bug."""
        compiled, values = bind_statement(statement, params)
        if compiled.notifies:
            self._notifies = True
            if self.source != "api":
                values = {**values, "through": self.source}
            if self.joined is not None and compiled.joined is not None:
                return await compiled.joined.run(self, values)
        if self._connection is None:
            await self._begin_transaction()
        self.round_trips += 1
        try:
            records = await self._fetch(compiled, compiled.arguments(values))
        except Exception as error:
            self._responds = not isinstance(error, TimeoutError)
            if app_error := to_app_error(error):
                raise app_error from error
            raise
        rows = compiled.rows(records)
        result = Result([row[0] for row in rows] if rows and len(rows[0]) == 1 else rows)
        return result if compiled.revision_column is None else self._note_revision(compiled, result)

    async def _fetch(self, compiled: CompiledStatement, arguments: list[Any]) -> Any:
        if compiled.prepared:
            return await self._connection.fetch(compiled.sql, *arguments)
        # By the empty name: the next such statement replaces it, and it evicts none from the driver's cache. Planned
        # for its values: a plan for any takes 500 ms for a filter by project of a user with 1,000,000 tasks, this 2.
        if not self.distributed:
            await self._control("SET LOCAL plan_cache_mode = auto")
        self.round_trips += 1
        return await (await self._connection.prepare(compiled.sql, name="")).fetch(*arguments)

    def _note_revision(self, compiled: CompiledStatement, result: Result) -> Result:
        """Notes the revision of a write. One that hits no row may have taken another than the noted one."""
        first, column = result.first(), compiled.revision_column
        if column == SAME_REVISION and (self.revision is not None or first is None):
            return result
        if first is None:
            self.revision = self.revision and UNREAD_REVISION
        elif column is None or column < 0:
            self.revision = UNREAD_REVISION
        else:
            self.revision = first if isinstance(first, int) else first[column]
        return result

    async def _begin_transaction(self) -> None:
        self._connection = await self._database.begin(self._begin, self._lane, reads_of=self._reads_of)
        self.round_trips += 1

    async def exec_each(self, compiled: CompiledStatement, params: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Runs a statement for each of ``params``, sent together, and returns all their rows.

        For transactions that have begun.
        """
        if not params:
            return []
        self.round_trips += 1
        try:
            records = await self._connection.fetchmany(compiled.sql, [compiled.arguments(values) for values in params])
        except Exception as error:
            self._responds = not isinstance(error, TimeoutError)
            if app_error := to_app_error(error):
                raise app_error from error
            raise
        return compiled.rows(records)

    @asynccontextmanager
    async def savepoint(self, *, keep: bool = True) -> AsyncIterator[None]:
        """Rolls back the statements of the block, and only these, if it raises, or in any case without ``keep``."""
        if self._connection is None:
            await self._begin_transaction()
        notifies, revision = self._notifies, self.revision
        await self._control("SAVEPOINT block")
        try:
            yield
        except AppError:
            await self._control("ROLLBACK TO SAVEPOINT block")
            self._notifies, self.revision = notifies, revision
            raise
        if keep:
            await self._control("RELEASE SAVEPOINT block")
        else:
            await self._control("ROLLBACK TO SAVEPOINT block")
            self._notifies, self.revision = notifies, revision

    async def _control(self, command: str) -> None:
        self.round_trips += 1
        try:
            await self._connection.execute(command)
        except Exception as error:
            if app_error := to_app_error(error):
                raise app_error from error
            raise

    async def become(self, role: str) -> None:
        """Continues as another role. Before the commit it must not read tables that this one has written."""
        await self._control(f"SET LOCAL ROLE {role}")

    async def commit(self) -> None:
        """Commits the transaction, if one has begun. Called once, before the response is sent."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._defers_commit:
            self._database.release(connection, is_read_only=True)
            return
        self.round_trips += 1
        try:
            await connection.execute("COMMIT")
        except BaseException as error:
            # Whether it was committed is unknown: the connection is closed, and the response is 503.
            self._database.discard(connection)
            if app_error := to_app_error(error):
                raise app_error from error
            raise
        self._database.release(connection)
        if self._notifies and self._database.on_commit is not None:
            self._database.on_commit(self.owner)

    async def rollback(self) -> None:
        """Rolls the transaction back. Raises no Exception: a connection that cannot roll back is closed."""
        connection, self._connection = self._connection, None
        self.revision = None
        if connection is None:
            return
        if not self._responds:  # it would not answer a ROLLBACK either
            self._database.discard(connection)
            return
        self.round_trips += 1
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await connection.execute("ROLLBACK")
        except BaseException as error:
            self._database.discard(connection)
            if not isinstance(error, Exception):
                raise
            return
        self._database.release(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.commit()
        else:
            await self.rollback()
