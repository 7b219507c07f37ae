"""Tokens that were mailed: to set a password, or to confirm a new e-mail."""

from sqlalchemy import text

from app.db.compiled import CompiledStatement

INSERT_RESET = CompiledStatement(
    text("""
    with expired as (delete from password_resets where user_id = :owner and expires_at <= now())
    insert into password_resets (user_id, token_hash, expires_at)
    values (:owner, :token_hash, now() + cast(:ttl as interval))
""")
)
CONFIRM_EMAIL = CompiledStatement(text("update accounts set email_confirmed_at = now() where user_id = :owner"))
DELETE_LINKS = CompiledStatement(text("delete from oidc_links where user_id = :owner"))
# A new password also drops a change of the e-mail that is not confirmed yet: an intruder may have asked for it.
DELETE_MAILED_TOKENS = CompiledStatement(
    text("""
    with pending as (delete from email_changes where user_id = :owner)
    delete from password_resets where user_id = :owner
""")
)
# Every use of a mailed token locks the account first: in this one order, so that a token is used once.
LOCK_ACCOUNT = CompiledStatement(text("select 1 as locked from accounts where user_id = :owner for no key update"))
