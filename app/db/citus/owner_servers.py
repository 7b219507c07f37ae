"""The server that has an owner's rows: transactions that only read begin there, which spares the coordinator.

Any server answers any statement, so what is remembered here may be old: reads of an owner who has moved are only
slower. Writes go to the coordinator, where other processes hear of them (``app.db.notifications``).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import asyncpg

from app.db.connection import open_connection
from app.db.connection_options import ConnectOptions
from app.db.pool import ConnectionPool

log = logging.getLogger(__name__)

SELECT_OWNER_SERVER = """
    select nodename, nodeport from pg_dist_node join pg_dist_placement using (groupid)
    where noderole = 'primary' and shardid = (
        select get_shard_id_for_distribution_column(logicalrelid, cast(:owner as text))
        from pg_dist_partition where logicalrelid = 'users'::regclass)"""
SELECT_FILLED_SERVERS = """
    select distinct nodename, nodeport from pg_dist_node join pg_dist_placement using (groupid)
    where noderole = 'primary' order by 1, 2"""
# A server that runs a statement itself would keep a further plan of it, of 90 KB, at each execution of a plan for any
# values: Citus 13.2.1 to 14.0.1 (its issue 8783).
OWNER_SERVER_SETTINGS = {"plan_cache_mode": "force_custom_plan"}
CONNECT_WITHIN = 2.0  # seconds
KNOWN_SECONDS = 300.0  # for which an owner's server is remembered
KNOWN_OWNERS = 10_000  # of about 300 bytes
AVOIDED_SECONDS = 300.0  # for which one that cannot be reached is left to the coordinator


class Server(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ServerUnreachable(Exception):
    """The service cannot connect to a server, or not as its role."""

    def __init__(self, server: Server, error: BaseException) -> None:
        super().__init__(f"{server}: {error or type(error).__name__}")
        self.server = server


class OwnerServers:
    """A pool for each server, and whose rows are where."""

    def __init__(
        self,
        options: ConnectOptions,
        find: Callable[[str], Awaitable[Server | None]],
        *,
        role: str,
        size: int,
        timeout: float,
    ) -> None:
        """Connects with ``options``, but to the servers that ``find`` returns for owners, and to become ``role``.

        ``find`` returns None where the rows of all owners are in one place.
        ``size`` and ``timeout`` are those of a pool.
        """
        self._options, self._find, self._role = options.with_settings(OWNER_SERVER_SETTINGS), find, role
        self._size, self._timeout = size, timeout
        self._pools: dict[Server, ConnectionPool] = {}
        self._known: OrderedDict[str, tuple[Server | None, float]] = OrderedDict()  # until when
        self._avoided: dict[Server, float] = {}  # until when

    @property
    def pools(self) -> list[ConnectionPool]:
        return list(self._pools.values())

    async def find_pool(self, owner: str) -> ConnectionPool | None:
        """Returns the pool of the server; None for an owner who is left to the coordinator. Raises as ``find`` does."""
        now = asyncio.get_running_loop().time()
        server, until = self._known.get(owner, (None, now))
        if until <= now:
            server = await self._find(owner)
            self._known[owner] = server, now + KNOWN_SECONDS
            self._known.move_to_end(owner)
            if len(self._known) > KNOWN_OWNERS:
                self._known.popitem(last=False)
        if server is None or self._avoided.get(server, now) > now:
            return None
        if server not in self._pools:
            self._pools[server] = ConnectionPool(partial(self._connect, server), size=self._size, timeout=self._timeout)
        return self._pools[server]

    def avoid(self, error: ServerUnreachable) -> None:
        """Leaves the reads of a server's owners to the coordinator for a while."""
        now = asyncio.get_running_loop().time()
        if self._avoided.get(error.server, 0.0) < now:
            log.warning("reads go through the coordinator, as a server cannot be reached: %s", error)
        self._avoided[error.server] = now + AVOIDED_SECONDS

    async def find_unreachable(self, servers: Iterable[Server]) -> list[ServerUnreachable]:
        """Tries a new connection to each server."""
        found = []
        for server in servers:
            try:
                connection = await self._connect(server, CONNECT_WITHIN)
            except ServerUnreachable as error:
                found.append(error)
            else:
                await connection.close(timeout=CONNECT_WITHIN)
        return found

    async def _connect(self, server: Server, within: float) -> Any:
        within = min(within, CONNECT_WITHIN)
        try:
            connection = await open_connection(self._options, within=within, host=server.host, port=server.port)
            await connection.execute(f"SET ROLE {self._role}; RESET ROLE", timeout=within)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ServerUnreachable(server, error) from error
        return connection
