"""What undo can take back, and how: one entry an entity, made of its table alone."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Table, Text, bindparam, cast, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on

from app.db.changes import OWNER, REVISION, TAKEN, numbered
from app.db.compiled import Prepared
from app.db.versioned_rows import kept_columns
from app.models.changes import CHANGES
from app.models.comments import Comment
from app.models.projects import Project
from app.models.tasks import Task
from app.models.views import View
from app.services.tasks.reminders import remind_at_of

# Columns that a write sets by itself, and that are not its content.
OWN = {"user_id", "id", "position", "version", "created_at", "updated_at", "remind_at"}
# What a person calls the fields behind these columns.
FIELDS = {
    "due_on": "due_date",
    "due_at": "due_date",
    "completed_at": "completed",
    "deleted_at": "deleted",
    "archived_at": "archived",
    "moved_to": "position",
    "anchor_on": "recurrence",
    "anchor_at": "recurrence",
    "occurrences_done": "recurrence",
}
IDS = bindparam("ids", type_=ARRAY(BigInteger))


class Undoable(NamedTuple):
    """``together`` are columns that hold one field between them: put back all or none.

    ``first`` takes the number of the undo, ``next`` joins it.
    """

    content: list[str]
    together: tuple[set[str], ...]
    before: Prepared
    present: Prepared
    first: Prepared
    next: Prepared


def _undoable(entity: str, model: Any, *, completes: bool = False, together: tuple[set[str], ...] = ()) -> Undoable:
    table: Table = model.__table__
    content = [c.name for c in table.c if c.computed is None and c.name not in OWN]
    before = (
        select(CHANGES.c.entity_id, CHANGES.c.data)
        .ext(distinct_on(CHANGES.c.entity_id))
        .where(
            CHANGES.c.user_id == OWNER,
            CHANGES.c.entity == entity,
            CHANGES.c.entity_id == func.any(IDS),
            CHANGES.c.revision < bindparam("revision", type_=BigInteger),
        )
        .order_by(CHANGES.c.entity_id, CHANGES.c.revision.desc())
    )
    present = select(table.c.id, func.to_jsonb(literal_column(table.name), type_=JSONB)).where(
        table.c.user_id == OWNER, table.c.id == func.any(IDS)
    )
    first, following = (_write(entity, table, content, completes, revision) for revision in (REVISION, TAKEN))
    return Undoable(content, together, Prepared(before), Prepared(present), first, following)


def _write(entity: str, table: Table, content: list[str], completes: bool, revision: ColumnElement[int]) -> Prepared:
    """The rows in ``rows`` as they are to be."""
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
    if table.name == "tasks":
        write = write.values(remind_at=remind_at_of(wanted, update=True))
    done = (
        "when old.completed <> written.completed then case when written.completed then 'completed' else 'reopened' end"
    )
    action: Any = literal_column(f"""(
        select case when old.deleted_at is null and written.deleted_at is not null then 'deleted'
                    when old.deleted_at is not null and written.deleted_at is null then 'restored'
                    {done if completes else ""} else 'updated' end
        from {table.name} old where old.user_id = written.user_id and old.id = written.id)""")  # noqa: S608
    kept = kept_columns(table)
    return numbered(write, entity=entity, action=action, returning=kept, answer=["version"], revision=revision)


# A recurring task has a due date, so neither is put back without the other.
_REPEAT = {"recurrence", "anchor_on", "anchor_at", "occurrences_done", "due_on", "due_at"}
UNDOABLE = {
    "project": _undoable("project", Project),
    "task": _undoable(
        "task", Task, completes=True, together=({"due_on", "due_at"}, {"completed", "completed_at"}, _REPEAT)
    ),
    "comment": _undoable("comment", Comment),
    "view": _undoable("view", View),
}
