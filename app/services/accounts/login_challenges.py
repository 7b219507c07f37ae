"""Logins in two steps: after the first factor a login waits for the second, under a token that is no session."""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.opaque_tokens import hash_token, new_challenge
from app.auth.passkeys import RelyingParty
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import LoginChallengeInvalid, SecondFactorRequired
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.passkey_answers import Asked, ask_for_passkey
from app.services.accounts.second_factors import GivenFactor, list_methods, prove_factor
from app.services.accounts.sessions import IssuedTokens, start_session

CHALLENGE_LIFE = timedelta(minutes=5)

INSERT_CHALLENGE = CompiledStatement(
    text("""
    with expired as (delete from login_challenges where user_id = :owner and expires_at <= now())
    insert into login_challenges (user_id, challenge_hash, expires_at) values (:owner, :challenge_hash, :expires_at)
""")
)
FIND_CHALLENGE = CompiledStatement(
    text("select user_id from login_challenges where challenge_hash = :challenge_hash and expires_at > now()")
)
TAKE_CHALLENGE = CompiledStatement(
    text("""
    delete from login_challenges where user_id = :owner and challenge_hash = :challenge_hash and expires_at > now()
    returning user_id
""")
)


class PendingLogin(NamedTuple):
    """A login that waits for a second factor. ``challenge`` continues it; ``methods``: what the account has."""

    challenge: str
    methods: list[str]


async def begin_login(
    session: Session, auth: AuthContext, owner: str, client: Client, *, life: int | None = None
) -> IssuedTokens | PendingLogin:
    """Logs in after the first factor, in the caller's transaction, unless the account has a second.

    ``life``: of the session in seconds, if it is short.
    """
    methods = await list_methods(session, owner)
    if not methods:
        return await start_session(session, auth, owner, client, life=life)
    challenge = new_challenge()
    values = {"owner": owner, "challenge_hash": hash_token(challenge), "expires_at": now() + CHALLENGE_LIFE}
    await session.exec(INSERT_CHALLENGE, values)
    return PendingLogin(challenge, methods)


def require_finished(begun: IssuedTokens | PendingLogin) -> IssuedTokens:
    """Returns the tokens of a login. Raises SecondFactorRequired if it waits: after the transaction that stored it."""
    if isinstance(begun, PendingLogin):
        raise SecondFactorRequired(begun.methods, begun.challenge)
    return begun


async def finish_login(
    auth: AuthContext, challenge: str, given: GivenFactor, client: Client, *, life: int | None = None
) -> IssuedTokens:
    """Logs in with the second factor. A challenge is good for one login; a wrong code does not use it up.

    Raises LoginChallengeInvalid, and the errors of ``prove_factor``.
    """
    owner = await _find_owner(auth, challenge)

    async def start(session: Session) -> IssuedTokens:
        taken = await session.exec(TAKE_CHALLENGE, {"owner": owner, "challenge_hash": hash_token(challenge)})
        if taken.first() is None:
            raise LoginChallengeInvalid
        return await start_session(session, auth, owner, client, life=life, second_factor_at=now())

    return await prove_factor(auth, owner, given, _bound_to_login(challenge), client, start)


async def describe_challenge(auth: AuthContext, challenge: str, party: RelyingParty | None) -> dict[str, Any]:
    """Returns the methods of a login that waits, and the options for a passkey if it has one.

    Raises LoginChallengeInvalid.
    """
    owner = await _find_owner(auth, challenge)
    async with auth.database.auth_transaction() as session:
        methods = await list_methods(session, owner)
    options = None
    if "passkey" in methods and party is not None:
        options = await ask_for_passkey(auth, Asked(party, _bound_to_login(challenge)), owner)
    return {"methods": methods, "passkey_options": options}


async def _find_owner(auth: AuthContext, challenge: str) -> str:
    async with auth.database.auth_transaction() as session:
        owner: str | None = (await session.exec(FIND_CHALLENGE, {"challenge_hash": hash_token(challenge)})).first()
    if owner is None:
        raise LoginChallengeInvalid
    return owner


def _bound_to_login(challenge: str) -> str:
    return f"login\0{challenge}"
