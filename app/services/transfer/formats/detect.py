"""Opening a file: its format is recognized by its content, and its rows are counted before the first is written."""

import asyncio
import codecs
import io
import mmap
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from itertools import chain
from pathlib import PurePosixPath
from typing import IO, Any

from app.errors import AppError, ArchiveTooLarge, Invalid, MalformedBody, NoTitleColumn, UnknownFile
from app.services.transfer.formats.archive import MEMBERS_MAX, Archive
from app.services.transfer.formats.encoding import NOT_UTF8, check_lines, open_in_utf8
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading, RowBudget
from app.services.transfer.formats.ics.reader import IcsFile
from app.services.transfer.formats.json import DocumentRows, find_unknown_names, read_document
from app.services.transfer.formats.products.catalogue import open_json, open_lines
from app.services.transfer.formats.products.outlook import code_page_of
from app.services.transfer.formats.recognition import HEAD_SIZE, FileKind, decode_head, is_task_list, recognize
from app.services.transfer.formats.tables import open_table, pace_lines
from app.services.transfer.import_row import Deviation, RowWarning, make_warning, warn_of_file
from app.services.transfer.temporary_files import refusals_named

MEMBER_SUFFIXES = frozenset({".json", ".csv", ".ics", ".txt", ".ical", ".ndjson", ".jsonl"})  # of files in a zip
OWN_DOCUMENT = "todo.json"  # of a zip that this service has written: its other files hold the same once more
EMPTY_CONTENTS = frozenset({b"", b"null", b"[]", b"{}"})  # of files in a zip
VIKUNJA_DOCUMENT = "data.json"  # of Vikunja's zip, which may hold no project
LISTED_MEMBERS = 20  # files of a zip that are named because they are not read
SILENT_MEMBERS = frozenset({"VERSION", "README.txt"})  # that only describe a zip

Opened = tuple[str, Iterator[EntityRow]]


@asynccontextmanager
async def open_rows(file: IO[bytes], declared: str, context: FileContext, size_max: int) -> AsyncIterator[Opened]:
    """Yields the detected format, and pairs of entity and row. ``size_max`` bounds what a zip is unpacked to.

    Raises TooManyRows, MalformedBody, UnknownFile and the errors of the formats before the first row.
    """
    with ExitStack() as stack:
        yield await asyncio.to_thread(_open_any, stack, file, declared, context, size_max)


def _open_any(stack: ExitStack, file: IO[bytes], declared: str, context: FileContext, size_max: int) -> Opened:
    head = _read_head(file)
    if recognize(head) is FileKind.ZIP:
        return _open_archive(file, context, size_max)
    return _open_file(stack, file, head, declared, context)


def _read_head(file: IO[bytes]) -> bytes:
    head = file.read(HEAD_SIZE)
    file.seek(0)
    return head


