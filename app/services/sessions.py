"""Sessions of logins: begin, keep alive by refresh tokens, list, end (RFC 9700, 2.2.2 and 4.14)."""

import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.opaque import hash_token, new_refresh_token, next_refresh_token
from app.clock import now
from app.db.session import Session
from app.db.statements import Prepared
from app.errors import RefreshInProgress, RefreshTokenInvalid, SessionNotFound
from app.services.auth_context import AuthContext, Client

log = logging.getLogger("app.security")

GRACE = timedelta(seconds=10)  # in which a lost answer can be asked for again
_PROFILE = "a.user_id as id, a.email, a.name, u.timezone, a.created_at"
_ALIVE = """
    s.ended_at is null and s.idle_ends_at > cast(:now as timestamptz) and s.ends_at > cast(:now as timestamptz)
    and a.disabled_at is null
"""
# Sessions that ended a month ago go on this occasion; their refresh tokens go with them.
START = Prepared(
    text(f"""
    with started as (
        insert into sessions (user_id, id, user_agent, address, created_at, last_used_at, idle_ends_at, ends_at)
        values (:owner, :session_id, :user_agent, :address, :now, :now, :idle_ends_at, :ends_at)),
    token as (insert into refresh_tokens (user_id, token_hash, session_id, created_at)
              values (:owner, :token_hash, :session_id, :now)),
    pruned as (delete from sessions where user_id = :owner
               and least(ends_at, idle_ends_at, ended_at) < cast(:now as timestamptz) - interval '30 days')
    select {_PROFILE} from accounts a join users u on u.id = a.user_id where a.user_id = :owner
""")  # noqa: S608 - constants
)
# One of any number of concurrent uses finds used_at empty.
ROTATE = Prepared(
    text(f"""
    update refresh_tokens t set used_at = :now from sessions s join accounts a on a.user_id = s.user_id
    where t.token_hash = :token_hash and t.used_at is null
      and s.user_id = t.user_id and s.id = t.session_id and {_ALIVE}
    returning t.user_id, t.session_id
""")  # noqa: S608
)
# A token that was used longer ago than a session may idle would be refused anyway, so nobody needs to know it.
EXTEND = Prepared(
    text(f"""
    with token as (insert into refresh_tokens (user_id, token_hash, session_id, parent_hash, created_at)
                   values (:owner, :next_hash, :session_id, :token_hash, :now)),
    pruned as (delete from refresh_tokens where user_id = :owner and session_id = :session_id
               and used_at < cast(:now as timestamptz) - cast(:idle as interval))
    update sessions s set last_used_at = :now, idle_ends_at = cast(:now as timestamptz) + cast(:idle as interval),
                          user_agent = :user_agent, address = :address
    from accounts a join users u on u.id = a.user_id
    where s.user_id = :owner and s.id = :session_id and a.user_id = s.user_id
    returning {_PROFILE}
""")  # noqa: S608
)
USED = Prepared(
    text(f"""
    select t.user_id, t.session_id, t.used_at, {_ALIVE} as alive, c.used_at as next_used_at
    from refresh_tokens t join sessions s on s.user_id = t.user_id and s.id = t.session_id
    join accounts a on a.user_id = t.user_id
    left join refresh_tokens c on c.user_id = t.user_id and c.token_hash = :next_hash
    where t.token_hash = :token_hash
""")  # noqa: S608
)
PROFILE = Prepared(
    text(f"select {_PROFILE} from accounts a join users u on u.id = a.user_id where a.user_id = :owner")  # noqa: S608
)
LIST = Prepared(
    text("""
    select id, id = :current as current, user_agent, address, created_at, last_used_at,
           least(idle_ends_at, ends_at) as expires_at
    from sessions where user_id = :owner and ended_at is null and least(idle_ends_at, ends_at) > now()
    order by last_used_at desc, id
""")
)
END = Prepared(
    text("update sessions set ended_at = now() where user_id = :owner and id = :id and ended_at is null returning id")
)
END_OTHERS = Prepared(
    text("update sessions set ended_at = now() where user_id = :owner and id <> :current and ended_at is null")
)
FIND_BY_TOKEN = Prepared(text("select user_id, session_id from refresh_tokens where token_hash = :token_hash"))
NOBODY = ""  # no session has this id


