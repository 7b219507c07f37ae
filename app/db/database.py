"""Where transactions come from: the pool, and the roles and owners that transactions begin with."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import asyncpg
import msgspec

from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.distributed import REACH_WORKERS, is_distributed
from app.db.error_mapping import RETRY_AFTER, fact_of, is_lost
from app.db.pool import Pool
from app.db.results import Row
from app.db.session import ROLLBACK_TIMEOUT, Session
from app.domain.user_ids import is_user_id
from app.errors import Unavailable

SERVICE_ROLE, AUTH_ROLE, WORKER_ROLE = "todo_user", "todo_auth", "todo_worker"
NO_OWNER = "nobody"  # of a transaction that reads what its role may and no rows of one user


def quote_owner(owner: str) -> str:
    """``owner`` as an SQL literal: SET takes no bind parameters. ValueError for what cannot be an owner."""
    if not is_user_id(owner):
        raise ValueError("not a user id")
    return "'" + owner.replace("'", "''") + "'"


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
        # Behind a pooler a deferred COMMIT would keep a connection of the server from others.
        defers_commit = read_only and not self.options.pooled
        return Session(self, owner, f"BEGIN{mode};{self._preamble}{acting}", defers_commit=defers_commit)

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
