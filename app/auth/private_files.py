"""Files that hold secrets or the data of users: readable by their owner only, and never half written."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Of file systems without hard links: those of memory cards, and many that are mounted over a network.
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def private_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields a draft with mode 0600, in the folder of ``path``, that becomes ``path`` when the context ends.

    Without ``replace`` raises FileExistsError if there is something at ``path``: of several processes one provides the
    file. With it, what is there is replaced, not written to: neither its mode nor the target of a link matters. An
    exception changes nothing.
    """
    # mkstemp creates it, with 0600: the draft is never a file or a link that was there.
    with _named(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.fchmod(descriptor, 0o600)  # the umask may leave less
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        _sync(draft)
        with _named(path):
            if replace:
                draft.replace(path)
            else:
                _publish(draft, path)
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Gives a draft its name, unless there is something; without hard links two at once are not noticed."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        draft.rename(path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Makes an error of the operating system name ``path``, not the draft."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_private_text(path: Path, text: str, *, replace: bool = False) -> None:
    """Writes ``text`` to ``path``, as ``private_file`` does."""
    with private_file(path, replace=replace) as draft:
        draft.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Makes a new name in a folder outlast a power failure, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
