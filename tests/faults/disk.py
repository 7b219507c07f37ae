"""A full disk: the cluster is in a small file system of its own."""

import asyncio
import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.play import Fault
from tests.faults.stage import Stage

SIZE = "120m"


class NoRight(Exception):
    """This user may not mount a file system."""


@contextmanager
def small_disk() -> Iterator[Path]:
    """Mounts a directory with space for a new cluster and little more. Raises NoRight."""
    folder = Path(tempfile.mkdtemp(prefix="full-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    try:
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
            raise NoRight
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    finally:
        folder.rmdir()


async def fill(stage: Stage) -> float:
    """Leaves no space for a while; then there is space again."""
    ballast = stage.folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            end = time.monotonic() + (4.0 if stage.brief else 8.0)
            while time.monotonic() < end:  # space that PostgreSQL releases is taken also
                _take_all(file.fileno())
                await asyncio.sleep(0.05)
    finally:
        ballast.unlink()
    return await stage.back()


def _take_all(file: int) -> None:
    size = 1 << 20
    while size >= 512:
        try:
            os.write(file, b"\0" * size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size //= 2


FULL = Fault("disk full", fill, errors=frozenset({503, 507}))
