"""Zip files: the files in them are unpacked one by one to disk, within limits that do not trust what the zip says."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from app.errors import ArchiveTooLarge, UnreadableArchive
from app.services.transfer.temporary_files import refusals_named, temporary_file

DIRECTORY_MAX = 1_048_576  # bytes of the table of contents: some 10,000 files
MEMBERS_MAX = 1_000  # files that are unpacked
RATIO_MAX, RATIO_FREE = 250, 1_048_576  # unpacked bytes for each packed one, of files larger than RATIO_FREE
UNPACK_CHUNK = 65_536
UNPACKED_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # of the others, one takes memory as the file says
HIDDEN_BEGINNINGS = ("__MACOSX/", ".")


class _BoundedFile:
    """A file that refuses to read more at once than a table of contents may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_MAX:
            raise ArchiveTooLarge
        return self._file.read(size if size >= 0 else DIRECTORY_MAX)


class Archive:
    """One zip, of which at most ``size_max`` bytes are unpacked in total."""

    def __init__(self, file: IO[bytes], size_max: int) -> None:
        """Reads the table of contents. Raises UnreadableArchive and ArchiveTooLarge."""
        self._left = size_max
        try:
            self._zip = zipfile.ZipFile(_BoundedFile(file))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
            raise UnreadableArchive from None
        self.names = {
            _name_of(member): member
            for member in self._zip.infolist()
            if not member.is_dir() and not _name_of(member).rpartition("/")[2].startswith(HIDDEN_BEGINNINGS)
            and not member.filename.startswith(HIDDEN_BEGINNINGS)
        }  # fmt: skip

    def head(self, name: str, size: int) -> bytes:
        """Returns the beginning of a file. Raises UnreadableArchive."""
        with _errors_named(), self._open(name) as packed:
            return packed.read(size)

    @contextmanager
    def unpacked(self, name: str) -> Iterator[IO[bytes]]:
        """Provides a file as one on disk. Raises UnreadableArchive and ArchiveTooLarge."""
        most = max(RATIO_FREE, RATIO_MAX * self.names[name].compress_size)
        with temporary_file() as file:
            with _errors_named(), self._open(name) as packed:
                size = 0
                while chunk := packed.read(UNPACK_CHUNK):
                    size += len(chunk)
                    self._left -= len(chunk)
                    if self._left < 0 or size > most:
                        raise ArchiveTooLarge
                    with refusals_named():
                        file.write(chunk)
            with refusals_named():
                file.flush()
                file.seek(0)
            yield file

    def _open(self, name: str) -> IO[bytes]:
        member = self.names[name]
        if member.compress_type not in UNPACKED_METHODS or member.flag_bits & 1:  # encrypted
            raise UnreadableArchive
        return self._zip.open(member)


@contextmanager
def _errors_named() -> Iterator[None]:
    """Turns what a damaged zip raises into an application error."""
    try:
        yield
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):  # type: ignore[attr-defined]
        raise UnreadableArchive from None


def _name_of(member: zipfile.ZipInfo) -> str:
    """Returns the name of a file, also where the zip does not say that it is in UTF-8."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename
