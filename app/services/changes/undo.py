"""Taking a write back, whole: everything it wrote becomes what it was before, as one new write."""

import asyncio
from typing import Any

from app.clock import now
from app.db.results import encode_rows
from app.db.session import Session
from app.errors import ChangeNotFound, TooManyProjects, TooManyViews, UndoConflict
from app.services import projects, views
from app.services.changes.feed import WRITE, get_change
from app.services.changes.undoable import FIELDS, UNDOABLE, Undoable
from app.services.tasks.subtasks import require_whole
from app.services.users import lock_owner

Row = dict[str, Any]
SLICE_ROWS = 100
ROOM: dict[str, Any] = {"project": (projects.find_room, TooManyProjects), "view": (views.find_room, TooManyViews)}


async def undo_change(session: Session, owner: str, revision: int) -> list[Any]:
    """Take the write ``revision`` back and return the changes that does; what it created goes to the trash.

    Raises ChangeNotFound; UndoConflict, naming the fields, when something it wrote has been changed since;
    TooManyProjects and TooManyViews when it would bring one back that there is no room for.
    """
    await lock_owner(session, owner)  # nothing comes between the look and the write
    rows = (await session.exec(WRITE, {"owner": owner, "revision": revision})).all()
    if not rows:
        raise ChangeNotFound
    if any(row.entity not in UNDOABLE for row in rows):
        raise UndoConflict("This kind of change cannot be undone.")
    if any(row.action == "reminded" for row in rows):
        raise UndoConflict("A reminder that has fired cannot be taken back.")
    wanted = {}
    for entity in UNDOABLE:
        if changes := [row for row in rows if row.entity == entity]:
            wanted[entity] = await _targets(session, owner, revision, entity, changes)
    await _require_room(session, owner, rows, wanted)
    done = 0
    for entity, targets in wanted.items():
        if targets:
            statement = UNDOABLE[entity].next if done else UNDOABLE[entity].first
            text = await asyncio.to_thread(encode_rows, targets)
            done = (await session.exec(statement, {"owner": owner, "rows": text})).all()[0]
    if not done:
        return []
    ids = {entity: [row["id"] for row in targets] for entity, targets in wanted.items()}
    await require_whole(session, owner, ids.get("task", []), ids.get("project", []))
    return await get_change(session, owner, done)


async def _require_room(session: Session, owner: str, changes: list[Any], wanted: dict[str, list[Row]]) -> None:
    for entity, (find_room, refusal) in ROOM.items():
        deleted = {change.entity_id for change in changes if change.entity == entity and change.action == "deleted"}
        restored = [row for row in wanted.get(entity, []) if row["id"] in deleted and row["deleted_at"] is None]
        if restored and len(restored) > await find_room(session, owner):
            raise refusal


async def _targets(session: Session, owner: str, revision: int, entity: str, changes: list[Any]) -> list[Row]:
    """The rows of one entity as they are to be; without those that are so already."""
    of = UNDOABLE[entity]
    ids = {"owner": owner, "ids": [change.entity_id for change in changes], "revision": revision}
    before = dict((await session.exec(of.before, ids)).all())
    present = dict((await session.exec(of.present, ids)).all())
    wanted = []
    for number, change in enumerate(changes, start=1):
        row = _target(of, change, before.get(change.entity_id), present.get(change.entity_id))
        if any(row.get(name) != present[row["id"]].get(name) for name in of.content):
            wanted.append(row)
        if number % SLICE_ROWS == 0:
            await asyncio.sleep(0)  # 1,000 rows take 20 ms, and others wait
    return wanted


def _target(of: Undoable, change: Any, before: Row | None, present: Row | None) -> Row:
    """The row as it is to be: what the write changed is put back, everything else stays."""
    what = f"{change.entity} {change.entity_id}"
    if present is None or change.action == "purged":
        raise UndoConflict(f"{what.capitalize()} has been deleted for good.")
    if before is None and change.action != "created":
        raise UndoConflict("What was before this change is no longer kept.")
    after = change.data
    if before is None:
        before = {**after, "deleted_at": now().isoformat()}
    changed = _changed(of, before, after)
    # Clients keep what an update tells of: what is in the trash must not be told of as updated.
    if present["deleted_at"] and "deleted_at" not in changed:
        raise UndoConflict(f"Changed since, on {what}: deleted.")
    # A creation wrote every field: whatever was changed since would be lost with it.
    guarded = of.content if change.action == "created" else changed
    if later := {FIELDS.get(name, name) for name in guarded if name in after and present[name] != after[name]}:
        raise UndoConflict(f"Changed since, on {what}: {', '.join(sorted(later))}.")
    return {**present, **{name: before[name] for name in changed if name in before}}


def _changed(of: Undoable, before: Row, after: Row) -> list[str]:
    """The columns that a write changed, and those that hold a field together with one of them.

    What was written by an older version lacks columns that are younger.
    """
    changed = {name for name in of.content if name in before and name in after and before[name] != after[name]}
    for names in of.together:
        if changed & names:
            changed |= names
    return [name for name in of.content if name in changed]
