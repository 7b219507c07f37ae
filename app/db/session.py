"""The session provider: one owner, one transaction, three round trips.

``Session`` has the face of SQLModel's AsyncSession (``(await session.exec(select(Task)...)).all()``) and none of its
unit of work: statements run on asyncpg, rows come back as rows. The transaction opens at the first statement, so a
request that fails before it (403, 422) costs the database nothing, and is committed by ``app.http.routing`` before the
answer is sent.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import asyncpg
import msgspec
from sqlalchemy.sql.base import Executable

from app.db.compiled import Prepared, prepare
from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.distributed_changes import REACH_WORKERS, is_distributed
from app.db.error_mapping import RETRY_AFTER, fact_of, is_lost
from app.db.pool import Pool
from app.db.results import Result, Row
from app.errors import Unavailable

log = logging.getLogger(__name__)

SERVICE_ROLE, AUTH_ROLE, WORKER_ROLE = "todo_user", "todo_auth", "todo_worker"
MAX_OWNER = 255
NO_OWNER = "nobody"  # of a transaction that reads what its role may and no rows of one user
ROLLBACK_TIMEOUT = 2.0


def quote_owner(owner: str) -> str:
    """``owner`` as an SQL literal: SET takes no bind parameters. ValueError for what cannot be an owner."""
    if not 0 < len(owner) <= MAX_OWNER or not owner.isprintable():
        raise ValueError("not a user id")
    return "'" + owner.replace("'", "''") + "'"


class Session:
    """One transaction of one owner. Not for use by two tasks at once."""

    __slots__ = ("_announced", "_begin", "_connection", "_database", "_lingers", "owner", "round_trips", "through")

    def __init__(self, database: "Database", owner: str, begin: str, *, lingers: bool = False) -> None:
        self._begin = begin
        self._lingers = lingers
        self._database = database
        self._connection: Any = None
        self._announced = False
        self.owner = owner
        self.round_trips = 0
        self.through = "api"  # or a token's name, mcp, chat, import: kept in ``changes``

    async def exec(self, statement: Executable | Prepared, params: Mapping[str, Any] | None = None) -> Result:
        """Run one statement. Raises the facts of ``app.db.error_mapping``; what is left is a bug."""
        values: Mapping[str, Any] = params or {}
        if isinstance(statement, Prepared):
            prepared = statement
        else:
            prepared, built = prepare(statement)
            values = {**built, **values}
        if prepared.announced:
            self._announced = True
            if self.through != "api":
                values = {**values, "through": self.through}
            if self._database.distributed and prepared.plain is not None:
                return await prepared.plain.run(self, values)
        if self._connection is None:
            self._connection = await self._database.begin(self._begin)
            self.round_trips += 1
        self.round_trips += 1
        try:
            records = await self._connection.fetch(prepared.sql, *prepared.arguments(values))
        except Exception as error:
            if fact := fact_of(error):
                raise fact from error
            raise
        rows = prepared.rows(records)
        if rows and len(rows[0]) == 1:
            return Result([row[0] for row in rows])
        return Result(rows)

    async def exec_each(self, prepared: Prepared, params: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement for each of ``params``, sent together, in the transaction that has begun. As ``exec``."""
        if not params:
            return
        self.round_trips += 1
        try:
            await self._connection.executemany(prepared.sql, [prepared.arguments(values) for values in params])
        except Exception as error:
            if fact := fact_of(error):
                raise fact from error
            raise

    async def commit(self) -> None:
        """End the transaction, if one was opened. Called once, before the answer is sent."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._lingers:
            self._database.release(connection, has_only_read=True)
            return
        self.round_trips += 1
        try:
            await connection.execute("COMMIT")
        except BaseException as error:
            # Whether it happened is unknown: the connection goes, and the caller is told 503.
            self._database.discard(connection)
            if fact := fact_of(error):
                raise fact from error
            raise
        self._database.release(connection)
        if self._announced and self._database.on_commit is not None:
            self._database.on_commit(self.owner)

    async def rollback(self) -> None:
        """Undo everything since the first statement. Never raises: a connection that cannot roll back is closed."""
        connection, self._connection = self._connection, None
        if connection is None:
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


async def _prepare_connection(connection: Any) -> None:
    # SQLAlchemy's JSONB writes text and expects the driver to read it back as a value.
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)
    if connection.get_settings().standard_conforming_strings != "on":
        raise RuntimeError("standard_conforming_strings must be on: owners are quoted under that rule")


class Database:
    """Where transactions come from."""

    def __init__(self, options: ConnectOptions, *, size: int, timeout: float, role: str = SERVICE_ROLE) -> None:
        """``timeout`` is the longest wait for a connection, in seconds. Nothing is opened before ``open``."""
        self.options = options
        self.role = role
        self._preamble = ""
        if options.pooled:  # a pooler's connections are not ours to configure, so each transaction brings its settings
            self._preamble = "".join(f" SET LOCAL {name} = '{value}';" for name, value in SERVER_SETTINGS.items())
        self.distributed = False  # until ``open`` has asked
        self._reach = ""
        self.on_commit: Callable[[str], None] | None = None  # told the owner of each write (``app.db.notifications``)
        self._size = size
        self._patience = 0.75 * timeout  # for connecting, and for BEGIN: less than they have who wait for the place
        self._pool = Pool(self._connect, size=size, timeout=timeout)

    async def open(self) -> Self:
        """Connect; raises OSError, TimeoutError or an asyncpg error when the database does not answer."""
        await self._pool.gate.enter()
        try:
            connection, _ = await self._pool.acquire()
            try:
                if await is_distributed(connection):
                    self.distributed, self._reach = True, REACH_WORKERS
            finally:
                self._pool.release(connection)
        finally:
            self._pool.gate.leave()
        return self

    async def _connect(self) -> Any:
        arguments = self.options.arguments()
        # Whoever connects holds a place in the gate. When the way to the database swallows packets, connections that
        # are about to fail must not keep those from being tried that come after.
        arguments["timeout"] = min(arguments["timeout"], self._patience)
        connection = await asyncpg.connect(record_class=Row, **arguments)
        try:
            async with asyncio.timeout(self._patience):
                await _prepare_connection(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        """Wait shortly for what runs, then close every connection."""
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @property
    def load(self) -> tuple[int, int, int]:
        """Transactions that run, those that wait for a connection, and how many may run."""
        return self._size - self._pool.gate.free, self._pool.gate.waiting, self._size

    def transaction(self, owner: str, *, read_only: bool = False, role: str | None = None) -> Session:
        """A session of ``owner``; ``async with`` commits it, or rolls it back on any exception."""
        # A list reads the owner's revision and its rows: repeatable read gives both one snapshot at no cost.
        mode = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else ""
        acting = f" SET LOCAL ROLE {role or self.role};{self._reach} SET LOCAL app.user_id = {quote_owner(owner)}"
        # Behind a pooler a transaction that lingers would keep a connection of the server from others.
        lingers = read_only and not self.options.pooled
        return Session(self, owner, f"BEGIN{mode};{self._preamble}{acting}", lingers=lingers)

    def auth_transaction(self) -> Session:
        """A session without an owner, for what comes before anybody knows who asks: login, refresh, tokens.

        Its role can read and write accounts and nothing of what users keep here.
        """
        return Session(self, "", f"BEGIN;{self._preamble} SET LOCAL ROLE {AUTH_ROLE};{self._reach}")

    async def begin(self, statement: str) -> Any:
        """A connection on which ``statement`` has run. Connections that died while idle are replaced on the way.

        BEGIN has no effect to lose, so it is tried again, once for each connection the pool may hold, and on a new one.
        """
        try:
            await self._pool.gate.enter()
        except TimeoutError:
            raise Unavailable(retry_after=RETRY_AFTER) from None
        try:
            for _ in range(self._size + 1):
                connection = await self._begin_once(statement)
                if connection is not None:
                    return connection
            raise Unavailable(retry_after=RETRY_AFTER)
        except BaseException as error:
            self._pool.gate.leave()
            if fact := fact_of(error):
                raise fact from error
            raise

    async def _begin_once(self, statement: str) -> Any:
        """None when the connection turned out to be dead."""
        connection, ending = await self._pool.acquire()
        try:
            await connection.execute(ending + statement, timeout=self._patience)  # it waits for nothing but the way
        except BaseException as error:
            self._pool.discard(connection)
            if is_lost(error):
                return None
            raise
        return connection

    def release(self, connection: Any, *, has_only_read: bool = False) -> None:
        """Give a connection back whose transaction has ended, or one that ``has_only_read`` in it."""
        self._pool.release(connection, has_only_read=has_only_read)
        self._pool.gate.leave()

    def discard(self, connection: Any) -> None:
        """Close a connection whose state is unknown; the server rolls back whatever was open."""
        self._pool.discard(connection)
        self._pool.gate.leave()
