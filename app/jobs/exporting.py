"""Exports as streams: a page is read in a short transaction, encoded and sent, then the next one is read.

Exports yield pieces that took PIECE_SECONDS to encode: sending them releases the event loop between two.
"""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from app.clock import now
from app.db.database import Database
from app.errors import EXPORT_FORMAT
from app.json_codec import encode
from app.models.task_rows import due_of
from app.schemas.transfer import CalendarEntryKind
from app.services.changes.entities import EXPORTED_ENTITIES
from app.services.transfer.export_pages import ExportHead, exported_row, read_head, read_page
from app.services.transfer.formats import csv
from app.services.transfer.formats.ics.writer import Calendar

PIECE_SECONDS = 0.004  # seconds


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
                row for row in rows if not row.completed and (kind is CalendarEntryKind.TODO or due_of(row) is not None)
            )
            encode_row = calendar.event if kind is CalendarEntryKind.EVENT else calendar.todo
            for piece in in_pieces(encode_row(row) for row in wanted):
                yield piece
        yield calendar.end()

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
