"""Fields and places of many tasks in one write: what is to be is found out first, then each row is written once."""

from typing import Any

from pydantic import MISSING

from app.db.changes import TAKE
from app.db.session import Session
from app.domain.ordering import MAX_LENGTH, keys_after_all
from app.errors import NoRoomBetween, TooDeep, TooManyTags, UnknownReference
from app.models.task_fields import TAGS_MAX
from app.schemas.task_bulk import PLACE, BulkChange
from app.services.projects import require_project
from app.services.tasks.bulk_statements import BELOW_UNNAMED, MOVE_ALONG, update_all
from app.services.tasks.create_update import PLACES
from app.services.tasks.reminders import resolve_reminders
from app.services.tasks.subtasks import MAX_LEVELS, find_depth
from app.services.users import to_due_columns

Row = dict[str, Any]
Rows = dict[int, Row]
EMPTY: tuple[tuple[str, Any], ...] = (("priority", "medium"), ("tags", []), ("reminders", []))  # what null means


async def change_all(session: Session, owner: str, change: BulkChange, tasks: Rows, *, to_end: bool) -> int | None:
    """Write ``change`` to ``tasks``; ``to_end``: behind all, in their order. The owner must be locked.

    The number of the write; None when all were so already. Raises UnknownReference, TooDeep, TooManyTags,
    NoRoomBetween, DueDateNeeded.
    """
    same = await _same(session, owner, change)
    own = _own_tags(change, tasks)
    along: list[int] = []
    if change.model_fields_set & PLACE:
        along, parents = await _places(session, owner, change, tasks, same)
        own = {task_id: {**own[task_id], **parents.get(task_id, {})} for task_id in tasks}
    wanted = {task_id: row for task_id, row in tasks.items() if to_end or _differs(row, {**same, **own[task_id]})}
    if not wanted:
        return None
    if to_end:
        keys = keys_after_all((await session.exec(PLACES.last, {"owner": owner, "id": 0})).one(), len(wanted))
        if len(keys[-1]) > MAX_LENGTH:
            raise NoRoomBetween
        own = {task_id: {**own[task_id], "moved_to": key} for task_id, key in zip(wanted, keys, strict=True)}
    revision: int = (await session.exec(TAKE, {"owner": owner})).one()
    rows = [{"id": task_id, **own[task_id]} for task_id in wanted]
    statement = update_all(frozenset(same), frozenset(rows[0]) - {"id"})
    await session.exec(statement, {"owner": owner, "rows": rows, **same})
    if along:
        await session.exec(MOVE_ALONG, {"owner": owner, "ids": along, "project_id": same["project_id"]})
    return revision


def _differs(row: Row, values: Row) -> bool:
    return any(row[name] != value for name, value in values.items())


async def _same(session: Session, owner: str, change: BulkChange) -> Row:
    """The columns that become the same for all, but for the place."""
    names = change.model_fields_set - PLACE - {"add_tags", "remove_tags"}
    values: Row = {name: getattr(change, name) for name in names}
    for name, default in EMPTY:
        if name in values and values[name] is None:
            values[name] = default
    if (due := values.pop("due_date", MISSING)) is not MISSING:
        values["due_on"], values["due_at"] = await to_due_columns(session, owner, due)
    if "reminders" in values:
        values["reminders"] = await resolve_reminders(session, owner, values["reminders"])
    return values


def _own_tags(change: BulkChange, tasks: Rows) -> Rows:
    """The tags of each task, where some are added or removed. Raises TooManyTags."""
    if not change.model_fields_set & {"add_tags", "remove_tags"}:
        return {task_id: {} for task_id in tasks}
    added = change.add_tags if isinstance(change.add_tags, list) else []
    removed = change.remove_tags if isinstance(change.remove_tags, list) else []
    own = {}
    for task_id, row in tasks.items():
        tags = list(dict.fromkeys([*(tag for tag in row["tags"] if tag not in removed), *added]))
        if len(tags) > TAGS_MAX:
            raise TooManyTags(loc=("body", "change", "add_tags"))
        own[task_id] = {"tags": tags}
    return own


async def _places(session: Session, owner: str, change: BulkChange, tasks: Rows, same: Row) -> tuple[list[int], Rows]:
    """What else goes along into the project, and the new parents; ``same`` gets the columns of the place.

    Raises UnknownReference and TooDeep.
    """
    tree = (await session.exec(BELOW_UNNAMED, {"owner": owner, "ids": list(tasks)})).all()
    moving = {row.id for row in tree}
    if "project_id" in change.model_fields_set:
        project_id: Any = change.project_id
        same["project_id"] = project_id
        if project_id is not None:
            await require_project(session, owner, project_id, loc=("body", "change", "project_id"))
        # Elsewhere, and so no longer below its parent, unless that comes with it or is there already.
        stays = {t for t, row in tasks.items() if row["project_id"] == project_id or row["parent_id"] in moving}
        parents: Rows = {t: {"parent_id": row["parent_id"] if t in stays else None} for t, row in tasks.items()}
        return list(moving - tasks.keys()), parents
    parent_id: Any = change.parent_id
    same["parent_id"] = parent_id
    if parent_id is None:
        return [], {}
    loc = ("body", "change", "parent_id")
    if parent_id in moving:
        raise UnknownReference("parent_id: a task cannot be below itself.", loc=loc)
    found = await find_depth(session, owner, parent_id)
    if found is None:
        raise UnknownReference("parent_id: there is no such task.", loc=loc)
    if found.depth + max(row.level for row in tree) > MAX_LEVELS:
        raise TooDeep(loc=loc)
    same["project_id"] = found.project_id
    return list(moving - tasks.keys()), {}
