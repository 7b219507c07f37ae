"""Proving a second factor: with a code of an authenticator app, a passkey, or a recovery code.

An account without a factor needs none. With one, a login waits for it, and what would give away the account needs a
session that has proved it lately.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import text

from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_recovery_code, new_recovery_code
from app.auth.passkeys import RelyingParty
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.totp import TOTP_DIGITS, find_totp_step
from app.errors import (
    AccountNotFound,
    FactorNotFound,
    GuessedElsewhere,
    RefusalReason,
    SecondFactorRequired,
    SecondFactorWrong,
    SessionEnded,
)
from app.services.accounts import login_throttle, mail_texts
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.email_changes import DELETE_EMAIL_CHANGE
from app.services.accounts.login_throttle import AttemptKeys, attempt_keys
from app.services.accounts.passkey_answers import Asked, ask_for_passkey, use_passkey, verify_answer
from app.services.accounts.sessions import DELETE_CHALLENGES, END_OTHER_LOGINS

log = logging.getLogger("app.security")
Outcome = TypeVar("Outcome")

PROOF_LIFE = timedelta(minutes=10)  # for which a session may do what needs a second factor
RECOVERY_CODES = 10
FACTOR_PURPOSE = "factor"  # of the throttle: wrong codes are counted apart from wrong passwords

SELECT_METHODS = CompiledStatement(
    text("""
    select exists (select from totp_secrets where user_id = :owner and confirmed_at is not null) as totp,
           exists (select from passkeys where user_id = :owner) as passkey,
           exists (select from recovery_codes where user_id = :owner and used_at is null) as recovery_code
""")
)
# Writes of factors and their uses lock the account first, so that a code is used once and no two of them deadlock.
LOCK_ENABLED_ACCOUNT = CompiledStatement(
    text("select email from accounts where user_id = :owner and disabled_at is null for no key update")
)
SELECT_TOTP = CompiledStatement(
    text("select secret, last_step from totp_secrets where user_id = :owner and confirmed_at is not null")
)
USE_TOTP_STEP = CompiledStatement(
    text("""
    update totp_secrets set last_step = :step, last_used_at = now()
    where user_id = :owner and confirmed_at is not null and (last_step is null or last_step < :step) returning last_step
""")
)
USE_RECOVERY_CODE = CompiledStatement(
    text("""
    update recovery_codes set used_at = now() where user_id = :owner and code_hash = :code_hash and used_at is null
    returning used_at
""")
)
# "known": a second factor was proved from this IP address within the last month.
FIND_KNOWN_ADDRESS = CompiledStatement(
    text("""
    select 1 as known from sessions
    where user_id = :owner and address = :address and second_factor_at > now() - interval '30 days' limit 1
""")
)
FIND_RECENT_PROOF = CompiledStatement(
    text("""
    select coalesce(second_factor_at > now() - cast(:life as interval), false) as recent from sessions
    where user_id = :owner and id = :session_id and ended_at is null
""")
)
SELECT_PROOF = CompiledStatement(
    text("select second_factor_at from sessions where user_id = :owner and id = :session_id")
)
RECORD_PROOF = CompiledStatement(
    text("""
    update sessions set second_factor_at = now()
    where user_id = :owner and id = :session_id and client_id is null and ended_at is null returning id
""")
)
DELETE_RECOVERY_CODES = CompiledStatement(text("delete from recovery_codes where user_id = :owner"))
INSERT_RECOVERY_CODES = CompiledStatement(
    text("""
    insert into recovery_codes (user_id, code_hash)
    select :owner, code_hash from unnest(cast(:code_hashes as bytea[])) as n (code_hash)
