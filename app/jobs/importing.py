"""Imports: a file's rows in batches, each batch a short transaction and one recorded write.

Invalid rows are reported and the others are imported; what of those differs from the file is a warning. A row whose
source id exists is skipped, so the same file may be imported twice. A row that refers to a later one is deferred to the
end of the file.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from app.db.database import Database
from app.db.session import Session
from app.errors import AppError, UnknownTimeZone
from app.errors.findings import OTHER_SENTENCES
from app.schemas.transfer import ERRORS_MAX, WARNINGS_MAX
from app.services.changes.entities import IMPORTED_ENTITIES
from app.services.changes.revisions import get_written_revision
from app.services.channels.channel_fields import NO_SECRETS
from app.services.transfer.import_lease import ImportLease
from app.services.transfer.import_order import find_circles, sort_into_levels
from app.services.transfer.import_row import (
    WHOLE_FILE,
    ImportRow,
    LoadedRow,
    RowRefused,
    RowWarning,
    ValidRow,
    excerpt_of,
    make_warning,
    row_error,
)
from app.services.transfer.references import References
from app.services.transfer.row_validation import RowReader
from app.services.transfer.store import insert_rows
from app.services.user_settings import set_timezone
from app.services.users import get_revision, get_timezone, lock_or_create_owner, lock_owner

IMPORT_BATCH = 1000
NO_ZONE = "UTC"
EntityItem = tuple[str, ImportRow]
_unpack_row = msgspec.json.Decoder(LoadedRow).decode  # made once: a deferred row holds only its text
REPEATED_ID = "An earlier row of the file has the same id: this one was left out."
TOO_LONG_CHAIN = "It waits for itself, or for too long a chain of rows: it was left out."


class Import:
    """One file into one account."""

    def __init__(
        self,
        database: Database,
        owner: str,
        reader: RowReader,
        *,
        dry_run: bool,
        check: Callable[[], Awaitable[None]] | None = None,
        lease: ImportLease | None = None,
    ) -> None:
        """Imports for ``owner``. Before each batch ``check`` may raise, which ends the import."""
        self._lease = lease
        self._database, self._owner, self._reader, self._dry_run = database, owner, reader, dry_run
        self._check = check
        self._references = References(owner, reader, dry_run=dry_run)
        self.created: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.failed = 0
        self.errors: list[dict[str, Any]] = []
        self.warned = 0
        self.warnings: list[dict[str, Any]] = []
        self.revision = 0
        self.written: int | None = None  # the last revision that a batch took
        self._first_made: dict[str, int] = {}  # the lowest id of a row of this file, by entity
        self._titles: set[int] = set()  # hashes of entity, source and title: rows that come again
        self.timezone: str | None = None

    async def run(self, pairs: Iterable[EntityItem]) -> None:
        """Imports rows in the order of the file; then the deferred ones, each after the rows that it refers to."""
        if not self._dry_run:
            async with self._database.transaction(self._owner) as session:
                await lock_or_create_owner(session, self._owner)
        waiting = await self._stream(pairs)
        await self._finish_tree("projects", waiting.pop("projects", []))
        await self._finish_tree("tasks", waiting.pop("tasks", []))
        for entity, items in waiting.items():
            await self._finish(entity, items)
        async with self._database.transaction(self._owner, read_only=True) as session:
            self.revision = await get_revision(session, self._owner)

    async def _stream(self, pairs: Iterable[EntityItem]) -> dict[str, list[ImportRow]]:
        """Imports all rows whose references exist; returns the deferred ones by entity."""
        rows = iter(pairs)
        waiting: dict[str, list[ImportRow]] = {}
        batch: list[EntityItem] = []
        while batch or (batch := await asyncio.to_thread(list, islice(rows, IMPORT_BATCH))):
            entity = batch[0][0]
            mine = [pair for pair in batch if pair[0] == entity]
            batch = [pair for pair in batch if pair[0] != entity]
            if entity != "projects":  # tasks need not wait for the projects that waited for others
                await self._finish_tree("projects", waiting.pop("projects", []))
            if entity == "settings":
                await self._take_settings(mine[0][1])
                continue
            if entity == WHOLE_FILE:
                for _, item in mine:
                    self._warn(entity, item, item.load().warnings)
                continue
            waiting.setdefault(entity, []).extend(await self._write(entity, [item for _, item in mine], last=False))
        return waiting

    async def _take_settings(self, item: ImportRow) -> None:
        """Sets the time zone unless the user has chosen one: UTC is the default of an account."""
        try:
            settings = _load_item(item).fields
            zone = self._reader.read_timezone(settings)
            unknown = [_unknown_setting(name, value) for name, value in settings.items() if name != "timezone"]
            self._warn("settings", item, unknown)
        except RowRefused as error:
            self._refuse("settings", item, error)
            return
        try:
            async with self._database.transaction(self._owner, read_only=self._dry_run) as session:
                if zone == NO_ZONE or await get_timezone(session, self._owner) != NO_ZONE:
                    return
                if not self._dry_run:
                    await set_timezone(session, self._owner, zone)
                    await self._note_revision(session)
        except UnknownTimeZone as error:
            self._refuse("settings", item, row_error("timezone", error.detail, error.code))
            return
        self.timezone = zone
        self._reader.use_timezone(zone)

    async def _finish_tree(self, entity: str, items: list[ImportRow]) -> None:
        """Imports deferred rows, each after its parent. Those that wait for each other have none."""
        while items:
            levels, stuck = await asyncio.to_thread(sort_into_levels, items)
            for level in levels:
                await self._finish(entity, level)
            circles = await asyncio.to_thread(find_circles, stuck) or stuck
            await asyncio.to_thread(_remove_references, circles)
            await self._finish(entity, circles)
            written = set(map(id, circles))
            items = [item for item in stuck if id(item) not in written]

    async def _finish(self, entity: str, items: list[ImportRow]) -> None:
        for start in range(0, len(items), IMPORT_BATCH):
            await self._write(entity, items[start : start + IMPORT_BATCH], last=True)

    async def _write(self, entity: str, items: list[ImportRow], *, last: bool) -> list[ImportRow]:
        """Imports one batch of one entity; returns its deferred rows."""
        if self._check is not None:
            await self._check()
        if self._lease is not None:
            await self._lease.renew()
        # Before the transaction, which blocks the owner's other writes: 1,000 rows may be 16 MB.
        read = await asyncio.to_thread(lambda: [self._read(entity, item) for item in items])
        if IMPORTED_ENTITIES[entity].import_key == "name":
            for item, row in zip(items, read, strict=True):
                if isinstance(row, ValidRow):
                    item.source = row.columns["name"]  # as it is kept: it may have been cut
        async with self._database.transaction(self._owner, read_only=self._dry_run) as session:
            session.source = "import"
            if not self._dry_run:
                await lock_owner(session, self._owner)
            uids = {
                item.source: row.columns.get("uid")
                for item, row in zip(items, read, strict=True)
                if isinstance(row, ValidRow)
            }
            self.created["projects"] += await self._references.look_up(session, entity, items, uids)
            chosen: list[tuple[ImportRow, ValidRow | RowRefused]] = []
            waiting: list[ImportRow] = []
            for item, fields in zip(items, read, strict=True):
                if (known := self._references.find(entity, item.source)) is not None:
                    self.skipped[entity] += 1
                    if known < 0 or known >= self._first_made.get(entity, known + 1):
                        self._warn_of_repetition(entity, item, fields)
                elif not last and self._references.is_waiting(entity, item):
                    waiting.append(item)
                else:
                    chosen.append((item, fields))
            await self._insert(session, entity, self._rows(entity, chosen))
            await self._note_revision(session)
        await asyncio.to_thread(_pack_items, waiting)
        return waiting

    async def _note_revision(self, session: Session) -> None:
        self.written = await get_written_revision(session, self._owner) or self.written

    def _rows(
        self, entity: str, chosen: list[tuple[ImportRow, ValidRow | RowRefused]]
    ) -> list[tuple[ImportRow, ValidRow]]:
        rows: dict[str, tuple[ImportRow, ValidRow]] = {}
        uids: set[str] = set()
        for item, read in chosen:
            uid: str | None = read.columns.get("uid") if isinstance(read, ValidRow) else None
            if item.source in rows or uid in uids:
                self.skipped[entity] += 1
                self._warn_of_repetition(entity, item, read)
            elif (row := self._row(entity, item, read)) is not None:
                rows[item.source] = item, row
                self._titles.add(hash((entity, item.source, _title_of(row))))
                if uid is not None:
                    uids.add(uid)
        return list(rows.values())

    def _warn_of_repetition(self, entity: str, item: ImportRow, read: ValidRow | RowRefused) -> None:
        """Names a row that is left out because an earlier one has its id, unless they are called the same."""
        if isinstance(read, ValidRow) and hash((entity, item.source, _title_of(read))) not in self._titles:
            self._warn(entity, item, [make_warning("id", REPEATED_ID, _title_of(read))])

    async def _insert(self, session: Session, entity: str, rows: list[tuple[ImportRow, ValidRow]]) -> None:
        columns = [row.columns for _, row in rows]
        made = [item.source for item, _ in rows]
        if rows and not self._dry_run:
            ids = await insert_rows(session, self._owner, entity, columns)
            made = list(ids)
            self._first_made.setdefault(entity, min(ids.values()))
        await self._references.remember(session, entity, columns)
        self.created[entity] += len(made)
        self.skipped[entity] += len(rows) - len(made)
        inserted = set(made)
        for item, row in rows:
            if item.source in inserted:
                self._warn(entity, item, row.warnings)

    def _read(self, entity: str, item: ImportRow) -> ValidRow | RowRefused:
        try:
            return self._reader.read_loaded(entity, _load_item(item))
        except RowRefused as error:
            return RowRefused(error.errors)  # the traceback of the caught one refers to the whole row

    def _row(self, entity: str, item: ImportRow, read: ValidRow | RowRefused) -> ValidRow | None:
        """Returns None for a row that is refused, or that stands for an existing one."""
        if isinstance(read, RowRefused):  # not raised: its traceback would refer to the row
            self._refuse(entity, item, read)
            return None
        try:
            row = read.columns
            row["source_id"] = item.source
            if entity == "projects":
                read.warnings.extend(self._references.set_project_parent(row, item))
            elif entity == "tasks":
                read.warnings.extend(self._references.set_references(row, item))
            elif entity == "comments":
                if item.task is None:
                    raise row_error("task_id", OTHER_SENTENCES["missing"], "missing")
                row["task_id"] = self._references.find("tasks", item.task)
                if row["task_id"] is None:
                    raise row_error("task_id", "Its task is not there.")
            elif entity == "channels":
                if row["secrets"]:
                    names = ", ".join(row["secrets"])
                    read.warnings.append(make_warning("secrets", NO_SECRETS, names))
            elif entity == "views":
                read.warnings.extend(self._references.set_view_references(row["parameters"], item))
            if not self._references.accepts(entity, row):
                self.skipped[entity] += 1
                return None
        except RowRefused as error:
            self._refuse(entity, item, error)
            return None
        return read

    def _refuse(self, entity: str, item: ImportRow, error: RowRefused) -> None:
        self.failed += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(_row_names(entity, item) | {"errors": error.errors})

    def _warn(self, entity: str, item: ImportRow, warnings: Sequence[RowWarning]) -> None:
        self.warned += bool(warnings)
        listed = warnings[: WARNINGS_MAX - len(self.warnings)]
        self.warnings += [_row_names(entity, item) | found._asdict() for found in listed]

    def report(self, format_: str) -> dict[str, Any]:
        """Returns an ImportReport."""
        return {
            "format": format_,
            "dry_run": self._dry_run,
            "created": {name: self.created[name] for name in IMPORTED_ENTITIES},
            "skipped": {name: self.skipped[name] for name in IMPORTED_ENTITIES},
            "failed": self.failed,
            "errors": self.errors,
            "warned": self.warned,
            "warnings": self.warnings,
            "timezone": self.timezone,
            "revision": self.revision,
        }


def _title_of(row: ValidRow) -> str:
    return next((row.columns[name] for name in ("title", "name", "body") if row.columns.get(name)), "")


def _unknown_setting(name: str, value: Any) -> RowWarning:
    return make_warning(name, "There is no such setting here: it was left out.", value)


def _row_names(entity: str, item: ImportRow) -> dict[str, Any]:
    """Returns what names a row in a report."""
    return {"entity": entity, "row": item.row, "uid": item.uid and excerpt_of(item.uid)}


def _remove_references(items: list[ImportRow]) -> None:
    """Makes tasks of the top level of those that cannot be put in order, with a warning."""
    for item in items:
        references = {"parent_id": item.parent, "series_id": item.series}
        warnings = [make_warning(name, TOO_LONG_CHAIN, source) for name, source in references.items() if source]
        item.load, item.parent, item.series = partial(_load_with, item.load, warnings), None, None


def _load_with(load: Callable[[], LoadedRow], warnings: list[RowWarning]) -> LoadedRow:
    loaded = load()
    return loaded._replace(warnings=[*loaded.warnings, *warnings])


def _pack_items(items: list[ImportRow]) -> None:
    """Replaces deferred rows by their JSON text: as objects 190,000 to-dos take 1 GB."""
    for item in items:
        with suppress(AppError):  # raised again when the row is read
            item.load = partial(_unpack_row, msgspec.json.encode(item.load()))


def _load_item(item: ImportRow) -> LoadedRow:
    """Raises RowRefused for a row that cannot be read; the import continues with the next row."""
    try:
        return item.load()
    except AppError as error:
        raise RowRefused([{"loc": list(error.loc[1:]), "msg": error.detail, "type": error.code}]) from None
