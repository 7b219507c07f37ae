"""Writes of a task that reach further than its row: its project, the tasks below it, the series it is."""

from typing import Any

from app.db.session import Session
from app.errors import NotRecurring, OtherProject, TaskNotFound, VersionConflict
from app.models.task_rows import due_of, task_row
from app.services.projects import require_project
from app.services.tasks.series import due_columns, keep_occurrences, moved_on, next_step, schedule
from app.services.tasks.statements import LOOK, update_statement
from app.services.tasks.subtasks import find_parent, write_below

# Fields whose change is never about one row alone.
FAR = {"project_id", "parent_id", "recurrence", "recurrence_from"}
NO_SERIES = {"recurrence": None, "occurrences_done": 0, **due_columns(None, "anchor")}
Row = dict[str, Any]


async def look_at_task(session: Session, owner: str, task_id: int, versions: list[int] | None) -> Row:
    """All columns of a live task. The owner must be locked. Raises TaskNotFound and VersionConflict."""
    found = (await session.exec(LOOK, {"owner": owner, "task_id": task_id})).first()
    if found is None:
        raise TaskNotFound
    if versions is not None and found["version"] not in versions:
        raise VersionConflict
    return dict(found)


async def change_task(
    session: Session, owner: str, task: Row, values: Row, *, keep_subtasks: bool = False, taken: bool
) -> Any:
    """Write ``values`` (columns) to ``task``, and what follows from them, as one write. The owner must be locked.

    ``taken``: the number is. Raises UnknownReference, OtherProject, TooDeep, InvalidRecurrence.
    """
    values = dict(values)
    if values.keys() & {"project_id", "parent_id"}:
        values |= await _placed(session, owner, task, values)
    if "recurrence" in values:
        values |= await _scheduled(session, owner, task, values)
    completes = values.get("completed") and not task["completed"]
    below = True if completes and not keep_subtasks else None
    if completes and {**task, **values}["recurrence"] is not None:
        row = await _complete_occurrence(session, owner, task, values, taken=taken)
        if not row.completed:
            below = False  # subtasks are for each occurrence
    else:
        row = await _write(session, owner, task, values, taken=taken)
    project_id = values.get("project_id", task["project_id"])
    moves = project_id != task["project_id"]
    if moves or below is not None:
        sent = {"owner": owner, "task_id": task["id"], "project_id": project_id}
        await session.exec(write_below(moves=moves, completed=below), sent)
    return row


async def _complete_occurrence(session: Session, owner: str, task: Row, values: Row, *, taken: bool) -> Any:
    """The series goes on to its next date and what was done stays; after the last one the series itself is done."""
    after = {**task, **values}
    step = await next_step(session, owner, after)
    if step.due is None:
        return await _write(session, owner, task, {**values, "occurrences_done": step.occurrences_done}, taken=taken)
    values = {name: value for name, value in values.items() if name != "completed"}
    moved = values | moved_on(step.due, step.occurrences_done)
    row = await _write(session, owner, task, moved, taken=taken, action="completed")
    await keep_occurrences(session, owner, {task["id"]: due_of(after)})
    return row


async def skip_occurrence(session: Session, owner: str, task: Row) -> Any:
    """On to the next date, with nothing done; after the last one the series is over. Raises NotRecurring."""
    if task["recurrence"] is None or task["completed"]:
        raise NotRecurring
    step = await next_step(session, owner, task)
    if step.due is None:
        return await _write(session, owner, task, {"completed": True, "occurrences_done": step.occurrences_done})
    return await _write(session, owner, task, moved_on(step.due, step.occurrences_done), action="skipped")


async def place_of_new(session: Session, owner: str, project_id: int | None, parent_id: int | None) -> Row:
    """Columns of a task that is created in a project or below another. The owner must be locked.

    Raises UnknownReference, OtherProject, TooDeep.
    """
    if parent_id is None:
        if project_id is not None:
            await require_project(session, owner, project_id, loc=("body", "project_id"))
        return {"project_id": project_id}
    parents = await find_parent(session, owner, parent_id)
    if project_id is not None and project_id != parents:
        raise OtherProject(loc=("body", "project_id"))
    return {"project_id": parents, "parent_id": parent_id}


async def _placed(session: Session, owner: str, task: Row, values: Row) -> Row:
    """Project and parent, of which one says the other: a subtask is in its parent's project.

    Clients send back what they got: of two that contradict each other, the one that is new counts.
    """
    parent_id = values.get("parent_id", task["parent_id"])
    project_id = values.get("project_id", task["project_id"])
    if project_id != task["project_id"] and parent_id is not None:
        if parent_id == task["parent_id"]:  # elsewhere, and so no longer below it
            parent_id = None
        elif await find_parent(session, owner, parent_id, task["id"]) != project_id:
            raise OtherProject(loc=("body", "project_id"))
    if parent_id is not None and parent_id != task["parent_id"]:
        project_id = await find_parent(session, owner, parent_id, task["id"])
    elif parent_id is None and project_id is not None and project_id != task["project_id"]:
        await require_project(session, owner, project_id, loc=("body", "project_id"))
    return {"parent_id": parent_id, "project_id": project_id}


async def _scheduled(session: Session, owner: str, task: Row, values: Row) -> Row:
    """A rule that is new begins a series; the same one again changes nothing, null ends it."""
    if values["recurrence"] is None:
        return NO_SERIES
    series = await schedule(session, owner, values["recurrence"], due_of({**task, **values}))
    return {"recurrence": task["recurrence"]} if series["recurrence"] == task["recurrence"] else series


async def _write(session: Session, owner: str, task: Row, values: Row, *, taken: bool = False, action: str = "") -> Any:
    statement = update_statement(frozenset(values), taken=taken, action=action)
    return task_row((await session.exec(statement, {"owner": owner, "task_id": task["id"], **values})).one())
