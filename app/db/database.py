"""The database: the connection pool, and the role and owner that each transaction begins with."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import asyncpg
import msgspec

from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.distributed import (
    DISTRIBUTED_COMMAND_TIMEOUT,
    DISTRIBUTED_SETTINGS,
    DistributedSession,
    is_distributed,
    set_everywhere,
)
from app.db.error_mapping import DATABASE_RETRY_AFTER, is_connection_lost, to_app_error
from app.db.fair_semaphore import FairLanes, Lane
from app.db.pool import ConnectionPool
from app.db.results import DatabaseRow
from app.db.session import ROLLBACK_TIMEOUT, Session
from app.domain.user_ids import is_user_id
from app.errors import Unavailable

SERVICE_ROLE, AUTH_ROLE, WORKER_ROLE = "todo_user", "todo_auth", "todo_worker"
# One plan for any values, as tests/db/plans.txt has it, from the first execution on. PostgreSQL otherwise plans each
# list again, since the number of its rows makes that look cheaper: 150 of 210 microseconds. On Citus a plan depends on
# the owner, and through a pooler no statement is prepared.
PREPARED_SETTINGS = {"plan_cache_mode": "force_generic_plan"}
# Writes of one owner wait for each other's COMMIT: a second one can begin meanwhile, more would only hold connections.
# With the half of them for reads, a user who sends many requests at once leaves some to everybody else.
WRITES_OF_OWNER = 2
NO_OWNER = "nobody"  # for transactions that read what their role may, and no rows of one user


def quote_owner(owner: str) -> str:
    """Quotes ``owner`` as an SQL literal: SET takes no bind parameters. Raises ValueError unless it is a user id."""
    if not is_user_id(owner):
        raise ValueError("not a user id")
    return "'" + owner.replace("'", "''") + "'"


async def _prepare_connection(connection: Any) -> None:
    # SQLAlchemy's JSONB writes text and expects the driver to read it back as a value.
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)
    if connection.get_settings().standard_conforming_strings != "on":
        raise RuntimeError("standard_conforming_strings must be on: owners are quoted under that rule")


class Database:
    """Hands out transactions on connections of one pool."""

    def __init__(self, options: ConnectOptions, *, size: int, timeout: float, role: str = SERVICE_ROLE) -> None:
        """Opens no connection before ``open``.

        ``timeout`` is the longest wait for a place of the owner, and then for a connection, in seconds.
        """
        self.options = options
        self.role = role
        self._preamble = ""
        if options.pooled:  # a pooler's connections cannot be configured, so each transaction sends its settings
            self._preamble = "".join(f" SET LOCAL {name} = '{value}';" for name, value in SERVER_SETTINGS.items())
        self._session_type: type[Session] = Session  # until ``open`` has checked
        self.on_commit: Callable[[str], None] | None = None  # gets each write's owner (``app.db.notifications``)
        self._size = size
        self._acquire_timeout = 0.75 * timeout  # for connecting and BEGIN: shorter than the wait for a place
        self._pool = ConnectionPool(self._connect, size=size, timeout=timeout)
        self._lanes = FairLanes(reads=max(1, size // 2), writes=WRITES_OF_OWNER, timeout=timeout)
        self._lane_of: dict[Any, Lane] = {}  # by connection

    async def open(self) -> Self:
        """Opens one connection. Raises OSError, TimeoutError or an asyncpg error if the database does not respond."""
        await self._pool.semaphore.enter()
        try:
            connection, _ = await self._pool.acquire()
            try:
                if await is_distributed(connection):
                    self._session_type = DistributedSession
            except BaseException:
                self._pool.discard(connection)
                raise
            if self.distributed:  # it lacks the settings
                self._pool.discard(connection)
            else:
                self._pool.release(connection)
        finally:
            self._pool.semaphore.leave()
        return self

    async def _connect(self) -> Any:
        arguments = self.options.arguments()
        # A request that connects holds a place in the semaphore. If the network drops packets, attempts that will
        # fail must not keep later requests from trying.
        arguments["timeout"] = min(arguments["timeout"], self._acquire_timeout)
        if self.distributed:
            arguments["command_timeout"] = min(arguments["command_timeout"], DISTRIBUTED_COMMAND_TIMEOUT)
        if not self.options.pooled:
            more = DISTRIBUTED_SETTINGS if self.distributed else PREPARED_SETTINGS
            arguments["server_settings"] = arguments["server_settings"] | more
        connection = await asyncpg.connect(record_class=DatabaseRow, **arguments)
        try:
            async with asyncio.timeout(self._acquire_timeout):
                await _prepare_connection(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        """Waits up to ROLLBACK_TIMEOUT for running transactions, then closes every connection."""
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @property
    def distributed(self) -> bool:
        """Returns whether the database is spread over several servers."""
        return self._session_type.distributed

    @property
    def load(self) -> tuple[int, int, int]:
        """Counts running transactions, those waiting for a connection, and the most that may run."""
        waiting = self._pool.semaphore.waiting + self._lanes.waiting
        return self._size - self._pool.semaphore.free, waiting, self._size

    def transaction(
        self, owner: str, *, read_only: bool = False, role: str | None = None, in_lane: bool = True
    ) -> Session:
        """Returns a session of ``owner``; ``async with`` commits it, or rolls it back on any exception.

        Without ``in_lane`` it is not counted among those of the owner: for callers with a limit of their own.
        """
        # A list reads the owner's revision and its rows: repeatable read gives both one snapshot at no cost.
        mode = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if read_only else ""
        acting = f"SET LOCAL app.user_id = {quote_owner(owner)}"
        if self.distributed:
            acting = set_everywhere(acting)
        # Through a pooler a deferred COMMIT would hold a connection of the server.
        defers_commit = read_only and not self.options.pooled
        begin = f"BEGIN{mode};{self._preamble} SET LOCAL ROLE {role or self.role}; {acting}"
        lane = Lane(owner, read_only) if in_lane and owner != NO_OWNER else None
        return self._session_type(self, owner, begin, lane=lane, defers_commit=defers_commit)

    def auth_transaction(self) -> Session:
        """Returns a session without an owner, for requests before the user is known: login, refresh, tokens.

        Its role can read and write accounts, and no data of users.
        """
        return self._session_type(self, "", f"BEGIN;{self._preamble} SET LOCAL ROLE {AUTH_ROLE}")

    async def begin(self, statement: str, lane: Lane | None) -> Any:
        """Returns a connection on which ``statement`` has run. Replaces connections that died while idle.

        BEGIN has no effect to lose, so it is retried, once for each connection the pool may hold, and on a new one.
        """
        try:
            if lane is not None:
                await self._lanes.enter(lane)
            try:
                connection = await self._begin_in_turn(statement)
            except BaseException:
                if lane is not None:
                    self._lanes.leave(lane)
                raise
        except Exception as error:
            if app_error := to_app_error(error):
                raise app_error from error
            raise
        if lane is not None:
            self._lane_of[connection] = lane
        return connection

    async def _begin_in_turn(self, statement: str) -> Any:
        await self._pool.semaphore.enter()
        try:
            for _ in range(self._size + 1):
                connection = await self._begin_once(statement)
                if connection is not None:
                    return connection
            raise Unavailable(retry_after=DATABASE_RETRY_AFTER)
        except BaseException:
            self._pool.semaphore.leave()
            raise

    async def _begin_once(self, statement: str) -> Any:
        """Returns None if the connection was dead."""
        connection, ending = await self._pool.acquire()
        try:
            await connection.execute(ending + statement, timeout=self._acquire_timeout)  # waits for the network only
        except BaseException as error:
            self._pool.discard(connection)
            if is_connection_lost(error):
                return None
            raise
        return connection

    def release(self, connection: Any, *, is_read_only: bool = False) -> None:
        """Returns a connection to the pool: its transaction has ended, or has only read."""
        self._pool.release(connection, is_read_only=is_read_only)
        self._leave(connection)

    def discard(self, connection: Any) -> None:
        """Closes a connection whose state is unknown; the server rolls back an open transaction."""
        self._pool.discard(connection)
        self._leave(connection)

    def _leave(self, connection: Any) -> None:
        lane = self._lane_of.pop(connection, None)
        if lane is not None:
            self._lanes.leave(lane)
        self._pool.semaphore.leave()
