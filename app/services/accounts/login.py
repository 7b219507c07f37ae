"""Logging in: the same work and the same response whether or not there is such an account."""

import asyncio
import logging
from datetime import datetime
from typing import NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import (
    AccountDisabled,
    AccountNotFound,
    GuessedElsewhere,
    LoginFailed,
    RefusalReason,
    WrongPassword,
)
from app.models.accounts import fold_email
from app.schemas.auth import Login
from app.services.accounts import login_throttle
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login_challenges import begin_login, require_finished
from app.services.accounts.sessions import IssuedTokens

log = logging.getLogger("app.security")

# One row whether or not there is an account. "known": logged in from this IP address within the last month.
FIND_LOGIN = CompiledStatement(
    text("""
    select a.user_id, a.password_hash, a.disabled_at,
           exists (select from sessions s where s.user_id = a.user_id and s.address = :address and s.client_id is null
                   and s.created_at > now() - interval '30 days') as known
    from (values (1)) as one left join accounts a on a.email_key = :email_key
""")
)
SELECT_EMAIL_KEY = CompiledStatement(text("select email_key from accounts where user_id = :owner"))
RENEW_HASH = CompiledStatement(
    text("""
    update accounts set password_hash = :renewed where user_id = :owner and password_hash = :password_hash
""")
)
# A password is verified outside of any transaction. A write that depends on it therefore checks and locks the row that
# changing the password and disabling the account write: they wait for each other, and the later sees the earlier.
_SELECT_UNCHANGED = """
    select 1 as unchanged from accounts
    where user_id = :owner and password_hash = :password_hash and disabled_at is null
"""
SHARE_IF_UNCHANGED = CompiledStatement(text(_SELECT_UNCHANGED + " for share"))
# With shared locks two writers would deadlock, and FOR UPDATE would also block inserts of rows that refer to the
# account.
LOCK_IF_UNCHANGED = CompiledStatement(text(_SELECT_UNCHANGED + " for no key update"))

_queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class VerifiedAccount(NamedTuple):
    """An account whose password was verified, and the hash that it matched."""

    user_id: str
    password_hash: str
    disabled_at: datetime | None


async def login(auth: AuthContext, given: Login, client: Client) -> IssuedTokens:
    """Starts a session.

    Raises LoginFailed, TooManyAttempts; only if the password is right AccountDisabled, SecondFactorRequired.
    """
    return await login_for(auth, given.email, given.password, client)


async def login_for(
    auth: AuthContext, email: str, password: str, client: Client, *, life: int | None = None
) -> IssuedTokens:
    """Starts a session like ``login``; ``life``: in seconds, if it is for one purpose."""
    for _ in range(2):
        account = await check_password(auth, fold_email(email), password, client)
        if account.disabled_at is not None:
            raise AccountDisabled
        async with auth.database.auth_transaction() as session:
            begun = None
            if await _is_unchanged(session, account, SHARE_IF_UNCHANGED):
                begun = await begin_login(session, auth, account.user_id, client, life=life)
        if begun is not None:
            return require_finished(begun)
        # The hash has changed: perhaps only its parameters, by a login in another process. Verify once more.
    raise LoginFailed(reason=RefusalReason.PASSWORD_WRONG, details={"user_id": account.user_id})


async def require_unchanged(session: Session, verified: VerifiedAccount) -> None:
    """Checks a verified password again, in the transaction of a write. Raises WrongPassword if it has changed since."""
    if not await _is_unchanged(session, verified, LOCK_IF_UNCHANGED):
        raise WrongPassword


async def _is_unchanged(session: Session, verified: VerifiedAccount, statement: CompiledStatement) -> bool:
    found = {"owner": verified.user_id, "password_hash": verified.password_hash}
    return (await session.exec(statement, found)).first() is not None


async def confirm_password(auth: AuthContext, owner: str, password: str, client: Client) -> VerifiedAccount:
    """Verifies the password of a user who is logged in.

    Counted like a login, so that a stranger at an open laptop cannot guess. Raises WrongPassword, TooManyAttempts,
    AccountNotFound.
    """
    async with auth.database.auth_transaction() as session:
        email_key: str | None = (await session.exec(SELECT_EMAIL_KEY, {"owner": owner})).first()
    if email_key is None:
        raise AccountNotFound
    try:
        return await check_password(auth, email_key, password, client)
    except LoginFailed:
        raise WrongPassword from None


async def check_password(auth: AuthContext, email_key: str, password: str, client: Client) -> VerifiedAccount:
    """Returns the account. Counts the attempt before it verifies the password. Raises LoginFailed, TooManyAttempts."""
    # One at a time for each account, so that a burst of right passwords does not count as guessing.
    queue = _queues.setdefault(email_key, asyncio.Lock())
    async with queue:
        return await _verify_counted(auth, email_key, password, client)


async def _verify_counted(auth: AuthContext, email_key: str, password: str, client: Client) -> VerifiedAccount:
    keys = login_throttle.attempt_keys(email_key, client.address)
    try:
        async with auth.database.auth_transaction() as session:
            account = (await session.exec(FIND_LOGIN, {"email_key": email_key, "address": client.address})).one()
            await login_throttle.count_attempt(session, keys, known=account.known)
    except GuessedElsewhere as refused:
        await login_throttle.take_turn(auth, keys, refused)
    right, renewed = await auth.hasher.verify(password, account.password_hash)
    async with auth.database.auth_transaction() as session:
        if renewed is not None:  # locks the account's row before the attempts, as a reset does
            found = {"owner": account.user_id, "renewed": renewed, "password_hash": account.password_hash}
            await session.exec(RENEW_HASH, found)
        await (login_throttle.record_success if right else login_throttle.record_failure)(session, keys)
    if not right:
        reason = RefusalReason.EMAIL_UNKNOWN if account.user_id is None else RefusalReason.PASSWORD_WRONG
        raise LoginFailed(reason=reason, details={"user_id": account.user_id})
    return VerifiedAccount(account.user_id, renewed or account.password_hash, account.disabled_at)
