"""The answers of browsers that were asked for a passkey, each good for one use by those who were asked."""

import random
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth import passkeys
from app.auth.opaque_tokens import hash_token
from app.auth.passkeys import Ceremony, Passkey, RelyingParty
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import PasskeyRefused, RefusalReason
from app.services.accounts.context import AuthContext

PASSKEY_CHALLENGE_LIFE = timedelta(minutes=5)
PENDING_PASSKEYS_MAX = 100_000  # anyone can ask for a challenge, so the oldest make room
PASSKEY_PRUNE_SHARE = 0.01  # of the challenges also prunes: counting so many takes 30 ms

INSERT_PASSKEY_CHALLENGE = CompiledStatement(
    text("""
    insert into passkey_challenges (challenge_hash, bound_hash, expires_at)
    values (:challenge_hash, :bound_hash, :expires_at)
""")
)
PRUNE_PASSKEY_CHALLENGES = CompiledStatement(
    text(f"""
    delete from passkey_challenges where challenge_hash in (
        select challenge_hash from passkey_challenges
        where expires_at <= greatest(now(), (select expires_at from passkey_challenges
                                             order by expires_at desc offset {PENDING_PASSKEYS_MAX} limit 1))
        order by expires_at limit 10000 for update skip locked)
""")  # noqa: S608 - a constant
)
TAKE_PASSKEY_CHALLENGE = CompiledStatement(
    text("""
    delete from passkey_challenges where challenge_hash = :challenge_hash and bound_hash = :bound_hash
    returning expires_at > now() as valid
""")
)
SELECT_CREDENTIALS = CompiledStatement(text("select credential_id from passkeys where user_id = :owner"))
FIND_PASSKEY = CompiledStatement(
    text("""
    select user_id, id, credential_id, public_key, sign_count from passkeys where credential_id = :credential_id
""")
)
# Only one of concurrent uses finds the count that its answer was verified with, if the passkey counts.
USE_PASSKEY = CompiledStatement(
    text("""
    update passkeys set sign_count = cast(:sign_count as bigint), last_used_at = now()
    where user_id = :owner and id = :passkey_id and (cast(:sign_count as bigint) = 0 or sign_count < :sign_count)
    returning id
""")
)


class Asked(NamedTuple):
    """The page that asks for a passkey: ``bound`` is a secret that only this browser or login has."""

    party: RelyingParty
    bound: str


class UsedPasskey(NamedTuple):
    """A passkey whose answer is verified, to be recorded in the transaction of what it allows."""

    owner: str
    passkey_id: str
    sign_count: int


async def new_ceremony(auth: AuthContext, asked: Asked) -> Ceremony:
    challenge = secrets.token_bytes(32)
    values = {
        "challenge_hash": hash_token(challenge.hex()),
        "bound_hash": hash_token(asked.bound),
        "expires_at": now() + PASSKEY_CHALLENGE_LIFE,
    }
    async with auth.database.auth_transaction() as session:
        await session.exec(INSERT_PASSKEY_CHALLENGE, values)
    if random.random() < PASSKEY_PRUNE_SHARE:  # noqa: S311
        async with auth.database.auth_transaction() as session:
            await session.exec(PRUNE_PASSKEY_CHALLENGES)
    return Ceremony(asked.party, challenge)


async def take_ceremony(auth: AuthContext, asked: Asked, credential: dict[str, Any]) -> Ceremony:
    """Uses up the challenge that a browser has answered. Raises PasskeyRefused unless it was made for this one."""
    challenge = passkeys.read_challenge(credential)
    found = {"challenge_hash": hash_token(challenge.hex()), "bound_hash": hash_token(asked.bound)}
    async with auth.database.auth_transaction() as session:
        taken = (await session.exec(TAKE_PASSKEY_CHALLENGE, found)).first()
    if not taken or not asked.bound:
        raise PasskeyRefused(reason=RefusalReason.PASSKEY_REFUSED, details={"problem": "challenge"})
    return Ceremony(asked.party, challenge)


async def list_credentials(session: Session, owner: str) -> list[bytes]:
    """Returns the ids by which devices know the passkeys of an account."""
    return (await session.exec(SELECT_CREDENTIALS, {"owner": owner})).all()


async def ask_for_passkey(auth: AuthContext, asked: Asked, owner: str | None = None) -> dict[str, Any]:
    """Returns the options with which a browser uses a passkey: one of ``owner``, or any that the device has."""
    known: list[bytes] = []
    if owner is not None:
        async with auth.database.auth_transaction() as session:
            known = await list_credentials(session, owner)
    return passkeys.request_options(await new_ceremony(auth, asked), known)


async def verify_answer(
    auth: AuthContext, asked: Asked, credential: dict[str, Any], owner: str | None = None
) -> UsedPasskey:
    """Verifies what a browser returned, for ``owner`` if the account is known. Raises PasskeyRefused."""
    ceremony = await take_ceremony(auth, asked, credential)
    found = {"credential_id": passkeys.read_credential_id(credential)}
    async with auth.database.auth_transaction() as session:
        row = (await session.exec(FIND_PASSKEY, found)).first()
    handle = passkeys.read_user_handle(credential)
    if row is None or owner not in {None, row.user_id} or handle not in {None, row.user_id.encode()}:
        raise PasskeyRefused(reason=RefusalReason.PASSKEY_REFUSED, details={"problem": "unknown"})
    known = Passkey(row.credential_id, row.public_key, row.sign_count)
    return UsedPasskey(row.user_id, row.id, await passkeys.verify_passkey(credential, ceremony, known))


async def use_passkey(session: Session, used: UsedPasskey) -> None:
    """Records a use, in the transaction of what it allows. Raises PasskeyRefused if it was deleted or used since."""
    if (await session.exec(USE_PASSKEY, used._asdict())).first() is None:
        raise PasskeyRefused(reason=RefusalReason.PASSKEY_REFUSED, details={"user_id": used.owner})
