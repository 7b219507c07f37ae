"""Taking a write back, whole: everything it wrote becomes what it was before, as one new write."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on

from app.clock import now
from app.db.changes import OWNER, REVISION
from app.db.session import Session
from app.db.statements import Prepared
from app.errors import ChangeNotFound, UndoConflict
from app.services.changes import CHANGES, WRITE, get_change
from app.services.tasks import KEPT, TASKS, numbered_task
from app.services.users import lock_owner

Row = dict[str, Any]

# Columns that a write sets by itself, and that are not its content.
OWN = {"user_id", "id", "position", "version", "created_at", "updated_at"}
CONTENT = [column.name for column in KEPT if column.name not in OWN]
# What a person calls the fields behind these columns.
FIELDS = {"due_on": "due_date", "due_at": "due_date", "completed_at": "completed", "deleted_at": "deleted"}
# Columns that hold one field between them: put back together or not at all.
TOGETHER = ({"due_on", "due_at"}, {"completed", "completed_at"})
IDS = bindparam("ids", type_=ARRAY(BigInteger))

_earlier = (
    select(CHANGES.c.entity_id, CHANGES.c.data)
    .ext(distinct_on(CHANGES.c.entity_id))
    .where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.entity == "task",
        CHANGES.c.entity_id == func.any(IDS),
        CHANGES.c.revision < bindparam("revision", type_=BigInteger),
    )
    .order_by(CHANGES.c.entity_id, CHANGES.c.revision.desc())
)
BEFORE = Prepared(_earlier)
PRESENT = Prepared(
    select(TASKS.c.id, func.to_jsonb(literal_column("tasks"), type_=JSONB)).where(
        TASKS.c.user_id == OWNER, TASKS.c.id == func.any(IDS)
    )
)
_wanted: Any = (
    func.jsonb_populate_recordset(literal_column("null::tasks"), bindparam("rows", type_=JSONB))
    .table_valued("id", *CONTENT)
    .alias("wanted")
)
ACTION: Any = literal_column("""(
    select case when old.deleted_at is null and written.deleted_at is not null then 'deleted'
                when old.deleted_at is not null and written.deleted_at is null then 'restored'
                when old.completed = written.completed then 'updated'
                when written.completed then 'completed' else 'reopened' end
    from tasks old where old.user_id = written.user_id and old.id = written.id)""")
RESTORE = numbered_task(
    update(TASKS)
    .where(TASKS.c.user_id == OWNER, TASKS.c.id == _wanted.c.id)
    .values(version=REVISION, updated_at=func.now(), **{name: _wanted.c[name] for name in CONTENT}),
    ACTION,
)


async def undo_change(session: Session, owner: str, revision: int) -> list[Any]:
    """Take the write ``revision`` back and return the changes that does; what it created goes to the trash.

    Raises ChangeNotFound; UndoConflict, naming the fields, when something it wrote has been changed since.
    """
    await lock_owner(session, owner)  # nothing comes between the look and the write
    rows = (await session.exec(WRITE, {"owner": owner, "revision": revision})).all()
    if not rows:
        raise ChangeNotFound
    if any(row.entity != "task" for row in rows):
        raise UndoConflict("This kind of change cannot be undone.")
    ids = {"owner": owner, "ids": [row.entity_id for row in rows], "revision": revision}
    before = dict((await session.exec(BEFORE, ids)).all())
    present = dict((await session.exec(PRESENT, ids)).all())
    wanted = [_target(row, before.get(row.entity_id), present.get(row.entity_id)) for row in rows]
    if not any(_content(row) != _content(present[row["id"]]) for row in wanted):
        return []
    done = (await session.exec(RESTORE, {"owner": owner, "rows": wanted})).all()
    return await get_change(session, owner, done[0].version)


def _target(change: Any, before: Row | None, present: Row | None) -> Row:
    """The row as it is to be: what the write changed is put back, everything else stays."""
    if present is None or change.action == "purged":
        raise UndoConflict(f"Task {change.entity_id} has been deleted for good.")
    if before is None and change.action != "created":
        raise UndoConflict("What was before this change is no longer kept.")
    after = change.data
    if before is None:
        before = {**after, "deleted_at": now().isoformat()}
    changed = _changed(before, after)
    # Clients keep what an update tells of: a task in the trash must not be told of as updated.
    if present["deleted_at"] and "deleted_at" not in changed:
        raise UndoConflict(f"Changed since, on task {change.entity_id}: deleted.")
    # A creation wrote every field: whatever was changed since would be lost with it.
    guarded = CONTENT if change.action == "created" else changed
    if later := {FIELDS.get(name, name) for name in guarded if present.get(name) != after.get(name)}:
        raise UndoConflict(f"Changed since, on task {change.entity_id}: {', '.join(sorted(later))}.")
    return {**present, **{name: before.get(name) for name in changed}}


def _changed(before: Row, after: Row) -> list[str]:
    """The columns that a write changed, and those that hold a field together with one of them."""
    changed = {name for name in CONTENT if before.get(name) != after.get(name)}
    for names in TOGETHER:
        if changed & names:
            changed |= names
    return [name for name in CONTENT if name in changed]


def _content(row: Mapping[str, Any]) -> list[Any]:
    return [row.get(name) for name in CONTENT]
