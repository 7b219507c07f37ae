"""The processes of an embedded PostgreSQL, distinguished from others that reuse their ids after a crash."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from app.db.embedded.files import SOCKET_PORT
from app.db.embedded.os_account import ClusterError

POSTMASTER_POLL = 0.02  # seconds


class Postmaster(NamedTuple):
    pid: int
    socket_dir: str
    ready: bool


def find_postmaster(pgdata: Path) -> Postmaster | None:
    """Finds the running server of this folder; None if its pid file is absent or stale."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not is_postgres_of(pid, pgdata):
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(pid, lines[4] if len(lines) > 4 else "", ready)


def is_postgres_of(pid: int, pgdata: Path) -> bool:
    """Returns whether ``pid`` is a PostgreSQL process of this folder; after a crash the id may be reused."""
    try:
        process = psutil.Process(pid)
        return (
            process.name() == "postgres"
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == pgdata.resolve()
        )
    except (psutil.Error, OSError):
        return False


def clear_leftovers(pgdata: Path, sockets: Path, *, patience: float) -> None:
    """Waits for the orphans of a killed postmaster to end, and deletes lock files that name another process.

    Raises ClusterError if there are still orphans after ``patience`` seconds.
    """
    files = [file for file in (pgdata / "postmaster.pid", sockets / f".s.PGSQL.{SOCKET_PORT}.lock") if file.exists()]
    if not files:
        return
    if not wait_until(lambda: not any(is_postgres_of(pid, pgdata) for pid in psutil.pids()), patience):
        raise ClusterError(f"processes of an earlier PostgreSQL still work in {pgdata}")
    for file in files:
        text = file.read_text().split()
        # PostgreSQL detects that a process has ended, but takes any other process of that id for a server.
        if not text or not text[0].isdigit() or psutil.pid_exists(int(text[0])):
            file.unlink(missing_ok=True)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POSTMASTER_POLL)
    return True
