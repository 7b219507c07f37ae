"""The writes of an import: many rows per statement, each batch a write with its own revision."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, cast, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.results import encode_rows
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.db.versioned_rows import kept_columns
from app.errors import Conflict
from app.models.task_rows import TASK_READ_COLUMNS
from app.models.types import MAX_ID
from app.services.changes.entities import IMPORTED_ENTITIES, MANAGED_COLUMNS
from app.services.channels.schedule import schedule_channels
from app.services.tasks.remind_at import remind_at_of

# Clients show a row after a "created" change, so a row that is imported into the trash gets "deleted".
IMPORT_ACTION: Any = literal_column("case when written.deleted_at is null then 'created' else 'deleted' end")


def _columns(table: Any) -> list[str]:
    kept = MANAGED_COLUMNS | {"moved_to"}
    return [column.name for column in table.c if column.computed is None and column.name not in kept]


def _insert_statement(name: str, *, revision: Any = NEXT_REVISION, columns: Sequence[str] = ()) -> CompiledStatement:
    entity = IMPORTED_ENTITIES[name]
    table, inserted = entity.table, _columns(entity.table)
    rows: Any = (
        func.jsonb_populate_recordset(literal_column(f"null::{name}"), cast(bindparam("rows", type_=Text), JSONB))
        .table_valued(*inserted)
        .alias("rows")
    )
    values = {column: rows.c[column] for column in inserted} | {"user_id": OWNER, "version": revision}
    if name == "tasks":
        values["remind_at"] = remind_at_of(rows)
    write = insert(table).from_select(list(values), select(*values.values()), include_defaults=False)
    write = write.on_conflict_do_nothing()  # names that only the database considers equal
    return recorded_write(
        write,
        entity=entity.name,
        action=IMPORT_ACTION,
        returning=kept_columns(table),
        columns=columns or ["id", entity.import_key, "version"],
        revision=revision,
    )


INSERT_ROWS = {name: _insert_statement(name) for name in IMPORTED_ENTITIES}
INSERT_TASK = {
    taken: _insert_statement("tasks", revision=CURRENT_REVISION if taken else NEXT_REVISION, columns=TASK_READ_COLUMNS)
    for taken in (False, True)
}
_SOURCE_IDS, _ROW_IDS = bindparam("sources", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(BigInteger))


def _select_known(name: str) -> CompiledStatement:
    entity = IMPORTED_ENTITIES[name]
    table, source = entity.table, entity.table.c[entity.import_key]
    statement = select(table.c.id, source).where(table.c.user_id == OWNER)
    if entity.import_key == "name":  # the name of a row in the trash is free again
        return CompiledStatement(statement.where(source == func.any(_SOURCE_IDS), table.c.deleted_at.is_(None)))
    made_here = (table.c.id == func.any(_ROW_IDS)) & source.is_(None)
    return CompiledStatement(statement.where((source == func.any(_SOURCE_IDS)) | made_here))


SELECT_KNOWN_ROWS = {name: _select_known(name) for name in IMPORTED_ENTITIES}
SELECT_PROJECT_NAMES = CompiledStatement(
    text("select lower(name), id from projects where user_id = :owner and deleted_at is null order by id desc")
)
# Where tasks are now. The depth is checked, so that no file can create a tree that requests cannot.
SELECT_IMPORT_TARGETS = CompiledStatement(
    text("""
    with recursive up (start, parent_id, depth) as (
        select id, parent_id, 1 from tasks where user_id = :owner and id = any(cast(:ids as bigint[]))
        union all select up.start, t.parent_id, up.depth + 1
        from up join tasks t on t.user_id = :owner and t.id = up.parent_id where up.depth < 50)
    select t.id, found.depth, t.project_id, t.deleted_at is null as live, t.parent_id
    from (select start, max(depth) as depth from up group by start) found
    join tasks t on t.user_id = :owner and t.id = found.start""")
)
SELECT_PROJECT_TARGETS = CompiledStatement(
    text("""
    with recursive up (start, parent_id, depth) as (
        select id, parent_id, 1 from projects where user_id = :owner and id = any(cast(:ids as bigint[]))
        union all select up.start, p.parent_id, up.depth + 1
        from up join projects p on p.user_id = :owner and p.id = up.parent_id where up.depth < 50)
    select p.id, found.depth, p.deleted_at is null as live, p.parent_id
    from (select start, max(depth) as depth from up group by start) found
    join projects p on p.user_id = :owner and p.id = found.start""")
)


class ImportTarget(NamedTuple):
    """The place of a parent task. ``depth`` is 1 for one without a parent."""

    depth: int
    project_id: int | None
    live: bool
    parent_id: int | None


class ProjectPlace(NamedTuple):
    """The place of a project that contains tasks or projects. ``depth`` is 1 for one without a parent."""

    depth: int
    live: bool
    parent_id: int | None


async def find_known(session: Session, owner: str, name: str, sources: Collection[str]) -> dict[str, int]:
    """Returns the ids of those ``sources`` that exist. A row that was created here is known by its owner and id."""
    own = f"{owner}:"
    ids = [int(n) for s in sources if s.startswith(own) and (n := s[len(own) :]).isascii() and n.isdigit()]
    ids = [number for number in ids if number <= MAX_ID]
    rows = (await session.exec(SELECT_KNOWN_ROWS[name], {"owner": owner, "sources": list(sources), "ids": ids})).all()
    return {source or f"{own}{number}": number for number, source in rows}


async def find_import_targets(session: Session, owner: str, task_ids: Collection[int]) -> dict[int, ImportTarget]:
    """Returns the places of those tasks that exist, also in the trash."""
    rows = (await session.exec(SELECT_IMPORT_TARGETS, {"owner": owner, "ids": list(task_ids)})).all()
    return {number: ImportTarget(*place) for number, *place in rows}


async def find_projects(session: Session, owner: str, project_ids: Collection[int]) -> dict[int, ProjectPlace]:
    """Returns the places of those projects that exist, also in the trash."""
    rows = (await session.exec(SELECT_PROJECT_TARGETS, {"owner": owner, "ids": list(project_ids)})).all()
    return {number: ProjectPlace(*place) for number, *place in rows}


async def find_project_names(session: Session, owner: str) -> dict[str, int]:
    """Returns the ids of live projects by name in lower case; the oldest of several with one name."""
    return dict([tuple(row) for row in (await session.exec(SELECT_PROJECT_NAMES, {"owner": owner})).all()])


def _encode_with_uids(rows: Sequence[dict[str, Any]]) -> str:
    return encode_rows([row if row.get("uid") else row | {"uid": new_uuid7()} for row in rows])


async def insert_rows(session: Session, owner: str, name: str, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Inserts ``rows`` in one write; returns their ids by source id. Raises Conflict when all of them exist."""
    text = await asyncio.to_thread(_encode_with_uids, rows)
    made = (await session.exec(INSERT_ROWS[name], {"owner": owner, "rows": text})).all()
    if not made:
        raise Conflict
    if name == "channels":
        await schedule_channels(session, owner)
    return {source: number for number, source, _ in made}


async def insert_task(session: Session, owner: str, row: dict[str, Any], *, revision_taken: bool) -> Any:
    """Inserts a task; returns its TASK_READ_COLUMNS. With ``revision_taken`` it joins the write of this transaction."""
    return (await session.exec(INSERT_TASK[revision_taken], {"owner": owner, "rows": _encode_with_uids([row])})).one()
