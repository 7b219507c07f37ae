"""Detecting the format of a file, and reading its rows."""

import asyncio
import codecs
import csv
import io
import mmap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import IO, Any
from zoneinfo import ZoneInfo

from app.errors import MalformedBody, NoTitleColumn, TooManyRows
from app.services.transfer.formats.csv import read_own_csv
from app.services.transfer.formats.ics_reader import read_ics
from app.services.transfer.formats.json import DocumentRows, read_document
from app.services.transfer.formats.todoist import is_todoist, read_todoist
from app.services.transfer.import_row import ImportRow

TEXT_CHUNK = 65_536
TEXT_LINE_MAX = 1_000_000  # bytes of a line, and characters of a row of several lines: like the largest row of JSON
csv.field_size_limit(TEXT_LINE_MAX)
PACE_LINES, PACE_PAUSE = 2_000, 0.0005  # lines between two pauses, and their length in seconds


EntityRow = tuple[str, ImportRow]


@asynccontextmanager
async def open_rows(
    file: IO[bytes], kind: str, owner: str, now: datetime, timezone: ZoneInfo, *, rows_max: int
) -> AsyncIterator[tuple[str, Iterator[EntityRow]]]:
    """Yields the detected format, and pairs of entity and row.

    Raises TooManyRows, MalformedBody and the errors of the formats before the first row.
    """
    if kind == "json":
        async with _map_file(file) as text:
            rows = await asyncio.to_thread(lambda: DocumentRows(read_document(text, rows_max)))
            yield "json", iter(rows)
            del rows
        return
    await asyncio.to_thread(_check_text, file)
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        await asyncio.to_thread(lambda: _check_count(_open(text, kind, owner, now, timezone)[1], rows_max))
        text.seek(0)
        yield await asyncio.to_thread(_open, text, kind, owner, now, timezone)


def _open(text: IO[str], kind: str, owner: str, now: datetime, timezone: ZoneInfo) -> tuple[str, Iterator[EntityRow]]:
    if kind == "ics":
        return "ics", (("tasks", item) for item in read_ics(_pace_lines(text)))
    table = _table(text)
    header = next(table, [])
    if is_todoist(header):
        return "todoist", read_todoist(table, header, now=now, timezone=timezone)
    if "title" not in {name.strip().lower() for name in header}:
        raise NoTitleColumn(loc=("body",))
    return "csv", (("tasks", item) for item in read_own_csv(owner, table, header))


def _check_count(rows: Iterator[EntityRow], rows_max: int) -> None:
    """Reads the whole file once, before anything is written. Raises TooManyRows and the errors of the format."""
    for number, _ in enumerate(rows, start=1):
        if number > rows_max:
            raise TooManyRows


@asynccontextmanager
async def _map_file(file: IO[bytes]) -> AsyncIterator[Any]:
    """Yields the file's bytes without copying them."""
    try:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file
        raise MalformedBody from None
    yield mapped  # closed when the last row that refers to it is deleted


def _check_text(file: IO[bytes]) -> None:
    """Checks that the file is UTF-8 and its lines fit into memory, before anything is written. Raises MalformedBody."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 0
    try:
        while chunk := file.read(TEXT_CHUNK):
            decoder.decode(chunk)
            first, *others = chunk.replace(b"\r", b"\n").split(b"\n")
            if line + len(first) > TEXT_LINE_MAX:
                raise MalformedBody(f"A line of the file has more than {TEXT_LINE_MAX} bytes.")
            line = len(others[-1]) if others else line + len(first)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise MalformedBody("The file is not in UTF-8.") from None
    file.seek(0)


def _table(text: IO[str]) -> Iterator[list[str]]:
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        for line in _pace_lines(text):
            size += len(line)
            if size > TEXT_LINE_MAX:
                raise MalformedBody(f"A row of the file has more than {TEXT_LINE_MAX} characters.")
            yield line

    try:
        for cells in csv.reader(lines()):
            size = 0
            yield cells
    except csv.Error:
        raise MalformedBody("The file is not CSV.") from None


def _pace_lines(text: IO[str]) -> Iterator[str]:
    """Yields lines, with pauses: without them a thread that reads 60 MB of line ends keeps the others from running."""
    for number, line in enumerate(text, start=1):
        if number % PACE_LINES == 0:
            time.sleep(PACE_PAUSE)
        yield line
