"""Calendar feeds: what a calendar subscribes to, each with its own token that gives access to nothing else."""

from hmac import compare_digest
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.opaque_tokens import hash_token, new_feed_token
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import CalendarNotFound, CalendarTokenInvalid, RefusalReason, TooManyCalendars
from app.models.calendar_feeds import CalendarCreate
from app.services.users import get_revision, get_timezone, lock_or_create_owner

MAX_FEEDS = 50
FEED_COLUMNS = "id, name, created_at"
COUNT_FEEDS = CompiledStatement(text("select count(*) from calendar_feeds where user_id = :owner"))
INSERT_FEED = CompiledStatement(
    text(f"""
    insert into calendar_feeds (user_id, name, token_hash) values (:owner, :name, :token_hash)
    returning {FEED_COLUMNS}""")  # noqa: S608
)
SELECT_FEEDS = CompiledStatement(text(f"select {FEED_COLUMNS} from calendar_feeds where user_id = :owner order by id"))  # noqa: S608
DELETE_FEED = CompiledStatement(
    text("delete from calendar_feeds where user_id = :owner and id = cast(:feed_id as bigint) returning id")
)
SELECT_FEED_HASHES = CompiledStatement(text("select name, token_hash from calendar_feeds where user_id = :owner"))


class OpenedFeed(NamedTuple):
    """The feed of a token: its name, and the owner's time zone and revision, on which its content depends."""

    name: str
    timezone: str
    revision: int


async def create_calendar(session: Session, owner: str, wanted: CalendarCreate) -> dict[str, Any]:
    """Returns the row and ``token``, which is stored only as a hash. Raises TooManyCalendars."""
    token = new_feed_token()
    values = {"owner": owner, "name": wanted.name, "token_hash": hash_token(token)}
    await lock_or_create_owner(session, owner)  # no concurrent write adds one after the count
    if (await session.exec(COUNT_FEEDS, values)).one() >= MAX_FEEDS:
        raise TooManyCalendars
    row = (await session.exec(INSERT_FEED, values)).one()
    return {**dict(row), "token": token}


async def list_calendars(session: Session, owner: str) -> list[Any]:
    return (await session.exec(SELECT_FEEDS, {"owner": owner})).all()


async def revoke_calendar(session: Session, owner: str, feed_id: int) -> None:
    """Deletes a feed. Raises CalendarNotFound."""
    if (await session.exec(DELETE_FEED, {"owner": owner, "feed_id": feed_id})).first() is None:
        raise CalendarNotFound


async def open_calendar(session: Session, owner: str, token: str) -> OpenedFeed:
    """Returns the feed of a token, compared with every hash in constant time. Raises CalendarTokenInvalid."""
    given = hash_token(token)
    found = [
        name
        for name, kept in (await session.exec(SELECT_FEED_HASHES, {"owner": owner})).all()
        if compare_digest(kept, given)
    ]
    if not found:
        raise CalendarTokenInvalid(reason=RefusalReason.FEED_TOKEN_UNKNOWN, details={"user_id": owner})
    return OpenedFeed(found[0], await get_timezone(session, owner), await get_revision(session, owner))
