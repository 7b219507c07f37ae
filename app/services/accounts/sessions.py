"""Login sessions: start, list, end."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.access_tokens import Grant
from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token, new_refresh_token
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import SessionNotFound
from app.models.accounts import AccountRead
from app.services.accounts.context import AuthContext, Client

# Also prunes sessions that ended a month ago, and by cascade their refresh tokens.
INSERT_SESSION = CompiledStatement(
    text("""
    with started as (
        insert into sessions (user_id, id, user_agent, address, created_at, last_used_at, idle_ends_at, ends_at,
                              client_id, client_name, scope, resource, second_factor_at)
        values (:owner, :session_id, :user_agent, :address, :now, :now, :idle_ends_at, :ends_at,
                :client_id, :client_name, :scope, :resource, :second_factor_at)),
    token as (insert into refresh_tokens (user_id, token_hash, session_id, created_at)
              values (:owner, :token_hash, :session_id, :now))
    delete from sessions where user_id = :owner
    and least(ends_at, idle_ends_at, ended_at) < cast(:now as timestamptz) - interval '30 days'
""")
)
SELECT_PROFILE = CompiledStatement(
    text("""
    select a.user_id as id, a.email,
           (select c.email from email_changes c where c.user_id = a.user_id and c.expires_at > now()) as pending_email,
           a.email_confirmed_at, a.name, u.timezone, a.created_at
    from accounts a join users u on u.id = a.user_id where a.user_id = :owner
""")
)
SELECT_SESSIONS = CompiledStatement(
    text("""
    select id, id = :current as current, user_agent, address, created_at, last_used_at,
           least(idle_ends_at, ends_at) as expires_at
    from sessions
    where user_id = :owner and client_id is null and ended_at is null and least(idle_ends_at, ends_at) > now()
    order by last_used_at desc, id
""")
)
END_SESSION = CompiledStatement(
    text("update sessions set ended_at = now() where user_id = :owner and id = :id and ended_at is null returning id")
)
END_LOGIN = CompiledStatement(
    text("""
    update sessions set ended_at = now()
    where user_id = :owner and id = :id and client_id is null and ended_at is null returning id
""")
)
END_OTHER_LOGINS = CompiledStatement(
    text("""
    update sessions set ended_at = now()
    where user_id = :owner and id <> :current and client_id is null and ended_at is null
""")
)
# What would become a grant or a login.
DELETE_CODES = CompiledStatement(text("delete from oauth_codes where user_id = :owner"))
DELETE_CHALLENGES = CompiledStatement(text("delete from login_challenges where user_id = :owner"))
END_ALL_SESSIONS = CompiledStatement(
    text("update sessions set ended_at = now() where user_id = :owner and ended_at is null")
)
FIND_SESSION_BY_TOKEN = CompiledStatement(
    text("select user_id, session_id from refresh_tokens where token_hash = :token_hash")
)


NO_GRANT: dict[str, None] = dict.fromkeys(Grant._fields)


class IssuedTokens(NamedTuple):
    """The tokens that a client gets for a login, and its profile; for a grant what it allows, and the user's id."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: Mapping[str, Any]
    scope: str = "write"


async def start_session(
    session: Session,
    auth: AuthContext,
    user_id: str,
    client: Client,
    *,
    grant: Grant | None = None,
    session_id: str = "",
    life: int | None = None,
    second_factor_at: datetime | None = None,
) -> IssuedTokens:
    """Logs ``user_id`` in, in the caller's transaction; or starts a ``grant``. ``life``: seconds, if it is short.

    ``second_factor_at``: when the user proved a second factor.
    """
    session_id, token, moment = session_id or uuid.uuid4().hex, new_refresh_token(), now()
    idle, absolute = session_life(auth, grant)
    params = (grant._asdict() if grant else NO_GRANT) | {
        "owner": user_id,
        "session_id": session_id,
        "token_hash": hash_token(token),
        "now": moment,
        "idle_ends_at": moment + timedelta(seconds=life or idle),
        "ends_at": moment + timedelta(seconds=life or absolute),
        "user_agent": client.user_agent,
        "address": client.address,
        "second_factor_at": second_factor_at,
    }
    await session.exec(INSERT_SESSION, params)
    user = (await session.exec(SELECT_PROFILE, params)).one()
    return issue_tokens(auth, session_id, token, user, grant)


def session_life(auth: AuthContext, grant: Grant | None) -> tuple[int, int]:
    """Returns the seconds after which a session ends if it is unused, and in any case."""
    settings = auth.settings
    if grant is None:
        return settings.refresh_idle, settings.refresh_absolute
    return settings.oauth_idle, settings.oauth_absolute


def issue_tokens(
    auth: AuthContext, session_id: str, refresh_token: str, user: Any, grant: Grant | None = None
) -> IssuedTokens:
    """Signs an access token to go with ``refresh_token``; ``user`` is a row of ``SELECT_PROFILE``.

    Of a ``grant`` the client gets no profile: only the id of ``user`` is read.
    """
    ttl = auth.settings.access_ttl if grant is None else auth.settings.oauth_access_ttl
    access = auth.tokens.sign(user.id, session_id, now=int(now().timestamp()), ttl=ttl, grant=grant)
    if grant is not None:
        return IssuedTokens(access, refresh_token, ttl, {"id": user.id}, grant.scope)
    profile = {name: user[name] for name in AccountRead.model_fields}
    return IssuedTokens(access, refresh_token, ttl, profile)


async def list_sessions(session: Session, owner: str, current: str) -> list[Any]:
    """Returns the logins that can still be used, latest used first."""
    return (await session.exec(SELECT_SESSIONS, {"owner": owner, "current": current})).all()


async def end_session(auth: AuthContext, owner: str, session_id: str) -> None:
    """Ends a login. Raises SessionNotFound when it has ended already, does not exist, or is a grant."""
    async with auth.database.auth_transaction() as session:
        ended = (await session.exec(END_LOGIN, {"owner": owner, "id": session_id})).first()
    auth.revocations.forget(owner)
    if ended is None:
        raise SessionNotFound


async def log_out(auth: AuthContext, identity: Identity) -> None:
    """Ends the session of this login; it is no error if a concurrent request ended it first."""
    assert identity.session_id is not None
    with suppress(SessionNotFound):
        await end_session(auth, identity.subject, identity.session_id)


async def end_other_sessions(auth: AuthContext, owner: str, current: str) -> None:
    """Ends all logins but ``current``."""
    async with auth.database.auth_transaction() as session:
        await session.exec(END_OTHER_LOGINS, {"owner": owner, "current": current})
    auth.revocations.forget(owner)


async def end_all_sessions(session: Session, owner: str) -> None:
    """Ends every login and grant, and what would become one, in the caller's transaction."""
    for statement in (DELETE_CODES, DELETE_CHALLENGES, END_ALL_SESSIONS):
        await session.exec(statement, {"owner": owner})


async def end_by_refresh_token(auth: AuthContext, token: str) -> None:
    """Logs out with a refresh token, for clients whose access token has expired. Ignores unknown tokens."""
    async with auth.database.auth_transaction() as session:
        row = (await session.exec(FIND_SESSION_BY_TOKEN, {"token_hash": hash_token(token)})).first()
        if row is None:
            return
        await session.exec(END_LOGIN, {"owner": row.user_id, "id": row.session_id})
    auth.revocations.forget(row.user_id)
