"""Comments on tasks. Those of a task in the trash are hidden with it, and restored with it."""

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, exists, insert, select, true

from app.db.changes import OWNER, REVISION, numbered
from app.db.compiled import Prepared
from app.db.session import Session
from app.db.versioned_rows import kept_columns, moment_of, update_row
from app.errors import CommentNotFound, TaskNotFound, VersionConflict
from app.models.comments import COMMENTS, CommentBody, CommentRow
from app.models.tasks import TASKS
from app.models.users import USERS
from app.pagination import Cursor, Page, decode_cursor
from app.schemas.queries import ForwardQuery
from app.services.tasks.statements import NOT_DELETED, OWN_TASK

READ_COLUMNS = CommentRow.__struct_fields__
READ = [COMMENTS.c[name] for name in READ_COLUMNS]
TASK = Prepared(select(TASKS.c.id).where(*OWN_TASK, NOT_DELETED))
COMMENT_ID = bindparam("comment_id", type_=BigInteger)
BODY = bindparam("body", type_=Text)
# The task is in the path: the comment must belong to it, and the task must not be in the trash.
THIS = (
    COMMENTS.c.user_id == OWNER,
    COMMENTS.c.id == COMMENT_ID,
    COMMENTS.c.task_id == bindparam("task_id", type_=BigInteger),
    COMMENTS.c.deleted_at.is_(None),
    exists().where(*OWN_TASK, NOT_DELETED),
)


def numbered_comment(write: Any, action: str) -> Prepared:
    """Returns a write of comments that takes the next revision and returns each row."""
    return numbered(write, entity="comment", action=action, returning=kept_columns(COMMENTS), answer=READ_COLUMNS)


_page = (
    select(*READ)
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
LIST = Prepared(
    select(*_page.c, USERS.c.revision.label("revision"))
    .select_from(TASKS.join(USERS, USERS.c.id == TASKS.c.user_id).outerjoin(_page, true()))
    .where(*OWN_TASK, NOT_DELETED)
    .order_by(_page.c.id)
)
GET = Prepared(select(*READ).where(*THIS))
CREATE = numbered_comment(
    insert(COMMENTS).from_select(
        ["user_id", "task_id", "body", "version"],
        select(TASKS.c.user_id, TASKS.c.id, BODY, REVISION).where(*OWN_TASK, NOT_DELETED),
        include_defaults=False,
    ),
    "created",
)


@lru_cache
def _write(action: str, guarded: bool) -> Prepared:
    values: dict[str, Any] = {"body": BODY} if action == "updated" else {"deleted_at": moment_of(COMMENTS)}
    return numbered_comment(update_row(COMMENTS, THIS, guarded=guarded, **values), action)


async def list_comments(session: Session, owner: str, task_id: int, query: ForwardQuery) -> Page:
    """Returns a page, oldest first. Raises TaskNotFound, also for a task in the trash, and InvalidCursor."""
    after = decode_cursor(query.cursor, sort="id", order="asc").id if query.cursor else 0
    values = {"owner": owner, "task_id": task_id, "after": after, "limit": query.limit + 1}
    records = (await session.exec(LIST, values)).all()
    if not records:
        raise TaskNotFound
    rows = [CommentRow(*record[:-1]) for record in records[: query.limit] if record.id is not None]
    last = Cursor("id", "asc", False, None, rows[-1].id).encode() if len(records) > query.limit else None
    return Page(rows=rows, revision=records[0].revision, next_cursor=last)


async def get_comment(session: Session, owner: str, task_id: int, comment_id: int) -> CommentRow:
    """Returns a comment. Raises CommentNotFound and TaskNotFound."""
    return await _run(session, GET, owner, task_id, comment_id)


async def create_comment(session: Session, owner: str, task_id: int, comment: CommentBody) -> CommentRow:
    """Creates a comment. Raises TaskNotFound, also for a task in the trash."""
    row = (await session.exec(CREATE, {"owner": owner, "task_id": task_id, "body": comment.body})).first()
    if row is None:
        raise TaskNotFound
    return CommentRow(*row)


async def update_comment(
    session: Session, owner: str, task_id: int, comment_id: int, change: CommentBody, *, versions: list[int] | None
) -> CommentRow:
    """Updates a comment. Raises CommentNotFound, TaskNotFound, VersionConflict unless ``versions`` has its version."""
    statement = _write("updated", versions is not None)
    return await _run(session, statement, owner, task_id, comment_id, versions=versions, body=change.body)


async def delete_comment(
    session: Session, owner: str, task_id: int, comment_id: int, *, versions: list[int] | None
) -> None:
    """Moves a comment to the trash. Raises CommentNotFound, TaskNotFound and VersionConflict."""
    await _run(session, _write("deleted", versions is not None), owner, task_id, comment_id, versions=versions)


async def _run(
    session: Session, statement: Prepared, owner: str, task_id: int, comment_id: int, **values: Any
) -> CommentRow:
    """Runs ``statement`` on one comment, or raises why it found none: the rollback then frees the revision."""
    key = {"owner": owner, "task_id": task_id, "comment_id": comment_id}
    row = (await session.exec(statement, key | values)).first()
    if row is not None:
        return CommentRow(*row)
    if values.get("versions") is not None and (await session.exec(GET, key)).first():
        raise VersionConflict("The comment has changed since the version in If-Match: get it again.")
    if (await session.exec(TASK, key)).first() is None:
        raise TaskNotFound
    raise CommentNotFound
