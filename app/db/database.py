"""The database: the connection pool, and the role and owner that each transaction begins with."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

from app.db.citus.owner_servers import (
    SELECT_FILLED_SERVERS,
    SELECT_OWNER_SERVER,
    OwnerServers,
    Server,
)
from app.db.citus.session import (
    DISTRIBUTED_SETTINGS,
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


def _format_set_local(settings: Mapping[str, str]) -> str:
    """Returns the commands for a transaction on a pooler's connection, which cannot be configured."""
    return "".join(f" SET LOCAL {name} = '{value}';" for name, value in settings.items())


class Database:
    """Hands out transactions on connections of one pool, and of one for each server of a distributed database."""

    def __init__(self, options: ConnectOptions, *, size: int, timeout: float, role: str = SERVICE_ROLE) -> None:
        """Opens no connection before ``open``.

        ``size`` is that of each pool. ``timeout`` is the longest wait for a place of the owner, and then for a
        connection, in seconds.
        """
        self.options = options
        self.role = role
        self._preamble = _format_set_local(SERVER_SETTINGS) if options.pooled else ""
        self._session_type: type[Session] = Session  # until ``open`` has checked
        self.on_commit: Callable[[str], None] | None = None  # gets each write's owner (``app.db.notifications``)
        self._size, self._timeout = size, timeout
        self._options = options.with_settings(PREPARED_SETTINGS)
        self._pool = ConnectionPool(self._connect, size=size, timeout=timeout)
        self._servers: OwnerServers | None = None
        self._lanes = FairLanes(reads=max(1, size // 2), writes=WRITES_OF_OWNER, timeout=timeout)
        self._held: dict[Any, tuple[ConnectionPool, Lane | None]] = {}  # by connection

    async def open(self) -> Self:
        """Opens one connection.

        Raises OSError, TimeoutError, Unavailable or an asyncpg error if the database does not respond.
        """
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
        if self.options.pooled:
            self._preamble += _format_set_local(DISTRIBUTED_SETTINGS)
        else:
            self._servers = OwnerServers(
                self._options, self._find_server, role=self.role, size=self._size, timeout=self._timeout
            )
        return self

    async def _connect(self, timeout: float) -> Any:  # noqa: ASYNC109 - as ConnectionPool passes it
        return await open_connection(self._options, timeout)

    async def _find_server(self, owner: str) -> Server | None:
        async with self.transaction(NO_OWNER, read_only=True) as session:
            found = (await session.exec(SELECT_OWNER_SERVER, {"owner": owner})).first()
        return None if found is None else Server(*found)

    async def find_unreachable(self) -> list[str] | None:
        """Returns the servers to which this process cannot connect for reads, each with the reason.

        None if no server has rows, or reads begin on none.
        """
        if self._servers is None:
            return None
        async with self.transaction(NO_OWNER, read_only=True) as session:
            servers = [Server(*row) for row in (await session.exec(SELECT_FILLED_SERVERS)).all()]
        return await self._servers.find_unreachable(servers) if servers else None

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
        """Counts transactions that run, that wait, and that may run: of the fullest pool, and waiting ones of lanes."""
        running, waiting, size = max(pool.load for pool in self._pools)
        return running, waiting + self._lanes.waiting, size

    def transaction(
        self,
        owner: str,
        *,
        read_only: bool = False,
        role: str | None = None,
        in_lane: bool = True,
        other_tables: bool = False,
    ) -> Session:
        """Returns a session of ``owner``; ``async with`` commits it, or rolls it back on any exception.

        Without ``in_lane`` it is not counted among those of the owner: for callers with a limit of their own. With
        ``other_tables`` a read may be of more than the owner's rows in the service's tables: of those of other
        programs, or of the catalogue.
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
        # The service's role can read no table of the service that the coordinator alone has.
        reads_owner = read_only and role is None and owner != NO_OWNER and not other_tables
        return self._session_type(self, owner, begin, lane=lane, defers_commit=defers_commit, reads_owner=reads_owner)

    def auth_transaction(self) -> Session:
        """Returns a session without an owner, for requests before the user is known: login, refresh, tokens.

        Its role can read and write accounts, and no data of users.
        """
        return self._session_type(self, "", f"BEGIN;{self._preamble} SET LOCAL ROLE {AUTH_ROLE}")

    async def begin(self, statement: str, lane: Lane | None, *, reads_of: str | None = None) -> Any:
        """Returns a connection on which ``statement`` has run.

        ``reads_of`` is the owner of a transaction that reads this owner's rows alone: on a distributed database it
        begins on the server that has them.
        """
        try:
            if lane is not None:
                await self._lanes.enter(lane)
            try:
                pool, connection = await self._begin(statement, reads_of)
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

    async def _begin(self, statement: str, reads_of: str | None) -> tuple[ConnectionPool, Any]:
        if self._servers is None or reads_of is None:
            return self._pool, await self._pool.begin(statement)
        pool = await self._servers.find_pool(reads_of) or self._pool
        try:
            return pool, await pool.begin(statement)
        except Exception:
            self._servers.forget(reads_of)
            raise

    def release(self, connection: Any, *, is_read_only: bool = False) -> None:
        """Returns a connection to its pool: its transaction has ended, or has only read."""
        self._take_back(connection).release(connection, is_read_only=is_read_only)

    def discard(self, connection: Any) -> None:
        """Closes a connection whose state is unknown; the server rolls back an open transaction."""
        self._take_back(connection).discard(connection)

    def _take_back(self, connection: Any) -> ConnectionPool:
        pool, lane = self._held.pop(connection)
        if lane is not None:
            self._lanes.leave(lane)
        return pool
