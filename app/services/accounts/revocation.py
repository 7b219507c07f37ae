"""Revocation: a check that a login, a grant or an API token that was valid a moment ago still is.

Checked on use and cached for a few seconds: most requests need no query, nothing polls (a serverless database can stay
suspended), and what was revoked in one process is refused in all of them within ``REVOCATION_BOUND``.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import text

from app.auth.claims import MAX_INSTANT, Identity
from app.auth.opaque_tokens import hash_token, is_api_token
from app.db.compiled import CompiledStatement
from app.db.database import Database
from app.errors import CalendarTokenInvalid, RefusalReason, SessionEnded, TokenInvalid

REVOCATION_BOUND = 4.0  # seconds; 5 are promised, the rest is for the request that checks
RENEWAL_AGE = 2.0  # from this age on, one request checks again while the others use the cached result
REVOCATION_ENTRIES = 10_000

# ``refused`` is the RefusalReason of one that is not valid any more, else null. The use of a login is recorded when it
# is refreshed, which a grant may be as rarely as once a day.
FIND_SESSION = CompiledStatement(
    text("""
    select s.client_id is not null and s.last_used_at < now() - interval '1 minute' as unnoticed,
           case when a.disabled_at is not null then 'account_disabled'
                when s.ended_at is not null then 'session_ended'
                when s.ends_at <= now() then 'session_expired' end as refused
    from sessions s join accounts a on a.user_id = s.user_id
    where s.user_id = :owner and s.id = :session_id
""")
)
RECORD_GRANT_USE = CompiledStatement(
    text("update sessions set last_used_at = now() where user_id = :owner and id = :session_id")
)
FIND_DISABLED_ACCOUNT = CompiledStatement(
    text("select 1 from accounts where user_id = :owner and disabled_at is not null")
)
_SELECT_API_TOKEN = """
    select t.user_id, t.id, t.name, t.scope, cast(extract(epoch from t.expires_at) as bigint) as expires_at,
           t.last_used_at is null or t.last_used_at < now() - interval '1 minute' as unnoticed,
           case when a.disabled_at is not null then 'account_disabled'
                when t.revoked_at is not null then 'api_token_revoked'
                when t.expires_at <= now() then 'api_token_expired' end as refused
    from api_tokens t left join accounts a on a.user_id = t.user_id
