"""The server that has an owner's rows: transactions that only read begin there, which spares the coordinator.

Any server executes any statement on distributed tables, so what is remembered here may be old: reads of an owner who
has moved are only slower, as long as the old server runs. Writes go to the coordinator, from which other processes are
notified (``app.db.notifications``).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.connection import open_connection
from app.db.connection_options import ConnectOptions
from app.db.error_mapping import NO_RESPONSE
from app.db.pool import BEGIN_SHARE, ConnectionPool

log = logging.getLogger(__name__)

# A server without the coordinator's metadata has no tables.
SERVER_PLACES = """
    select distinct nodename, nodeport from pg_dist_node join pg_dist_placement using (groupid)
    where noderole = 'primary' and isactive and hasmetadata and metadatasynced"""
SELECT_FILLED_SERVERS = CompiledStatement(text(f"{SERVER_PLACES} order by 1, 2"))
SELECT_OWNER_SERVER = CompiledStatement(
    text(f"""{SERVER_PLACES} and shardid = (
        select get_shard_id_for_distribution_column(logicalrelid, cast(:owner as text))
        from pg_dist_partition where logicalrelid = 'users'::regclass)""")  # noqa: S608 - a constant
)
# Whether the server that accepts a connection has this name in the cluster's list.
IS_SERVER = """
    select exists (select from pg_dist_node join pg_dist_local_group using (groupid)
                   where nodename = $1 and nodeport = $2)"""
# A server that executes a statement itself would keep a further plan of it, of 90 KB, at each execution of a plan for
# any values: Citus 13.2.1 to 14.0.1 (its issue 8783).
OWNER_SERVER_SETTINGS = {"plan_cache_mode": "force_custom_plan"}
SERVER_CONNECT_TIMEOUT = 2.0  # seconds
KNOWN_SECONDS = 300.0  # for which an owner's server is remembered
KNOWN_OWNERS = 50_000  # of about 250 bytes
AVOIDED_SECONDS = 60.0  # for which a server that cannot be reached is left to the coordinator


class Server(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class OwnerServers:
    """A pool for each server, and the server of each owner."""

    def __init__(
        self,
        options: ConnectOptions,
        find: Callable[[str], Awaitable[Server | None]],
        *,
        role: str,
        size: int,
        timeout: float,
    ) -> None:
        """Connects with ``options``, but to the servers that ``find`` returns for owners; ``role`` is checked there.

        ``find`` returns None for an owner whose rows are on no such server. ``size`` and ``timeout`` are those of a
        pool.
        """
        self._options, self._find, self._role = options.with_settings(OWNER_SERVER_SETTINGS), find, role
        self._size, self._timeout = size, timeout
        self._pools: dict[Server, ConnectionPool] = {}
        self._known: OrderedDict[str, tuple[Server | None, float]] = OrderedDict()  # and when it expires
        self._avoided: dict[Server, float] = {}  # until when
        self._reported: dict[Server, float] = {}  # until when no further line is logged

    @property
    def pools(self) -> list[ConnectionPool]:
        return list(self._pools.values())

    async def find_pool(self, owner: str) -> ConnectionPool | None:
        """Returns the pool of the owner's server; None where the coordinator must serve. Raises as ``find`` does.

        A server is tried by one transaction, and others do not wait for it. Once it has been reached, a transaction
        that cannot connect fails: the coordinator would not reach a server that is gone either, and all users share
        its pool.
        """
        server = await self._find_known(owner)
        if server is None:
            return None
        if pool := self._pools.get(server):
            return pool
        now = asyncio.get_running_loop().time()
        if self._avoided.get(server, now) > now:
            return None
        self._avoided[server] = now + AVOIDED_SECONDS
        try:
            await self._try(server)
        except ConnectionError as error:
            self._report(server, error)
            return None
        except BaseException:
            del self._avoided[server]
            raise
        self._pools[server] = ConnectionPool(partial(self._connect, server), size=self._size, timeout=self._timeout)
        return self._pools[server]

    def forget(self, owner: str) -> None:
        """Looks the owner's server up again for the next transaction: the known one may have been replaced."""
        self._known.pop(owner, None)

    async def find_unreachable(self, servers: Iterable[Server]) -> list[str]:
        """Tries each server, and returns those that cannot be reached, each with the reason."""
        found = []
        for server in servers:
            try:
                await self._try(server)
            except ConnectionError as error:
                found.append(str(error))
        return found

    async def _find_known(self, owner: str) -> Server | None:
        now = asyncio.get_running_loop().time()
        server, until = self._known.get(owner, (None, now))
        if until <= now:
            server = await self._find(owner)
            self._known[owner] = server, now + KNOWN_SECONDS
            self._known.move_to_end(owner)
            if len(self._known) > KNOWN_OWNERS:
                self._known.popitem(last=False)
        return server

    async def _try(self, server: Server) -> None:
        (await self._open(server, BEGIN_SHARE * self._timeout)).terminate()

    async def _connect(self, server: Server, timeout: float) -> Any:  # noqa: ASYNC109 - as ConnectionPool passes it
        try:
            return await self._open(server, timeout)
        except ConnectionError as error:
            self._report(server, error)
            raise

    async def _open(self, server: Server, limit: float) -> Any:
        """Connects to a server, and checks that it is the one, and that the role may be taken there.

        Raises ConnectionError, which names the server and the reason.
        """
        try:
            async with asyncio.timeout(min(limit, SERVER_CONNECT_TIMEOUT)):
                connection = await open_connection(self._options, limit, server)
                try:
                    await connection.execute(f"SET ROLE {self._role}; RESET ROLE")
                    if not await connection.fetchval(IS_SERVER, *server):
                        raise ConnectionError("it is another server")
                except BaseException:
                    connection.terminate()
                    raise
        except (*NO_RESPONSE, asyncpg.PostgresError, RuntimeError) as error:
            raise ConnectionError(f"{server}: {str(error) or type(error).__name__}") from error
        return connection

    def _report(self, server: Server, error: ConnectionError) -> None:
        now = asyncio.get_running_loop().time()
        if self._reported.get(server, now) <= now:
            self._reported[server] = now + AVOIDED_SECONDS
            log.warning("a server cannot be reached for the reads of its users: %s", error)