def _open_file(stack: ExitStack, file: IO[bytes], head: bytes, declared: str, context: FileContext) -> Opened:
    """Opens a file that is no zip; its rows are counted."""
    kind = recognize(head)
    code_page = "" if kind is FileKind.JSON else code_page_of(head)
    content, encoding = stack.enter_context(open_in_utf8(file, guess=code_page))
    if kind is FileKind.JSON:
        return _open_json(content, context)
    check_lines(content)
    lines = stack.enter_context(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
    is_guess = encoding == code_page
    opened = _open_text(lines, decode_head(head), declared, context) if kind is FileKind.TEXT else None
    if opened is None and (kind is FileKind.ICS or declared == "ics"):
        opened = _open_ics(lines, context)
    if opened is None:
        raise _unknown(declared, is_guess=is_guess)
    name, pairs = opened
    return name, chain([_guess_warning(encoding)], pairs) if is_guess else pairs


def _guess_warning(encoding: str) -> EntityRow:
    message = f"The file is not in UTF-8: it was read as Windows-{encoding.removeprefix('cp')}."
    return warn_of_file(make_warning("", message, "", Deviation.GUESSED))


def _unknown(declared: str, *, is_guess: bool) -> AppError:
    """Returns the error of a text that is not recognized: what is wrong with it as what it is declared to be."""
    if declared == "json":
        return MalformedBody()
    if declared != "csv":
        return UnknownFile()
    return MalformedBody(NOT_UTF8) if is_guess else NoTitleColumn(loc=("body",))


def _open_json(content: IO[bytes], context: FileContext) -> Opened:
    text = _map_file(content)
    if (found := open_json(text, context)) is not None:
        return found
    return "json", iter(DocumentRows(read_document(text, context.budget.left), find_unknown_names(text)))


def _map_file(file: IO[bytes]) -> Any:
    """Returns the file's bytes without copying them, after a mark of UTF-8. They are held by the rows that use them."""
    try:
        with refusals_named():
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file
        raise MalformedBody from None
    return memoryview(mapped)[len(codecs.BOM_UTF8) :] if mapped[:3] == codecs.BOM_UTF8 else mapped


def _open_ics(text: IO[str], context: FileContext) -> Opened:
    text.seek(0)
    calendar = IcsFile(context)
    calendar.scan(pace_lines(text))
    text.seek(0)
    if calendar.has_overrides:
        calendar.read_series(pace_lines(text))
        text.seek(0)
    return "ics", _ics_rows(text, calendar)


def _ics_rows(text: IO[str], calendar: IcsFile) -> Iterator[EntityRow]:
    yield from (("tasks", item) for item in calendar.rows(pace_lines(text)))
    if found := calendar.warnings():
        yield warn_of_file(*found)


def _open_text(text: IO[str], head: str, declared: str, context: FileContext) -> Opened | None:
    """Opens a table or a list of lines, which is read once before, to count its rows. None if it is neither."""
    first = FirstReading()
    opened = open_table(text, context, first)
    if opened is None and declared not in {"csv", "ics"} and is_task_list(head, declared):
        opened = open_lines(text, context, first)
    if opened is None:
        return None
    count = 0
    for _ in opened[1]:
        context.budget.take()
        count += 1
    if count == 0 and declared == "ics":
        return None
    first.order.settle()  # the first reading has noted the dates
    return open_table(text, context, first) or open_lines(text, context, first)


def _open_archive(file: IO[bytes], context: FileContext, size_max: int) -> Opened:
    """Opens the files of a zip that are recognized, one after the other; the others are named in a warning.

    Each is unpacked twice, to count its rows and to read them: few files are open at a time.
    """
    archive = Archive(file, size_max)
    wanted = _choose_members(archive)
    if len(wanted) > MEMBERS_MAX:
        raise ArchiveTooLarge
    read: dict[str, str] = {}
    is_own = [PurePosixPath(name).name for name in wanted] == [OWN_DOCUMENT]
    left = [] if is_own else [name for name in archive.names if name not in wanted]
    failed: AppError | None = None
    for name in wanted:
        try:
            with ExitStack() as stack:
                if (opened := _open_member(stack, archive, name, context)) is not None:
                    read[name] = opened[0]
        except (UnknownFile, Invalid, MalformedBody) as error:
            failed = failed or error
            left.append(name)
    is_empty_export = failed is None and any(PurePosixPath(name).name == VIKUNJA_DOCUMENT for name in wanted)
    if not read and not is_empty_export:
        raise failed or UnknownFile
    counted = replace(context, budget=RowBudget(sys.maxsize))
    return next(iter(read.values()), "vikunja"), _member_rows(Archive(file, size_max), [*read], left, counted)


def _open_member(stack: ExitStack, archive: Archive, name: str, context: FileContext) -> Opened | None:
    """Opens a file of a zip; None for one that holds nothing."""
    content = stack.enter_context(archive.unpacked(name))
    head = _read_head(content)
    if head.strip() in EMPTY_CONTENTS:
        return None
    return _open_file(stack, content, head, "", replace(context, name=name))


def _member_rows(archive: Archive, names: list[str], left: list[str], context: FileContext) -> Iterator[EntityRow]:
    for name in names:
        with ExitStack() as stack:
            if (opened := _open_member(stack, archive, name, context)) is not None:
                yield from opened[1]
    if (unread := _unread_members(left)) is not None:
        yield warn_of_file(unread)


def _choose_members(archive: Archive) -> list[str]:
    """Returns the files of a zip that are opened: all that can be one to import by their beginning."""
    names = [name for name in archive.names if PurePosixPath(name).name not in SILENT_MEMBERS]
    if own := [name for name in names if PurePosixPath(name).name == OWN_DOCUMENT]:
        return own[:1]
    return [name for name in names if PurePosixPath(name).suffix.lower() in MEMBER_SUFFIXES]


def _unread_members(names: list[str]) -> RowWarning | None:
    silent = [name for name in names if PurePosixPath(name).name in SILENT_MEMBERS]
    others = [name for name in names if name not in silent]
    if not others:
        return None
    message = f"{len(others)} files of the zip were left out."
    return make_warning("zip", message, ", ".join(others[:LISTED_MEMBERS]))
