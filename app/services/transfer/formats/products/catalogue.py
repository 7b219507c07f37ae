"""The products whose files are read: how a document of each is recognized, and its reader."""

import re
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from app.errors import MalformedBody, UnknownDocument
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading, RowBudget
from app.services.transfer.formats.products.google_tasks import is_google_tasks, read_google_tasks
from app.services.transfer.formats.products.json_file import DocumentShape, JsonPart
from app.services.transfer.formats.products.microsoft_todo import is_microsoft_todo, read_microsoft_todo
from app.services.transfer.formats.products.super_productivity import is_super_productivity, read_super_productivity
from app.services.transfer.formats.products.taskwarrior import (
    is_taskwarrior,
    read_taskwarrior,
    read_taskwarrior_lines,
)
from app.services.transfer.formats.products.todo_txt import read_todo_txt
from app.services.transfer.formats.products.todoist_json import is_todoist_json, read_todoist_json
from app.services.transfer.formats.products.trello import is_trello, read_trello
from app.services.transfer.formats.products.vikunja import is_vikunja, read_vikunja
from app.services.transfer.formats.tables import PACE_PAUSE, pace_lines

LINE_CHUNK = 65_536  # bytes that are searched for the ends of lines at a time
SAMPLE_LINES = 100  # among which there is a task, in a file of a task a line
_LINE_PATTERN = re.compile(rb"[^\r\n\t ][^\n]*")
OWN_NAME = "format"  # of this service's documents


class JsonFormat(NamedTuple):
    """A product's JSON. ``read`` counts the rows before it returns the iterator."""

    name: str
    matches: Callable[[DocumentShape], bool]
    read: Callable[[JsonPart, FileContext], Iterator[EntityRow]]


JSON_FORMATS: tuple[JsonFormat, ...] = (
    JsonFormat("trello", is_trello, read_trello),
    JsonFormat("super_productivity", is_super_productivity, read_super_productivity),
    JsonFormat("todoist", is_todoist_json, read_todoist_json),
    JsonFormat("taskwarrior", is_taskwarrior, read_taskwarrior),
    JsonFormat("google_tasks", is_google_tasks, read_google_tasks),
    JsonFormat("microsoft_todo", is_microsoft_todo, read_microsoft_todo),
    JsonFormat("vikunja", is_vikunja, read_vikunja),
)


def open_json(text: Any, context: FileContext) -> tuple[str, Iterator[EntityRow]] | None:
    """Returns the format of a document and its rows; None for one of this service.

    Raises UnknownDocument, MalformedBody and TooManyRows.
    """
    try:
        shape = _shape_of(JsonPart(text, RowBudget(context.budget.left)))
    except MalformedBody:
        if (lines := _lines_of(text, context)) is None:
            raise
        return "taskwarrior", read_taskwarrior_lines(lines, context)
    if OWN_NAME in shape.names:
        return None
    for format_ in JSON_FORMATS:
        if format_.matches(shape):
            return format_.name, format_.read(JsonPart(text, context.budget), context)
    raise UnknownDocument(loc=("body",))


def _lines_of(text: Any, context: FileContext) -> list[JsonPart] | None:
    """Returns the objects of a file that has one a line, with or without commas and brackets around; else None."""
    parts, is_known = [], False
    view = memoryview(text)
    for start, end in _line_ends(view):
        line = bytes(view[start:end]).strip().rstrip(b",")
        context.budget.take()
        if line in {b"", b"[", b"]"}:
            continue
        part = JsonPart(line, context.budget)
        is_known = is_known or (line[:1] == b"{" and is_taskwarrior(DocumentShape(frozenset(_names_of(part)))))
        parts.append(part)
        if len(parts) == SAMPLE_LINES and not is_known:
            return None
    return parts if is_known else None


def _line_ends(view: memoryview) -> Iterator[tuple[int, int]]:
    """Yields where lines begin and end, without empty ones: a file may be nothing but line ends."""
    begun: int | None = None  # of a line that goes on in the next chunk
    for place in range(0, len(view), LINE_CHUNK):
        chunk = bytes(view[place : place + LINE_CHUNK])
        first = 0
        if begun is not None:
            if (first := chunk.find(b"\n")) < 0:
                continue
            yield begun, place + first
            begun = None
        for found in _LINE_PATTERN.finditer(chunk, first):
            if found.end() == len(chunk):
                begun = place + found.start()
            else:
                yield place + found.start(), place + found.end()
        time.sleep(PACE_PAUSE)
    if begun is not None:
        yield begun, len(view)


def _names_of(part: JsonPart) -> list[str]:
    try:
        return [*part.names()]
    except MalformedBody:
        return []


def _shape_of(document: JsonPart) -> DocumentShape:
    parts = document.names()
    if parts:
        return DocumentShape(frozenset(parts), frozenset(), parts)
    return DocumentShape(frozenset(), document.item_names(), {})


def open_lines(text: IO[str], context: FileContext, first: FirstReading) -> tuple[str, Iterator[EntityRow]]:
    """Returns the format of a list of lines, and its rows."""
    text.seek(0)
    return "todo.txt", read_todo_txt(pace_lines(text), context, first)
