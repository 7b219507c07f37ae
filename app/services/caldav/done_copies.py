"""Completed copies of an occurrence: some apps complete a series by a copy of it that is done, and move the series on.

The two requests come in either order. The copy that the app has made is the occurrence that is kept; one that this
service has made before it gives way to it.
"""

from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func, select, text

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.task_rows import due_of
from app.models.tasks import TASKS
from app.services.tasks.statements import NOT_DELETED
from app.services.tasks.trash import delete_task

Row = dict[str, Any]
_c = TASKS.c
# Requests of one sync come within the day, also of an app that was offline: its completions may be older.
_IS_COPY = (
    _c.user_id == OWNER,
    NOT_DELETED,
    _c.updated_at > func.now() - text("interval '1 day'"),
    _c.completed,
    _c.recurrence.is_(None),
    _c.title == bindparam("title", type_=Text),
    _c.due_on.is_not_distinct_from(bindparam("due_on", type_=_c.due_on.type)),
    _c.due_at.is_not_distinct_from(bindparam("due_at", type_=_c.due_at.type)),
    _c.project_id.is_not_distinct_from(bindparam("project_id", type_=BigInteger)),
)
FIND_APPS_COPY = CompiledStatement(
    select(_c.id).where(*_IS_COPY, _c.series_id.is_(None), _c.ical.is_not(None)).order_by(_c.id.desc()).limit(1)
)
FIND_OWN_COPY = CompiledStatement(
    select(_c.id, _c.series_id)
    .where(*_IS_COPY, _c.series_id.is_not(None), _c.ical.is_(None))
    .order_by(_c.id.desc())
    .limit(1)
)
# In the trash or not: what has been deleted since was done all the same.
FIND_DONE_OCCURRENCE = CompiledStatement(
    select(_c.id)
    .where(
        _c.user_id == OWNER,
        _c.series_id == bindparam("series_id", type_=BigInteger),
        _c.completed,
        _c.due_on.is_not_distinct_from(bindparam("due_on", type_=_c.due_on.type)),
        _c.due_at.is_not_distinct_from(bindparam("due_at", type_=_c.due_at.type)),
    )
    .limit(1)
)


def _values(owner: str, row: Row) -> Row:
    return {"owner": owner} | {name: row[name] for name in ("title", "due_on", "due_at", "project_id")}


async def find_apps_copy(session: Session, owner: str, series: Row) -> int | None:
    """Returns the id of a completed copy of the current occurrence of ``series`` that an app has made."""
    found: int | None = (await session.exec(FIND_APPS_COPY, _values(owner, series))).first()
    return found


async def replace_own_copy(session: Session, owner: str, copy: Row) -> int | None:
    """Deletes the occurrence that this service has kept, if ``copy`` is the one of an app. Returns its series."""
    if not copy["completed"] or copy["recurrence"] is not None or due_of(copy) is None:
        return None
    found = (await session.exec(FIND_OWN_COPY, _values(owner, copy))).first()
    if found is None:
        return None
    await delete_task(session, owner, found.id)
    series_id: int = found.series_id
    return series_id


async def is_occurrence_done(session: Session, owner: str, series_id: int, due: Row) -> bool:
    """Returns whether a series has completed the occurrence of these columns ``due``."""
    return (
        await session.exec(FIND_DONE_OCCURRENCE, {"owner": owner, "series_id": series_id, **due})
    ).first() is not None
