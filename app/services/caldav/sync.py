"""Changes in a collection since a token (RFC 6578): those of the owner's tasks after its revision.

A token names the revision up to which a client has everything, and where its next page begins: after a change of it, or
while the client gets the collection for the first time, after a task.
"""

import re
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, literal_column, select, tuple_

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import ChangesGone, SyncTokenInvalid
from app.models.changes import CHANGES
from app.models.tasks import TASKS
from app.models.types import MAX_ID
from app.services.caldav.collections import Collection
from app.services.caldav.objects import NAMED_COLUMNS, OBJECT_SUFFIX, ObjectPlace, list_objects, object_name
from app.services.changes.revisions import RevisionRange, get_revision_range
from app.services.tasks.statements import OWN_TASKS

SYNC_PAGE_CHANGES = 2_000
TOKEN_PREFIX = "urn:todo:sync:"  # some apps drop tokens without a colon
_SYNC_TOKEN = re.compile(r"urn:todo:sync:([0-9]{1,16})(?:\.([0-9]{1,19}))?(?::([0-9a-z]{1,2000})\.([0-9]{1,19}))?")
_TASK_CHANGE: Any = literal_column("'task'")
_since = tuple_(bindparam("since", type_=BigInteger), bindparam("after_id", type_=BigInteger))
_page = (
    select(CHANGES.c.revision, CHANGES.c.entity_id, CHANGES.c.action, CHANGES.c.data)
    .where(
        CHANGES.c.user_id == OWNER,
        CHANGES.c.revision >= bindparam("since", type_=BigInteger),
        CHANGES.c.entity == _TASK_CHANGE,
        tuple_(CHANGES.c.revision, CHANGES.c.entity_id) > _since,
    )
    .order_by(CHANGES.c.revision, CHANGES.c.entity_id)
    .limit(bindparam("limit", type_=BigInteger))
    .subquery("page")
)
_before = CHANGES.alias("before")
# The row before the change: the task may have had another name then, or have been in another collection.
_earlier = (
    select(_before.c.data)
    .where(
        _before.c.user_id == OWNER,
        _before.c.entity == _TASK_CHANGE,
        _before.c.entity_id == _page.c.entity_id,
        _before.c.revision < _page.c.revision,
    )
    .order_by(_before.c.revision.desc())
    .limit(1)
    .lateral("earlier")
)


def _places(data: Any, prefix: str) -> list[Any]:
    names = ("uid", "dav_name", "project_id")
    return [data.op("->>")(literal_column(f"'{name}'")).label(f"{prefix}{name}") for name in names]


SELECT_TASK_CHANGES = CompiledStatement(
    select(_page.c.revision, _page.c.entity_id, _page.c.action, *_places(_page.c.data, ""))
    .add_columns(*_places(_earlier.c.data, "old_"), _earlier.c.data.is_(None).label("is_first"))
    .select_from(_page.outerjoin(_earlier, literal_column("true")))
    .order_by(_page.c.revision, _page.c.entity_id)
)
SELECT_CHANGED_OBJECTS = CompiledStatement(select(*NAMED_COLUMNS, TASKS.c.deleted_at).where(*OWN_TASKS))


class SyncToken(NamedTuple):
    """The revision up to which a client has everything; with ``after_id`` also the first changes of the next.

    With ``place`` it has of that revision only the tasks up to there, which its first pages listed.
    """

    revision: int
    after_id: int = 0
    place: ObjectPlace | None = None

    def __str__(self) -> str:
        listed = f":{self.place.position}.{self.place.id}" if self.place else ""
        return f"{TOKEN_PREFIX}{self.revision}{f'.{self.after_id}' if self.after_id else ''}{listed}"


class SyncPage(NamedTuple):
    """The tasks that are here, the names that are not (any more), and where the next page begins."""

    changed: list[Any]
    gone: list[str]
    token: SyncToken
    has_more: bool


def parse_sync_token(text: str) -> SyncToken:
    """Raises SyncTokenInvalid for a text that is no token of this service."""
    found = _SYNC_TOKEN.fullmatch(text.strip())
    if found is None or int(found[2] or 0) > MAX_ID or int(found[4] or 0) > MAX_ID:
        raise SyncTokenInvalid
    place = ObjectPlace(found[3], int(found[4])) if found[3] else None
    return SyncToken(int(found[1]), int(found[2] or 0), place)


async def read_listing(
    session: Session, owner: str, collection: Collection, token: SyncToken | None, limit: int, *, with_data: bool
) -> SyncPage:
    """Returns a page of the first sync, of at most ``limit`` tasks. Raises SyncTokenInvalid.

    Its revision is that of the first page: what is written meanwhile is among the changes after it.
    """
    allowed = await get_revision_range(session, owner)
    if token is None:
        token = SyncToken(allowed.current)
    _require_revision(allowed, token)
    most = min(limit, SYNC_PAGE_CHANGES)
    place = token.place or ObjectPlace()
    rows = await list_objects(session, owner, collection, place, with_data=with_data, limit=most + 1)
    has_more = len(rows) > most
    rows = rows[:most]
    last = ObjectPlace(rows[-1]["position"], rows[-1]["id"]) if has_more else None
    return SyncPage(rows, [], token._replace(place=last), has_more)


def _require_revision(allowed: RevisionRange, token: SyncToken) -> None:
    try:
        allowed.require(token.revision)
    except ChangesGone as gone:
        raise SyncTokenInvalid(ahead=gone.ahead) from None


async def read_changes(
    session: Session, owner: str, collection: Collection, token: SyncToken, limit: int | None
) -> SyncPage:
    """Returns what has changed since ``token``: at most ``limit`` changes. Raises SyncTokenInvalid.

    With nothing new it is one lookup.
    """
    allowed = await get_revision_range(session, owner)
    _require_revision(allowed, token)
    if token.revision == allowed.current and not token.after_id:
        return SyncPage([], [], token, has_more=False)
    most = min(limit or SYNC_PAGE_CHANGES, SYNC_PAGE_CHANGES)
    values = {"owner": owner, "since": token.revision, "after_id": token.after_id or MAX_ID, "limit": most + 1}
    rows = (await session.exec(SELECT_TASK_CHANGES, values)).all()
    has_more = len(rows) > most
    rows = rows[:most]
    ids = list({row.entity_id for row in rows})
    found = (await session.exec(SELECT_CHANGED_OBJECTS, {"owner": owner, "ids": ids})).all() if ids else []
    here = {row.id: row for row in found if row.deleted_at is None and row.project_id == collection.project_id}
    present = {object_name(row) for row in here.values()}
    gone_names = dict.fromkeys(name for row in rows for name in _former_names(row, collection) if name not in present)
    last = SyncToken(rows[-1].revision, rows[-1].entity_id) if has_more else SyncToken(allowed.current)
    return SyncPage([*here.values()], [*gone_names], last, has_more)


def _former_names(row: Any, collection: Collection) -> list[str]:
    """Returns the names under which the collection may have held the task before or after a change of it."""
    place = "" if collection.project_id is None else str(collection.project_id)
    names = []
    if row.uid and (row.project_id or "") == place:
        names.append(row.dav_name or f"{row.uid}{OBJECT_SUFFIX}")
    if row.old_uid and (row.old_project_id or "") == place:
        names.append(row.old_dav_name or f"{row.old_uid}{OBJECT_SUFFIX}")
    if row.is_first and row.action != "created" and row.uid and not names:  # what it was before is not kept
        names.append(row.dav_name or f"{row.uid}{OBJECT_SUFFIX}")
    return names
