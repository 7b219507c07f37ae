"""The rows that those of a file refer to, as they are when each batch is written.

They may have been deleted, moved or purged since the batch before.
"""

from collections.abc import Iterable
from typing import Any

from app.db.session import Session
from app.services.changes.entities import IMPORTED_ENTITIES
from app.services.row_limits import find_room
from app.services.tasks.subtasks import MAX_LEVELS
from app.services.transfer.import_row import ImportRow
from app.services.transfer.row_validation import RowReader, RowRefused, row_error
from app.services.transfer.store import (
    ImportTarget,
    find_import_targets,
    find_known,
    find_project_names,
    find_projects,
    insert_rows,
)

UNKNOWN_ID = -1  # of rows that a dry run would have created
REFERENCED_TABLES = {"project": "projects", "parent": "tasks", "task": "tasks", "series": "tasks"}


class References:
    """The references of one import. ``look_up`` comes first in each batch, under the owner's lock."""

    def __init__(self, owner: str, reader: RowReader, *, dry_run: bool) -> None:
        self._owner, self._reader, self._dry_run = owner, reader, dry_run
        self._found: dict[str, dict[str, int]] = {}
        # For all batches: projects with the name of an existing one, and rows that a dry run would have created.
        self._kept: dict[str, dict[str, int]] = {name: {} for name in IMPORTED_ENTITIES}
        self._planned: dict[str, ImportTarget] = {}
        self._places: dict[int, ImportTarget] = {}
        self._projects: dict[int, bool] = {}
        self._names: dict[str, int] = {}
        self._named = False  # whether they have been read
        self._same_name: dict[str, str] = {}
        self._room: dict[str, int] = {}

    async def look_up(self, session: Session, entity: str, items: list[ImportRow]) -> int:
        """Looks up what a batch refers to; returns the number of projects that it created because rows name them."""
        wanted: dict[str, set[str]] = {entity: {item.source for item in items}}
        for item in items:
            for kind, table in REFERENCED_TABLES.items():
                if (source := getattr(item, kind)) is not None:
                    wanted.setdefault(table, set()).add(source)
        self._found = {name: await find_known(session, self._owner, name, s) for name, s in wanted.items()}
        if entity != "projects":
            await self._measure(session, entity)
        made = await self._name_projects(session, entity, items)
        parents = {number for item in items if (number := self.find("tasks", item.parent))}
        projects = {number for item in items if (number := self.find("projects", item.project))}
        projects |= {self._names.get(_key(item), 0) for item in items}
        self._places = await find_import_targets(session, self._owner, parents) if parents else {}
        self._projects = await find_projects(session, self._owner, projects) if projects else {}
        return made

    def find(self, name: str, source: str | None) -> int | None:
        """Returns the id of a source id; ``UNKNOWN_ID`` for a row that a dry run would have created."""
        if source is None:
            return None
        return self._found.get(name, {}).get(source) or self._kept[name].get(source)

    def find_missing(self, item: ImportRow) -> str | None:
        """Returns the first kind of reference whose row does not exist."""
        for kind, table in REFERENCED_TABLES.items():
            source = getattr(item, kind)
            if source is not None and self.find(table, source) is None:
                return kind
        return None

    def set_references(self, row: dict[str, Any], item: ImportRow) -> None:
        """Sets the parent, project and series of a task; a subtask is in its parent's project.

        As when a task is restored, a live task moves to the top level if its parent is not live, and to the inbox if
        its project is not. Raises RowRefused below the deepest level.
        """
        live = row["deleted_at"] is None
        parent_id, project_id = self.find("tasks", item.parent), self._project(item)
        if project_id != UNKNOWN_ID and (project_id not in self._projects or (live and not self._projects[project_id])):
            project_id = None
        above = self._planned.get(item.parent or "") if parent_id == UNKNOWN_ID else self._places.get(parent_id or 0)
        if above is None or (live and not above.live):
            above, parent_id = None, None
        elif above.depth >= MAX_LEVELS:
            raise row_error("parent_id", f"Subtasks can be at most {MAX_LEVELS} levels deep.", "too_deep")
        elif live:
            project_id = above.project_id
        row |= {"parent_id": parent_id, "project_id": project_id, "series_id": self.find("tasks", item.series)}
        if self._dry_run:
            self._planned[item.source] = ImportTarget(above.depth + 1 if above else 1, project_id, live)

    def set_view_references(self, parameters: dict[str, Any], item: ImportRow) -> None:
        """Replaces the ids in the parameters of a view by those of this database."""
        if item.project is not None:
            parameters["project_id"] = self.find("projects", item.project)
        if item.parent is not None:
            parameters["parent_id"] = self.find("tasks", item.parent)
        if item.series is not None:
            parameters["series_id"] = self.find("tasks", item.series)

    def accepts(self, entity: str, row: dict[str, Any]) -> bool:
        """Returns whether the row is to be created: a project whose name exists becomes that project.

        Raises RowRefused when there is no room for another row.
        """
        if row["deleted_at"] is not None:
            return True
        if entity == "projects" and (key := row["name"].lower()) in self._names:
            self._same_name[row["source_id"]] = key
            return False
        if limit := IMPORTED_ENTITIES[entity].limit:
            if self._room[entity] <= 0:
                raise row_error("name", limit.error.message, limit.error.code)
            self._room[entity] -= 1
        if entity == "projects":
            self._names[key] = UNKNOWN_ID
        return True

    async def _measure(self, session: Session, entity: str) -> None:
        """Finds how many more rows of a limited entity there can be; a dry run continues from its first batch."""
        if IMPORTED_ENTITIES[entity].limit and not (entity in self._room and self._dry_run):
            self._room[entity] = await find_room(session, self._owner, IMPORTED_ENTITIES[entity])

    async def remember(self, session: Session, entity: str, planned: Iterable[str]) -> None:
        """Remembers the source ids of a batch that later ones cannot find in the database."""
        if self._dry_run:
            self._kept[entity] |= dict.fromkeys(planned, UNKNOWN_ID)
        elif self._same_name:
            self._names = await find_project_names(session, self._owner)
        for source, key in self._same_name.items():
            self._kept["projects"][source] = self._names.get(key, UNKNOWN_ID)
        self._same_name = {}

    async def _name_projects(self, session: Session, entity: str, items: list[ImportRow]) -> int:
        """Creates projects of new names, in one write; returns their number."""
        names = {item.project_name.strip() for item in items if _key(item) and item.project_name}
        if (names or entity == "projects") and not (self._named and self._dry_run):
            self._named, self._names = True, await find_project_names(session, self._owner)
            await self._measure(session, "projects")
        rows = []
        for name in sorted(names):
            try:
                row = self._reader.read("projects", {"name": name}) | {"source_id": None}
                if self._names.get(name.lower()) is None and self.accepts("projects", row):
                    rows.append(row)
            except RowRefused:
                continue  # the error is reported for the row that names the project
        if rows and not self._dry_run:
            await insert_rows(session, self._owner, "projects", rows)
            self._names = await find_project_names(session, self._owner)
        return len(rows)

    def _project(self, item: ImportRow) -> int | None:
        if not _key(item):
            return self.find("projects", item.project)
        if (project_id := self._names.get(_key(item))) is None:
            raise row_error("project", "The project's name is invalid, or there is no room for another project.")
        return project_id


def _key(item: ImportRow) -> str:
    return (item.project_name or "").strip().lower()
