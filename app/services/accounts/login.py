"""Logging in: the same work and the same answer whether or not there is such an account."""

import asyncio
import logging
from datetime import datetime
from typing import NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy import text

from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import AccountDisabled, AccountNotFound, GuessedElsewhere, LoginFailed, WrongPassword
from app.models.accounts import fold_email
from app.schemas.auth import Login
from app.services.accounts import login_throttle
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.sessions import Pair, start_session

log = logging.getLogger("app.security")

# One row whether or not there is an account. "known": logged in from this address within the last month.
FIND = Prepared(
    text("""
    select a.user_id, a.password_hash, a.disabled_at,
           exists (select from sessions s where s.user_id = a.user_id and s.address = :address
                   and s.created_at > now() - interval '30 days') as known
    from (values (1)) as one left join accounts a on a.email_key = :email_key
""")
)
EMAIL_KEY = Prepared(text("select email_key from accounts where user_id = :owner"))
RENEW_HASH = Prepared(
    text("""
    update accounts set password_hash = :renewed where user_id = :owner and password_hash = :password_hash
""")
)
# A password is looked at outside of any transaction, so whoever acts on it looks again at the row that a change of the
# password and disabling write: they wait for each other, and the later one sees what the earlier one did.
_UNCHANGED = """
    select 1 as unchanged from accounts
    where user_id = :owner and password_hash = :password_hash and disabled_at is null
"""
UNCHANGED = Prepared(text(_UNCHANGED + " for share"))
# Two shared locks could not both become writes, and FOR UPDATE would also make those wait who hold a session and insert
# what refers to the account.
UNCHANGED_TO_WRITE = Prepared(text(_UNCHANGED + " for no key update"))

_queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class Verified(NamedTuple):
    """An account whose password was given, and the hash that was right for it."""

    user_id: str
    password_hash: str
    disabled_at: datetime | None


async def login(auth: AuthContext, given: Login, client: Client) -> Pair:
    """Raises LoginFailed, AccountDisabled (only to who has the password), TooManyAttempts."""
    for _ in range(2):
        account = await check_password(auth, fold_email(given.email), given.password, client)
        if account is None:
            break
        if account.disabled_at is not None:
            raise AccountDisabled
        async with auth.database.auth_transaction() as session:
            if await _is_unchanged(session, account, UNCHANGED):
                return await start_session(session, auth, account.user_id, client)
        # The hash is another one by now: perhaps only its parameters are, by a login in another process. Look again.
    raise LoginFailed


async def require_unchanged(session: Session, verified: Verified) -> None:
    """For writes that a password allowed, in their transaction. Raises WrongPassword when it has changed since."""
    if not await _is_unchanged(session, verified, UNCHANGED_TO_WRITE):
        raise WrongPassword


async def _is_unchanged(session: Session, verified: Verified, statement: Prepared) -> bool:
    found = {"owner": verified.user_id, "password_hash": verified.password_hash}
    return (await session.exec(statement, found)).first() is not None


async def confirm_password(auth: AuthContext, owner: str, password: str, client: Client) -> Verified:
    """Ask somebody who is logged in once more.

    Counted like logins: whoever found an open laptop does not get to guess. Raises WrongPassword, TooManyAttempts,
    AccountNotFound.
    """
    async with auth.database.auth_transaction() as session:
        email_key: str | None = (await session.exec(EMAIL_KEY, {"owner": owner})).first()
    if email_key is None:
        raise AccountNotFound
    verified = await check_password(auth, email_key, password, client)
    if verified is None:
        raise WrongPassword
    return verified


async def check_password(auth: AuthContext, email_key: str, password: str, client: Client) -> Verified | None:
    """The account, or None. The try is counted before the password is looked at. Raises TooManyAttempts."""
    # One at a time for each account, so that a burst of right passwords is not taken for guessing.
    queue = _queues.setdefault(email_key, asyncio.Lock())
    async with queue:
        return await _check(auth, email_key, password, client)


async def _check(auth: AuthContext, email_key: str, password: str, client: Client) -> Verified | None:
    keys = login_throttle.keys_of(email_key, client.address)
    try:
        async with auth.database.auth_transaction() as session:
            account = (await session.exec(FIND, {"email_key": email_key, "address": client.address})).one()
            await login_throttle.admit(session, keys, known=account.known)
    except GuessedElsewhere as refused:
        await login_throttle.take_turn(auth, keys, refused)
    right, renewed = await auth.hasher.verify(password, account.password_hash)
    async with auth.database.auth_transaction() as session:
        if not right:
            await login_throttle.failed(session, keys)
            return None
        if renewed is not None:  # the account's row before the tries, as in a reset
            found = {"owner": account.user_id, "renewed": renewed, "password_hash": account.password_hash}
            await session.exec(RENEW_HASH, found)
        await login_throttle.succeeded(session, keys)
    return Verified(account.user_id, renewed or account.password_hash, account.disabled_at)
