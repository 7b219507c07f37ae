"""Undoing a write: everything that it wrote becomes what it was before, as one new write."""

import asyncio
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Table, Text, bindparam, cast, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.clock import now
from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.results import encode_rows
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.errors import ChangeNotFound, UndoConflict
from app.models.tasks import TASKS
from app.services.changes.entities import ENTITY_REGISTRY, FIELD_NAMES, MANAGED_COLUMNS, Entity
from app.services.changes.feed import SELECT_WRITE, find_rows_before, get_change
from app.services.channels.schedule import schedule_channels
from app.services.project_tree import require_whole_projects
from app.services.row_limits import find_room
from app.services.tasks.remind_at import remind_at_of
from app.services.tasks.statements import COMPLETION_CASES
from app.services.tasks.subtasks import require_whole
from app.services.users import lock_owner

RowValues = dict[str, Any]
UNDO_SLICE = 100
ROW_IDS = bindparam("ids", type_=ARRAY(BigInteger))


class Undoable(NamedTuple):
    """The statements that undo writes of one entity.

    ``first`` takes the revision of the undo, ``next`` uses the same one.
    """

    entity: Entity
    content: list[str]
    present: CompiledStatement
    first: CompiledStatement
    next: CompiledStatement


def _undoable(entity: Entity) -> Undoable:
    table = entity.table
    not_content = MANAGED_COLUMNS | {"uid", "created_at", "updated_at"}
    content = [c.name for c in table.c if c.computed is None and c.name not in not_content]
    present = select(table.c.id, func.to_jsonb(literal_column(table.name), type_=JSONB)).where(
        table.c.user_id == OWNER, table.c.id == func.any(ROW_IDS)
    )
    first, following = (
        _undo_write(entity.name, table, content, revision) for revision in (NEXT_REVISION, CURRENT_REVISION)
    )
    return Undoable(entity, content, CompiledStatement(present), first, following)


def _undo_write(entity: str, table: Table, content: list[str], revision: ColumnElement[int]) -> CompiledStatement:
    """Returns the UPDATE to the rows in ``rows``."""
    wanted: Any = (
        func.jsonb_populate_recordset(literal_column(f"null::{table.name}"), cast(bindparam("rows", type_=Text), JSONB))
        .table_valued("id", *content)
        .alias("wanted")
    )
    write = (
        update(table)
        .where(table.c.user_id == OWNER, table.c.id == wanted.c.id)
        .values(version=revision, updated_at=func.now(), **{name: wanted.c[name] for name in content})
    )
    if table is TASKS:
        write = write.values(remind_at=remind_at_of(wanted, update=True))
    action: Any = literal_column(f"""
        case when was.deleted_at is null and written.deleted_at is not null then 'deleted'
             when was.deleted_at is not null and written.deleted_at is null then 'restored'
             {COMPLETION_CASES if table is TASKS else ""} else 'updated' end""")
    kept = kept_columns(table)
    return recorded_write(write, entity=entity, action=action, returning=kept, columns=["version"], revision=revision)


UNDO_WRITES = {entity.name: _undoable(entity) for entity in ENTITY_REGISTRY if entity.undoable}


async def undo_change(session: Session, owner: str, revision: int) -> list[Any]:
    """Undoes the write ``revision`` and returns the changes of the undo; rows that it created move to the trash.

    Raises ChangeNotFound; UndoConflict, with the names of the fields, when a field has been changed since;
    TooManyProjects, TooManyViews and TooManyChannels when it would restore one beyond the limit.
    """
    await lock_owner(session, owner)  # no concurrent write between the reads and the write
    rows = (await session.exec(SELECT_WRITE, {"owner": owner, "revision": revision})).all()
    if not rows:
        raise ChangeNotFound
    if any(row.entity not in UNDO_WRITES for row in rows):
        raise UndoConflict("This kind of change cannot be undone.")
    if any(row.action == "reminded" for row in rows):
        raise UndoConflict("A reminder that was sent cannot be undone.")
    wanted = {}
    for entity in UNDO_WRITES:
        if changes := [row for row in rows if row.entity == entity]:
            wanted[entity] = await _targets(session, owner, revision, entity, changes)
    await _require_room(session, owner, rows, wanted)
    done = 0
    for entity, targets in wanted.items():
        if targets:
            statement = UNDO_WRITES[entity].next if done else UNDO_WRITES[entity].first
            text = await asyncio.to_thread(encode_rows, targets)
            done = (await session.exec(statement, {"owner": owner, "rows": text})).all()[0]
    if not done:
        return []
    if wanted.get("channel"):
        await schedule_channels(session, owner)
    ids = {entity: [row["id"] for row in targets] for entity, targets in wanted.items()}
    await require_whole(session, owner, ids.get("task", []), ids.get("project", []))
    await require_whole_projects(session, owner, ids.get("project", []))
    return await get_change(session, owner, done)


