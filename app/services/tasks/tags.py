"""Tags across all tasks: counted, renamed, merged, deleted. Each task that loses or gains one has its own change."""

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Text, any_, bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import NEXT_REVISION, OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import InvalidCursor, TagExists, TagNotFound
from app.models.task_fields import TAG_MAX
from app.models.tasks import TASKS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.queries import ForwardQuery
from app.schemas.tags import TagRead, TagUpdate
from app.services.changes.revisions import require_same_epoch
from app.services.tasks.statements import TASK_WRITTEN_AT, recorded_task_write
from app.services.users import get_revision, lock_owner

# Tasks that one statement writes, as one revision. Of 100,000 tasks on two busy cores, 5,000 took 0.3 to 1.0 s and
# 10,000 up to 2.7 s; no statement may take five.
TAGGED_BATCH = 5_000
TagRow: Any = msgspec.defstruct("TagRow", list(TagRead.model_fields), frozen=True)

COUNTED_TAGS = """
    select tag, count(*) as count, count(*) filter (where not completed) as open
    from tasks, unnest(tags) tag where user_id = :owner and deleted_at is null"""
SELECT_TAGS = CompiledStatement(
    text(f"""
    {COUNTED_TAGS} and (cast(:after as text) is null or (lower(tag), tag) > (lower(:after), :after))
    group by tag order by lower(tag), tag limit :limit""").bindparams(
        bindparam("after", type_=Text), bindparam("limit", type_=BigInteger)
    )
)
SELECT_TAG = CompiledStatement(
    text(f"{COUNTED_TAGS} and tags @> array[cast(:name as text)] and tag = :name group by tag")
)

OLD_TAG, NEW_TAG = bindparam("old", type_=Text), bindparam("new", type_=Text)
# Also those in the trash: a task that is restored must not bring back a name that was given up.
HAS_OLD_TAG = (TASKS.c.user_id == OWNER, any_(TASKS.c.tags) == OLD_TAG)
FIND_TAGGED = CompiledStatement(select(TASKS.c.id).where(*HAS_OLD_TAG).limit(1))
FIND_LIVE_TAGGED = CompiledStatement(select(TASKS.c.id).where(*HAS_OLD_TAG, TASKS.c.deleted_at.is_(None)).limit(1))


def _write_tags(tags: Any) -> CompiledStatement:
    """Returns a write of the next TAGGED_BATCH tasks that have the tag: they get ``tags``, which must lack it."""
    batch = select(TASKS.c.id).where(*HAS_OLD_TAG).order_by(TASKS.c.id).limit(TAGGED_BATCH)
    statement = update(TASKS).where(TASKS.c.user_id == OWNER, TASKS.c.id.in_(batch))
    statement = statement.values(tags=tags, version=NEXT_REVISION, updated_at=TASK_WRITTEN_AT)
    return recorded_task_write(statement, "updated", columns=["version"])


_without = func.array_remove(TASKS.c.tags, OLD_TAG, type_=ARRAY(Text()))
REMOVE_TAG = _write_tags(_without)
# On a task with both tags the new one keeps its position; else it gets the position of the old one.
RENAME_TAG = _write_tags(
    case(
        (any_(TASKS.c.tags) == NEW_TAG, _without),
        else_=func.array_replace(TASKS.c.tags, OLD_TAG, NEW_TAG, type_=ARRAY(Text())),
    )
)


async def list_tags(session: Session, owner: str, query: ForwardQuery) -> Page:
    """Returns a page of tags by name, ignoring case. Raises InvalidCursor and ChangesGone."""
    cursor = decode_cursor(query.cursor, sort="name", order="asc") if query.cursor else None
    values = {"owner": owner, "after": _after(cursor), "limit": query.limit + 1}
    records = (await session.exec(SELECT_TAGS, values)).all()
    revision = await get_revision(session, owner)
    if cursor:
        await require_same_epoch(session, owner, cursor.revision, current=revision)
    rows = [TagRow(*record) for record in records[: query.limit]]
    more = len(records) > query.limit
    return Page(
        rows=rows,
        revision=revision,
        next_cursor=Cursor("name", "asc", False, rows[-1].name, 1, revision).encode() if more else None,
    )


async def rename_tag(session: Session, owner: str, name: str, change: TagUpdate) -> Any:
    """Renames a tag on all tasks, in the trash too; more than TAGGED_BATCH of them take several revisions.

    Raises TagNotFound; TagExists when a task out of the trash has the new name and ``merge`` does not allow it.
    """
    await lock_owner(session, owner)  # nothing comes between the lookups and the write
    new = change.name
    if new != name and not change.merge and (await session.exec(FIND_LIVE_TAGGED, {"owner": owner, "old": new})).all():
        raise TagExists
    if new != name:
        await _write_all_tagged(session, owner, RENAME_TAG, {"old": name, "new": new})
    elif not (await session.exec(FIND_TAGGED, {"owner": owner, "old": name})).all():
        raise TagNotFound
    row = (await session.exec(SELECT_TAG, {"owner": owner, "name": new})).first()
    return TagRow(*row) if row else TagRow(new, 0, 0)


async def delete_tag(session: Session, owner: str, name: str) -> None:
    """Removes a tag from all tasks, in the trash too. Raises TagNotFound."""
    await lock_owner(session, owner)
    await _write_all_tagged(session, owner, REMOVE_TAG, {"old": name})


async def _write_all_tagged(session: Session, owner: str, statement: CompiledStatement, values: dict[str, str]) -> None:
    """Repeats ``statement`` while there is a tagged task: a revision without a change must not exist."""
    values = {"owner": owner, **values}
    total = 0
    while total % TAGGED_BATCH == 0 and (await session.exec(FIND_TAGGED, values)).all():
        total += len((await session.exec(statement, values)).all())
    if total == 0:
        raise TagNotFound


def _after(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    value: Any = cursor.value
    if type(value) is not str or "\0" in value or len(value) > TAG_MAX:
        raise InvalidCursor(loc=("query", "cursor"))
    return value
