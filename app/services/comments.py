"""Comments on tasks. Those of a task in the trash are hidden with it, and restored with it."""

from functools import lru_cache
from typing import Any

from pydantic import MISSING
from sqlalchemy import BigInteger, Text, bindparam, exists, insert, select, true

from app.db.changes import NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.db.uuid7 import new_uuid7
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import CommentNotFound, TaskNotFound, VersionConflict
from app.models.comments import COMMENTS, CommentCreate, CommentRow, CommentUpdate
from app.models.tasks import TASKS
from app.models.users import USERS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.queries import ForwardQuery
from app.services.changes.entities import COMMENT_ENTITY
from app.services.changes.revisions import require_same_epoch
from app.services.merge import merge_change
from app.services.tasks.statements import NOT_DELETED, OWN_TASK
from app.services.uids import require_free_uid, require_own_uid
from app.services.users import lock_owner

COMMENT_FIELDS = CommentRow.__struct_fields__
COMMENT_COLUMNS = [COMMENTS.c[name] for name in COMMENT_FIELDS]
FIND_LIVE_TASK = CompiledStatement(select(TASKS.c.id).where(*OWN_TASK, NOT_DELETED))
COMMENT_ID = bindparam("comment_id", type_=BigInteger)
COMMENT_BODY = bindparam("body", type_=Text)
# The task is in the path: the comment must belong to it, and the task must not be in the trash.
IS_COMMENT = (
    COMMENTS.c.user_id == OWNER,
    COMMENTS.c.id == COMMENT_ID,
    COMMENTS.c.task_id == bindparam("task_id", type_=BigInteger),
    COMMENTS.c.deleted_at.is_(None),
    exists().where(*OWN_TASK, NOT_DELETED),
)


def recorded_comment(write: Any, action: str) -> CompiledStatement:
    """Returns a write of comments that takes the next revision and returns each row."""
    return recorded_write(
        write, entity="comment", action=action, returning=kept_columns(COMMENTS), columns=COMMENT_FIELDS
    )


_comments_page = (
    select(*COMMENT_COLUMNS)
    .where(
        COMMENTS.c.user_id == OWNER,
        COMMENTS.c.task_id == bindparam("task_id", type_=BigInteger),
        COMMENTS.c.deleted_at.is_(None),
        COMMENTS.c.id > bindparam("after", type_=BigInteger),
    )
    .order_by(COMMENTS.c.id)
    .limit(bindparam("limit"))
    .lateral("page")
)
# The outer join returns the task even without a comment: no row means no task.
SELECT_COMMENTS = CompiledStatement(
    select(*_comments_page.c, USERS.c.revision.label("revision"))
    .select_from(TASKS.join(USERS, USERS.c.id == TASKS.c.user_id).outerjoin(_comments_page, true()))
    .where(*OWN_TASK, NOT_DELETED)
    .order_by(_comments_page.c.id)
)
SELECT_COMMENT = CompiledStatement(select(*COMMENT_COLUMNS).where(*IS_COMMENT))
INSERT_COMMENT = recorded_comment(
    insert(COMMENTS).from_select(
        ["user_id", "uid", "task_id", "body", "version"],
        select(TASKS.c.user_id, bindparam("uid", type_=Text), TASKS.c.id, COMMENT_BODY, NEXT_REVISION).where(
            *OWN_TASK, NOT_DELETED
        ),
        include_defaults=False,
    ),
    "created",
)


@lru_cache
def _comment_write(action: str, checks_version: bool) -> CompiledStatement:
    values: dict[str, Any] = {"body": COMMENT_BODY} if action == "updated" else {"deleted_at": moment_of(COMMENTS)}
    return recorded_comment(update_row(COMMENTS, IS_COMMENT, checks_version=checks_version, **values), action)


async def list_comments(session: Session, owner: str, task_id: int, query: ForwardQuery) -> Page:
    """Returns a page, oldest first. Raises TaskNotFound, also for one in the trash; InvalidCursor and ChangesGone."""
    cursor = decode_cursor(query.cursor, sort="id", order="asc") if query.cursor else None
    after = cursor.id if cursor else 0
    values = {"owner": owner, "task_id": task_id, "after": after, "limit": query.limit + 1}
    records = (await session.exec(SELECT_COMMENTS, values)).all()
    if not records:
        raise TaskNotFound
    revision = records[0].revision
    if cursor:
        await require_same_epoch(session, owner, cursor.revision, current=revision)
    rows = [CommentRow(*record[:-1]) for record in records[: query.limit] if record.id is not None]
    more = len(records) > query.limit
    last = Cursor("id", "asc", False, None, rows[-1].id, revision).encode() if more else None
    return Page(rows=rows, revision=revision, next_cursor=last)


async def get_comment(session: Session, owner: str, task_id: int, comment_id: int) -> CommentRow:
    """Returns a comment. Raises CommentNotFound and TaskNotFound."""
    return await _run_on_comment(session, SELECT_COMMENT, owner, task_id, comment_id)


async def create_comment(session: Session, owner: str, task_id: int, comment: CommentCreate) -> CommentRow:
    """Creates a comment. Raises TaskNotFound, also for a task in the trash, UidTaken and UidInTrash."""
    await require_free_uid(session, owner, "comment", comment.uid)
    values = {"owner": owner, "uid": comment.uid or new_uuid7(), "task_id": task_id, "body": comment.body}
    row = (await session.exec(INSERT_COMMENT, values)).first()
    if row is None:
        raise TaskNotFound
    return CommentRow(*row)


async def update_comment(
    session: Session,
    owner: str,
    task_id: int,
    comment_id: int,
    change: CommentUpdate,
    *,
    versions: list[int] | None = None,
) -> CommentRow:
    """Updates a comment. Raises CommentNotFound, TaskNotFound, OtherUid; VersionConflict unless ``versions`` has its
    version; what ``merge_change`` raises."""
    if change.base_version is not MISSING:
        await lock_owner(session, owner)
        row = await get_comment(session, owner, task_id, comment_id)
        yours = {"body": change.body}
        if not await merge_change(session, owner, COMMENT_ENTITY, change, row=row, yours=yours, versions=versions):
            return row
    statement = _comment_write("updated", versions is not None)
    row = await _run_on_comment(session, statement, owner, task_id, comment_id, versions=versions, body=change.body)
    require_own_uid(change, row)
    return row


async def delete_comment(
    session: Session, owner: str, task_id: int, comment_id: int, *, versions: list[int] | None = None
) -> None:
    """Moves a comment to the trash. Raises CommentNotFound, TaskNotFound and VersionConflict."""
    await _run_on_comment(
        session, _comment_write("deleted", versions is not None), owner, task_id, comment_id, versions=versions
    )


async def _run_on_comment(
    session: Session, statement: CompiledStatement, owner: str, task_id: int, comment_id: int, **values: Any
) -> CommentRow:
    """Runs ``statement`` on one comment, or raises why it found none: the rollback then frees the revision."""
    key = {"owner": owner, "task_id": task_id, "comment_id": comment_id}
    row = (await session.exec(statement, key | values)).first()
    if row is not None:
        return CommentRow(*row)
    if values.get("versions") is not None and (await session.exec(SELECT_COMMENT, key)).first():
        raise VersionConflict("The comment has changed since the version in If-Match: get it again.")
    if (await session.exec(FIND_LIVE_TASK, key)).first() is None:
        raise TaskNotFound
    raise CommentNotFound
