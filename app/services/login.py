"""Logging in: the same work and the same answer whether or not there is such an account."""

import asyncio
import logging
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import text

from app.db.statements import Prepared
from app.errors import AccountDisabled, AccountNotFound, LoginFailed, WrongPassword
from app.models.accounts import fold_email
from app.schemas.auth import Login
from app.services import attempts
from app.services.auth_context import AuthContext, Client
from app.services.sessions import Pair, start_session

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

_queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def login(auth: AuthContext, given: Login, client: Client) -> Pair:
    """Raises LoginFailed, AccountDisabled (only to who has the password), TooManyAttempts."""
    account = await check_password(auth, fold_email(given.email), given.password, client)
    if account is None:
        raise LoginFailed
    if account.disabled_at is not None:
        raise AccountDisabled
    async with auth.database.auth_transaction() as session:
        return await start_session(session, auth, account.user_id, client)


async def confirm_password(auth: AuthContext, owner: str, password: str, client: Client) -> str:
    """Ask somebody who is logged in once more; their ``email_key``.

    Counted like logins: whoever found an open laptop does not get to guess. Raises WrongPassword, TooManyAttempts,
    AccountNotFound.
    """
    async with auth.database.auth_transaction() as session:
        email_key: str | None = (await session.exec(EMAIL_KEY, {"owner": owner})).first()
    if email_key is None:
        raise AccountNotFound
    if await check_password(auth, email_key, password, client) is None:
        raise WrongPassword
    return email_key


async def check_password(auth: AuthContext, email_key: str, password: str, client: Client) -> Any:
    """The account, or None. The try is counted before the password is looked at. Raises TooManyAttempts."""
    # One at a time for each account, so that a burst of right passwords is not taken for guessing.
    queue = _queues.setdefault(email_key, asyncio.Lock())
    async with queue:
        return await _check(auth, email_key, password, client)


async def _check(auth: AuthContext, email_key: str, password: str, client: Client) -> Any:
    keys = attempts.keys_of(email_key, client.address)
    async with auth.database.auth_transaction() as session:
        account = (await session.exec(FIND, {"email_key": email_key, "address": client.address})).one()
        await attempts.admit(session, keys, known=account.known)
    right, renewed = await auth.hasher.verify(password, account.password_hash)
    async with auth.database.auth_transaction() as session:
        if not right:
            await attempts.failed(session, keys)
            return None
        await attempts.succeeded(session, keys)
        if renewed is not None:
            found = {"owner": account.user_id, "renewed": renewed, "password_hash": account.password_hash}
            await session.exec(RENEW_HASH, found)
    return account
