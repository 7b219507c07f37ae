"""Accounts: create, read, update."""

import logging
import uuid
from typing import Any

from pydantic import MISSING
from sqlalchemy import text

from app.auth.opaque_tokens import hash_token, new_reset_token
from app.auth.passwords import check_new_password
from app.db.compiled import CompiledStatement
from app.db.contention import retry_on_contention
from app.db.session import Session
from app.errors import AccountNotFound, EmailTaken, RegistrationClosed
from app.models.accounts import AccountCreate, AccountUpdate, fold_email
from app.services.accounts import login_throttle, mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import VerifiedAccount, confirm_password, require_unchanged
from app.services.accounts.sessions import SELECT_PROFILE, IssuedTokens, start_session
from app.services.user_settings import shift_reminders
from app.services.users import SET_TIMEZONE

log = logging.getLogger("app.security")

# timezone() fails at once for a zone that PostgreSQL does not know: later any write of a task would.
INSERT_ACCOUNT = CompiledStatement(
    text("""
    with owner as (insert into users (id, timezone)
                   select cast(:owner as text), cast(:timezone as text)
                   where timezone(cast(:timezone as text), now()) is not null)
    insert into accounts (user_id, email, email_key, name, password_hash)
    values (:owner, :email, :email_key, :name, :password_hash)
""")
)
UPDATE_ACCOUNT = CompiledStatement(
    text("""
    update accounts set name = coalesce(cast(:name as text), name), email = coalesce(cast(:email as text), email),
                        email_key = coalesce(cast(:email_key as text), email_key)
    where user_id = :owner returning email
""")
)
FIND_ACCOUNT_ID = CompiledStatement(text("select user_id, email from accounts where email_key = :email_key"))
INSERT_RESET = CompiledStatement(
    text("""
    with expired as (delete from password_resets where user_id = :owner and expires_at <= now())
    insert into password_resets (user_id, token_hash, expires_at)
    values (:owner, :token_hash, now() + cast(:ttl as interval))
""")
)
DELETE_RESETS = CompiledStatement(text("delete from password_resets where user_id = :owner"))


async def register(auth: AuthContext, account: AccountCreate, client: Client) -> IssuedTokens | None:
    """Creates an account and logs it in; returns None where a mail must confirm it first.

    Raises EmailTaken, WeakPassword, RegistrationClosed, TooManyAttempts.
    """
    if auth.settings.registration == "closed":
        raise RegistrationClosed
    check_new_password(account.password)
    await login_throttle.count_hashing(auth, client, "register")
    if auth.settings.registration == "mail":
        auth.mailer.check()
        await login_throttle.count_mail(auth, fold_email(account.email), client)
        auth.run_in_background(_register_by_mail(auth, account))
        return None
    auth.tokens  # noqa: B018 - fails before an account is created that cannot log in
    hashed = await auth.hasher.hash(account.password)
    async with auth.database.auth_transaction() as session:
        user_id = await create_account(session, account, hashed)
        return await start_session(session, auth, user_id, client)


async def create_account(session: Session, account: AccountCreate, password_hash: str | None) -> str:
    """Returns the id of the new user: 32 characters, like Better Auth's. Raises EmailTaken."""
    user_id = uuid.uuid4().hex
    params = account.model_dump(exclude={"password"}) | {
        "owner": user_id,
        "email_key": fold_email(account.email),
        "password_hash": password_hash,
    }
    await session.exec(INSERT_ACCOUNT, params)
    return user_id


@retry_on_contention
async def _register_by_mail(auth: AuthContext, account: AccountCreate) -> None:
    """Creates an account that its mail confirms, after the response: that is the same for a new and a taken e-mail.

    The user sets the password again with the link, so that an attempt to log in does not disclose the account either.
    """
    token = new_reset_token()
    try:
        async with auth.database.auth_transaction() as session:
            user_id = await create_account(session, account, None)
            await session.exec(
                INSERT_RESET, {"owner": user_id, "token_hash": hash_token(token), "ttl": mail_texts.RESET_LIFE}
            )
    except EmailTaken:
        auth.mailer.post(account.email, *mail_texts.already_registered(auth.settings))
    else:
        auth.mailer.post(account.email, *mail_texts.confirm(auth.settings, token))


