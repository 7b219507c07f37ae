"""Accounts: create, read, update."""

import logging
import uuid
from typing import Any, NamedTuple

from pydantic import MISSING
from sqlalchemy import text

from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token, new_reset_token
from app.auth.passwords import check_new_password
from app.db.compiled import CompiledStatement
from app.db.contention import retry_on_contention
from app.db.database import AUTH_ROLE
from app.db.session import Session
from app.errors import AccountNotFound, EmailTaken, RegistrationClosed
from app.models.accounts import AccountCreate, AccountUpdate, fold_email
from app.services.accounts import login_throttle, mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.email_changes import DELETE_EMAIL_CHANGE, request_email_change
from app.services.accounts.login import VerifiedAccount, confirm_password, require_unchanged
from app.services.accounts.mailed_tokens import DELETE_MAILED_TOKENS, INSERT_RESET
from app.services.accounts.second_factors import require_recent_factor
from app.services.accounts.sessions import SELECT_PROFILE, IssuedTokens, start_session
from app.services.changes.revisions import get_written_revision
from app.services.user_settings import set_timezone
from app.services.users import CHECK_TIMEZONE

log = logging.getLogger("app.security")

INSERT_USER = CompiledStatement(text("insert into users (id, timezone) values (:owner, :timezone)"))
INSERT_ACCOUNT = CompiledStatement(
    text("""
    insert into accounts (user_id, email, email_key, name, password_hash)
    values (:owner, :email, :email_key, :name, :password_hash)
""")
)
SET_NAME = CompiledStatement(text("update accounts set name = :name where user_id = :owner"))
# Only a mail confirms an e-mail; one that differs in its spelling only stays confirmed.
SET_EMAIL = CompiledStatement(
    text("""
    update accounts set email = :email, email_key = :email_key,
                        email_confirmed_at = case when email_key = :email_key then email_confirmed_at end
    where user_id = :owner
""")
)
SELECT_ACCOUNT_EMAIL = CompiledStatement(text("select email from accounts where user_id = :owner"))
SELECT_CONFIRMED_EMAIL = CompiledStatement(
    text("""
    select email from accounts
    where user_id = :owner and email_confirmed_at is not null and disabled_at is null
""")
)
FIND_ACCOUNT_ID = CompiledStatement(text("select user_id, email from accounts where email_key = :email_key"))


class WrittenAccount(NamedTuple):
    """An account after a write, and its e-mail before; ``token`` confirms a new e-mail, which may be another account's.

    ``revision`` is that of the tasks whose reminders a new time zone shifts.
    """

    email_before: str
    after: Any
    token: str | None
    is_taken: bool
    revision: int | None


async def register(auth: AuthContext, account: AccountCreate, client: Client) -> IssuedTokens | None:
    """Creates an account and logs it in; returns None where a mail must confirm it first.

    Raises EmailTaken, WeakPassword, RegistrationClosed, TooManyAttempts.
    """
    if auth.settings.registration == "closed":
        raise RegistrationClosed
    check_new_password(account.password)
    await login_throttle.count_anonymous(auth, client, "register")
    if auth.settings.registration == "mail":
        auth.mailer.check()
        await login_throttle.count_mail(auth, fold_email(account.email), client)
        auth.run_in_background(_register_by_mail(auth, account))
        return None
    auth.tokens  # noqa: B018 - fails before an account is created that cannot log in
    hashed = await auth.hasher.hash(account.password)
    async with auth.database.auth_transaction() as session:
        user_id = await create_account(session, account.email, hashed, name=account.name, timezone=account.timezone)
        return await start_session(session, auth, user_id, client)


async def create_account(session: Session, email: str, password_hash: str | None, *, name: str, timezone: str) -> str:
    """Returns the id of the new user: 32 characters, like Better Auth's. Raises EmailTaken."""
    user_id = uuid.uuid4().hex
    params = {
        "owner": user_id,
        "email": email,
        "email_key": fold_email(email),
        "name": name,
        "timezone": timezone,
        "password_hash": password_hash,
    }
    await session.exec(CHECK_TIMEZONE, params)
    await session.exec(INSERT_USER, params)
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
            user_id = await create_account(session, account.email, None, name=account.name, timezone=account.timezone)
            await session.exec(
                INSERT_RESET, {"owner": user_id, "token_hash": hash_token(token), "ttl": mail_texts.RESET_LIFE}
            )
    except EmailTaken:
        auth.mailer.post(account.email, *mail_texts.already_registered(auth.settings))
    else:
        auth.mailer.post(account.email, *mail_texts.confirm(auth.settings, token))


