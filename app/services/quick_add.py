"""Quick add: creating a task from a line of text."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.clock import now
from app.db.session import Session
from app.domain.quick_add import parse
from app.errors import QuickAddInvalid
from app.models.projects import ProjectCreate
from app.models.task_rows import task_row
from app.schemas.quick_add import QuickTask
from app.services.projects import insert_project
from app.services.transfer.import_row import RowRefused
from app.services.transfer.row_validation import RowReader
from app.services.transfer.store import find_project_names, insert_task
from app.services.uids import require_free_uid
from app.services.users import get_timezone, lock_or_create_owner

DEFAULT_PRIORITY = "medium"


async def quick_add_task(session: Session, owner: str, wanted: QuickTask) -> dict[str, Any]:
    """Creates a task and returns it, or with ``dry_run`` a preview of it, and the parts that were understood.

    A project that does not exist is created, in the same write. Raises EmptyTitle, QuickAddInvalid,
    TooManyProjects, UidTaken, UidInTrash.
    """
    moment, zone = now(), ZoneInfo(await get_timezone(session, owner))
    found = parse(wanted.text, now=moment, timezone=zone)
    reader = RowReader(description_max=0, timezone=zone, now=moment)
    due = found.due or wanted.due_date
    if isinstance(due, datetime) and due.tzinfo is None:
        due = due.replace(tzinfo=zone)
    fields: dict[str, Any] = {"title": found.title, "tags": found.tags, "priority": found.priority or DEFAULT_PRIORITY}
    fields |= {"due_date": due and due.isoformat(), "recurrence": found.recurrence, "reminders": found.reminders}
    fields["start_date"] = found.start and found.start.isoformat()
    try:
        row = reader.read("tasks", fields)
        project = reader.read("projects", {"name": found.project}) if found.project else None
    except RowRefused as error:
        field = error.errors[0]["loc"][0] if error.errors[0]["loc"] else "text"
        raise QuickAddInvalid(f"{field}: {error.errors[0]['msg']}", loc=("body", "text")) from None
    understood = [span._asdict() for span in found.understood]
    if wanted.dry_run:
        kept = {name: row[name] for name in ("title", "priority", "recurrence", "reminders", "tags")}
        return {
            "task": {**kept, "due_date": due, "start_date": found.start, "project": found.project},
            "understood": understood,
        }
    row["uid"] = wanted.uid
    return {"task": await _create_task(session, owner, row, project), "understood": understood}


async def _create_task(session: Session, owner: str, row: dict[str, Any], project: dict[str, Any] | None) -> Any:
    created = False
    await require_free_uid(session, owner, "task", row["uid"])
    if project is not None:
        await lock_or_create_owner(session, owner)  # of two requests that name a new project, one creates it
        names = await find_project_names(session, owner)
        if (project_id := names.get(project["name"].lower())) is None:
            made = await insert_project(session, owner, ProjectCreate(name=project["name"]))
            project_id, created = made.id, True
        row["project_id"] = project_id
    return task_row(await insert_task(session, owner, row, revision_taken=created))
