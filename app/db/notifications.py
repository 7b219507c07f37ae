"""Hints that an owner's data has changed, for listeners in this process and in all others.

NOTIFY inside the writing transaction would serialise all commits of the database (it takes one lock for the queue), so
each process collects the owners of its committed writes and notifies the others a few times a second on a connection
of its own. A hint may get lost with its process or its connection: hints only make listeners faster than polling.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Any, Self

import asyncpg

from app.db.connection_options import ConnectOptions
from app.db.epoch import EpochError, ensure_epoch

log = logging.getLogger(__name__)

NOTIFY_CHANNEL = "todo_changes"
MAX_PAYLOAD = 7_900  # bytes; NOTIFY takes 7,999
NOTIFY_PAUSE = 0.02  # seconds between two notifications
RECONNECT_SECONDS = 2.0  # seconds
KEEPALIVE_SECONDS = 15.0  # seconds without a notification after which the connection is tested
# In pg_stat_activity, of the one connection that each of these keeps as long as it runs.
SERVER_PROGRAM, WORKER_PROGRAM, WORKING_SERVER_PROGRAM = "todo serve", "todo worker", "todo serve with worker"
RUNNING_PROGRAMS = (SERVER_PROGRAM, WORKER_PROGRAM, WORKING_SERVER_PROGRAM)
NOTIFY_OWNERS = "select pg_notify($2, payload) from unnest($1::text[]) payload"

# Called with owners; with None when any owner may have changed, because hints have been missed.
Listener = Callable[[Collection[str] | None], None]


class ChangeNotifications:
    """An async context manager. Without a direct connection to the database hints stay within this process."""

    def __init__(self, options: ConnectOptions, *, program: str) -> None:
        """Takes ``options`` of a direct connection: LISTEN needs one session (no pooler).

        ``program``, one of RUNNING_PROGRAMS, is how other commands see that it runs.
        """
        self._options = options.with_settings({"application_name": program})
        self._listeners: list[Listener] = []
        self._fresh: set[str] = set()
        self._outbox: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._options.pooled:
            log.warning(
                "no LISTEN through a pooler: live updates from other processes come late, "
                "unless DIRECT_DATABASE_URL is set"
            )
        else:
            self._task = asyncio.create_task(self._keep_connected(), name="hints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def record(self, owner: str) -> None:
        """Records a committed write of ``owner``. Costs a set insertion; several in one loop turn are one hint."""
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._notify_listeners)
        self._fresh.add(owner)

    def _notify_listeners(self) -> None:
        owners, self._fresh = self._fresh, set()
        self._call(owners)
        if self._task is not None:
            self._outbox |= owners
            self._wake.set()

    def _call(self, owners: Collection[str] | None) -> None:
        for listener in self._listeners:
            listener(owners)

    def _on_notification(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        # Listeners have had this process's own hints; a connection that is being closed has no server pid to compare.
        if not connection.is_closed() and pid != connection.get_server_pid():
            self._call(json.loads(payload))

    async def _keep_connected(self) -> None:
        again = False
        while True:
            try:
                connection = await asyncpg.connect(**self._options.arguments())
                try:
                    if again:  # it may be another server: a replica that was promoted, without the latest writes
                        await ensure_epoch(self._options)
                    again = True
                    await self._exchange(connection)
                finally:
                    connection.terminate()
            except (OSError, TimeoutError, EpochError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("no notifications from other processes: %s", error or type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _exchange(self, connection: Any) -> None:
        """Listens and notifies until the connection is lost."""
        connection.add_termination_listener(lambda _: self._wake.set())
        await connection.add_listener(NOTIFY_CHANNEL, self._on_notification)
        self._call(None)
        while not connection.is_closed():
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await connection.execute("select 1")  # fails if the peer is gone without closing
                continue
            self._wake.clear()
            owners, self._outbox = self._outbox, set()
            if owners:
                await connection.execute(NOTIFY_OWNERS, list(_payloads(owners)), NOTIFY_CHANNEL)
            await asyncio.sleep(NOTIFY_PAUSE)
        raise ConnectionError("the connection was closed")


def _payloads(owners: Collection[str]) -> Iterator[str]:
    """Yields JSON arrays of owners, each short enough for NOTIFY."""
    batch: list[str] = []
    size = 0
    for owner in owners:
        length = len(json.dumps(owner)) + 2  # escaped: characters are bytes
        if batch and size + length > MAX_PAYLOAD:
            yield json.dumps(batch)
            batch, size = [], 0
        batch.append(owner)
        size += length
    if batch:
        yield json.dumps(batch)