async def _require_room(session: Session, owner: str, changes: list[Any], wanted: dict[str, list[RowValues]]) -> None:
    for entity in ENTITY_REGISTRY:
        if entity.limit is None:
            continue
        deleted = {
            change.entity_id for change in changes if change.entity == entity.name and change.action == "deleted"
        }
        restored = [row for row in wanted.get(entity.name, []) if row["id"] in deleted and row["deleted_at"] is None]
        if restored and len(restored) > await find_room(session, owner, entity):
            raise entity.limit.error


async def _targets(session: Session, owner: str, revision: int, entity: str, changes: list[Any]) -> list[RowValues]:
    """Returns the rows of one entity as the undo writes them, without those that do not change."""
    of = UNDO_WRITES[entity]
    ids = [change.entity_id for change in changes]
    before = await find_rows_before(session, owner, entity, ids, revision)
    present = dict((await session.exec(of.present, {"owner": owner, "ids": ids})).all())
    wanted = []
    for number, change in enumerate(changes, start=1):
        row = _target(of, change, before.get(change.entity_id), present.get(change.entity_id))
        if any(row.get(name) != present[row["id"]].get(name) for name in of.content):
            wanted.append(row)
        if number % UNDO_SLICE == 0:
            await asyncio.sleep(0)  # 1,000 rows take 20 ms, and other requests wait
    return wanted


def _target(of: Undoable, change: Any, before: RowValues | None, present: RowValues | None) -> RowValues:
    """Returns the row with the old values of what the write changed; everything else stays."""
    what = f"{change.entity} {change.entity_id}"
    if present is None or change.action == "purged":
        raise UndoConflict(f"{what.capitalize()} has been deleted permanently.")
    # An import deletes nothing: it made the row in the trash, where an undo leaves it.
    is_new = change.action == "created" or (change.action == "deleted" and change.through == "import")
    if before is None and not is_new:
        raise UndoConflict("The values before this change are no longer kept.")
    after = {"deleted_at": None, **change.data}  # a column that is newer than the change was null
    deleted_at = after["deleted_at"] or now().isoformat()
    before = {**after, "deleted_at": deleted_at} if before is None else {"deleted_at": None, **before}
    changed = _changed(of, before, after)
    # Clients show a row after an "updated" change, so a row in the trash must not get one.
    if present["deleted_at"] and "deleted_at" not in changed and not (is_new and after["deleted_at"]):
        raise UndoConflict(f"Changed since, on {what}: deleted.")
    # A creation wrote every field: the undo would lose any change since.
    guarded = of.content if is_new else changed
    if later := {FIELD_NAMES.get(name, name) for name in guarded if name in after and present[name] != after[name]}:
        raise UndoConflict(f"Changed since, on {what}: {', '.join(sorted(later))}.")
    return {**present, **{name: before[name] for name in changed if name in before}}


def _changed(of: Undoable, before: RowValues, after: RowValues) -> list[str]:
    """Returns the columns that a write changed, and those that hold one field together with them.

    Changes written by an older version of the service lack newer columns.
    """
    changed = {name for name in of.content if name in before and name in after and before[name] != after[name]}
    for names in of.entity.undo_groups:
        if changed & names:
            changed |= names
    return [name for name in of.content if name in changed]
