"""Copies of a task or a project with all that is below it, as one write.

A copy is open, has no history and is no occurrence of a series. Its rows are inserted a level at a time, since the next
one refers to their ids; they are in the order of those that they are copies of.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Text, bindparam, column, func, insert, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.db.versioned_rows import kept_columns
from app.domain.date_shift import DateShift, find_earliest, shift_between, shift_by_days
from app.errors import ProjectNotFound, ShiftTooFar, TooManyCopies, TooManyProjects
from app.models.comments import COMMENTS
from app.models.projects import PROJECT_NAME_MAX, PROJECTS
from app.models.task_fields import TaskStatus
from app.models.task_reminders import spell_instant
from app.models.task_rows import due_of, task_row
from app.models.tasks import TASKS
from app.models.types import MAX_YEAR, MIN_YEAR
from app.schemas.duplicates import Duplication, ProjectDuplicate, TaskDuplicate
from app.services.changes.entities import PROJECT_ENTITY
from app.services.ordering import find_key
from app.services.projects import PROJECT_FIELDS, PROJECT_NEIGHBOURS, list_projects, to_project_row
from app.services.row_limits import find_room
from app.services.tasks.creation import INSERTED_COLUMNS, insert_statement
from app.services.tasks.due_dates import due_columns, resolve_due_date
from app.services.tasks.reordering import TASK_NEIGHBOURS
from app.services.tasks.series import here_and_now
from app.services.tasks.statements import (
    NOT_DELETED,
    OWN_TASKS,
    RECORDED_COLUMNS,
    TASK_ID,
    TASK_IDS,
    Row,
    as_json_values,
    is_closed,
    select_for_write,
)
from app.services.tasks.subtasks import select_trees
from app.services.uids import require_free_uid
from app.services.users import lock_owner

COPIES_MAX = 1_000
NEW_ROW = 0  # in place of the id of a row that is yet to be made
COPIED_COLUMNS = INSERTED_COLUMNS - {"uid", "completed", "state", "parent_id", "project_id"}
DATE_COLUMNS = {name for name in COPIED_COLUMNS if isinstance(TASKS.c[name].type, Date | DateTime)}
COPY_SUFFIX = re.compile(r" \(copy(?: ([0-9]{1,4}))?\)$")
INSERT_COPIED_TASKS = {
    taken: insert_statement("moved_to", revision=CURRENT_REVISION if taken else NEXT_REVISION)
    for taken in (False, True)
}
SELECT_TASKS_TO_COPY = CompiledStatement(
    select(*RECORDED_COLUMNS)
    .where(*OWN_TASKS, NOT_DELETED, or_(TASKS.c.series_id.is_(None), TASKS.c.id == TASK_ID))
    .order_by(TASKS.c.position, TASKS.c.id)
    .limit(COPIES_MAX + 1)
)
SELECT_PROJECT_TASKS = CompiledStatement(
    select(*RECORDED_COLUMNS)
    .where(TASKS.c.user_id == OWNER, TASKS.c.project_id == func.any(TASK_IDS), NOT_DELETED, TASKS.c.series_id.is_(None))
    .order_by(TASKS.c.position, TASKS.c.id)
    .limit(COPIES_MAX + 1)
)
SELECT_COMMENTS_TO_COPY = CompiledStatement(
    select(COMMENTS.c.task_id, COMMENTS.c.body)
    .where(
        COMMENTS.c.user_id == OWNER,
        COMMENTS.c.task_id == func.any(bindparam("ids", type_=ARRAY(BigInteger))),
        COMMENTS.c.deleted_at.is_(None),
    )
    .order_by(COMMENTS.c.id)
    .limit(COPIES_MAX + 1)
)


def _insert_rows(table: Any, entity: str, types: Mapping[str, Any], columns: list[str], *, taken: bool) -> Any:
    """Returns an INSERT of the objects in the parameter ``rows``. ``taken``: the write has begun."""
    revision = CURRENT_REVISION if taken else NEXT_REVISION
    rows = func.jsonb_to_recordset(bindparam("rows", type_=JSONB))
    new = rows.table_valued(*(column(name, type_) for name, type_ in types.items()), name="new")
    new = new.render_derived(name="new", with_types=True)
    values = {"user_id": OWNER, **{name: new.c[name] for name in types}, "version": revision}
    write = insert(table).from_select(list(values), select(*values.values()), include_defaults=False)
    kept = kept_columns(table)
    return recorded_write(write, entity=entity, action="created", returning=kept, columns=columns, revision=revision)


_PROJECT_TYPES = {"uid": Text(), "name": Text(), "color": Text(), "favorite": Boolean(), "parent_id": BigInteger()}
_PROJECT_TYPES |= {"moved_to": Text()}
INSERT_COPIED_PROJECTS = {
    taken: _insert_rows(PROJECTS, "project", _PROJECT_TYPES, PROJECT_FIELDS, taken=taken) for taken in (False, True)
}
_COMMENT_TYPES = {"uid": Text(), "task_id": BigInteger(), "body": Text()}
INSERT_COPIED_COMMENTS = _insert_rows(COMMENTS, "comment", _COMMENT_TYPES, ["id"], taken=True)


async def duplicate_task(session: Session, owner: str, task_id: int, wanted: TaskDuplicate) -> Any:
    """Copies a task with its subtasks, and returns the copy, which is directly after it.

    Raises TaskNotFound, UidTaken, UidInTrash, TooManyCopies, ShiftTooFar, NoRoomBetween.
    """
    await require_free_uid(session, owner, "task", wanted.uid)
    await lock_owner(session, owner)
    root = await select_for_write(session, owner, task_id, None)
    ids = [row.id for row in await select_trees(session, owner, [task_id])]
    found = (await session.exec(SELECT_TASKS_TO_COPY, {"owner": owner, "ids": ids, "task_id": task_id})).all()
    if len(found) > COPIES_MAX:
        raise TooManyCopies
    rows = _without_left_out([dict(row) for row in found], wanted, root=task_id)
    zone, _ = await here_and_now(session, owner)
    due = due_of(root)
    shift = None
    if wanted.due_date is not None:
        due = due_of(await resolve_due_date(session, owner, wanted.due_date))
        begins = due_of(root) or find_earliest(map(due_of, rows), zone)
        shift = None if begins is None or due is None else shift_between(begins, due, zone)
    key = await find_key(session, owner, TASK_NEIGHBOURS, NEW_ROW, before=None, after=task_id)
    first = {"uid": wanted.uid or new_uuid7(), "moved_to": key, "parent_id": root["parent_id"], **due_columns(due)}
    made = await _copy_tasks(session, owner, rows, {task_id: first}, shift, projects={}, taken=False)
    if wanted.comments:
        await _copy_comments(session, owner, {old: row.id for old, row in made.items()})
    return made[task_id]


async def duplicate_project(session: Session, owner: str, project_id: int, wanted: ProjectDuplicate) -> Any:
    """Copies a project with its tasks and the projects inside of it, and returns the copy, which is after it.

    Archived projects are copied only with an archived one around them; no copy is archived. Raises ProjectNotFound,
    ProjectNameTaken, TooManyProjects, UidTaken, UidInTrash, TooManyCopies, ShiftTooFar, NoRoomBetween.
    """
    await require_free_uid(session, owner, "project", wanted.uid)
    await lock_owner(session, owner)
    projects, _ = await list_projects(session, owner, "all")
    tree = _project_levels(projects, project_id)
    copied = [row for level in tree for row in level]
    if len(copied) > await find_room(session, owner, PROJECT_ENTITY):
        raise TooManyProjects
    found = (await session.exec(SELECT_PROJECT_TASKS, {"owner": owner, "ids": [row.id for row in copied]})).all()
    if len(found) + len(copied) > COPIES_MAX:
        raise TooManyCopies
    rows = _without_left_out([dict(row) for row in found], wanted)
    shift = await _find_project_shift(session, owner, rows, wanted)
    key = await find_key(session, owner, PROJECT_NEIGHBOURS, NEW_ROW, before=None, after=project_id)
    taken = {row.name.lower() for row in projects} | {(wanted.name or "").lower()}
    made: dict[int, Any] = {}
    for level in tree:
        new = []
        for row in level:
            name = wanted.name if wanted.name and row.id == project_id else _name_copy(row.name, taken)
            parent_id = row.parent_id if row.id == project_id else made[row.parent_id].id
            new.append(
                {"uid": new_uuid7(), "name": name, "color": row.color, "favorite": row.favorite, "parent_id": parent_id}
            )
        if level is tree[0]:
            new[0] |= {"uid": wanted.uid or new[0]["uid"], "moved_to": key}
        statement = INSERT_COPIED_PROJECTS[level is not tree[0]]
        inserted = (await session.exec(statement, {"owner": owner, "rows": new})).all()
        by_uid = {row.uid: to_project_row(row) for row in inserted}
        made |= {old.id: by_uid[row["uid"]] for old, row in zip(level, new, strict=True)}
    places = {old: row.id for old, row in made.items()}
    tasks = await _copy_tasks(session, owner, rows, {}, shift, projects=places, taken=True)
    if wanted.comments:
        await _copy_comments(session, owner, {old: row.id for old, row in tasks.items()})
    return made[project_id]


def _project_levels(projects: list[Any], project_id: int) -> list[list[Any]]:
    """Returns a project and what is copied with it, by level. Raises ProjectNotFound."""
    root = next((row for row in projects if row.id == project_id), None)
    if root is None:
        raise ProjectNotFound
    levels = [[root]]
    while levels[-1]:
        above = {row.id for row in levels[-1]}
        levels.append(
            [
                row
                for row in projects
                if row.parent_id in above and (row.archived_at is None or root.archived_at is not None)
            ]
        )
    return levels[:-1]


def _name_copy(name: str, taken: set[str]) -> str:
    """Returns the name of a copy that no project has, and notes it in ``taken``."""
    found = COPY_SUFFIX.search(name)
    base = name[: found.start()] if found else name
    number = int(found[1] or 1) + 1 if found else 1
    while True:
        suffix = " (copy)" if number == 1 else f" (copy {number})"
        copy = base[: PROJECT_NAME_MAX - len(suffix)] + suffix
        if copy.lower() not in taken:
            taken.add(copy.lower())
            return copy
        number += 1


def _without_left_out(rows: list[Row], wanted: Duplication, *, root: int | None = None) -> list[Row]:
    """Returns the rows without what is closed, unless it is ``wanted``, and without all below what is not copied.

    ``root`` is the one whose parent is not among them.
    """
    kept = [row for row in rows if row["id"] == root or wanted.completed or not is_closed(row)]
    while True:
        there = {row["id"] for row in kept}
        whole = [row for row in kept if row["id"] == root or row["parent_id"] is None or row["parent_id"] in there]
        if len(whole) == len(kept):
            return whole
        kept = whole


async def _find_project_shift(
    session: Session, owner: str, rows: list[Row], wanted: ProjectDuplicate
) -> DateShift | None:
    zone, _ = await here_and_now(session, owner)
    if wanted.shift_days is not None:
        return shift_by_days(wanted.shift_days, zone)
    begins = find_earliest(map(due_of, rows), zone)
    if wanted.start is None or begins is None:
        return None
    return shift_by_days(shift_between(begins, wanted.start, zone).days, zone)


async def _copy_tasks(
    session: Session,
    owner: str,
    rows: list[Row],
    own: Mapping[int, Row],
    shift: DateShift | None,
    *,
    projects: Mapping[int, int],
    taken: bool,
) -> dict[int, Any]:
    """Inserts copies of ``rows``, and returns them by the id of what they are copies of.

    ``own`` are the columns of single copies, and ``projects`` the ids of copied projects, by the same ids. ``taken``:
    the write has begun.
    """
    made: dict[int, Any] = {}
    there = {row["id"] for row in rows}
    level = [row for row in rows if row["parent_id"] not in there]
    while level:
        new = []
        for row in level:
            above = made.get(row["parent_id"])
            place = {
                "parent_id": above and above.id,
                "project_id": projects.get(row["project_id"], row["project_id"]),
            }
            new.append(_copy_of(row, shift) | {"uid": new_uuid7()} | place | as_json_values(own.get(row["id"], {})))
        inserted = (await session.exec(INSERT_COPIED_TASKS[taken], {"owner": owner, "rows": new})).all()
        by_uid = {row.uid: task_row(row) for row in inserted}
        made |= {old["id"]: by_uid[row["uid"]] for old, row in zip(level, new, strict=True)}
        taken = True
        above_ids = {row["id"] for row in level}
        level = [row for row in rows if row["parent_id"] in above_ids]
    return made


def _copy_of(row: Row, shift: DateShift | None) -> Row:
    """Returns the columns of a copy, as JSON values; a series that is moved begins again. Raises ShiftTooFar."""
    copy = {name: row[name] for name in COPIED_COLUMNS}
    copy |= {"completed": False, "state": TaskStatus.PENDING}
    if shift is not None:
        copy |= {name: _moved(copy[name], shift.apply) for name in DATE_COLUMNS if copy[name] is not None}
        copy["reminders"] = [_moved_reminder(each, shift) for each in copy["reminders"]]
        if copy["recurrence"] is not None:
            copy |= {"occurrences_done": 0, "anchor_on": copy["due_on"], "anchor_at": copy["due_at"]}
    return as_json_values(copy)


def _moved(moment: Any, move: Callable[[Any], date | datetime]) -> date | datetime:
    try:
        moved = move(moment)
    except OverflowError:
        raise ShiftTooFar from None
    if not MIN_YEAR <= moved.year <= MAX_YEAR:
        raise ShiftTooFar
    return moved


def _moved_reminder(reminder: str, shift: DateShift) -> str:
    """Returns an instant that is moved; a duration counts from the due date, which is."""
    if "P" in reminder:
        return reminder
    moved = _moved(datetime.fromisoformat(reminder), shift.apply)
    assert isinstance(moved, datetime)
    return spell_instant(moved)


async def _copy_comments(session: Session, owner: str, tasks: Mapping[int, int]) -> None:
    """Copies the comments of tasks to those that ``tasks`` names. Raises TooManyCopies."""
    found = (await session.exec(SELECT_COMMENTS_TO_COPY, {"owner": owner, "ids": list(tasks)})).all()
    if len(found) + len(tasks) > COPIES_MAX:
        raise TooManyCopies
    new = [{"uid": new_uuid7(), "task_id": tasks[row.task_id], "body": row.body} for row in found]
    if new:
        await session.exec(INSERT_COPIED_COMMENTS, {"owner": owner, "rows": new})
