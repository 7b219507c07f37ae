"""The multistatus responses about objects: of a PROPFIND with Depth 1, and of the three reports.

A collection may have any number of objects: they are read a page at a time, each in a short transaction, and sent
before the next one is read.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request, Response

from app.dav.filters import QueryFilter
from app.dav.names import dav
from app.dav.properties import describe_object, wants_data
from app.dav.requests import PropertyRequest, Report
from app.dav.route import DAV_HEADERS
from app.dav.xml_writer import MULTISTATUS_END, MULTISTATUS_HEAD, XML_TYPE, status_response, tag
from app.http.paths import member_name, member_path, split_dav_url
from app.http.streamed_file import StreamedFile
from app.services.caldav.collections import Collection, find_collection
from app.services.caldav.objects import (
    DATA_PAGE_ROWS,
    NAME_PAGE_ROWS,
    ObjectPlace,
    find_object_by_uid,
    find_objects,
    list_objects,
    object_name,
)
from app.services.caldav.sync import SyncToken, parse_sync_token, read_changes, read_listing
from app.services.caldav.todo_writer import TodoWriter
from app.services.changes.revisions import get_revision_range
from app.services.transfer.import_row import uid_of_calendar
from app.services.users import get_timezone

SYNC_TOKEN, LIMIT_ERROR = dav("sync-token"), "<D:error><D:number-of-matches-within-limits/></D:error>"
HREFS_SLICE = 200  # of a multiget, which the number of elements of a body bounds
ObjectPage = tuple[list[Any], TodoWriter]


class CollectionReader:
    """Reads one collection for one request; ``base`` is its path as the client has sent it."""

    def __init__(self, request: Request, owner: str, name: str, base: str) -> None:
        self._database = request.app.state.database
        self._request, self._owner, self._name, self._base = request, owner, name, base

    async def members(self, wanted: PropertyRequest, first: str) -> AsyncIterator[bytes]:
        """Yields the document of a PROPFIND: ``first``, which is about the collection, and about all objects."""
        yield f"{MULTISTATUS_HEAD}{first}".encode()
        async for piece in self._objects(wanted):
            yield piece
        yield MULTISTATUS_END.encode()

    async def _objects(self, wanted: PropertyRequest) -> AsyncIterator[bytes]:
        async for rows, writer in self._pages(with_data=wants_data(wanted)):
            yield "".join(self._describe(row, writer, wanted) for row in rows).encode()

    async def query(self, report: Report) -> AsyncIterator[bytes]:
        """Yields the document of a calendar-query. Raises FilterRefused before the first piece."""
        assert report.filter is not None
        zone = await self._read_zone()
        chosen = QueryFilter(report.filter, ZoneInfo(zone))
        yield MULTISTATUS_HEAD.encode()
        needs_data = wants_data(report.properties) or chosen.needs_data
        if chosen.matches_nothing:
            pages = _no_pages()
        elif chosen.uid is not None:
            pages = self._one(chosen.uid, zone)
        else:
            pages = self._pages(with_data=needs_data)
        async for rows, writer in pages:
            found = []
            for row in rows:
                data = writer.object(row) if needs_data else ""
                if chosen.matches(row, data):
                    found.append(self._describe(row, writer, report.properties, data))
            yield "".join(found).encode()
        yield MULTISTATUS_END.encode()

    async def multiget(self, report: Report) -> AsyncIterator[bytes]:
        """Yields the document of a calendar-multiget: what is not here is 404. The hrefs are given back as sent."""
        yield MULTISTATUS_HEAD.encode()
        with_data = wants_data(report.properties)
        for start in range(0, len(report.hrefs), HREFS_SLICE):
            hrefs = report.hrefs[start : start + HREFS_SLICE]
            names = {href: self._name_of(href) for href in hrefs}
            async with self._database.transaction(self._owner, read_only=True) as session:
                collection = await find_collection(session, self._owner, self._name)
                asked = [name for name in names.values() if name is not None]
                rows = await find_objects(session, self._owner, collection, asked, with_data=with_data)
                recurs = with_data and any(row["recurrence"] is not None for row in rows.values())
                writer = TodoWriter(await get_timezone(session, self._owner) if recurs else "UTC")
            yield "".join(self._get_one(href, rows.get(names[href] or ""), writer, report) for href in hrefs).encode()
        yield MULTISTATUS_END.encode()

    async def sync(self, report: Report) -> AsyncIterator[bytes]:
        """Yields the document of a sync-collection. Raises SyncTokenInvalid before the first piece."""
        token = parse_sync_token(report.token) if report.token else None
        if token is None and report.limit is None:
            pieces = self._sync_all(report)
        elif token is None or token.place is not None:
            pieces = self._sync_listing(report, token)
        else:
            pieces = self._sync_changes(report, token)
        async for piece in pieces:
            yield piece

    async def _sync_listing(self, report: Report, token: SyncToken | None) -> AsyncIterator[bytes]:
        """Yields one page of a first sync with a limit."""
        with_data = wants_data(report.properties)
        limit = min(report.limit or NAME_PAGE_ROWS, DATA_PAGE_ROWS if with_data else NAME_PAGE_ROWS)
        async with self._database.transaction(self._owner, read_only=True) as session:
            collection = await self._find(session)
            page = await read_listing(session, self._owner, collection, token, limit, with_data=with_data)
            writer = TodoWriter(await get_timezone(session, self._owner) if with_data else "UTC")
        found = [self._describe(row, writer, report.properties) for row in page.changed]
        if page.has_more:
            found.append(status_response(self._base, 507, LIMIT_ERROR))
        end = f"{tag(SYNC_TOKEN, str(page.token))}{MULTISTATUS_END}"
        yield "".join((MULTISTATUS_HEAD, *found, end)).encode()

    async def _sync_changes(self, report: Report, token: SyncToken) -> AsyncIterator[bytes]:
        sent_head = False
        while True:
            async with self._database.transaction(self._owner, read_only=True) as session:
                collection = await self._find(session)
                page = await read_changes(session, self._owner, collection, token, report.limit)
                rows, writer = await self._with_data(session, collection, page.changed, report.properties)
            if not sent_head:
                yield MULTISTATUS_HEAD.encode()
                sent_head = True
            found = [self._describe(row, writer, report.properties) for row in rows]
            found += [status_response(member_path(self._base, name), 404) for name in page.gone]
            yield "".join(found).encode()
            token = page.token
            if not page.has_more or report.limit is not None:
                break
        if page.has_more:
            yield status_response(self._base, 507, LIMIT_ERROR).encode()
        yield f"{tag(SYNC_TOKEN, str(token))}{MULTISTATUS_END}".encode()

    async def _sync_all(self, report: Report) -> AsyncIterator[bytes]:
        """Yields all objects, and the revision of before: what is written meanwhile is among the changes after it."""
        async with self._database.transaction(self._owner, read_only=True) as session:
            await self._find(session)
            allowed = await get_revision_range(session, self._owner)
        yield MULTISTATUS_HEAD.encode()
        async for piece in self._objects(report.properties):
            yield piece
        yield f"{tag(SYNC_TOKEN, str(SyncToken(allowed.current)))}{MULTISTATUS_END}".encode()

    async def _pages(self, *, with_data: bool) -> AsyncIterator[ObjectPage]:
        place, limit = ObjectPlace(), DATA_PAGE_ROWS if with_data else NAME_PAGE_ROWS
        while True:
            async with self._database.transaction(self._owner, read_only=True) as session:
                collection = await self._find(session)
                zone = await get_timezone(session, self._owner) if with_data else "UTC"
                rows = await list_objects(session, self._owner, collection, place, with_data=with_data, limit=limit)
            if rows:
                yield rows, TodoWriter(zone)
            if len(rows) < limit:
                return
            place = ObjectPlace(rows[-1]["position"], rows[-1]["id"])

    async def _one(self, uid: str, zone: str) -> AsyncIterator[ObjectPage]:
        async with self._database.transaction(self._owner, read_only=True) as session:
            collection = await self._find(session)
            row = await find_object_by_uid(session, self._owner, uid_of_calendar(uid))
        if row is not None and row["deleted_at"] is None and row["project_id"] == collection.project_id:
            yield [row], TodoWriter(zone)

    async def _with_data(
        self, session: Any, collection: Collection, rows: list[Any], wanted: PropertyRequest
    ) -> tuple[Iterable[Any], TodoWriter]:
        if not wants_data(wanted) or not rows:
            return rows, TodoWriter("UTC")
        names = [object_name(row) for row in rows]
        found = await find_objects(session, self._owner, collection, names)
        return found.values(), TodoWriter(await get_timezone(session, self._owner))

    async def _read_zone(self) -> str:
        async with self._database.transaction(self._owner, read_only=True) as session:
            await self._find(session)
            return await get_timezone(session, self._owner)

    async def _find(self, session: Any) -> Collection:
        return await find_collection(session, self._owner, self._name)

    def _describe(self, row: Any, writer: TodoWriter, wanted: PropertyRequest, data: str = "") -> str:
        text = (data or writer.object(row)) if wants_data(wanted) else None
        return describe_object(member_path(self._base, object_name(row)), row["version"], text, wanted)

    def _get_one(self, href: str, row: Any, writer: TodoWriter, report: Report) -> str:
        if row is None:
            return status_response(href, 404)
        text = writer.object(row) if wants_data(report.properties) else None
        return describe_object(href, row["version"], text, report.properties)

    def _name_of(self, href: str) -> str | None:
        """Returns the name of an object of this collection; None for one of another, or of none."""
        if (name := member_name(self._base, href)) is not None:
            return name
        names = split_dav_url(self._request, href)  # a whole URL, or other characters percent-encoded
        base = split_dav_url(self._request, self._base)
        return names[2] if names is not None and len(names) == 3 and names[:2] == base else None


async def _no_pages() -> AsyncIterator[ObjectPage]:
    pages: list[ObjectPage] = []
    for page in pages:
        yield page


async def stream_multistatus(pieces: AsyncIterator[bytes]) -> Response:
    """Returns a multistatus that is sent while it is read. What is refused before the first piece is raised here."""
    first = await anext(pieces)

    async def joined() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    response = StreamedFile(joined(), media_type=XML_TYPE, headers=DAV_HEADERS)
    response.status_code = 207
    return response
