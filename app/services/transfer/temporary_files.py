"""Temporary files. What the operating system refuses of one is an application error, and a line in the log."""

import errno
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from app.errors import TemporaryFilesRefused, TemporarySpaceFull

log = logging.getLogger(__name__)

FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """Provides an unnamed file, which is deleted at the end. Raises TemporarySpaceFull and TemporaryFilesRefused."""
    with refusals_named():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, where an error is of no use
    try:
        yield file
    finally:
        with suppress(OSError):  # what could not be written before cannot be written now
            file.close()


@contextmanager
def refusals_named() -> Iterator[None]:
    """Turns an error of the operating system about a temporary file into an application error.

    Raises TemporarySpaceFull and TemporaryFilesRefused.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        log.error("temporary files in %s are refused: %s (TMPDIR sets another folder)", _folder(), reason)
        raise (TemporarySpaceFull if error.errno in FULL_ERRORS else TemporaryFilesRefused) from None


def _folder() -> str:
    """Returns the folder of temporary files, or those that were tried if none can be used."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        return str(error)
