"""Tags across all tasks: counted, renamed, merged, deleted. Each task that loses or gains one has its own change."""

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Text, any_, bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER, REVISION
from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import InvalidCursor, TagExists, TagNotFound
from app.models.task_fields import TAG_MAX
from app.models.tasks import TASKS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.queries import ForwardQuery
from app.schemas.tags import TagRead, TagUpdate
from app.services.tasks.statements import NOW, numbered_task
from app.services.users import get_revision, lock_owner

# Tasks that one statement writes, and with it one number. Of 100,000 on two busy cores, 5,000 took 0.3 to 1.0 s and
# 10,000 up to 2.7 s; none may take five.
BATCH = 5_000
TagRow: Any = msgspec.defstruct("TagRow", list(TagRead.model_fields), frozen=True)

COUNTED = """
    select tag, count(*) as count, count(*) filter (where not completed) as open
    from tasks, unnest(tags) tag where user_id = :owner and deleted_at is null"""
LIST = Prepared(
    text(f"""
    {COUNTED} and (cast(:after as text) is null or (lower(tag), tag) > (lower(:after), :after))
    group by tag order by lower(tag), tag limit :limit""").bindparams(
        bindparam("after", type_=Text), bindparam("limit", type_=BigInteger)
    )
)
ONE = Prepared(text(f"{COUNTED} and tags @> array[cast(:name as text)] and tag = :name group by tag"))

OLD, NEW = bindparam("old", type_=Text), bindparam("new", type_=Text)
# Those in the trash, too: a task that is restored must not bring back a name that was given up.
TAGGED = (TASKS.c.user_id == OWNER, any_(TASKS.c.tags) == OLD)
SOME = Prepared(select(TASKS.c.id).where(*TAGGED).limit(1))
LIVE = Prepared(select(TASKS.c.id).where(*TAGGED, TASKS.c.deleted_at.is_(None)).limit(1))


def _write(tags: Any) -> Prepared:
    """Give the next BATCH of the tasks that have the tag other ``tags``, which must lack it."""
    batch = select(TASKS.c.id).where(*TAGGED).order_by(TASKS.c.id).limit(BATCH)
    statement = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(batch))
    return numbered_task(statement.values(tags=tags, version=REVISION, updated_at=NOW), "updated", answer=["id"])


_without = func.array_remove(TASKS.c.tags, OLD, type_=ARRAY(Text()))
DELETE = _write(_without)
# A task that has both keeps the new one where it is; else it takes the place of the old one.
RENAME = _write(
    case(
        (any_(TASKS.c.tags) == NEW, _without),
        else_=func.array_replace(TASKS.c.tags, OLD, NEW, type_=ARRAY(Text())),
    )
)


async def list_tags(session: Session, owner: str, query: ForwardQuery) -> Page:
    """By name, in no particular case. Raises InvalidCursor."""
    values = {"owner": owner, "after": _after(query.cursor), "limit": query.limit + 1}
    records = (await session.exec(LIST, values)).all()
    rows = [TagRow(*record) for record in records[: query.limit]]
    more = len(records) > query.limit
    return Page(
        rows=rows,
        revision=await get_revision(session, owner),
        next_cursor=Cursor("name", "asc", False, rows[-1].name, 1).encode() if more else None,
    )


async def rename_tag(session: Session, owner: str, name: str, change: TagUpdate) -> Any:
    """Rename on all tasks, those in the trash included; more than BATCH of them are several numbered changes.

    Raises TagNotFound; TagExists when a task out of the trash has the new name and ``merge`` does not allow it.
    """
    await lock_owner(session, owner)  # nothing comes between the looks and the write
    new = change.name
    if new != name and not change.merge and (await session.exec(LIVE, {"owner": owner, "old": new})).all():
        raise TagExists
    if new != name:
        await _write_all(session, owner, RENAME, {"old": name, "new": new})
    elif not (await session.exec(SOME, {"owner": owner, "old": name})).all():
        raise TagNotFound
    row = (await session.exec(ONE, {"owner": owner, "name": new})).first()
    return TagRow(*row) if row else TagRow(new, 0, 0)


async def delete_tag(session: Session, owner: str, name: str) -> None:
    """Take it from all tasks, those in the trash included. Raises TagNotFound."""
    await lock_owner(session, owner)
    await _write_all(session, owner, DELETE, {"old": name})


async def _write_all(session: Session, owner: str, statement: Prepared, values: dict[str, str]) -> None:
    """No statement writes nothing: it would take a number without a change."""
    values = {"owner": owner, **values}
    total = 0
    while total % BATCH == 0 and (await session.exec(SOME, values)).all():
        total += len((await session.exec(statement, values)).all())
    if total == 0:
        raise TagNotFound


def _after(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    value = decode_cursor(cursor, sort="name", order="asc").value
    if type(value) is not str or "\0" in value or len(value) > TAG_MAX:
        raise InvalidCursor(loc=("query", "cursor"))
    return value
