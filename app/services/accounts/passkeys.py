"""Passkeys: registered by a login, listed, deleted, and used instead of a password."""

import logging
import uuid
from typing import Any

from sqlalchemy import text

from app.auth import passkeys
from app.auth.claims import Identity
from app.auth.passkeys import RelyingParty
from app.clock import now
from app.db.compiled import CompiledStatement
from app.errors import AccountNotFound, PasskeyExists, PasskeyNotFound, PasskeyRefused, TooManyPasskeys
from app.services.accounts import mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import confirm_password
from app.services.accounts.passkey_answers import (
    Asked,
    list_credentials,
    new_ceremony,
    take_ceremony,
    use_passkey,
    verify_answer,
)
from app.services.accounts.second_factors import (
    begin_second_factor,
    end_second_factor,
    list_methods,
    lock_account,
    require_recent_proof,
)
from app.services.accounts.sessions import SELECT_PROFILE, IssuedTokens, start_session

log = logging.getLogger("app.security")

PASSKEYS_MAX = 20  # of an account

SELECT_PASSKEYS = CompiledStatement(
    text("""
    select id, name, created_at, last_used_at from passkeys where user_id = :owner
    order by created_at, id
""")
)
INSERT_PASSKEY = CompiledStatement(
    text("""
    insert into passkeys (user_id, id, credential_id, public_key, sign_count, name)
    values (:owner, :passkey_id, :credential_id, :public_key, :sign_count, :name)
    on conflict (credential_id) do nothing returning id, name, created_at, last_used_at
""")
)
DELETE_PASSKEY = CompiledStatement(
    text("delete from passkeys where user_id = :owner and id = :passkey_id returning name")
)
DELETE_PASSKEYS = CompiledStatement(text("delete from passkeys where user_id = :owner"))


async def begin_passkey(
    auth: AuthContext, identity: Identity, password: str, party: RelyingParty, client: Client
) -> dict[str, Any]:
    """Returns the options with which a browser makes a passkey.

    Raises WrongPassword, TooManyAttempts, AccountNotFound, TooManyPasskeys.
    """
    owner = identity.subject
    await confirm_password(auth, owner, password, client)
    async with auth.database.auth_transaction() as session:
        account = (await session.exec(SELECT_PROFILE, {"owner": owner})).one()
        known = await list_credentials(session, owner)
    if len(known) >= PASSKEYS_MAX:
        raise TooManyPasskeys
    ceremony = await new_ceremony(auth, _registration(party, identity))
    return passkeys.creation_options(ceremony, owner, account.email, account.name, known)


def _registration(party: RelyingParty, identity: Identity) -> Asked:
    return Asked(party, f"new passkey\0{identity.session_id}")


async def create_passkey(
    auth: AuthContext, identity: Identity, name: str, credential: dict[str, Any], party: RelyingParty
) -> dict[str, Any]:
    """Keeps a passkey; returns it, with recovery codes if it is the first second factor: then other logins end.

    Raises PasskeyRefused, PasskeyExists, TooManyPasskeys, AccountNotFound, SecondFactorRequired, SessionEnded.
    """
    owner = identity.subject
    ceremony = await take_ceremony(auth, _registration(party, identity), credential)
    made = await passkeys.verify_new_passkey(credential, ceremony)
    values = made._asdict() | {"owner": owner, "passkey_id": uuid.uuid4().hex, "name": name}
    codes: list[str] = []
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        await require_recent_proof(session, identity)
        if len(await list_credentials(session, owner)) >= PASSKEYS_MAX:
            raise TooManyPasskeys
        is_first = not await list_methods(session, owner)
        row = (await session.exec(INSERT_PASSKEY, values)).first()
        if row is None:
            raise PasskeyExists
        if is_first:
            codes = await begin_second_factor(session, identity)
    auth.revocations.forget(owner)
    log.warning("second_factor_added", extra={"user_id": owner, "factor": "passkey"})
    auth.mailer.post(email, *mail_texts.factor_added(f"the passkey “{name}”"))
    return {"passkey": dict(row), "recovery_codes": codes}


async def delete_passkey(auth: AuthContext, owner: str, passkey_id: str) -> None:
    """Deletes a passkey, with the recovery codes if it was the last second factor. Raises PasskeyNotFound."""
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        name: str | None = (await session.exec(DELETE_PASSKEY, {"owner": owner, "passkey_id": passkey_id})).first()
        if name is None:
            raise PasskeyNotFound
        await end_second_factor(session, owner)
    log.warning("second_factor_removed", extra={"user_id": owner, "factor": "passkey"})
    auth.mailer.post(email, *mail_texts.factor_removed(f"the passkey “{name}”"))


async def log_in_with_passkey(
    auth: AuthContext, asked: Asked, credential: dict[str, Any], client: Client, *, life: int | None = None
) -> IssuedTokens:
    """Logs in with nothing but a passkey, which its device has unlocked: it is both factors.

    Raises PasskeyRefused, also if the account is disabled.
    """
    used = await verify_answer(auth, asked, credential)
    async with auth.database.auth_transaction() as session:
        try:
            await lock_account(session, used.owner)
        except AccountNotFound:
            raise PasskeyRefused from None
        await use_passkey(session, used)
        return await start_session(session, auth, used.owner, client, life=life, second_factor_at=now())
