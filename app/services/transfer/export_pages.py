"""Reading the rows of an export, a page at a time: each page in its own transaction, so that none waits for a client.

Pages follow the ids, which never change: no row is missed or repeated, whatever is written concurrently.
"""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.models.task_rows import due_of, status_of
from app.models.users import USERS
from app.services.changes.entities import EXPORTED_ENTITIES
from app.services.changes.entity_pages import entity_page
from app.services.changes.revisions import get_initial_revision
from app.services.transfer.import_row import uid_of_calendar

EXPORT_PAGE_ROWS = 500
EXPORT_PAGE_BYTES = 262_144  # of long texts; the first row of a page may exceed it
# Columns that a file holds in another form, or not at all.
OMITTED_COLUMNS = {
    "user_id", "version", "moved_to", "remind_at", "due_on", "due_at", "start_on", "start_at", "anchor_on", "anchor_at",
    "bytes_read", "next_digest_at", "state",
}  # fmt: skip
AFTER_ID = bindparam("after", type_=BigInteger)


def _ids_of(tasks: Any, kind: str) -> list[Any]:
    """Returns the columns ``parent_source_id`` and ``parent_uid``, or those of the series."""
    other = tasks.alias(kind)
    it = (other.c.user_id == OWNER, other.c.id == tasks.c[f"{kind}_id"])
    names = ("source_id", "uid")
    return [select(other.c[name]).where(*it).scalar_subquery().label(f"{kind}_{name}") for name in names]


def _export_page(name: str, live: bool) -> CompiledStatement:
    entity = EXPORTED_ENTITIES[name]
    table: Any = entity.table
    columns: list[Any] = [*kept_columns(table)]
    if name == "tasks" and live:
        columns += [*_ids_of(table, "parent"), *_ids_of(table, "series")]
    where = [table.c.id > AFTER_ID]
    if live:
        where.append(table.c.deleted_at.is_(None))
    return CompiledStatement(
        entity_page(entity, columns, *where, order=[table.c.id], limit=EXPORT_PAGE_ROWS, bytes_max=EXPORT_PAGE_BYTES)
    )


SELECT_EXPORT_PAGES = {(name, live): _export_page(name, live) for name in EXPORTED_ENTITIES for live in (True, False)}
SELECT_EXPORT_HEAD = CompiledStatement(select(USERS.c.revision, USERS.c.timezone).where(USERS.c.id == OWNER))


class ExportHead(NamedTuple):
    """The owner's revision and time zone."""

    revision: int
    timezone: str


async def read_head(session: Session, owner: str) -> ExportHead:
    row = (await session.exec(SELECT_EXPORT_HEAD, {"owner": owner})).first()
    return ExportHead(*row) if row else ExportHead(await get_initial_revision(session, owner), "UTC")


async def read_page(session: Session, owner: str, name: str, after: int, *, live: bool) -> list[Any]:
    """Returns a page of the rows with ids above ``after``; ``live``: without the trash."""
    return (await session.exec(SELECT_EXPORT_PAGES[name, live], {"owner": owner, "after": after})).all()


def source_id_of(owner: str, row: Any) -> str:
    """Returns the id of a row that is the same in every file and account: its source id, else owner and id."""
    return row.source_id or f"{owner}:{row.id}"


def parent_source_id_of(owner: str, row: Any) -> str | None:
    """Returns the source id of the parent. Needs a row of a page without the trash."""
    return None if row.parent_id is None else row.parent_source_id or f"{owner}:{row.parent_id}"


def series_source_id_of(owner: str, row: Any) -> str | None:
    """Returns the source id of the recurring task of an occurrence. Needs a row of a page without the trash."""
    return None if row.series_id is None else row.series_source_id or f"{owner}:{row.series_id}"


def calendar_uid_of(row: Any, other: str = "") -> str:
    """Returns the UID of a to-do: its uid, or the text that an import has hashed. ``other``: of parent_ or series_.

    Empty where there is none. Needs a row of a page without the trash.
    """
    uid: str = getattr(row, f"{other}uid") or ""
    source: str = getattr(row, f"{other}source_id") or ""
    return source if source and source != uid and uid_of_calendar(source) == uid else uid


def exported_row(owner: str, row: Any) -> dict[str, Any]:
    """Returns a row as the JSON export holds it."""
    names = list(row.keys()) if hasattr(row, "keys") else row._fields
    data = {name: getattr(row, name) for name in names if name not in OMITTED_COLUMNS}
    if "due_on" in names:
        data["status"] = status_of(row)
        data["due_date"] = due_of(row)
        data["start_date"] = due_of(row, "start")
        data["anchor_date"] = due_of(row, "anchor")
    if "source_id" in data:
        data["source_id"] = source_id_of(owner, row)
    return data
