"""Staying logged in: refresh tokens that are used once (RFC 9700, 2.2.2 and 4.14)."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from app.auth.opaque_tokens import hash_token, next_refresh_token
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.contention import retry_on_contention
from app.db.session import Session
from app.errors import RefreshInProgress, RefreshTokenInvalid, RefusalReason
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.sessions import END_SESSION, SELECT_PROFILE, IssuedTokens, issue_tokens

log = logging.getLogger("app.security")

REPEAT_GRACE = timedelta(seconds=10)  # in which a lost response can be requested again
RACE_WINDOW = timedelta(seconds=1)  # after a use, in which another use may belong to the same burst
RACE_PAUSE = 0.25  # seconds to wait for other requests of the burst
_IS_ALIVE = """
    s.ended_at is null and s.idle_ends_at > cast(:now as timestamptz) and s.ends_at > cast(:now as timestamptz)
    and a.disabled_at is null
"""
# Only one of concurrent uses finds used_at empty.
USE_REFRESH_TOKEN = CompiledStatement(
    text(f"""
    update refresh_tokens t set used_at = :now from sessions s join accounts a on a.user_id = s.user_id
    where t.token_hash = :token_hash and t.used_at is null
      and s.client_id is not distinct from cast(:client_id as text)
      and s.user_id = t.user_id and s.id = t.session_id and {_IS_ALIVE}
    returning t.user_id, t.session_id
""")  # noqa: S608
)
# A token that was used longer ago than the idle timeout would be refused anyway, so its row is pruned.
EXTEND_SESSION = CompiledStatement(
    text("""
    with token as (insert into refresh_tokens (user_id, token_hash, session_id, parent_hash, created_at)
                   values (:owner, :next_hash, :session_id, :token_hash, :now)),
    pruned as (delete from refresh_tokens where user_id = :owner and session_id = :session_id
               and used_at < cast(:now as timestamptz) - cast(:idle as interval))
    update sessions s set last_used_at = :now, idle_ends_at = cast(:now as timestamptz) + cast(:idle as interval),
                          user_agent = :user_agent, address = :address
    where s.user_id = :owner and s.id = :session_id
""")
)
SELECT_USED_TOKEN = CompiledStatement(
    text(f"""
    select t.user_id, t.session_id, t.used_at, {_IS_ALIVE} as alive, c.used_at as next_used_at,
           case when a.disabled_at is not null then 'account_disabled'
                when s.ended_at is not null then 'session_ended' else 'session_expired' end as dead_because
    from refresh_tokens t join sessions s on s.user_id = t.user_id and s.id = t.session_id
    join accounts a on a.user_id = t.user_id
    left join refresh_tokens c on c.user_id = t.user_id and c.token_hash = :next_hash
    where t.token_hash = :token_hash and s.client_id is not distinct from cast(:client_id as text)
""")  # noqa: S608
)

_pending: Counter[bytes] = Counter()
_crowded: set[bytes] = set()


async def refresh_session(auth: AuthContext, token: str, client: Client) -> IssuedTokens:
    """Exchanges a refresh token, which is valid for one use, for a new pair.

    A repeat within REPEAT_GRACE gets the same successor, because a response can be lost. Any other reuse means that two
    clients have copies: the whole family is revoked (RFC 9700, 4.14.2). Raises RefreshTokenInvalid, and
    RefreshInProgress for all but one of concurrent requests.
    """
    successor = next_refresh_token(token, auth.tokens.refresh_key)
    params = refresh_params(auth, token, successor, client)
    moment = params["now"]
    async with auth.database.auth_transaction() as session:
        rotated = await rotate(session, params)
    if rotated is not None:
        session_id, user = rotated
        return issue_tokens(auth, session_id, successor, user)
    async with auth.database.auth_transaction() as session:
        used = (await session.exec(SELECT_USED_TOKEN, params)).first()
    if used is None or not used.alive or used.used_at is None:
        known = used is not None and not used.alive
        reason = used.dead_because if known else RefusalReason.REFRESH_TOKEN_UNKNOWN
        raise RefreshTokenInvalid(reason=reason, details={"user_id": used.user_id} if known else None)
    if moment - used.used_at > REPEAT_GRACE or used.next_used_at is not None:
        await end_family(auth, used)
        raise RefreshTokenInvalid(reason=RefusalReason.REFRESH_TOKEN_REUSED, details={"user_id": used.user_id})
    early = client.arrived_at - used.used_at
    if early < timedelta(0) or (early < RACE_WINDOW and not await _is_alone(params["token_hash"])):
        raise RefreshInProgress(retry_after=1)
    return await _repeat_response(auth, used, successor)


def refresh_params(
    auth: AuthContext, token: str, successor: str, client: Client, *, client_id: str | None = None
) -> dict[str, Any]:
    """Returns the parameters of the statements of this file. ``client_id``: of the app whose grant it is."""
    settings = auth.settings
    return {
        "token_hash": hash_token(token),
        "next_hash": hash_token(successor),
        "client_id": client_id,
        "now": now(),
        "idle": timedelta(seconds=settings.refresh_idle if client_id is None else settings.oauth_idle),
        "user_agent": client.user_agent,
        "address": client.address,
    }


async def rotate(session: Session, params: dict[str, Any]) -> tuple[str, Any] | None:
    """Marks the token as used, and returns the session and the profile.

    Returns None when it was used already, or when its session has ended.
    """
    row = (await session.exec(USE_REFRESH_TOKEN, params)).first()
    if row is None:
        return None
    params = {**params, "owner": row.user_id, "session_id": row.session_id}
    await session.exec(EXTEND_SESSION, params)
    return row.session_id, (await session.exec(SELECT_PROFILE, params)).one()


async def _repeat_response(auth: AuthContext, used: Any, successor: str) -> IssuedTokens:
    async with auth.database.auth_transaction() as session:
        user = (await session.exec(SELECT_PROFILE, {"owner": used.user_id})).first()
    if user is None:
        raise RefreshTokenInvalid(reason=RefusalReason.SESSION_UNKNOWN)
    return issue_tokens(auth, used.session_id, successor, user)


@retry_on_contention
async def end_family(auth: AuthContext, used: Any) -> None:
    """Ends the session of a refresh token that was used again; ``used`` is a row of ``SELECT_USED_TOKEN``."""
    async with auth.database.auth_transaction() as session:
        await session.exec(END_SESSION, {"owner": used.user_id, "id": used.session_id})
    auth.revocations.forget(used.user_id)
    auth.counters["refresh_reuse"] += 1
    log.warning("refresh_token_reused", extra={"user_id": used.user_id, "session_id": used.session_id})


async def _is_alone(token_hash: bytes) -> bool:
    """Returns whether this is one client that repeats its request, and not one of many that use the same token at once.

    Only the first of a burst gets a pair. The others may try again after a second, when the burst is over.
    """
    _pending[token_hash] += 1
    try:
        if _pending[token_hash] > 1:
            _crowded.add(token_hash)
        await asyncio.sleep(RACE_PAUSE)
        return token_hash not in _crowded
    finally:
        _pending[token_hash] -= 1
        if not _pending[token_hash]:
            del _pending[token_hash]
            _crowded.discard(token_hash)
