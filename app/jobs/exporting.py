"""Exports as streams: a page is read in a short transaction, encoded and sent, then the next one is read.

Exports yield pieces that took PIECE_SECONDS to encode: sending them releases the event loop between two.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

from app.clock import now
from app.db.database import Database
from app.errors import EXPORT_FORMAT
from app.json_codec import encode
from app.models.task_fields import CLOSED_STATUSES
from app.models.task_rows import due_of, status_of
from app.schemas.transfer import CalendarEntryKind
from app.services.changes.entities import EXPORTED_ENTITIES
from app.services.transfer.export_pages import ExportHead, exported_row, read_head, read_page
from app.services.transfer.formats import csv
from app.services.transfer.formats.ics.writer import Calendar
from app.services.transfer.formats.task_lines import task_line
from app.services.transfer.formats.todoist_template import TodoistTemplate
from app.services.transfer.temporary_files import temporary_file

PIECE_SECONDS = 0.004  # seconds
README_NAME = "README.txt"
README_TEXT = """\
Tasks of {owner}, exported on {time:%Y-%m-%d at %H:%M} UTC (revision {revision}, time zone {timezone}).

todo.json    Everything: projects, tasks with those in the trash, comments, saved views, channels without their secrets,
             settings. This service imports it again without loss, here or in another account: send it, or this zip.
todo.csv     The tasks as a table, for spreadsheets and for this service.
todo.ics     The tasks as to-dos of a calendar, for programs that read iCalendar (RFC 5545).
todo.txt     A task a line, for programs that read todo.txt.
todoist.csv  The open tasks for Todoist: open a project there, and import it as a template.

What each of the files cannot hold is on the page "formats" of the service's documentation.
"""


class _ZipPieces:
    """The file that a zip is written to: what was written since the last ``take``."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Does nothing: all is taken as it was written."""

    def close(self) -> None:
        """Does nothing: nobody closes it."""

    def take(self) -> bytes:
        found, self._pieces = b"".join(self._pieces), []
        return found


def _add_all(add: Callable[[Any], None], rows: Iterable[Any]) -> None:
    for row in rows:
        add(row)


class Export:
    """All data of one owner, read page by page."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner

    async def head(self) -> ExportHead:
        async with self._database.transaction(self._owner, read_only=True) as session:
            return await read_head(session, self._owner)

    async def pages(self, name: str, *, live: bool = False) -> AsyncIterator[list[Any]]:
        after = 0
        while True:
            async with self._database.transaction(self._owner, read_only=True) as session:
                rows = await read_page(session, self._owner, name, after, live=live)
            if not rows:
                return
            yield rows
            after = rows[-1].id

    async def as_json(self) -> AsyncIterator[bytes]:
        """Yields everything, also trash of projects and tasks. /changes has concurrent writes, after ``revision``."""
        head = await self.head()
        start = {"format": EXPORT_FORMAT, "user_id": self._owner, "exported_at": now(), "revision": head.revision}
        yield encode({**start, "settings": {"timezone": head.timezone}})[:-1]
        for name, entity in EXPORTED_ENTITIES.items():
            yield b',\n"%b":[' % name.encode()
            separator = b"\n"
            async for rows in self.pages(name, live=entity.exported == "live"):
                for piece in in_pieces((encode(exported_row(self._owner, row)) for row in rows), b",\n"):
                    yield separator + piece
                    separator = b",\n"
            yield b"]"
        yield b',\n"revision_at_end":%d}\n' % (await self.head()).revision

    async def as_csv(self) -> AsyncIterator[bytes]:
        projects = await self.project_names()
        yield csv.csv_header()
        async for rows in self.pages("tasks", live=True):
            for piece in in_pieces(csv.csv_line(self._owner, row, projects) for row in rows):
                yield piece

    async def as_ics(self) -> AsyncIterator[bytes]:
        head = await self.head()
        projects = await self.project_names()
        calendar = Calendar(self._owner, head.timezone, projects)
        yield calendar.begin()
        async for rows in self.pages("tasks", live=True):
            for piece in in_pieces(calendar.todo(row) for row in rows):
                yield piece
        yield calendar.end()

    async def as_feed(self, kind: CalendarEntryKind, name: str) -> AsyncIterator[bytes]:
        """Yields open tasks as a calendar feed; as events only those with a due date."""
        head = await self.head()
        calendar = Calendar(self._owner, head.timezone, await self.project_names(), name=name)
        yield calendar.begin()
        async for rows in self.pages("tasks", live=True):
            wanted = (
                row
                for row in rows
                if status_of(row) not in CLOSED_STATUSES and (kind is CalendarEntryKind.TODO or due_of(row) is not None)
            )
            encode_row = calendar.event if kind is CalendarEntryKind.EVENT else calendar.todo
            for piece in in_pieces(encode_row(row) for row in wanted):
                yield piece
        yield calendar.end()

    async def as_txt(self) -> AsyncIterator[bytes]:
        zone = ZoneInfo((await self.head()).timezone)
        projects = await self.project_names()
        async for rows in self.pages("tasks", live=True):
            for piece in in_pieces(task_line(row, projects, zone) for row in rows):
                yield piece

    async def as_todoist(self) -> AsyncIterator[bytes]:
        """Yields open tasks, each after its parent: all are read before the first is sent."""
        zone = ZoneInfo((await self.head()).timezone)
        projects = await self.project_names()
        with temporary_file() as file:
            template = TodoistTemplate(file, zone)
            async for rows in self.pages("tasks", live=True):
                await asyncio.to_thread(_add_all, template.add_task, rows)
            async for rows in self.pages("comments", live=True):
                await asyncio.to_thread(_add_all, template.add_comment, rows)
            for piece in in_pieces(template.lines(projects)):
                yield piece

    async def as_zip(self) -> AsyncIterator[bytes]:
        """Yields a zip of the other files, which is compressed while they are read."""
        head = await self.head()
        sent = _ZipPieces()
        files = {
            "todo.json": self.as_json, "todo.csv": self.as_csv, "todo.ics": self.as_ics, "todo.txt": self.as_txt,
            "todoist.csv": self.as_todoist,
        }  # fmt: skip
        with ZipFile(sent, "w", ZIP_DEFLATED) as packed:
            text = README_TEXT.format(owner=self._owner, time=now(), revision=head.revision, timezone=head.timezone)
            packed.writestr(README_NAME, text)
            for name, read in files.items():
                with packed.open(name, "w") as entry:
                    async for chunk in read():
                        await asyncio.to_thread(entry.write, chunk)
                        if piece := sent.take():
                            yield piece
        yield sent.take()

    async def project_names(self) -> dict[int, str]:
        return {row.id: row.name async for rows in self.pages("projects", live=True) for row in rows}


def in_pieces(encoded: Iterable[bytes], separator: bytes = b"") -> Iterator[bytes]:
    """Joins rows until it has worked for PIECE_SECONDS, at least one."""
    rows: list[bytes] = []
    ends = time.perf_counter() + PIECE_SECONDS
    for row in encoded:
        rows.append(row)
        if time.perf_counter() >= ends:
            yield separator.join(rows)
            rows, ends = [], time.perf_counter() + PIECE_SECONDS
    if rows:
        yield separator.join(rows)