class Pair(NamedTuple):
    """What a client gets for a login."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: Mapping[str, Any]


async def start_session(session: Session, auth: AuthContext, user_id: str, client: Client) -> Pair:
    """Log ``user_id`` in, in the caller's transaction."""
    session_id, token, moment = uuid.uuid4().hex, new_refresh_token(), now()
    params = {
        "owner": user_id,
        "session_id": session_id,
        "token_hash": hash_token(token),
        "now": moment,
        "idle_ends_at": moment + timedelta(seconds=auth.settings.refresh_idle),
        "ends_at": moment + timedelta(seconds=auth.settings.refresh_absolute),
        "user_agent": client.user_agent,
        "address": client.address,
    }
    user = (await session.exec(START, params)).one()
    return _pair(auth, session_id, token, user)


def _pair(auth: AuthContext, session_id: str, refresh_token: str, user: Any) -> Pair:
    ttl = auth.settings.access_ttl
    access = auth.tokens.sign(user.id, session_id, now=int(now().timestamp()), ttl=ttl)
    return Pair(access, refresh_token, ttl, dict(user))


async def refresh_session(auth: AuthContext, token: str, client: Client) -> Pair:
    """A new pair for a refresh token, which is good for one use.

    Its direct parent within GRACE gives the same successor again, because an answer can be lost. Any older one means
    that two have copies: the whole family ends (RFC 9700, 4.14.2). Raises RefreshTokenInvalid, and RefreshInProgress
    for a request that came before the winner of a race had its answer.
    """
    successor, moment = next_refresh_token(token, auth.tokens.refresh_key), now()
    params = {
        "token_hash": hash_token(token),
        "next_hash": hash_token(successor),
        "now": moment,
        "idle": timedelta(seconds=auth.settings.refresh_idle),
        "user_agent": client.user_agent,
        "address": client.address,
    }
    async with auth.database.auth_transaction() as session:
        row = (await session.exec(ROTATE, params)).first()
        if row is not None:
            params |= {"owner": row.user_id, "session_id": row.session_id}
            user = (await session.exec(EXTEND, params)).one()
            return _pair(auth, row.session_id, successor, user)
        row = (await session.exec(USED, params)).first()
        if row is None or not row.alive or row.used_at is None:
            raise RefreshTokenInvalid
        if row.used_at > client.arrived_at:
            raise RefreshInProgress(retry_after=1)
        if moment - row.used_at <= GRACE and row.next_used_at is None:
            user = (await session.exec(PROFILE, {"owner": row.user_id})).one()
            return _pair(auth, row.session_id, successor, user)
        await session.exec(END, {"owner": row.user_id, "id": row.session_id})
    auth.guard.forget(row.user_id)
    log.warning("refresh_token_reused", extra={"user_id": row.user_id, "session_id": row.session_id})
    raise RefreshTokenInvalid


async def list_sessions(session: Session, owner: str, current: str) -> list[Any]:
    """Those that can still be used, the latest used first."""
    return (await session.exec(LIST, {"owner": owner, "current": current})).all()


async def end_session(auth: AuthContext, owner: str, session_id: str) -> None:
    """Raises SessionNotFound when it has ended already or never was."""
    async with auth.database.auth_transaction() as session:
        ended = (await session.exec(END, {"owner": owner, "id": session_id})).first()
    auth.guard.forget(owner)
    if ended is None:
        raise SessionNotFound


async def end_other_sessions(auth: AuthContext, owner: str, current: str = NOBODY) -> None:
    """All but ``current``; all of them without one."""
    async with auth.database.auth_transaction() as session:
        await session.exec(END_OTHERS, {"owner": owner, "current": current})
    auth.guard.forget(owner)


async def end_by_refresh_token(auth: AuthContext, token: str) -> None:
    """Log out with what a client has left when its access token has expired. Unknown tokens are nobody's: nothing."""
    async with auth.database.auth_transaction() as session:
        row = (await session.exec(FIND_BY_TOKEN, {"token_hash": hash_token(token)})).first()
        if row is None:
            return
        await session.exec(END, {"owner": row.user_id, "id": row.session_id})
    auth.guard.forget(row.user_id)