""")
)


class GivenFactor(NamedTuple):
    """A second factor as it was sent: a code, or the answer of a passkey to a page of ``party``."""

    code: str = ""
    passkey: dict[str, Any] | None = None
    party: RelyingParty | None = None


async def lock_account(session: Session, owner: str) -> str:
    """Locks an account and returns its e-mail. Raises AccountNotFound if it is disabled or deleted meanwhile."""
    email: str | None = (await session.exec(LOCK_ENABLED_ACCOUNT, {"owner": owner})).first()
    if email is None:
        raise AccountNotFound
    return email


async def list_methods(session: Session, owner: str) -> list[str]:
    """Returns the ways in which the account proves a second factor; none without one."""
    row = (await session.exec(SELECT_METHODS, {"owner": owner})).one()
    return [name for name in ("totp", "passkey", "recovery_code") if row[name]] if row.totp or row.passkey else []


async def require_recent_factor(auth: AuthContext, identity: Identity) -> None:
    """Raises SecondFactorRequired if the account has a factor and this session has not proved it lately.

    Raises SessionEnded at once, which other requests may learn a few seconds later.
    """
    async with auth.database.auth_transaction() as session:
        await require_recent_proof(session, identity)


async def require_recent_proof(session: Session, identity: Identity) -> None:
    """Checks the same in the transaction of a write. Raises SecondFactorRequired, SessionEnded.

    The client decides when it sends its body: meanwhile the account may get a factor, or end the session.
    """
    methods = await list_methods(session, identity.subject)
    recent: bool | None = False
    if identity.session_id is not None:
        found = {"owner": identity.subject, "session_id": identity.session_id, "life": PROOF_LIFE}
        recent = (await session.exec(FIND_RECENT_PROOF, found)).first()
    if recent is None:
        raise SessionEnded(reason=RefusalReason.SESSION_ENDED, details={"user_id": identity.subject})
    if methods and not recent:
        raise SecondFactorRequired(methods)


async def get_proof(session: Session, identity: Identity) -> datetime | None:
    """Returns when the session proved a second factor, for one that takes its place."""
    found = {"owner": identity.subject, "session_id": identity.session_id}
    proved_at: datetime | None = (await session.exec(SELECT_PROOF, found)).first()
    return proved_at


async def prove_factor(
    auth: AuthContext,
    owner: str,
    given: GivenFactor,
    bound: str,
    client: Client,
    then: Callable[[Session], Awaitable[Outcome]],
) -> Outcome:
    """Checks a factor of ``owner`` and uses it up; returns the outcome of ``then``, in the same transaction.

    ``bound``: the login or session for which a passkey was asked. Raises SecondFactorWrong, PasskeyRefused,
    TooManyAttempts, AccountNotFound.
    """
    is_guessable = _read_digits(given.code) is not None
    keys = await count_proof(auth, owner, client, is_guessable=is_guessable)
    used = None
    if given.passkey is not None and given.party is not None:
        used = await verify_answer(auth, Asked(given.party, bound), given.passkey, owner)
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        if used is not None:
            await use_passkey(session, used)
        proved = used is not None or await use_code(session, owner, given.code)
        if proved:
            outcome = await then(session)
        await record_proof(session, keys, proved=proved)
    require_proved(owner, proved=proved)
    if used is None and not is_guessable:
        log.warning("recovery_code_used", extra={"user_id": owner})
        auth.mailer.post(email, *mail_texts.recovery_code_used())
    return outcome


async def prove_again(auth: AuthContext, identity: Identity, given: GivenFactor, client: Client) -> None:
    """Proves a second factor for the session of a login, whose user may then do what needs one for some minutes.

    Raises FactorNotFound, SessionEnded, and the errors of ``prove_factor``.
    """
    owner = identity.subject
    async with auth.database.auth_transaction() as session:
        if not await list_methods(session, owner):
            raise FactorNotFound

    async def record(session: Session) -> None:
        recorded = await session.exec(RECORD_PROOF, {"owner": owner, "session_id": identity.session_id})
        if recorded.first() is None:
            raise SessionEnded(reason=RefusalReason.SESSION_ENDED, details={"user_id": owner})

    await prove_factor(auth, owner, given, bound_to_session(identity), client, record)


async def ask_for_proof(auth: AuthContext, identity: Identity, party: RelyingParty) -> dict[str, Any]:
    """Returns the options with which a browser proves a passkey again."""
    return await ask_for_passkey(auth, Asked(party, bound_to_session(identity)), identity.subject)


def bound_to_session(identity: Identity) -> str:
    return f"proof\0{identity.session_id}"


async def count_proof(auth: AuthContext, owner: str, client: Client, *, is_guessable: bool) -> AttemptKeys:
    """Counts an attempt before its code is checked. Raises TooManyAttempts.

    ``is_guessable``: six digits. No IP address gets a turn for them: the turns of one IPv6 network of 48 bits, 65,536
    in 16 minutes, would find one of the three codes that are right at a time within two hours.
    """
    keys = attempt_keys(owner, client.address, purpose=FACTOR_PURPOSE)
    try:
        async with auth.database.auth_transaction() as session:
            found = await session.exec(FIND_KNOWN_ADDRESS, {"owner": owner, "address": client.address})
            await login_throttle.count_attempt(session, keys, known=found.first() is not None)
    except GuessedElsewhere as refused:
        if is_guessable:
            raise
        await login_throttle.take_turn(auth, keys, refused)
    return keys


async def record_proof(session: Session, keys: AttemptKeys, *, proved: bool) -> None:
    """Records the outcome of an attempt: a right code takes back the count of the wrong ones before it."""
    await (login_throttle.record_success if proved else login_throttle.record_failure)(session, keys)


def require_proved(owner: str, *, proved: bool) -> None:
    """Raises SecondFactorWrong unless it was proved: after the transaction, whose count must stay."""
    if not proved:
        raise SecondFactorWrong(reason=RefusalReason.SECOND_FACTOR_WRONG, details={"user_id": owner})


def _read_digits(code: str) -> str | None:
    """Returns a code of an app, however it is typed; None for another text, which may be a recovery code."""
    typed = "".join(code.split()).replace("-", "")
    return typed if len(typed) == TOTP_DIGITS and typed.isascii() and typed.isdigit() else None


async def use_code(session: Session, owner: str, code: str) -> bool:
    """Uses up a code, in the caller's transaction, which has locked the account. Returns whether it was right."""
    if (digits := _read_digits(code)) is not None:
        found: Any = (await session.exec(SELECT_TOTP, {"owner": owner})).first()
        step = None if found is None else find_totp_step(found.secret, digits, now().timestamp())
        if step is None:
            return False
        return (await session.exec(USE_TOTP_STEP, {"owner": owner, "step": step})).first() is not None
    used = await session.exec(USE_RECOVERY_CODE, {"owner": owner, "code_hash": hash_recovery_code(code)})
    return used.first() is not None


