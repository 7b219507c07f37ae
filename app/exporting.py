"""Exports as streams: a page is read in a short transaction, encoded and sent, then the next one is read."""

from collections.abc import AsyncIterator
from typing import Any

from app.clock import now
from app.db.session import Database
from app.responses import encode
from app.schemas.transfer import Kind
from app.services.transfer import own_csv
from app.services.transfer.calendar import Calendar
from app.services.transfer.pages import Head, due_of, exported, read_head, read_page

FORMAT = "todo/1"
RESTORABLE = ("projects", "tasks")
ENTITIES = ("projects", "tasks", "comments", "views")


class Export:
    """Everything of one owner, read page by page."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner

    async def head(self) -> Head:
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
        """Everything, the trash included; comments and views have none. Writes that come meanwhile are those after
        ``revision``: see /changes.
        """
        head = await self.head()
        start = {"format": FORMAT, "user_id": self._owner, "exported_at": now(), "revision": head.revision}
        yield encode({**start, "settings": {"timezone": head.timezone}})[:-1]
        for name in ENTITIES:
            yield b',\n"%b":[' % name.encode()
            separator = b"\n"
            async for rows in self.pages(name, live=name not in RESTORABLE):
                yield separator + b",\n".join(encode(exported(self._owner, row)) for row in rows)
                separator = b",\n"
            yield b"]"
        yield b',\n"revision_at_end":%d}\n' % (await self.head()).revision

    async def as_csv(self) -> AsyncIterator[bytes]:
        projects = await self.project_names()
        yield own_csv.heading()
        async for rows in self.pages("tasks", live=True):
            yield own_csv.lines(self._owner, rows, projects)

    async def as_ics(self) -> AsyncIterator[bytes]:
        head = await self.head()
        projects = await self.project_names()
        calendar = Calendar(self._owner, head.timezone, projects)
        yield calendar.begin()
        async for rows in self.pages("tasks", live=True):
            yield b"".join(calendar.todo(row) for row in rows)
        yield calendar.end()

    async def as_feed(self, kind: Kind, name: str) -> AsyncIterator[bytes]:
        """What is open, as a calendar wants it."""
        head = await self.head()
        calendar = Calendar(self._owner, head.timezone, await self.project_names(), name=name)
        yield calendar.begin()
        async for rows in self.pages("tasks", live=True):
            open_ = [row for row in rows if not row.completed]
            if kind is Kind.EVENT:
                yield b"".join(calendar.event(row) for row in open_ if due_of(row) is not None)
            else:
                yield b"".join(calendar.todo(row) for row in open_)
        yield calendar.end()

    async def project_names(self) -> dict[int, str]:
        return {row.id: row.name async for rows in self.pages("projects", live=True) for row in rows}
