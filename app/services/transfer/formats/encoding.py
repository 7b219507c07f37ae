"""The encodings of uploaded files. Readers read UTF-8; what other programs write is converted to it first.

That is UTF-16 with its mark (a spreadsheet's "Unicode text", PowerShell), and a code page of Windows where a table or a
calendar is no UTF-8 (a spreadsheet's "CSV"): 1252 of western Europe and America, unless the headings show another.
"""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from app.errors import MalformedBody
from app.services.transfer.temporary_files import refusals_named, temporary_file

TEXT_CHUNK = 65_536
TEXT_LINE_MAX = 1_000_000  # bytes of a line, and characters of a row of several lines: like the largest row of JSON
UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
WINDOWS_ENCODING = "cp1252"
NOT_UTF8 = 'The file is not in UTF-8. A spreadsheet writes it as "CSV UTF-8".'


@contextmanager
def open_in_utf8(file: IO[bytes], *, guess: str) -> Iterator[tuple[IO[bytes], str]]:
    """Provides the file in UTF-8, and the encoding that it has: that may be ``guess``, unless it is empty.

    Raises MalformedBody.
    """
    encoding = UTF16_MARKS.get(file.read(2), "")
    if not encoding:
        encoding = "utf-8" if not guess or _is_in(file, "utf-8") else guess
    file.seek(0 if encoding in {"utf-8", guess} else 2)
    if encoding == "utf-8":
        yield file, encoding
        return
    with temporary_file() as converted:
        try:
            for text in _decoded(file, encoding):
                with refusals_named():
                    converted.write(text.encode())
        except UnicodeError:  # half of a character, or of a surrogate pair
            raise MalformedBody(NOT_UTF8) from None
        with refusals_named():
            converted.flush()
        converted.seek(0)
        yield converted, encoding


def check_lines(file: IO[bytes]) -> None:
    """Checks that each line fits into memory, before anything is written. Raises MalformedBody."""
    start, line = file.tell(), 0
    while chunk := file.read(TEXT_CHUNK):
        first, *others = chunk.replace(b"\r", b"\n").split(b"\n")
        if line + len(first) > TEXT_LINE_MAX:
            raise MalformedBody(f"A line of the file has more than {TEXT_LINE_MAX} bytes.")
        line = len(others[-1]) if others else line + len(first)
    file.seek(start)


def _is_in(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    try:
        for _ in _decoded(file, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _decoded(file: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    while chunk := file.read(TEXT_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)
