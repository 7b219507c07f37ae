"""The folder of scheduled dumps: which of its files are of this database, and which of them may be deleted.

A file is complete as soon as it has its name: until then it is a draft (``app.auth.private_files``). The name has the
database, so that several may share a folder, and the time; files with other names are never touched.
"""

import hashlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from app.clock import now
from app.db.backup.dump import BackupError
from app.db.epoch import Installation

TIME_FORMAT = "%Y%m%dT%H%M%SZ"
CLOCK_DIFFERENCE = timedelta(hours=1)  # of several workers


class ScheduledDump(NamedTuple):
    """A complete file, and when it was begun."""

    written_at: datetime
    file: Path


class BackupFolder:
    """The dumps of one database in BACKUP_DIR."""

    def __init__(self, path: Path, here: Installation) -> None:
        if here.system_identifier is None:
            raise BackupError(
                "BACKUP_DIR: grant execute on function pg_control_system() to the login: by it dumps of servers differ"
            )
        database = f"{here.system_identifier} {here.database_oid}"
        self.path = path
        self._prefix = f"todo-{hashlib.sha256(database.encode()).hexdigest()[:8]}-"
        self._name = re.compile(rf"{self._prefix}([0-9]{{8}}T[0-9]{{6}}Z)\.dump")

    def check(self) -> None:
        """Raises BackupError if no file can be written here. The folder is not created: it may be an absent mount."""
        if not self.path.exists():
            raise BackupError(f"BACKUP_DIR: {self.path} does not exist: create it, or mount it")
        if not self.path.is_dir():
            raise BackupError(f"BACKUP_DIR: {self.path} is not a folder")
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise BackupError(f"BACKUP_DIR: {self.path} cannot be written to: give it to the user of the service")

    def dumps(self) -> list[ScheduledDump]:
        """Returns the dumps of this database, the oldest first.

        Those of a clock that was ahead are left out: no dump would be due until then, and newer ones would be pruned.
        """
        found, latest = [], now() + CLOCK_DIFFERENCE
        for file in self.path.iterdir():
            if (name := self._name.fullmatch(file.name)) and file.is_file() and not file.is_symlink():
                written_at = datetime.strptime(name[1], TIME_FORMAT).replace(tzinfo=UTC)
                if written_at <= latest:
                    found.append(ScheduledDump(written_at, file))
        return sorted(found)

    def new_file(self, moment: datetime) -> Path:
        """Returns the path of a dump that is begun now."""
        return self.path / f"{self._prefix}{moment.strftime(TIME_FORMAT)}.dump"

    def remove_drafts(self) -> None:
        """Deletes what workers that were killed have left. Only for who holds the lock of scheduled dumps."""
        for file in self.path.glob(f".{self._prefix}*.part"):
            file.unlink(missing_ok=True)

    def prune(self, keep: int) -> list[Path]:
        """Deletes all dumps but the ``keep`` latest, and returns them."""
        old = [dump.file for dump in self.dumps()[:-keep]]
        for file in old:
            file.unlink(missing_ok=True)
        return old
