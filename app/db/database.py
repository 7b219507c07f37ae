"""The database: the connection pool, and the role and owner that each transaction begins with."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from sqlalchemy import text

from app.db.citus.owner_servers import (
    SELECT_FILLED_SERVERS,
    SELECT_OWNER_SERVER,
    OwnerServers,
    Server,
    ServerUnreachable,
)
from app.db.citus.session import (
    DistributedSession,
    distributed_options,
    is_distributed,
    set_everywhere,
)
from app.db.connection import open_connection
from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.error_mapping import to_app_error
from app.db.fair_semaphore import FairLanes, Lane
from app.db.pool import ConnectionPool
from app.db.session import ROLLBACK_TIMEOUT, Session
from app.domain.user_ids import is_user_id

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


class Database:
    """Hands out transactions on connections of one pool, and of one for each server of a distributed database."""

    def __init__(self, options: ConnectOptions, *, size: int, timeout: float, role: str = SERVICE_ROLE) -> None:
        """Opens no connection before ``open``.

        ``size`` is that of each pool. ``timeout`` is the longest wait for a place of the owner, and then for a
        connection, in seconds.
        """
        self.options = options
        self.role = role
        self._preamble = ""
        if options.pooled:  # a pooler's connections cannot be configured, so each transaction sends its settings
            self._preamble = "".join(f" SET LOCAL {name} = '{value}';" for name, value in SERVER_SETTINGS.items())
        self._session_type: type[Session] = Session  # until ``open`` has checked
        self.on_commit: Callable[[str], None] | None = None  # gets each write's owner (``app.db.notifications``)
        self._size, self._timeout = size, timeout
        self._options = options.with_settings(PREPARED_SETTINGS)
        self._pool = ConnectionPool(self._connect, size=size, timeout=timeout)
        self._servers: OwnerServers | None = None
        self._lanes = FairLanes(reads=max(1, size // 2), writes=WRITES_OF_OWNER, timeout=timeout)
        self._held: dict[Any, tuple[ConnectionPool, Lane | None]] = {}  # by connection

    async def open(self) -> Self:
        """Opens one connection. Raises OSError, TimeoutError or an asyncpg error if the database does not respond."""
        connection = await self._pool.begin("BEGIN READ ONLY")
        try:
            found = await is_distributed(connection)
            await connection.execute("COMMIT")
        except BaseException:
            self._pool.discard(connection)
            raise
        if not found:
            self._pool.release(connection)
            return self
        self._pool.discard(connection)  # it lacks the settings
        self._session_type = DistributedSession
        self._options = distributed_options(self.options)
        if not self.options.pooled:
            self._servers = OwnerServers(
                self._options, self._find_server, role=self.role, size=self._size, timeout=self._timeout
            )
        return self

    async def _connect(self, within: float) -> Any:
        return await open_connection(self._options, within=within)

    async def _find_server(self, owner: str) -> Server | None:
        async with self.transaction(NO_OWNER, read_only=True) as session:
            found = (await session.exec(text(SELECT_OWNER_SERVER), {"owner": owner})).first()
        return None if found is None else Server(*found)

    async def find_unreachable(self) -> list[ServerUnreachable]:
        """Returns the servers of a distributed database to which this process cannot connect for reads."""
        if self._servers is None:
            return []
        async with self.transaction(NO_OWNER, read_only=True) as session:
            servers = [Server(*row) for row in (await session.exec(text(SELECT_FILLED_SERVERS))).all()]
        return await self._servers.find_unreachable(servers)

    async def close(self) -> None:
        """Waits up to ROLLBACK_TIMEOUT for running transactions, then closes every connection."""
        try:
            async with asyncio.timeout(ROLLBACK_TIMEOUT):
                await asyncio.gather(*(pool.close() for pool in self._pools))
        except TimeoutError:
            for pool in self._pools:
                pool.terminate()

    @property
    def _pools(self) -> list[ConnectionPool]:
        return [self._pool, *(self._servers.pools if self._servers else ())]

    @property
    def distributed(self) -> bool:
        """Returns whether the database is spread over several servers."""
        return self._session_type.distributed

    @property
    def load(self) -> tuple[int, int, int]:
        """Counts running transactions, those waiting for a connection, and the most that may run."""
        running, waiting, size = map(sum, zip(*(pool.load for pool in self._pools), strict=True))
        return running, waiting + self._lanes.waiting, size

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
        # The service's role reads the rows of owners, and no table that the coordinator alone has.
        beside_owner = self._servers is not None and read_only and role is None and owner != NO_OWNER
        return self._session_type(self, owner, begin, lane=lane, defers_commit=defers_commit, beside_owner=beside_owner)

    def auth_transaction(self) -> Session:
        """Returns a session without an owner, for requests before the user is known: login, refresh, tokens.

        Its role can read and write accounts, and no data of users.
        """
        return self._session_type(self, "", f"BEGIN;{self._preamble} SET LOCAL ROLE {AUTH_ROLE}")

    async def begin(self, statement: str, lane: Lane | None, *, beside: str | None = None) -> Any:
        """Returns a connection on which ``statement`` has run: to the server that has the rows of ``beside``, an owner.

        Without one, and if that server cannot be reached from here, it is one to the database.
        """
        try:
            if lane is not None:
                await self._lanes.enter(lane)
            try:
                pool, connection = await self._begin_beside(beside, statement)
            except BaseException:
                if lane is not None:
                    self._lanes.leave(lane)
                raise
        except Exception as error:
            if app_error := to_app_error(error):
                raise app_error from error
            raise
        self._held[connection] = pool, lane
        return connection

    async def _begin_beside(self, owner: str | None, statement: str) -> tuple[ConnectionPool, Any]:
        if owner is not None and self._servers is not None and (pool := await self._servers.find_pool(owner)):
            try:
                return pool, await pool.begin(statement)
            except ServerUnreachable as error:
                self._servers.avoid(error)
        return self._pool, await self._pool.begin(statement)

    def release(self, connection: Any, *, is_read_only: bool = False) -> None:
        """Returns a connection to its pool: its transaction has ended, or has only read."""
        pool, lane = self._held.pop(connection)
        pool.release(connection, is_read_only=is_read_only)
        if lane is not None:
            self._lanes.leave(lane)

    def discard(self, connection: Any) -> None:
        """Closes a connection whose state is unknown; the server rolls back an open transaction."""
        pool, lane = self._held.pop(connection)
        pool.discard(connection)
        if lane is not None:
            self._lanes.leave(lane)
