"""Real calendar programs as processes: vdirsyncer with todoman, and python's caldav.

CALDAV_CLIENTS is the folder of their programs: the ``bin`` of a virtual environment of their own, since todoman's
command has the name of this service's.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

CALDAV_CLIENTS = os.environ.get("CALDAV_CLIENTS", "")
NEEDS_CLIENTS = pytest.mark.skipif(not CALDAV_CLIENTS, reason="CALDAV_CLIENTS names no programs")
PROGRAM_SECONDS = 60
CONFIG = """
[general]
status_path = "{folder}/status/"
[pair todo]
a = "local"
b = "remote"
collections = ["from a", "from b"]
conflict_resolution = "b wins"
metadata = ["displayname", "color"]
[storage local]
type = "filesystem"
path = "{folder}/lists/"
fileext = ".ics"
[storage remote]
type = "caldav"
url = "{url}/dav/"
username = "anybody"
password = "{token}"
item_types = ["VTODO"]
"""
TODOMAN = """
path = "{folder}/lists/*"
date_format = "%Y-%m-%d"
time_format = "%H:%M"
default_list = "{name}"
cache_path = "{folder}/cache.sqlite3"
"""


def run(folder: Path, program: str, *arguments: str, sent: str = "", must_succeed: bool = True) -> str:
    """Runs a program and returns what it wrote."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC", "NO_PROXY": "*"}
    done = subprocess.run(
        [f"{CALDAV_CLIENTS}/{program}", *arguments],
        cwd=folder, env=env, input=sent, capture_output=True, text=True, timeout=PROGRAM_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0 or not must_succeed, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


class Desktop:
    """A computer with vdirsyncer and todoman."""

    def __init__(self, folder: Path, url: str, token: str, name: str = "inbox") -> None:
        self.folder = folder
        self.lists = folder / "lists"
        self.lists.mkdir(parents=True)
        (folder / "vdirsyncer.conf").write_text(CONFIG.format(folder=folder, url=url, token=token))
        (folder / "todoman.py").write_text(TODOMAN.format(folder=folder, name=name))

    def vdirsyncer(self, command: str, sent: str = "") -> str:
        return run(self.folder, "vdirsyncer", "-c", str(self.folder / "vdirsyncer.conf"), command, sent=sent)

    def discover(self) -> None:
        self.vdirsyncer("discover", "y\n" * 20)
        self.vdirsyncer("metasync")

    def sync(self) -> str:
        """Syncs twice: what was sent comes back as this service writes it. Returns what a third time says."""
        self.vdirsyncer("sync")
        self.vdirsyncer("sync")
        return self.vdirsyncer("sync")

    def todo(self, *arguments: str) -> str:
        return run(self.folder, "todo", "--config", str(self.folder / "todoman.py"), *arguments)

    def rows(self, *arguments: str) -> list[str]:
        """Returns the lines of ``todo list``, without their numbers and marks of priority."""
        lines = self.todo("list", "--status", "ANY", *arguments).splitlines()
        return sorted(re.sub(r"^(\[.\]) \d+ !* *(\(no due date\) )?", r"\1 ", line).strip() for line in lines)

    def number_of(self, title: str, mark: str = "[ ]") -> str:
        """Returns the number that todoman gives a to-do."""
        for line in self.todo("list", "--status", "ANY").splitlines():
            if line.startswith(mark) and title in line:
                return line[len(mark) :].split()[0]
        raise AssertionError(self.todo("list", "--status", "ANY"))

    def files(self) -> list[Path]:
        return sorted(self.lists.glob("*/*.ics"))