async def begin_second_factor(session: Session, identity: Identity) -> list[str]:
    """Makes an account one with a second factor, which this login has proved, and no other; returns recovery codes."""
    login = {"owner": identity.subject, "session_id": identity.session_id, "current": identity.session_id}
    await session.exec(RECORD_PROOF, login)
    await session.exec(END_OTHER_LOGINS, login)
    await session.exec(DELETE_EMAIL_CHANGE, login)  # an intruder may have asked for it
    return await _renew_codes(session, identity.subject)


async def end_second_factor(session: Session, owner: str) -> None:
    """Deletes the recovery codes, and the logins that wait for a factor, of an account that has none any more."""
    if not await list_methods(session, owner):
        await session.exec(DELETE_RECOVERY_CODES, {"owner": owner})
        await session.exec(DELETE_CHALLENGES, {"owner": owner})


async def renew_recovery_codes(auth: AuthContext, owner: str) -> list[str]:
    """Replaces all recovery codes. Raises FactorNotFound if the account has no second factor."""
    async with auth.database.auth_transaction() as session:
        email = await lock_account(session, owner)
        if not await list_methods(session, owner):
            raise FactorNotFound
        codes = await _renew_codes(session, owner)
    log.warning("recovery_codes_renewed", extra={"user_id": owner})
    auth.mailer.post(email, *mail_texts.recovery_codes_renewed())
    return codes


async def _renew_codes(session: Session, owner: str) -> list[str]:
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    await session.exec(DELETE_RECOVERY_CODES, {"owner": owner})
    hashes = [hash_recovery_code(code) for code in codes]
    await session.exec(INSERT_RECOVERY_CODES, {"owner": owner, "code_hashes": hashes})
    return codes