async def get_account(session: Session, owner: str) -> Any:
    """Returns the account. Raises AccountNotFound for the subject of another issuer's token."""
    row = (await session.exec(SELECT_PROFILE, {"owner": owner})).first()
    if row is None:
        raise AccountNotFound
    return row


async def update_account(auth: AuthContext, owner: str, change: AccountUpdate, client: Client) -> Any:
    """Writes the fields that were sent. A new e-mail needs the password, and the old one is notified.

    Raises AccountNotFound, EmailTaken, WrongPassword, TooManyAttempts.
    """
    sent: dict[str, Any] = {name: None if value is MISSING else value for name, value in _all_fields(change).items()}
    if sent["email"] is None:
        return (await _write_and_shift(auth, owner, sent, None))[1]
    verified = await confirm_password(auth, owner, sent["current_password"], client)
    if auth.settings.registration == "mail":
        auth.mailer.check()
        await login_throttle.count_mail(auth, fold_email(sent["email"]), client)
    try:
        before, after = await _write_and_shift(auth, owner, sent, verified)
    except EmailTaken:
        if auth.settings.registration != "mail":
            raise
        return await _write_all_but_email(auth, owner, sent)
    if fold_email(after.email) != fold_email(before.email):
        log.warning("email_changed", extra={"user_id": owner})
        auth.mailer.post(before.email, *mail_texts.email_changed(after.email))
    return after


async def _write_and_shift(
    auth: AuthContext, owner: str, sent: dict[str, Any], verified: VerifiedAccount | None
) -> tuple[Any, Any]:
    """Writes the fields and shifts reminders; returns the account before and after."""
    written = await _write_account(auth, owner, sent, verified)
    if sent["timezone"] is not None:  # in another transaction: the role that writes accounts cannot read tasks
        await _shift_reminders(auth, owner)
    return written


@retry_on_contention
async def _write_account(
    auth: AuthContext, owner: str, sent: dict[str, Any], verified: VerifiedAccount | None
) -> tuple[Any, Any]:
    """Writes the fields. A new e-mail makes the tokens that were mailed to the old one invalid."""
    email_key = fold_email(sent["email"]) if sent["email"] else None
    async with auth.database.auth_transaction() as session:
        before = await get_account(session, owner)
        if sent["timezone"] is not None:  # the user's row is locked before the account's
            await session.exec(SET_TIMEZONE, {"owner": owner, "timezone": sent["timezone"]})
        if verified is not None:
            await require_unchanged(session, verified)
        written = {"name": sent["name"], "email": sent["email"], "email_key": email_key}
        await session.exec(UPDATE_ACCOUNT, {"owner": owner, **written})
        if email_key is not None and email_key != fold_email(before.email):
            await session.exec(DELETE_RESETS, {"owner": owner})
        after = await get_account(session, owner)
    return before, after


@retry_on_contention
async def _shift_reminders(auth: AuthContext, owner: str) -> None:
    async with auth.database.transaction(owner) as session:
        await shift_reminders(session, owner)


async def _write_all_but_email(auth: AuthContext, owner: str, sent: dict[str, Any]) -> dict[str, Any]:
    """Responds as if the e-mail were free: only its mailbox is notified that it is taken."""
    _, after = await _write_and_shift(auth, owner, {**sent, "email": None}, None)
    auth.mailer.post(sent["email"], *mail_texts.email_taken())
    return {**dict(after), "email": sent["email"]}


def _all_fields(change: AccountUpdate) -> dict[str, Any]:
    return {name: getattr(change, name) for name in AccountUpdate.model_fields}
