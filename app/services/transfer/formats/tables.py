"""Reading delimited text: finding the delimiter and the header, and the reader that the header belongs to.

A file is read twice: what a row refers to may come after it, and one date may show how the others are meant.
"""

import csv
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import IO, NamedTuple

from app.errors import MalformedBody
from app.services.transfer.formats.csv import is_own_csv, read_own_csv
from app.services.transfer.formats.encoding import TEXT_LINE_MAX
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading, Table, TableReader
from app.services.transfer.formats.products.outlook import is_outlook, read_outlook
from app.services.transfer.formats.products.ticktick import is_ticktick, read_ticktick
from app.services.transfer.formats.todoist import TodoistReader, is_todoist
from app.services.transfer.temporary_files import refusals_named

csv.field_size_limit(TEXT_LINE_MAX)
HEADER_LINES_MAX = 20  # the header is after blank lines, and in some files after lines about the file
CSV_DELIMITERS = (",", ";", "\t", "|")
DELIMITER_LINE = "sep="  # and the delimiter, with which a spreadsheet begins a file
DELIMITER_LINE_SIZE = 20  # characters that are read to find it
_MEMBER_NUMBER = re.compile(r"(?: ?\[(\d+)\])?\.[A-Za-z]{3}$")  # at the end of a name in a zip: "Garden [220].csv"
PACE_LINES, PACE_PAUSE = 2_000, 0.0005  # lines between two pauses, and their length in seconds


class TableFormat(NamedTuple):
    """A format of tables: whether a row is its header, and how the rows after it are read.

    ``after_lines``: the header may come after lines about the file.
    """

    name: str
    matches: Callable[[Sequence[str]], bool]
    read: TableReader
    after_lines: bool = False


def _read_todoist(table: Table, header: Sequence[str], file: FileContext, first: FirstReading) -> Iterator[EntityRow]:
    name = PurePosixPath(file.name).name
    number = found[1] or "" if (found := _MEMBER_NUMBER.search(name)) else ""
    project = _MEMBER_NUMBER.sub("", name)
    return TodoistReader(file.now, file.timezone, first.order, project, number).read(table, header)


def _read_own(table: Table, header: Sequence[str], file: FileContext, first: FirstReading) -> Iterator[EntityRow]:
    return read_own_csv(table, header, first.order)


TABLE_FORMATS = (
    TableFormat("todoist", is_todoist, _read_todoist),
    TableFormat("ticktick", is_ticktick, read_ticktick, after_lines=True),
    TableFormat("outlook", is_outlook, read_outlook),
    TableFormat("csv", is_own_csv, _read_own),  # the last: any table with titles
)


def open_table(text: IO[str], file: FileContext, first: FirstReading) -> tuple[str, Iterator[EntityRow]] | None:
    """Returns the format of a table and its rows; None for one that is not known."""
    named = _named_delimiter(text)
    for delimiter in named or CSV_DELIMITERS:
        text.seek(0)
        if named:
            text.readline()
        # A spreadsheet that separates with semicolons is one of a country where the day comes first.
        first.order.default = True if delimiter == ";" else None
        table = _rows(text, delimiter)
        try:
            found = _find_header(table)
        except MalformedBody:
            continue
        if found is not None:
            format_, header = found
            return format_.name, format_.read(table, header, file, first)
    return None


def _find_header(table: Table) -> tuple[TableFormat, list[str]] | None:
    is_first = True
    for cells in islice(table, HEADER_LINES_MAX):
        if not any(map(str.strip, cells)):
            continue
        for format_ in TABLE_FORMATS:
            if (is_first or format_.after_lines) and format_.matches(cells):
                return format_, cells
        is_first = False
    return None


def _named_delimiter(text: IO[str]) -> str:
    """Returns the delimiter that a first line such as "sep=;" names, else nothing."""
    text.seek(0)
    first = text.readline(DELIMITER_LINE_SIZE).strip("\r\n ").strip('"').lower()
    return next((sign for sign in CSV_DELIMITERS if first == f"{DELIMITER_LINE}{sign}"), "")


def _rows(text: IO[str], delimiter: str) -> Table:
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        for line in pace_lines(text):
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


def pace_lines(text: IO[str]) -> Iterator[str]:
    """Yields lines, with pauses: without them a thread that reads 60 MB of line ends keeps the others from running."""
    with refusals_named():
        for number, line in enumerate(text, start=1):
            if number % PACE_LINES == 0:
                time.sleep(PACE_PAUSE)
            yield line
