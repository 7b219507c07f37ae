"""Changes of an account's e-mail that a mail to the new address confirms (``REGISTRATION=mail``).

Until then the old e-mail stays. A taken and a free e-mail get the same responses: only its mailbox learns which it is.
"""

import logging

from sqlalchemy import text

from app.auth.opaque_tokens import hash_token, new_email_token
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import EmailTokenInvalid
from app.models.accounts import fold_email
from app.services.accounts import mail_texts
from app.services.accounts.context import AuthContext
from app.services.accounts.mailed_tokens import DELETE_MAILED_TOKENS, LOCK_ACCOUNT

log = logging.getLogger("app.security")

# One change of an account waits at a time: a new one replaces it, and its token.
WRITE_EMAIL_CHANGE = CompiledStatement(
    text("""
    insert into email_changes (user_id, email, token_hash, expires_at)
    values (:owner, :email, :token_hash, now() + cast(:ttl as interval))
    on conflict (user_id) do update
    set email = excluded.email, token_hash = excluded.token_hash, expires_at = excluded.expires_at
""")
)
DELETE_EMAIL_CHANGE = CompiledStatement(text("delete from email_changes where user_id = :owner"))
FIND_EMAIL_CHANGE = CompiledStatement(
    text("""
    select c.user_id, c.email, a.email as old_email from email_changes c join accounts a on a.user_id = c.user_id
    where c.token_hash = :token_hash and c.expires_at > now() and a.disabled_at is null
""")
)
APPLY_EMAIL_CHANGE = CompiledStatement(
    text("""
    update accounts set email = :email, email_key = :email_key, email_confirmed_at = now() where user_id = :owner
""")
)


async def request_email_change(session: Session, owner: str, email: str) -> str:
    """Stores the change until it is confirmed; returns the token for the mail."""
    token = new_email_token()
    values = {"owner": owner, "email": email, "token_hash": hash_token(token), "ttl": mail_texts.EMAIL_CHANGE_LIFE}
    await session.exec(WRITE_EMAIL_CHANGE, values)
    return token


async def confirm_email(auth: AuthContext, token: str) -> None:
    """Makes the e-mail of a mailed token the account's, and notifies the old one.

    Mailed reset tokens become invalid. Raises EmailTokenInvalid for a token that is unknown, used, replaced or older
    than a day; EmailTaken if another account has taken the e-mail since.
    """
    async with auth.database.auth_transaction() as session:
        found = (await session.exec(FIND_EMAIL_CHANGE, {"token_hash": hash_token(token)})).first()
        if found is not None:
            await session.exec(LOCK_ACCOUNT, {"owner": found.user_id})
            found = (await session.exec(FIND_EMAIL_CHANGE, {"token_hash": hash_token(token)})).first()
        if found is None:
            raise EmailTokenInvalid(loc=("body", "token"))
        owner, email = found.user_id, found.email
        await session.exec(APPLY_EMAIL_CHANGE, {"owner": owner, "email": email, "email_key": fold_email(email)})
        await session.exec(DELETE_MAILED_TOKENS, {"owner": owner})
    log.warning("email_changed", extra={"user_id": owner})
    auth.mailer.post(found.old_email, *mail_texts.email_changed(email))
