"""Scheduled dumps: the worker writes the database into BACKUP_DIR at each of BACKUP_AT, and keeps the latest ones.

The folder is the only record: a dump is due when the latest one is older than the latest time of BACKUP_AT, so one that
was missed is made up for at the next start. Of several workers one writes, under a lock of PostgreSQL that ends with
its connection, also when its process is killed.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

import asyncpg

from app.clock import now
from app.config import Settings
from app.db.backup.dump import dump_access, write_dump
from app.db.backup.folder import BackupFolder
from app.db.connection_options import ConnectOptions
from app.db.epoch import read_installation
from app.db.unlimited import unlimited_connection
from app.observability.startup_errors import describe_failure

log = logging.getLogger(__name__)

BACKUP_LOCK = 7_305_612_885  # any number, the same in every version of this service
FIRST_DUMP_RETRY, LONGEST_DUMP_RETRY = 30.0, 3600.0  # seconds
DUMP_FAILURES = (ValueError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def latest_time(times: Sequence[time], moment: datetime) -> datetime:
    """Returns the latest of the daily ``times``, in UTC, that is not after ``moment``."""
    days = (moment.date() - timedelta(days=number) for number in (0, 1))
    found = (datetime.combine(day, each, moment.tzinfo) for day in days for each in times)
    return max(each for each in found if each <= moment)


class BackupJob:
    """Writes dumps as they are due. ``last_at`` and ``failures`` are for the metrics."""

    def __init__(self, settings: Settings, options: ConnectOptions) -> None:
        """Takes the options of the service's connections. Nothing is read or written before ``run_due``."""
        self._settings, self._options = settings, options
        self._folder: BackupFolder | None = None
        self.last_at: datetime | None = None
        self.failures = 0
        self._failed_in_a_row = 0

    async def run_due(self, pause: float) -> None:
        """Writes a dump if one is due, and waits: ``pause`` seconds, after a failure longer each time."""
        await asyncio.sleep(await self.write_if_due(pause))

    async def write_if_due(self, pause: float) -> float:
        """Writes a dump if one is due. Returns the seconds until the next call."""
        try:
            if self._folder is None or await asyncio.to_thread(self._is_due, self._folder):
                await self._write_due()
            self._failed_in_a_row = 0
        except DUMP_FAILURES as error:
            self.failures += 1
            pause = min(LONGEST_DUMP_RETRY, FIRST_DUMP_RETRY * 4**self._failed_in_a_row)
            self._failed_in_a_row = min(self._failed_in_a_row + 1, 10)
            last = f"the last one is of {self.last_at:%Y-%m-%d %H:%M} UTC" if self.last_at else "there is none yet"
            log.error("no scheduled dump was written: %s (%s)", describe_failure(error), last)
        return pause

    def _is_due(self, folder: BackupFolder) -> bool:
        """Runs in a thread: a network mount that has gone away must not stop the server."""
        folder.check()
        dumps = folder.dumps()
        self.last_at = dumps[-1].written_at if dumps else None
        return self.last_at is None or self.last_at < latest_time(self._settings.backup_times, now())

    async def _write_due(self) -> None:
        direct, environment = dump_access(self._settings, self._options)
        async with unlimited_connection(direct) as connection:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", BACKUP_LOCK):
                return  # another worker is writing one
            folder = await self._find_folder(connection)
            if await asyncio.to_thread(self._is_due, folder):
                await asyncio.to_thread(folder.remove_drafts)
                await self._write(folder, direct, environment)

    async def _find_folder(self, connection: Any) -> BackupFolder:
        if self._folder is None:
            assert self._settings.backup_dir is not None
            self._folder = BackupFolder(self._settings.backup_dir, await read_installation(connection))
        return self._folder

    async def _write(self, folder: BackupFolder, direct: ConnectOptions, environment: dict[str, str]) -> None:
        file = folder.new_file(now())
        await write_dump(direct, environment, file)
        await asyncio.to_thread(self._is_due, folder)  # notes it
        log.info("wrote the scheduled dump %s (%s bytes)", file, f"{file.stat().st_size:,}")
        for old in await asyncio.to_thread(folder.prune, self._settings.backup_keep):
            log.info("deleted the old dump %s", old)