"""
FIND_TOKEN_BY_HASH = CompiledStatement(text(_SELECT_API_TOKEN + " where t.token_hash = :token_hash"))
FIND_TOKEN_BY_ID = CompiledStatement(
    text(_SELECT_API_TOKEN + " where t.user_id = :owner and t.id = cast(:token_id as bigint)")
)
RECORD_TOKEN_USE = CompiledStatement(
    text("update api_tokens set last_used_at = now() where user_id = :owner and id = cast(:token_id as bigint)")
)

RevocationKey = tuple[str, str | int] | bytes


class _CacheEntry:
    __slots__ = ("asked_at", "identity", "renewing")

    def __init__(self, identity: Identity, asked_at: float) -> None:
        self.identity, self.asked_at, self.renewing = identity, asked_at, False


class RevocationCache:
    """The identities that were checked lately. One per process."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[RevocationKey, _CacheEntry] = OrderedDict()

    def is_fresh(self, identity: Identity) -> bool:
        """Returns whether the session was checked recently enough: no await, no query."""
        assert identity.session_id is not None
        return self._remembered((identity.subject, identity.session_id)) is not None

    async def check_session(self, identity: Identity) -> None:
        """Checks a session in the database. Raises SessionEnded if it ended, or its account is deleted or disabled."""
        assert identity.session_id is not None
        key = (identity.subject, identity.session_id)
        started = self._clock()
        params = {"owner": identity.subject, "session_id": identity.session_id}
        async with self._database.auth_transaction() as session:
            found = (await session.exec(FIND_SESSION, params)).first()
            if found is not None and found.refused is None and found.unnoticed:
                await session.exec(RECORD_GRANT_USE, params)
        reason = RefusalReason.SESSION_UNKNOWN if found is None else found.refused
        if reason is not None:
            self._seen.pop(key, None)
            raise SessionEnded(reason=reason, details={"user_id": identity.subject})
        self._remember(key, identity, started)

    def knows_api_token(self, token: str) -> bool:
        """Returns whether the token was valid a moment ago: verifying it will rarely need a query."""
        return hash_token(token) in self._seen

    async def verify_api_token(self, token: str) -> Identity:
        """Returns the owner and the scope of an API token. Raises TokenInvalid."""
        if not is_api_token(token):
            raise TokenInvalid(reason=RefusalReason.API_TOKEN_MALFORMED)
        key = hash_token(token)
        if (seen := self._remembered(key)) is not None:
            return seen
        started = self._clock()
        try:
            identity = await self._find(FIND_TOKEN_BY_HASH, {"token_hash": key})
        except TokenInvalid:
            self._seen.pop(key, None)
            raise
        self._remember(key, identity, started)
        return identity

    async def still_valid(self, identity: Identity) -> bool:
        """Returns whether the identity that opened a stream may continue to read it. Called every few seconds."""
        if identity.expires_at <= time.time():
            return False
        if identity.token_id is not None:
            key = (identity.subject, identity.token_id)
            if self._remembered(key) is not None:
                return True
            started = self._clock()
            try:
                await self._find(FIND_TOKEN_BY_ID, {"owner": identity.subject, "token_id": identity.token_id})
            except TokenInvalid:
                return False
            self._remember(key, identity, started)
        elif identity.session_id is not None and not self.is_fresh(identity):
            try:
                await self.check_session(identity)
            except SessionEnded:
                return False
        return True

    async def refuse_disabled(self, user_id: str) -> None:
        """Checks the account of a calendar feed, which has its own token. Raises CalendarTokenInvalid if disabled."""
        async with self._database.auth_transaction() as session:
            if (await session.exec(FIND_DISABLED_ACCOUNT, {"owner": user_id})).first() is not None:
                raise CalendarTokenInvalid(reason=RefusalReason.ACCOUNT_DISABLED, details={"user_id": user_id})

    def forget(self, user_id: str) -> None:
        """Drops everything of this user from the cache: this process has just revoked a session or token of theirs."""
        for key in [key for key, seen in self._seen.items() if seen.identity.subject == user_id]:
            del self._seen[key]

    async def _find(self, statement: CompiledStatement, params: dict[str, object]) -> Identity:
        async with self._database.auth_transaction() as session:
            row = (await session.exec(statement, params)).first()
            if row is None:
                raise TokenInvalid(reason=RefusalReason.API_TOKEN_UNKNOWN)
            if row.refused is not None:
                details = {"user_id": row.user_id, "token_id": row.id}
                raise TokenInvalid(reason=row.refused, details=details)
            if row.unnoticed:
                await session.exec(RECORD_TOKEN_USE, {"owner": row.user_id, "token_id": row.id})
        expires_at = MAX_INSTANT if row.expires_at is None else row.expires_at
        return Identity(row.user_id, expires_at, None, row.scope, row.name, row.id)

    def _remembered(self, key: RevocationKey) -> Identity | None:
        seen = self._seen.get(key)
        if seen is None or seen.identity.expires_at <= time.time():
            return None
        age = self._clock() - seen.asked_at
        if age >= REVOCATION_BOUND or (age >= RENEWAL_AGE and not seen.renewing):
            seen.renewing = True  # by this caller, for whom it is a miss
            return None
        return seen.identity

    def _remember(self, key: RevocationKey, identity: Identity, asked_at: float) -> None:
        self._seen[key] = _CacheEntry(identity, asked_at)
        self._seen.move_to_end(key)
        if len(self._seen) > REVOCATION_ENTRIES:
            self._seen.popitem(last=False)
