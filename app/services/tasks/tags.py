"""Tags across all tasks: counted, coloured, renamed, merged, deleted.

Each task that loses or gains one has its own change, and so has the row of its colour.
"""

from functools import lru_cache
from typing import Any, Literal

import msgspec
from pydantic import MISSING
from sqlalchemy import BigInteger, Text, any_, bindparam, case, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import InvalidCursor, TagExists, TagNotFound, TooManyTagColors
from app.models.tags import TAG_COLORS
from app.models.task_fields import TAG_MAX
from app.models.tasks import OPEN_CONDITION, TASKS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.queries import ForwardQuery
from app.schemas.tags import TagRead, TagUpdate
from app.services.changes.entities import TAG_ENTITY
from app.services.changes.revisions import require_same_epoch
from app.services.row_limits import find_room
from app.services.tasks.counts import count_tasks
from app.services.tasks.statements import TASK_WRITTEN_AT, recorded_task_write
from app.services.users import lock_owner

# Tasks that one statement writes, as one revision. Of 100,000 tasks on two busy cores, 5,000 took 0.3 to 1.0 s and
# 10,000 up to 2.7 s; no statement may take five.
TAGGED_BATCH = 5_000
TagRow: Any = msgspec.defstruct("TagRow", list(TagRead.model_fields), frozen=True)

COUNTED_TAGS = f"""
    select tag, count(*) as count, count(*) filter (where {OPEN_CONDITION}) as open
    from tasks, unnest(tags) tag where user_id = :owner and deleted_at is null"""  # noqa: S608 - a constant
WITH_COLORS = """
    select counted.*, (
        select c.color from tags c where c.user_id = :owner and c.name = counted.tag and c.deleted_at is null) as color
    from counted"""
SELECT_TAGS = CompiledStatement(
    text(f"""
    with counted as (
        {COUNTED_TAGS} and (cast(:after as text) is null or (lower(tag), tag) > (lower(:after), :after))
        group by tag order by lower(tag), tag limit :limit)
    {WITH_COLORS} order by lower(tag), tag""").bindparams(
        bindparam("after", type_=Text), bindparam("limit", type_=BigInteger)
    )
)
# What ``count_tasks`` has counted.
SELECT_COUNTED_TAGS = CompiledStatement(
    text(f"""
    with counted as (
        select * from unnest(:names, :counts, :opens) as given (tag, count, open)
        where cast(:after as text) is null or (lower(tag), tag) > (lower(:after), :after)
        order by lower(tag), tag limit :limit)
    {WITH_COLORS} order by lower(tag), tag""").bindparams(  # noqa: S608 - a constant
        bindparam("names", type_=ARRAY(Text)),
        bindparam("counts", type_=ARRAY(BigInteger)),
        bindparam("opens", type_=ARRAY(BigInteger)),
        bindparam("after", type_=Text),
        bindparam("limit", type_=BigInteger),
    )
)
SELECT_TAG = CompiledStatement(
    text(f"""
    with counted as ({COUNTED_TAGS} and tags @> array[cast(:name as text)] and tag = :name group by tag)
    {WITH_COLORS}""")
)
IS_LIVE_COLOR = (TAG_COLORS.c.user_id == OWNER, TAG_COLORS.c.deleted_at.is_(None))
IS_COLOR = (*IS_LIVE_COLOR, TAG_COLORS.c.id == bindparam("color_id", type_=BigInteger))
SELECT_COLORS = CompiledStatement(
    select(TAG_COLORS.c.name, TAG_COLORS.c.id, TAG_COLORS.c.color).where(
        *IS_LIVE_COLOR, TAG_COLORS.c.name == func.any(bindparam("names", type_=ARRAY(Text)))
    )
)


