"""Changing a password, and resetting a forgotten one."""

import logging

from sqlalchemy import text

from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token, new_reset_token
from app.auth.passwords import check_new_password
from app.db.compiled import CompiledStatement
from app.db.contention import retry_on_contention
from app.db.session import Session
from app.errors import RefusalReason, ResetTokenInvalid
from app.models.accounts import fold_email
from app.services.accounts import login_throttle, mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import confirm_password, require_unchanged
from app.services.accounts.mailed_tokens import (
    CONFIRM_EMAIL,
    DELETE_LINKS,
    DELETE_MAILED_TOKENS,
    INSERT_RESET,
    LOCK_ACCOUNT,
)
from app.services.accounts.second_factors import get_proof, require_recent_proof
from app.services.accounts.sessions import IssuedTokens, end_all_sessions, start_session

log = logging.getLogger("app.security")

SET_PASSWORD = CompiledStatement(
    text("update accounts set password_hash = :password_hash where user_id = :owner returning email, email_key")
)
FIND_RESET = CompiledStatement(
    text("""
    select r.user_id from password_resets r join accounts a on a.user_id = r.user_id
    where r.token_hash = :token_hash and r.expires_at > now() and a.disabled_at is null
""")
)
# The lock keeps a token from being mailed to an e-mail address that a concurrent write is replacing.
SELECT_MAILED_ACCOUNT = CompiledStatement(
    text("select user_id, email from accounts where email_key = :email_key for share")
)


async def change_password(
    auth: AuthContext, identity: Identity, current: str, new: str, client: Client
) -> IssuedTokens:
    """Changes a password, ends every session and grant, and starts a new session. API tokens stay.

    Raises WrongPassword, WeakPassword, TooManyAttempts, SecondFactorRequired, SessionEnded.
    """
    owner = identity.subject
    check_new_password(new, field="new_password")
    verified = await confirm_password(auth, owner, current, client)
    hashed = await auth.hasher.hash(new)
    async with auth.database.auth_transaction() as session:
        await require_unchanged(session, verified)
        await require_recent_proof(session, identity)
        email, _ = await set_password(session, owner, hashed)
        proved_at = await get_proof(session, identity)
        pair = await start_session(session, auth, owner, client, second_factor_at=proved_at)
    auth.revocations.forget(owner)
    log.warning("password_changed", extra={"user_id": owner})
    auth.mailer.post(email, *mail_texts.password_changed())
    return pair


async def set_password(session: Session, owner: str, hashed: str) -> tuple[str, str]:
    """Writes the hash, ends every session and grant, and deletes every mailed token; returns the e-mail and its key."""
    row = (await session.exec(SET_PASSWORD, {"owner": owner, "password_hash": hashed})).one()
    await end_all_sessions(session, owner)
    await session.exec(DELETE_MAILED_TOKENS, {"owner": owner})
    return row.email, row.email_key


async def forgot_password(auth: AuthContext, email: str, client: Client) -> None:
    """Mails a token if there is such an account: after the response, so that its time discloses nothing.

    Raises MailUnavailable, and TooManyAttempts for a known and an unknown e-mail alike.
    """
    auth.mailer.check()
    email_key = fold_email(email)
    await login_throttle.count_mail(auth, email_key, client)
    auth.run_in_background(_mail_reset(auth, email_key))


@retry_on_contention
async def _mail_reset(auth: AuthContext, email_key: str) -> None:
    token = new_reset_token()
    async with auth.database.auth_transaction() as session:
        account = (await session.exec(SELECT_MAILED_ACCOUNT, {"email_key": email_key})).first()
        if account is None:
            return
        found = {"owner": account.user_id, "token_hash": hash_token(token), "ttl": mail_texts.RESET_LIFE}
        await session.exec(INSERT_RESET, found)
    auth.mailer.post(account.email, *mail_texts.reset(auth.settings, token))


async def reset_password(auth: AuthContext, token: str, new: str, client: Client) -> None:
    """Sets the password of the account of a mailed token.

    Raises ResetTokenInvalid for a token that is unknown, used, or older than an hour; WeakPassword, TooManyAttempts.
    """
    check_new_password(new, field="new_password")
    await login_throttle.count_anonymous(auth, client, "reset")
    async with auth.database.auth_transaction() as session:
        owner = await _owner_of_reset(session, token)
    hashed = await auth.hasher.hash(new)
    async with auth.database.auth_transaction() as session:
        await session.exec(LOCK_ACCOUNT, {"owner": owner})
        await _owner_of_reset(session, token)
        # Another person may have made them. One with the same confirmed e-mail is made again by itself.
        await session.exec(DELETE_LINKS, {"owner": owner})
        email, email_key = await set_password(session, owner, hashed)
        await session.exec(CONFIRM_EMAIL, {"owner": owner})
        # A client that can read the mailbox is the owner: failed attempts from its IP address were theirs.
        await session.exec(
            login_throttle.FORGIVE_ATTEMPTS, login_throttle.attempt_keys(email_key, client.address)._asdict()
        )
    auth.revocations.forget(owner)
    log.warning("password_reset", extra={"user_id": owner})
    auth.mailer.post(email, *mail_texts.password_changed())


async def _owner_of_reset(session: Session, token: str) -> str:
    owner: str | None = (await session.exec(FIND_RESET, {"token_hash": hash_token(token)})).first()
    if owner is None:
        raise ResetTokenInvalid(loc=("body", "token"), reason=RefusalReason.RESET_TOKEN_UNKNOWN)
    return owner
