"""The operating system user of an embedded PostgreSQL, and its access to folders."""

import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

SYSTEM_USER = "pgserver"


class ClusterError(OSError):
    """PostgreSQL cannot run in this folder; the message is one line for the operator."""


class OsAccount(NamedTuple):
    """The user that PostgreSQL runs as. It refuses to run as root."""

    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Returns options for Popen, which also drop the groups of root."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}


def account_of(pgdata: Path) -> OsAccount:
    """Returns the owner of the data; for new data of root a dedicated system user."""
    euid = os.geteuid()
    if not pgdata.exists():
        return OsAccount(euid, os.getegid()) if euid else _system_account()
    found = pgdata.stat()
    if euid not in (0, found.st_uid) or found.st_uid == 0:
        raise ClusterError(f"{pgdata} belongs to user {found.st_uid}: run as that user, or choose another DATA_DIR")
    return OsAccount(found.st_uid, found.st_gid)


def _system_account() -> OsAccount:
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
    return OsAccount(entry.pw_uid, entry.pw_gid)


def grant_access(account: OsAccount, folder: Path, binaries: Path) -> None:
    """Grants PostgreSQL's user access to ``folder`` and the binaries, if root starts it."""
    if os.geteuid() != 0:
        return
    if folder.stat().st_uid == 0 and not _may_search(account, folder):
        os.chown(folder, -1, account.gid)  # this group rather than all users
        folder.chmod(folder.stat().st_mode | stat.S_IXGRP)
    for path in (*folder.parents, binaries, *binaries.parents):
        if not _may_search(account, path):
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    if not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under a strict umask
        for path in binaries.parent.rglob("*"):
            path.chmod(path.stat().st_mode | (0o005 if path.is_dir() or path.parent == binaries else 0o004))


def _may_search(account: OsAccount, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == account.gid else stat.S_IXOTH))