@lru_cache
def color_statement(action: Literal["created", "updated", "deleted"], *, revision_taken: bool) -> CompiledStatement:
    """Returns the write of the row of one colour, which can be part of the write that has begun."""
    revision = CURRENT_REVISION if revision_taken else NEXT_REVISION
    values: dict[str, Any] = {name: bindparam(name, type_=Text) for name in ("name", "color")}
    if action == "created":
        write: Any = insert(TAG_COLORS).values(user_id=OWNER, version=revision, **values)
    else:
        values = {"deleted_at": moment_of(TAG_COLORS)} if action == "deleted" else values
        write = update_row(TAG_COLORS, IS_COLOR, checks_version=False, revision=revision, **values)
    return recorded_write(
        write, entity="tag", action=action, returning=kept_columns(TAG_COLORS), columns=["id"], revision=revision
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
    values: dict[str, Any] = {"owner": owner, "after": _after(cursor), "limit": query.limit + 1}
    revision, counts = await count_tasks(session, owner)
    if counts is None:
        records = (await session.exec(SELECT_TAGS, values)).all()
    else:
        tags = list(counts.of_tags())
        values["names"] = [name for name, _ in tags]
        values |= {"counts": [tally.live for _, tally in tags], "opens": [tally.open for _, tally in tags]}
        records = (await session.exec(SELECT_COUNTED_TAGS, values)).all()
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

    Also sets its colour, or takes it away. Raises TagNotFound; TagExists when a task out of the trash has the new name
    and ``merge`` does not allow it; TooManyTagColors.
    """
    await lock_owner(session, owner)  # nothing comes between the lookups and the write
    new = change.name or name
    if new != name and not change.merge and (await session.exec(FIND_LIVE_TAGGED, {"owner": owner, "old": new})).all():
        raise TagExists
    known = await _find_colors(session, owner, [name, new])
    written = 0
    if new != name:
        written = await _write_all_tagged(session, owner, RENAME_TAG, {"old": name, "new": new})
    is_there = written or name in known
    if not is_there and (new != name or not (await session.exec(FIND_TAGGED, {"owner": owner, "old": name})).all()):
        raise TagNotFound
    kept = known.get(new) or known.get(name)
    color = change.color if change.color is not MISSING else kept and kept.color
    await _write_color(session, owner, known, new, color, revision_taken=written > 0)
    row = (await session.exec(SELECT_TAG, {"owner": owner, "name": new})).first()
    return TagRow(*row) if row else TagRow(new, 0, 0, color)


async def delete_tag(session: Session, owner: str, name: str) -> None:
    """Removes a tag from all tasks, in the trash too, and its colour. Raises TagNotFound."""
    await lock_owner(session, owner)
    known = await _find_colors(session, owner, [name])
    written = await _write_all_tagged(session, owner, REMOVE_TAG, {"old": name})
    if not written and not known:
        raise TagNotFound
    await _write_color(session, owner, known, name, None, revision_taken=written > 0)


async def _find_colors(session: Session, owner: str, names: list[str]) -> dict[str, Any]:
    """Returns the name, id and colour of those of ``names`` that have one."""
    return {row.name: row for row in (await session.exec(SELECT_COLORS, {"owner": owner, "names": names})).all()}


async def _write_color(
    session: Session, owner: str, known: dict[str, Any], name: str, color: str | None, *, revision_taken: bool
) -> None:
    """Makes ``color`` the only one of ``known``, which are the rows of a tag and of the one that it was.

    Its row is that of ``name``, else that of the old name. Raises TooManyTagColors.
    """
    target = None if color is None else known.get(name) or next(iter(known.values()), None)
    writes: list[tuple[Literal["created", "updated", "deleted"], int | None]] = [
        ("deleted", row.id) for row in known.values() if row is not target
    ]
    if target is not None and (target.name, target.color) != (name, color):
        writes.append(("updated", target.id))
    elif target is None and color is not None:
        if await find_room(session, owner, TAG_ENTITY) <= 0:
            raise TooManyTagColors
        writes.append(("created", None))
    for action, color_id in writes:
        statement = color_statement(action, revision_taken=revision_taken)
        await session.exec(statement, {"owner": owner, "color_id": color_id, "name": name, "color": color})
        revision_taken = True


async def _write_all_tagged(session: Session, owner: str, statement: CompiledStatement, values: dict[str, str]) -> int:
    """Repeats ``statement`` while there is a tagged task: a revision without a change must not exist.

    Returns the number of tasks.
    """
    values = {"owner": owner, **values}
    total = 0
    while total % TAGGED_BATCH == 0 and (await session.exec(FIND_TAGGED, values)).all():
        total += len((await session.exec(statement, values)).all())
    return total


def _after(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    value: Any = cursor.value
    if type(value) is not str or "\0" in value or len(value) > TAG_MAX:
        raise InvalidCursor(loc=("query", "cursor"))
    return value
