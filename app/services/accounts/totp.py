"""Authenticator apps: set up, confirmed by a first code, turned off."""

import logging
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.claims import Identity
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.qr_code import QrCode, draw_qr_code
from app.domain.totp import TOTP_SECRET_BYTES, find_totp_step, totp_uri, write_totp_secret
from app.errors import FactorNotFound, TotpActive, TotpNotBegun
from app.services.accounts import mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import confirm_password, require_unchanged
from app.services.accounts.passkeys import DELETE_PASSKEYS, SELECT_PASSKEYS
from app.services.accounts.second_factors import (
    begin_second_factor,
    count_proof,
    end_second_factor,
    list_methods,
    lock_account,
    record_proof,
    require_proved,
    require_recent_proof,
)

log = logging.getLogger("app.security")

SET_UP_LIFE = timedelta(minutes=15)

SELECT_FACTORS = CompiledStatement(
    text("""
    select t.confirmed_at, t.last_used_at,
           (select count(*) from recovery_codes c where c.user_id = :owner and c.used_at is null) as recovery_codes_left
    from (values (1)) as one
    left join totp_secrets t on t.user_id = :owner and t.confirmed_at is not null
""")
)
# A set-up that was not confirmed is replaced.
BEGIN_TOTP = CompiledStatement(
    text("""
    insert into totp_secrets as t (user_id, secret, created_at) values (:owner, :secret, now())
    on conflict (user_id) do update set secret = excluded.secret, created_at = excluded.created_at
    where t.confirmed_at is null returning user_id
""")
)
SELECT_BEGUN_TOTP = CompiledStatement(
    text("""
    select secret from totp_secrets
    where user_id = :owner and confirmed_at is null and created_at > now() - cast(:life as interval)
""")
)
CONFIRM_TOTP = CompiledStatement(
    text("update totp_secrets set confirmed_at = now(), last_step = :step where user_id = :owner")
)
DELETE_TOTP = CompiledStatement(
    text("delete from totp_secrets where user_id = :owner and confirmed_at is not null returning user_id")
)
DELETE_ANY_TOTP = CompiledStatement(text("delete from totp_secrets where user_id = :owner"))


class BegunTotp(NamedTuple):
    """A secret for an authenticator app, in the forms in which it gets there."""

    secret: str
    uri: str
    qr_code: QrCode


async def get_factors(session: Session, owner: str) -> dict[str, Any]:
    """Returns the second factors of an account, without their secrets."""
    row = (await session.exec(SELECT_FACTORS, {"owner": owner})).one()
    totp = {"confirmed_at": row.confirmed_at, "last_used_at": row.last_used_at} if row.confirmed_at else None
    passkeys = [dict(one) for one in (await session.exec(SELECT_PASSKEYS, {"owner": owner})).all()]
    return {"totp": totp, "passkeys": passkeys, "recovery_codes_left": row.recovery_codes_left}


async def begin_totp(auth: AuthContext, owner: str, password: str, service: str, client: Client) -> BegunTotp:
    """Makes a secret for an authenticator app, which shows it under the name of ``service``.

    Raises WrongPassword, TooManyAttempts, AccountNotFound, TotpActive.
    """
    verified = await confirm_password(auth, owner, password, client)
    secret = secrets.token_bytes(TOTP_SECRET_BYTES)
    async with auth.database.auth_transaction() as session:
        await require_unchanged(session, verified)
        email = await lock_account(session, owner)
        if (await session.exec(BEGIN_TOTP, {"owner": owner, "secret": secret})).first() is None:
            raise TotpActive
    uri = totp_uri(secret, service, email)
    return BegunTotp(write_totp_secret(secret), uri, draw_qr_code(uri))


async def confirm_totp(auth: AuthContext, identity: Identity, code: str, client: Client) -> list[str]:
    """Puts the app to use with its first code; returns recovery codes, none if the account had some.

    Other logins end: they have proved no factor. Raises TotpNotBegun, SecondFactorWrong, TooManyAttempts,
    SecondFactorRequired, SessionEnded.
    """
    owner = identity.subject
    keys = await count_proof(auth, owner, client, is_guessable=False)  # the caller has seen the secret
    codes: list[str] = []
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        await require_recent_proof(session, identity)
        secret = (await session.exec(SELECT_BEGUN_TOTP, {"owner": owner, "life": SET_UP_LIFE})).first()
        if secret is None:
            raise TotpNotBegun
        step = find_totp_step(secret, "".join(code.split()), now().timestamp())
        if step is not None:
            is_first = not await list_methods(session, owner)
            await session.exec(CONFIRM_TOTP, {"owner": owner, "step": step})
            if is_first:
                codes = await begin_second_factor(session, identity)
        await record_proof(session, keys, proved=step is not None)
    require_proved(owner, proved=step is not None)
    auth.revocations.forget(owner)
    log.warning("second_factor_added", extra={"user_id": owner, "factor": "totp"})
    auth.mailer.post(email, *mail_texts.factor_added("an authenticator app"))
    return codes


async def delete_totp(auth: AuthContext, owner: str) -> None:
    """Turns the authenticator app off. Raises FactorNotFound without one."""
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        if (await session.exec(DELETE_TOTP, {"owner": owner})).first() is None:
            raise FactorNotFound
        await end_second_factor(session, owner)
    log.warning("second_factor_removed", extra={"user_id": owner, "factor": "totp"})
    auth.mailer.post(email, *mail_texts.factor_removed("the authenticator app"))


async def delete_factors(session: Session, owner: str) -> None:
    """Deletes every second factor of an account, in the caller's transaction."""
    await session.exec(DELETE_ANY_TOTP, {"owner": owner})
    await session.exec(DELETE_PASSKEYS, {"owner": owner})
    await end_second_factor(session, owner)