async def find_confirmed_email(session: Session, owner: str) -> str | None:
    """Returns the e-mail to which the user reads mail; None for one who has not proved it, or has no account."""
    email: str | None = (await session.exec(SELECT_CONFIRMED_EMAIL, {"owner": owner})).first()
    return email


async def get_account(session: Session, owner: str) -> Any:
    """Returns the account. Raises AccountNotFound for the subject of another issuer's token."""
    row = (await session.exec(SELECT_PROFILE, {"owner": owner})).first()
    if row is None:
        raise AccountNotFound
    return row


async def update_account(
    auth: AuthContext, identity: Identity, change: AccountUpdate, client: Client
) -> WrittenAccount:
    """Writes the fields that were sent, in one transaction. A new e-mail needs the password and a second factor.

    With ``REGISTRATION=mail`` the new e-mail is confirmed first. Raises AccountNotFound, EmailTaken, WrongPassword,
    SecondFactorRequired, TooManyAttempts, UnknownTimeZone.
    """
    owner = identity.subject
    sent: dict[str, Any] = {name: None if value is MISSING else value for name, value in _all_fields(change).items()}
    if sent["email"] is None:
        return await _write_account(auth, owner, sent, None)
    await require_recent_factor(auth, identity)
    verified = await confirm_password(auth, owner, sent["current_password"], client)
    if auth.settings.registration == "mail":
        auth.mailer.check()
        await login_throttle.count_mail(auth, fold_email(sent["email"]), client)
    written = await _write_account(auth, owner, sent, verified)
    if written.is_taken:
        auth.mailer.post(sent["email"], *mail_texts.email_taken())
    elif written.token is not None:
        auth.mailer.post(sent["email"], *mail_texts.confirm_email(auth.settings, written.token))
    elif fold_email(written.after.email) != fold_email(written.email_before):
        log.warning("email_changed", extra={"user_id": owner})
        auth.mailer.post(written.email_before, *mail_texts.email_changed(written.after.email))
    return written


@retry_on_contention
async def _write_account(
    auth: AuthContext, owner: str, sent: dict[str, Any], verified: VerifiedAccount | None
) -> WrittenAccount:
    token, is_taken, revision = None, False, None
    async with _account_transaction(auth, owner, sent["timezone"]) as session:
        if sent["timezone"] is not None:  # the user's row is locked before the account's
            await set_timezone(session, owner, sent["timezone"])
            revision = await get_written_revision(session, owner)
            await session.become(AUTH_ROLE)
        email_before: str | None = (await session.exec(SELECT_ACCOUNT_EMAIL, {"owner": owner})).first()
        if email_before is None:
            raise AccountNotFound
        if verified is not None:
            await require_unchanged(session, verified)
        if sent["name"] is not None:
            await session.exec(SET_NAME, {"owner": owner, "name": sent["name"]})
        if sent["email"] is not None:
            email_key = fold_email(sent["email"])
            is_new = email_key != fold_email(email_before)
            if is_new and auth.settings.registration == "mail":
                token = await request_email_change(session, owner, sent["email"])
                is_taken = (await session.exec(FIND_ACCOUNT_ID, {"email_key": email_key})).first() is not None
            else:
                await session.exec(SET_EMAIL, {"owner": owner, "email": sent["email"], "email_key": email_key})
                await session.exec(DELETE_MAILED_TOKENS if is_new else DELETE_EMAIL_CHANGE, {"owner": owner})
    async with auth.database.auth_transaction() as session:  # roles may see each other's writes after the commit only
        after = await get_account(session, owner)
    return WrittenAccount(email_before, after, token, is_taken, revision)


def _account_transaction(auth: AuthContext, owner: str, timezone: str | None) -> Session:
    """Returns a transaction of the role that writes accounts; with a time zone first of the one that writes tasks."""
    return auth.database.auth_transaction() if timezone is None else auth.database.transaction(owner)


def _all_fields(change: AccountUpdate) -> dict[str, Any]:
    return {name: getattr(change, name) for name in AccountUpdate.model_fields}
