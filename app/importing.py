"""Imports: a file's rows in batches, each batch a short transaction and a numbered write.

Rows that are not acceptable are reported and the others are imported. A row that is here already, by its source id, is
left as it is, so the same file may come twice. A row waits until what it refers to is there.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from app.db.session import Database, Session
from app.errors import AppError, TooManyViews
from app.schemas.transfer import ERRORS_MAX
from app.services.transfer.items import Item
from app.services.transfer.rows import Reader, RowRefused, refused
from app.services.transfer.store import (
    ensure_owner,
    find_depths,
    find_known,
    find_project_names,
    insert_rows,
)
from app.services.users import get_revision, get_timezone, lock_owner, set_timezone
from app.services.views import find_room

BATCH = 1000
DEPTH_MAX = 5
NO_ZONE = "UTC"
UNKNOWN_ID = -1  # of what a dry run would have made
Pair = tuple[str, Item]
MISSING = {"parent": "parent_id", "task": "task_id", "project": "project_id", "series": "series_id"}


class Import:
    """One file into one account."""

    def __init__(self, database: Database, owner: str, reader: Reader, *, dry_run: bool) -> None:
        self._database, self._owner, self._reader, self._dry_run = database, owner, reader, dry_run
        self._ids: dict[str, dict[str, int]] = {name: {} for name in ("projects", "tasks", "comments", "views")}
        self._depths: dict[int | str, int] = {}
        self._project_names: dict[str, int] | None = None
        self.created: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.failed = 0
        self.errors: list[dict[str, Any]] = []
        self._room = 0
        self.revision = 0
        self.timezone: str | None = None

    async def run(self, pairs: Iterable[Pair]) -> None:
        """Row by row as they come; those that must wait again, until nothing moves any more."""
        if not self._dry_run:
            async with self._database.transaction(self._owner) as session:
                await ensure_owner(session, self._owner)
        waiting: list[Pair] = []
        rows = iter(pairs)
        while True:
            before = len(waiting)
            waiting = await self._pass(rows)
            if not waiting or len(waiting) == before:
                break
            rows = iter(waiting)
        await self._pass(iter(waiting), last=True)
        async with self._database.transaction(self._owner, read_only=True) as session:
            self.revision = await get_revision(session, self._owner)

    async def _pass(self, rows: Iterator[Pair], *, last: bool = False) -> list[Pair]:
        waiting: list[Pair] = []
        batch: list[Pair] = []
        while batch or (batch := await asyncio.to_thread(list, islice(rows, BATCH))):
            entity = batch[0][0]
            mine = [pair for pair in batch if pair[0] == entity]
            batch = [pair for pair in batch if pair[0] != entity]
            if entity == "settings":
                await self._take_settings(mine[0][1])
            else:
                waiting += await self._write(entity, [item for _, item in mine], last)
        return waiting

    async def _take_settings(self, item: Item) -> None:
        """Whoever has chosen a time zone keeps it: UTC is what an account begins with."""
        try:
            zone = self._reader.read_zone(_loaded(item))
        except RowRefused as error:
            self._refuse("settings", item, error)
            return
        async with self._database.transaction(self._owner, read_only=self._dry_run) as session:
            if zone == NO_ZONE or await get_timezone(session, self._owner) != NO_ZONE:
                return
            if not self._dry_run:
                await set_timezone(session, self._owner, zone)
        self.timezone = zone
        self._reader.read_in(zone)

    async def _write(self, entity: str, items: list[Item], last: bool) -> list[Pair]:
        """One batch of one entity; gives back what has to wait."""
        async with self._database.transaction(self._owner, read_only=self._dry_run) as session:
            session.through = "import"
            if not self._dry_run:
                await lock_owner(session, self._owner)
            await self._look_up(session, entity, items)
            rows, waiting = [], []
            taken: set[str] = set()
            for item in items:
                if item.source in self._ids[entity] or item.source in taken:
                    self.skipped[entity] += 1
                elif (missing := self._missing(item)) and not (last and missing == "series"):
                    if last:
                        field = MISSING[missing] if entity != "views" else f"parameters.{MISSING[missing]}"
                        self._refuse(entity, item, refused(field, "What it refers to is not there."))
                    else:
                        waiting.append((entity, item))
                elif (row := self._row(entity, item)) is not None and not self._is_named(entity, row):
                    rows.append(row)
                    taken.add(item.source)
            await self._insert(session, entity, rows)
        return waiting

    async def _insert(self, session: Session, entity: str, rows: list[dict[str, Any]]) -> None:
        if self._dry_run:
            made = {row["source_id"]: UNKNOWN_ID for row in rows}
        else:
            made = await insert_rows(session, self._owner, entity, rows) if rows else {}
        self._ids[entity] |= made
        self.created[entity] += len(made)
        self.skipped[entity] += len(rows) - len(made)

    async def _look_up(self, session: Session, entity: str, items: list[Item]) -> None:
        wanted = {entity: {item.source for item in items}}
        for item in items:
            wanted.setdefault("tasks", set()).update(s for s in (item.parent, item.series, item.task) if s)
            wanted.setdefault("projects", set()).update({item.project} - {None})  # type: ignore[arg-type]
        for name, sources in wanted.items():
            if unknown := sources - self._ids[name].keys():
                self._ids[name] |= await find_known(session, self._owner, name, unknown)
        parents = {self._ids["tasks"][i.parent] for i in items if i.parent in self._ids["tasks"]} - {UNKNOWN_ID}
        if parents:
            for task_id, depth in (await find_depths(session, self._owner, parents)).items():
                self._depths[task_id] = depth
        await self._name_projects(session, items)
        if entity == "views":
            self._room = await find_room(session, self._owner)

    async def _name_projects(self, session: Session, items: list[Item]) -> None:
        """Projects that rows name rather than refer to; new names become projects, in a write of their own."""
        names = {item.project_name.strip() for item in items if item.project_name and item.project_name.strip()}
        if self._project_names is None:
            self._project_names = await find_project_names(session, self._owner)
        rows = []
        for name in sorted(names):
            if name.lower() not in self._project_names:
                try:
                    row = self._reader.read("projects", {"name": name})
                except RowRefused:
                    continue  # the row says so itself
                rows.append(row | {"source_id": None})
                self._project_names[name.lower()] = UNKNOWN_ID
        if rows and not self._dry_run:
            await insert_rows(session, self._owner, "projects", rows)
            self._project_names = await find_project_names(session, self._owner)
        self.created["projects"] += len(rows)

    def _is_named(self, entity: str, row: dict[str, Any]) -> bool:
        """Whether it is a project whose name is here already: then that is the one which is meant."""
        if entity != "projects" or row["deleted_at"] or self._project_names is None:
            return False
        if (found := self._project_names.get(row["name"].lower())) is None:
            self._project_names[row["name"].lower()] = UNKNOWN_ID
            return False
        self._ids["projects"][row["source_id"]] = found
        self.skipped["projects"] += 1
        return True

    def _missing(self, item: Item) -> str | None:
        for kind, name in (("project", "projects"), ("parent", "tasks"), ("task", "tasks"), ("series", "tasks")):
            source = getattr(item, kind)
            if source is not None and source not in self._ids[name]:
                return kind
        return None

    def _row(self, entity: str, item: Item) -> dict[str, Any] | None:
        try:
            row = self._reader.read(entity, _loaded(item))
            row["source_id"] = item.source
            if entity == "tasks":
                self._place(row, item)
            elif entity == "comments":
                if item.task is None:
                    raise refused("task_id", "Field required", "missing")
                row["task_id"] = self._ids["tasks"][item.task]
            elif entity == "views":
                self._point(row["parameters"], item)
        except RowRefused as error:
            self._refuse(entity, item, error)
            return None
        return row

    def _place(self, row: dict[str, Any], item: Item) -> None:
        """What a task belongs to. Raises RowRefused below the deepest level."""
        tasks = self._ids["tasks"]
        row["parent_id"] = tasks[item.parent] if item.parent else None
        row["series_id"] = tasks.get(item.series) if item.series else None
        row["project_id"] = self._ids["projects"][item.project] if item.project else None
        if item.project_name and item.project_name.strip():
            project = (self._project_names or {}).get(item.project_name.strip().lower())
            if project is None:
                raise refused("project", "Not a name that a project can have.")
            row["project_id"] = project
        if item.parent:
            depth = self._depths.get(row["parent_id"] if row["parent_id"] != UNKNOWN_ID else item.parent, 1)
            if depth >= DEPTH_MAX:
                raise refused("parent_id", f"Subtasks lie at most {DEPTH_MAX} deep.", "too_deep")
            self._depths[item.source] = depth + 1

    def _point(self, parameters: dict[str, Any], item: Item) -> None:
        """What a view looks at, by the numbers that it has here. Raises RowRefused when there are too many."""
        if self._room <= 0:
            raise refused("name", TooManyViews.message, TooManyViews.code)
        self._room -= 1
        if item.project is not None:
            parameters["project_id"] = self._ids["projects"][item.project]
        if item.parent is not None:
            parameters["parent_id"] = self._ids["tasks"][item.parent]

    def _refuse(self, entity: str, item: Item, error: RowRefused) -> None:
        self.failed += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append({"entity": entity, "row": item.row, "errors": error.errors})

    def report(self, format_: str) -> dict[str, Any]:
        """As ImportReport."""
        names = tuple(self._ids)
        return {
            "format": format_,
            "dry_run": self._dry_run,
            "created": {name: self.created[name] for name in names},
            "skipped": {name: self.skipped[name] for name in names},
            "failed": self.failed,
            "errors": self.errors,
            "timezone": self.timezone,
            "revision": self.revision,
        }


def _loaded(item: Item) -> dict[str, Any]:
    """Raises RowRefused for a row that cannot be read; the file goes on behind it."""
    try:
        return item.load()
    except AppError as fact:
        raise RowRefused([{"loc": list(fact.loc[1:]), "msg": fact.detail, "type": fact.code}]) from None
