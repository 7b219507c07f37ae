"""The rows that those of a file refer to, as they are when each batch is written.

They may have been deleted, moved or purged since the batch before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.db.session import Session
from app.domain.filters.row_ids import replace_row_ids
from app.models.projects import PROJECT_LEVELS_MAX
from app.services.changes.entities import IMPORTED_ENTITIES
from app.services.row_limits import find_room
from app.services.tasks.subtasks import MAX_LEVELS
from app.services.transfer.import_row import (
    FILTER_TABLES,
    Deviation,
    ImportRow,
    RowRefused,
    RowWarning,
    make_warning,
    row_error,
    uid_of_calendar,
)
from app.services.transfer.row_validation import RowReader
from app.services.transfer.store import (
    ImportTarget,
    ProjectPlace,
    find_import_targets,
    find_known,
    find_project_names,
    find_projects,
    insert_rows,
)
from app.services.uids import find_ids

NO_ID = 0  # of a project whose insertion has not returned its id; those that a dry run would create are negative
NO_PARENT = "The parent is not there: it is at the top level."
DELETED_PARENT = "The parent is deleted: it is at the top level."
NO_CHANNEL = "The channel is not there: reminders are sent to the others, or to all if none is left."
NOT_THERE = "What it refers to is not there."
REFERENCED_TABLES = {"project": "projects", "parent": "tasks", "task": "tasks", "series": "tasks"}


def referenced_tables(entity: str) -> Mapping[str, str]:
    """Returns the tables of the rows that those of ``entity`` refer to, by the attributes of ImportRow."""
    return REFERENCED_TABLES | {"parent": "projects"} if entity == "projects" else REFERENCED_TABLES


class References:
    """The references of one import. ``look_up`` comes first in each batch, under the owner's lock."""

    def __init__(self, owner: str, reader: RowReader, *, dry_run: bool) -> None:
        self._owner, self._reader, self._dry_run = owner, reader, dry_run
        self._found: dict[str, dict[str, int]] = {}
        # For all batches: projects with the name of an existing one, and rows that a dry run would have created.
        self._kept: dict[str, dict[str, int]] = {name: {} for name in IMPORTED_ENTITIES}
        self._planned: dict[str, ImportTarget] = {}
        self._planned_uids: dict[str, dict[str, int]] = {}
        self._places: dict[int, ImportTarget] = {}
        self._projects: dict[int, ProjectPlace] = {}
        self._planned_projects: dict[int, ProjectPlace] = {}
        self._names: dict[str, int] = {}
        self._named = False  # whether they have been read
        self._same_name: dict[str, str] = {}
        self._room: dict[str, int] = {}
        self._last_planned = 0

    async def look_up(
        self, session: Session, entity: str, items: list[ImportRow], uids: Mapping[str, str | None]
    ) -> int:
        """Looks up what a batch refers to; returns the number of projects that it created because rows name them.

        ``uids`` are those of the rows, by source id: a row that has the uid is the row, whatever its source id.
        """
        wanted: dict[str, set[str]] = {entity: {item.source for item in items}}
        for item in items:
            for kind, table in referenced_tables(entity).items():
                if (source := getattr(item, kind)) is not None:
                    wanted.setdefault(table, set()).add(source)
            if item.channels:
                wanted.setdefault("channels", set()).update(item.channels)
            for named, source in (item.filter_rows or {}).items():
                wanted.setdefault(FILTER_TABLES[named.field], set()).add(source)
        self._found = {name: await find_known(session, self._owner, name, s) for name, s in wanted.items()}
        await self._find_by_uid(session, entity, {source: uid for source, uid in uids.items() if uid})
        if any(item.refers_by_uid for item in items):
            unknown = {source for source in wanted.get("tasks", ()) if self.find("tasks", source) is None}
            await self._find_by_uid(session, "tasks", {source: uid_of_calendar(source) for source in unknown})
        if entity != "projects":
            await self._measure(session, entity)
        made = await self._name_projects(session, entity, items)
        projects = {number for item in items if (number := self.find("projects", item.project))}
        above = {number for item in items if (number := self.find(referenced_tables(entity)["parent"], item.parent))}
        parents = set() if entity == "projects" else above
        projects |= above - parents
        projects |= {self._names.get(_key(item), 0) for item in items}
        self._places = await find_import_targets(session, self._owner, parents) if parents else {}
        self._projects = await find_projects(session, self._owner, projects) if projects else {}
        return made

    async def _find_by_uid(self, session: Session, name: str, uids: Mapping[str, str]) -> None:
        """Adds the rows that have ``uids``, by source id. Rows of later batches may refer to them."""
        if uids:
            found = await find_ids(session, self._owner, IMPORTED_ENTITIES[name].name, list(set(uids.values())))
            found = self._planned_uids.get(name, {}) | found
            known = {source: found[uid] for source, uid in uids.items() if uid in found}
            self._found.setdefault(name, {}).update(known)
            self._kept[name].update(known)

    def find(self, name: str, source: str | None) -> int | None:
        """Returns the id of a source id; negative for a row that a dry run would have created."""
        if source is None:
            return None
        return self._found.get(name, {}).get(source) or self._kept[name].get(source)

    def is_waiting(self, entity: str, item: ImportRow) -> bool:
        """Returns whether the row refers to one that does not exist yet."""
        references = ((table, getattr(item, kind)) for kind, table in referenced_tables(entity).items())
        if any(source is not None and self.find(table, source) is None for table, source in references):
            return True
        named = (item.filter_rows or {}).items()
        return any(self.find(FILTER_TABLES[row.field], source) is None for row, source in named)

    def set_references(self, row: dict[str, Any], item: ImportRow) -> list[RowWarning]:
        """Sets the parent, project and series of a task; a subtask is in its parent's project. Returns warnings.

        As when a task is restored, a live task moves to the top level if its parent is not live, and to the inbox if
        its project is not; likewise if these do not exist. Below the deepest level it becomes a sibling of its parent.
        """
        live = row["deleted_at"] is None
        parent_id, above, warnings = self._parent(item, live=live)
        project_id, left_out = self._project(item, live=live)
        field, named = ("project", item.project_name) if _key(item) else ("project_id", item.project)
        if above is not None and live:
            if named and project_id != above.project_id:
                message = "A subtask is in the project of its parent."
                warnings.append(make_warning(field, message, named, Deviation.CHANGED))
            project_id = above.project_id
        elif left_out:
            warnings.append(make_warning(field, left_out, named, Deviation.CHANGED))
        series_id = self.find("tasks", item.series)
        if item.series and series_id is None:
            warnings.append(make_warning("series_id", "The series is not there.", item.series))
        row["remind_channels"], missing = self._channels(item.channels)
        if missing:
            warnings.append(make_warning("remind_channels", NO_CHANNEL, ", ".join(missing)))
        row |= {"parent_id": parent_id, "project_id": project_id, "series_id": series_id}
        if self._dry_run:
            self._planned[item.source] = ImportTarget(above.depth + 1 if above else 1, project_id, live, parent_id)
        return warnings

    def _parent(self, item: ImportRow, *, live: bool) -> tuple[int | None, ImportTarget | None, list[RowWarning]]:
        """Returns the id and the place of the row above."""
        parent_id = self.find("tasks", item.parent)
        if parent_id is None:
            missing = [make_warning("parent_id", NO_PARENT, item.parent, Deviation.CHANGED)] if item.parent else []
            return None, None, missing
        above = self._planned.get(item.parent or "") if parent_id < 0 else self._places.get(parent_id)
        if above is None or (live and not above.live):
            return None, None, [make_warning("parent_id", DELETED_PARENT, item.parent, Deviation.CHANGED)]
        if above.depth < MAX_LEVELS:
            return parent_id, above, []
        message = f"Subtasks can be at most {MAX_LEVELS} levels deep: it is next to its parent."
        warning = make_warning("parent_id", message, item.parent, Deviation.CHANGED)
        return above.parent_id, above._replace(depth=above.depth - 1), [warning]

    def _project(self, item: ImportRow, *, live: bool) -> tuple[int | None, str]:
        """Returns the id of the project, or None and why the task is in the inbox although the file names one."""
        key = _key(item)
        project_id = self._names.get(key) if key else self.find("projects", item.project)
        if key and project_id is None:
            return None, "The project's name is invalid, or there is no room for another project: it is in the inbox."
        if project_id is None:
            return None, "The project is not there: it is in the inbox." if item.project else ""
        place = self._project_place(project_id)
        if place is None or (live and not place.live):
            return None, "The project is deleted: it is in the inbox."
        return project_id, ""

    def _project_place(self, project_id: int) -> ProjectPlace | None:
        """Returns the place of a project; one that a dry run would create because a row names it is at the top."""
        if project_id > 0:
            return self._projects.get(project_id)
        return self._planned_projects.get(project_id, ProjectPlace(1, True, None))

    def set_project_parent(self, row: dict[str, Any], item: ImportRow) -> list[RowWarning]:
        """Sets the project that contains a project, as ``set_references`` the parent of a task. Returns warnings."""
        row["parent_id"], warning = None, None
        parent_id = self.find("projects", item.parent)
        above = None if parent_id is None else self._project_place(parent_id)
        if item.parent and above is None:
            warning = NO_PARENT
        elif above is not None and row["deleted_at"] is None and not above.live:
            warning = DELETED_PARENT
        elif above is not None and above.depth >= PROJECT_LEVELS_MAX:
            row["parent_id"] = above.parent_id
            warning = f"Projects can be at most {PROJECT_LEVELS_MAX} levels deep: it is next to its parent."
        else:
            row["parent_id"] = parent_id
        return [make_warning("parent_id", warning, item.parent, Deviation.CHANGED)] if warning else []

    def _channels(self, sources: list[str] | None) -> tuple[list[int] | None, list[str]]:
        """Returns the ids of channels, None for all of them, and the sources of those that are not there."""
        if not sources:
            return ([] if sources == [] else None), []
        found = {source: self.find("channels", source) for source in sources}
        ids = [number for number in found.values() if number is not None]
        return ids or None, [source for source, number in found.items() if number is None]

    def set_view_references(self, parameters: dict[str, Any], item: ImportRow) -> list[RowWarning]:
        """Replaces the ids in the parameters of a view by those of this database, or leaves them out with a warning."""
        warnings = []
        for name, table, source in (
            ("project_id", "projects", item.project),
            ("parent_id", "tasks", item.parent),
            ("series_id", "tasks", item.series),
        ):
            if source is None:
                continue
            if (found := self.find(table, source)) is not None:
                parameters[name] = found
                continue
            value = parameters.pop(name, None)
            warnings.append(make_warning(f"parameters.{name}", NOT_THERE, value))
        if item.filter_rows and (written := parameters.get("filter")):
            rows = {row: self.find(FILTER_TABLES[row.field], source) for row, source in item.filter_rows.items()}
            parameters["filter"] = replace_row_ids(written, rows.get)
            if None in rows.values():
                warnings.append(make_warning("parameters.filter", NOT_THERE, written, Deviation.CHANGED))
        return warnings

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
            self._names[key] = self._plan_id() if self._dry_run else NO_ID
        return True

    def _plan_id(self) -> int:
        self._last_planned -= 1
        return self._last_planned

    async def _measure(self, session: Session, entity: str) -> None:
        """Finds how many more rows of a limited entity there can be; a dry run continues from its first batch."""
        if IMPORTED_ENTITIES[entity].limit and not (entity in self._room and self._dry_run):
            self._room[entity] = await find_room(session, self._owner, IMPORTED_ENTITIES[entity])

    async def remember(self, session: Session, entity: str, rows: Iterable[dict[str, Any]]) -> None:
        """Remembers the rows of a batch that later ones cannot find in the database."""
        for row in rows if self._dry_run else ():
            live = row["deleted_at"] is None
            planned = self._names[row["name"].lower()] if entity == "projects" and live else self._plan_id()
            self._kept[entity][row["source_id"]] = planned
            if uid := row.get("uid"):
                self._planned_uids.setdefault(entity, {})[uid] = planned
            if entity == "projects":
                above = row["parent_id"] and self._project_place(row["parent_id"])
                depth = above.depth + 1 if above else 1
                self._planned_projects[planned] = ProjectPlace(depth, live, row["parent_id"])
        if not self._dry_run and self._same_name:
            self._names = await find_project_names(session, self._owner)
        for source, key in self._same_name.items():
            self._kept["projects"][source] = self._names.get(key, NO_ID)
        self._same_name = {}

    async def _name_projects(self, session: Session, entity: str, items: list[ImportRow]) -> int:
        """Creates the projects that new rows name, in one write; returns their number."""
        new = [item for item in items if self.find(entity, item.source) is None]
        names = {item.project_name.strip() for item in new if _key(item) and item.project_name}
        if (names or entity == "projects") and not (self._named and self._dry_run):
            self._named, self._names = True, await find_project_names(session, self._owner)
            await self._measure(session, "projects")
        rows = []
        for name in sorted(names):
            try:
                row = self._reader.read("projects", {"name": name}) | {"source_id": None, "parent_id": None}
                if self._names.get(name.lower()) is None and self.accepts("projects", row):
                    rows.append(row)
            except RowRefused:
                continue  # the error is reported for the row that names the project
        if rows and not self._dry_run:
            await insert_rows(session, self._owner, "projects", rows)
            self._names = await find_project_names(session, self._owner)
        return len(rows)


def _key(item: ImportRow) -> str:
    return (item.project_name or "").strip().lower()
