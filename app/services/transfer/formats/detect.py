"""Detecting the format of a file, and reading its rows."""

import asyncio
import codecs
import csv
import io
import mmap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import IO, Any
from zoneinfo import ZoneInfo

from app.domain.written_dates import DayOrder
from app.errors import MalformedBody, NoTitleColumn, TooManyRows
from app.services.transfer.formats.csv import is_own_csv, read_own_csv
from app.services.transfer.formats.encoding import (
    NOT_UTF8,
    TEXT_LINE_MAX,
    WINDOWS_ENCODING,
    check_lines,
    open_in_utf8,
)
from app.services.transfer.formats.ics.reader import IcsFile
from app.services.transfer.formats.json import DocumentRows, find_unknown_names, read_document
from app.services.transfer.formats.todoist import TodoistReader, is_todoist
from app.services.transfer.import_row import Deviation, ImportRow, make_warning, warn_of_file
from app.services.transfer.temporary_files import refusals_named

csv.field_size_limit(TEXT_LINE_MAX)
HEADER_LINES_MAX = 20  # the header is after blank lines
CSV_DELIMITERS = (",", ";", "\t", "|")
DELIMITER_LINE = "sep="  # and the delimiter, with which a spreadsheet begins a file
DELIMITER_LINE_SIZE = 20  # characters that are read to find it
GUESSED_ENCODING = make_warning("", "The file is not in UTF-8: it was read as Windows-1252.", "", Deviation.GUESSED)
PACE_LINES, PACE_PAUSE = 2_000, 0.0005  # lines between two pauses, and their length in seconds


EntityRow = tuple[str, ImportRow]


@asynccontextmanager
async def open_rows(
    file: IO[bytes], kind: str, owner: str, now: datetime, timezone: ZoneInfo, *, rows_max: int
) -> AsyncIterator[tuple[str, Iterator[EntityRow]]]:
    """Yields the detected format, and pairs of entity and row.

    Raises TooManyRows, MalformedBody and the errors of the formats before the first row.
    """
    with ExitStack() as stack:
        content, encoding = await asyncio.to_thread(stack.enter_context, open_in_utf8(file, guess=kind != "json"))
        if kind == "json":
            async with _map_file(content) as text:
                rows = await asyncio.to_thread(_read_json, text, rows_max)
                yield "json", iter(rows)
                del rows
            return
        await asyncio.to_thread(check_lines, content)
        lines = stack.enter_context(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
        is_guess = encoding == WINDOWS_ENCODING
        if kind == "ics":
            calendar = IcsFile(timezone, rows_max)
            await asyncio.to_thread(_prepare_ics, lines, calendar)
            name, pairs = "ics", _ics_rows(lines, calendar)
        else:
            read = partial(_open, lines, order := DayOrder(), is_guess=is_guess, now=now, timezone=timezone)
            await asyncio.to_thread(lambda: _check_count(read()[1], rows_max))
            order.settle()  # the first reading has noted the dates
            name, pairs = await asyncio.to_thread(read)
        yield name, chain([warn_of_file(GUESSED_ENCODING)], pairs) if is_guess else pairs


def _read_json(text: Any, rows_max: int) -> DocumentRows:
    return DocumentRows(read_document(text, rows_max), find_unknown_names(text))


def _open(
    text: IO[str], day_order: DayOrder, *, is_guess: bool, now: datetime, timezone: ZoneInfo
) -> tuple[str, Iterator[EntityRow]]:
    named = _named_delimiter(text)
    for delimiter in named or CSV_DELIMITERS:
        text.seek(0)
        if named:
            text.readline()
        table = _table(text, delimiter)
        header = next((cells for cells in islice(table, HEADER_LINES_MAX) if any(map(str.strip, cells))), [])
        # A spreadsheet that separates with semicolons is one of a country where the day comes first.
        day_order.default = True if delimiter == ";" else None
        if is_todoist(header):
            return "todoist", TodoistReader(now, timezone, day_order).read(table, header)
        if is_own_csv(header):
            return "csv", read_own_csv(table, header, day_order)
    if is_guess:
        raise MalformedBody(NOT_UTF8)
    raise NoTitleColumn(loc=("body",))


def _prepare_ics(text: IO[str], calendar: IcsFile) -> None:
    calendar.scan(_pace_lines(text))
    text.seek(0)
    if calendar.has_overrides:
        calendar.read_series(_pace_lines(text))
        text.seek(0)


def _ics_rows(text: IO[str], calendar: IcsFile) -> Iterator[EntityRow]:
    yield from (("tasks", item) for item in calendar.rows(_pace_lines(text)))
    if found := calendar.warnings():
        yield warn_of_file(*found)


def _check_count(rows: Iterator[EntityRow], rows_max: int) -> None:
    """Reads the whole file once, before anything is written. Raises TooManyRows and the errors of the format."""
    for number, _ in enumerate(rows, start=1):
        if number > rows_max:
            raise TooManyRows


@asynccontextmanager
async def _map_file(file: IO[bytes]) -> AsyncIterator[Any]:
    """Yields the file's bytes without copying them, after a mark of UTF-8."""
    try:
        with refusals_named():
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file
        raise MalformedBody from None
    yield (
        memoryview(mapped)[len(codecs.BOM_UTF8) :] if mapped[:3] == codecs.BOM_UTF8 else mapped
    )  # closed when the last row that refers to it is deleted


def _named_delimiter(text: IO[str]) -> str:
    """Returns the delimiter that a first line such as "sep=;" names, else nothing."""
    text.seek(0)
    first = text.readline(DELIMITER_LINE_SIZE).strip("\r\n ").strip('"').lower()
    return next((sign for sign in CSV_DELIMITERS if first == f"{DELIMITER_LINE}{sign}"), "")


def _table(text: IO[str], delimiter: str) -> Iterator[list[str]]:
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        for line in _pace_lines(text):
            size += len(line)
            if size > TEXT_LINE_MAX:
                raise MalformedBody(f"A row of the file has more than {TEXT_LINE_MAX} characters.")
            yield line

    try:
        for cells in csv.reader(lines(), delimiter=delimiter):
            size = 0
            yield cells
    except csv.Error:
        raise MalformedBody("The file is not CSV.") from None


def _pace_lines(text: IO[str]) -> Iterator[str]:
    """Yields lines, with pauses: without them a thread that reads 60 MB of line ends keeps the others from running."""
    with refusals_named():
        for number, line in enumerate(text, start=1):
            if number % PACE_LINES == 0:
                time.sleep(PACE_PAUSE)
            yield line
