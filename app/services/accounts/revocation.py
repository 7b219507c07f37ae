"""Whether a login or an API token that was good a moment ago still is.

Asked on use and remembered for a few seconds: no request costs a query of its own, nothing polls (a database that
sleeps may go on sleeping), and what was ended anywhere is refused everywhere within ``BOUND``.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import text

from app.auth.claims import MAX_INSTANT, Identity
from app.auth.opaque_tokens import hash_token, is_api_token
from app.db.compiled import Prepared
from app.db.database import Database
from app.errors import CalendarTokenInvalid, SessionEnded, TokenInvalid

BOUND = 4.0  # seconds; the promise is 5, the rest is for the request that asks
RENEW = 2.0  # from this age on, one request asks again while the others go by what is remembered
ENTRIES = 10_000

SESSION_ALIVE = Prepared(
    text("""
    select 1 from sessions s join accounts a on a.user_id = s.user_id
    where s.user_id = :owner and s.id = :session_id
      and s.ended_at is null and s.ends_at > now() and a.disabled_at is null
""")
)
DISABLED = Prepared(text("select 1 from accounts where user_id = :owner and disabled_at is not null"))
_TOKEN = """
    select t.user_id, t.id, t.name, t.scope, cast(extract(epoch from t.expires_at) as bigint) as expires_at,
           t.last_used_at is null or t.last_used_at < now() - interval '1 minute' as unnoticed
    from api_tokens t left join accounts a on a.user_id = t.user_id
    where t.revoked_at is null and (t.expires_at is null or t.expires_at > now()) and a.disabled_at is null
"""
TOKEN_BY_HASH = Prepared(text(_TOKEN + " and t.token_hash = :token_hash"))
TOKEN_BY_ID = Prepared(text(_TOKEN + " and t.user_id = :owner and t.id = cast(:token_id as bigint)"))
TOKEN_USED = Prepared(
    text("update api_tokens set last_used_at = now() where user_id = :owner and id = cast(:token_id as bigint)")
)

Key = tuple[str, str | int] | bytes


class _Seen:
    __slots__ = ("asked_at", "identity", "renewing")

    def __init__(self, identity: Identity, asked_at: float) -> None:
        self.identity, self.asked_at, self.renewing = identity, asked_at, False


class Guard:
    """One for a process."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[Key, _Seen] = OrderedDict()

    def is_fresh(self, identity: Identity) -> bool:
        """Whether the login need not be asked about now: no await, no query."""
        assert identity.session_id is not None
        return self._remembered((identity.subject, identity.session_id)) is not None

    async def check_session(self, identity: Identity) -> None:
        """Ask the database. Raises SessionEnded when the login was ended or its account is gone or disabled."""
        assert identity.session_id is not None
        key = (identity.subject, identity.session_id)
        started = self._clock()
        params = {"owner": identity.subject, "session_id": identity.session_id}
        async with self._database.auth_transaction() as session:
            alive = (await session.exec(SESSION_ALIVE, params)).first()
        if alive is None:
            self._seen.pop(key, None)
            raise SessionEnded
        self._remember(key, identity, started)

    def knows_api_token(self, token: str) -> bool:
        """Whether it was good a moment ago: verifying it will hardly cost a query."""
        return hash_token(token) in self._seen

    async def verify_api_token(self, token: str) -> Identity:
        """Whose API token it is, and what it may do. Raises TokenInvalid."""
        if not is_api_token(token):
            raise TokenInvalid
        key = hash_token(token)
        if (seen := self._remembered(key)) is not None:
            return seen
        started = self._clock()
        identity = await self._find(TOKEN_BY_HASH, {"token_hash": key})
        if identity is None:
            self._seen.pop(key, None)
            raise TokenInvalid
        self._remember(key, identity, started)
        return identity

    async def still_valid(self, identity: Identity) -> bool:
        """For streams, every few seconds: may whoever opened it go on reading?"""
        if identity.expires_at <= time.time():
            return False
        if identity.token_id is not None:
            key = (identity.subject, identity.token_id)
            if self._remembered(key) is not None:
                return True
            started = self._clock()
            if await self._find(TOKEN_BY_ID, {"owner": identity.subject, "token_id": identity.token_id}) is None:
                return False
            self._remember(key, identity, started)
        elif identity.session_id is not None and not self.is_fresh(identity):
            try:
                await self.check_session(identity)
            except SessionEnded:
                return False
        return True

    async def refuse_disabled(self, user_id: str) -> None:
        """For what opens with a token of its own. Raises CalendarTokenInvalid when the account is disabled."""
        async with self._database.auth_transaction() as session:
            if (await session.exec(DISABLED, {"owner": user_id})).first() is not None:
                raise CalendarTokenInvalid

    def forget(self, user_id: str) -> None:
        """Ask again about everything of this user: something of theirs has just ended in this process."""
        for key in [key for key, seen in self._seen.items() if seen.identity.subject == user_id]:
            del self._seen[key]

    async def _find(self, statement: Prepared, params: dict[str, object]) -> Identity | None:
        async with self._database.auth_transaction() as session:
            row = (await session.exec(statement, params)).first()
            if row is None:
                return None
            if row.unnoticed:
                await session.exec(TOKEN_USED, {"owner": row.user_id, "token_id": row.id})
        expires_at = MAX_INSTANT if row.expires_at is None else row.expires_at
        return Identity(row.user_id, expires_at, None, row.scope, row.name, row.id)

    def _remembered(self, key: Key) -> Identity | None:
        seen = self._seen.get(key)
        if seen is None or seen.identity.expires_at <= time.time():
            return None
        age = self._clock() - seen.asked_at
        if age >= BOUND or (age >= RENEW and not seen.renewing):
            seen.renewing = True  # by the caller, who is told to ask
            return None
        return seen.identity

    def _remember(self, key: Key, identity: Identity, asked_at: float) -> None:
        self._seen[key] = _Seen(identity, asked_at)
        self._seen.move_to_end(key)
        if len(self._seen) > ENTRIES:
            self._seen.popitem(last=False)
