"""The login throttle against guessing: attempts are counted before a password is verified, in their own transaction.

Three counters: of an account from one IP address, of an account from any, of an IP address for any account. Each admits
some attempts at once, then one after 1, 2, 4 ... 60 seconds. A stranger's guesses do not delay owners whose IP address
has logged in before (OWASP's device cookies, without the cookie).

Strangers who change their IP address could use every attempt that the second counter admits. So an IP address without a
failed attempt for the account in 15 minutes is admitted once, 60 seconds after that counter first refused it, whatever
other IP addresses do. Guesses at one account stay bounded: one a minute in total, and one in 15 minutes for each IP
address (each IPv6 network of 64 bits) that guesses.
"""

import math
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import text

from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import GuessedElsewhere, TooManyAttempts
from app.net.addresses import network_of
from app.services.accounts.context import AuthContext, Client

FREE_PER_PAIR, FREE_PER_ACCOUNT, FREE_PER_ADDRESS = 10, 30, 100
LONGEST_WAIT = 60
ANY_VALUE = b""

# now() is when a transaction began: one that began a little earlier must not see this as a time in the future.
UNBLOCKED_SQL = "now() - interval '1 minute'"
_COUNT_ON_CONFLICT = f"""
    on conflict (account, address) do update set
        admitted = a.blocked_until <= now(),
        last_at = case when a.blocked_until > now() then a.last_at else now() end,
        failures = case when a.blocked_until > now() then a.failures
                        when a.last_at < now() - interval '15 minutes' then 1 else a.failures + 1 end,
        blocked_until = case when a.blocked_until > now() then a.blocked_until
                             when a.last_at < now() - interval '15 minutes' then {UNBLOCKED_SQL}
                             when a.failures + 1 < {{free}} then {UNBLOCKED_SQL}
                             else now() + make_interval(secs => least({LONGEST_WAIT},
                                 power(2, least(a.failures + 1 - {{free}}, 10)))) end
    returning address, admitted, blocked_until
"""
_FREE_ATTEMPTS = f"""
    (case when a.address = '' then {FREE_PER_ACCOUNT} when a.account = '' then {FREE_PER_ADDRESS}
          else {FREE_PER_PAIR} end)
"""
# In the order of the keys, so that two attempts never deadlock.
_INSERT_ATTEMPT = f"""
    insert into login_attempts as a (account, address, failures, admitted, blocked_until, last_at)
    select k.account, k.address, 1, true, {UNBLOCKED_SQL}, now()
    from unnest(cast(:accounts as bytea[]), cast(:addresses as bytea[])) as k (account, address)
    order by k.account, k.address
"""  # noqa: S608 - constants
COUNT_ATTEMPT = CompiledStatement(text(_INSERT_ATTEMPT + _COUNT_ON_CONFLICT.format(free=_FREE_ATTEMPTS)))
SELECT_ADDRESS_BLOCK = CompiledStatement(
    text("select blocked_until from login_attempts where account = '' and address = :address and blocked_until > now()")
)
FORGIVE_ATTEMPTS = CompiledStatement(
    text(f"""
    with here as (delete from login_attempts where account = :account and address = :address)
    update login_attempts set failures = greatest(failures - 1, 0), blocked_until = {UNBLOCKED_SQL}
    where account = :account and address = ''
""")  # noqa: S608
)
PRUNE_ATTEMPTS = CompiledStatement(
    text("""
    delete from login_attempts where (account, address) in (
        select account, address from login_attempts where last_at < now() - interval '1 day'
        order by last_at limit 20 for update skip locked)
""")
)
# The exemption of an IP address is kept in the same table, under another hash of the account, for 15 minutes.
TAKE_TURN = CompiledStatement(
    text("""
    insert into login_attempts as a (account, address, failures, admitted, blocked_until, last_at)
    select sha256(cast(:account as bytea)), cast(:address as bytea), 0, false,
           now() + make_interval(secs => cast(:wait as double precision)), now()
    where not exists (select from login_attempts own where own.account = :account and own.address = :address
                      and own.failures > 0 and own.last_at > now() - interval '15 minutes')
    on conflict (account, address) do update set
        admitted = a.blocked_until between now() - interval '15 minutes' and now(),
        blocked_until = case when a.blocked_until > now() then a.blocked_until else excluded.blocked_until end,
        last_at = now()
    returning admitted, blocked_until
""")
)
DELETE_ATTEMPTS = CompiledStatement(
    text("""
    delete from login_attempts where (account, address) in (
        select account, address from login_attempts where account in (:account, sha256(cast(:account as bytea)))
        order by account = :account, account, address for update)
""")
)


class AttemptKeys(NamedTuple):
    """Hashes of an account and an IP address, so that the table does not disclose who uses this service from where."""

    account: bytes
    address: bytes


def attempt_keys(email_key: str, address: str, *, purpose: str = "login") -> AttemptKeys:
    """Returns the keys of a counter. Of an IPv6 address it takes the network of 64 bits, which one host owns."""
    return AttemptKeys(_digest(f"{purpose}:{email_key}"), _digest(f"{purpose}:{network_of(address)}"))


def _digest(value: str) -> bytes:
    return sha256(value.encode()).digest()


async def count_attempt(session: Session, keys: AttemptKeys, *, known: bool) -> None:
    """Counts an attempt, or raises TooManyAttempts: then the caller must roll its transaction back.

    On GuessedElsewhere ``take_turn`` may still admit the attempt. ``known``: the owner has logged in from this IP
    address before, so the counter of all IP addresses does not apply.
    """
    if until := (await session.exec(SELECT_ADDRESS_BLOCK, {"address": keys.address})).first():
        raise _too_many(until)
    pairs = [keys] if known else [keys, AttemptKeys(keys.account, ANY_VALUE)]
    params = {"accounts": [pair.account for pair in pairs], "addresses": [pair.address for pair in pairs]}
    rows = (await session.exec(COUNT_ATTEMPT, params)).all()
    if waits := {row.address: row.blocked_until for row in rows if not row.admitted}:
        raise _too_many(max(waits.values()), TooManyAttempts if keys.address in waits else GuessedElsewhere)


async def take_turn(auth: AuthContext, keys: AttemptKeys, refused: GuessedElsewhere) -> None:
    """Counts an attempt of an IP address that waited long enough. Else records that it waits; raises ``refused``."""
    async with auth.database.auth_transaction() as session:
        turn = (await session.exec(TAKE_TURN, {**keys._asdict(), "wait": LONGEST_WAIT})).first()
        await session.exec(PRUNE_ATTEMPTS)
        if turn is not None and turn.admitted:
            await count_attempt(session, keys, known=True)
            return
    if turn is not None and refused.retry_after is not None:
        refused.retry_after = min(refused.retry_after, _seconds(turn.blocked_until))
    raise refused


async def record_failure(session: Session, keys: AttemptKeys) -> None:
    """Counts a failed attempt for its IP address, and prunes counters that are unused for a day."""
    await session.exec(COUNT_ATTEMPT, {"accounts": [ANY_VALUE], "addresses": [keys.address]})
    await session.exec(PRUNE_ATTEMPTS)


async def record_success(session: Session, keys: AttemptKeys) -> None:
    """Takes back the count of an attempt that was right, and of the failed ones before it from its IP address."""
    await session.exec(FORGIVE_ATTEMPTS, keys._asdict())


async def count_mail(auth: AuthContext, email_key: str, client: Client) -> None:
    """Counts a mail that an anonymous request causes, so that no mailbox is flooded. Raises TooManyAttempts."""
    keys = attempt_keys(email_key, client.address, purpose="mail")
    async with auth.database.auth_transaction() as session:
        await count_attempt(session, keys, known=False)
        await record_failure(session, keys)


async def count_anonymous(auth: AuthContext, client: Client, purpose: str) -> None:
    """Counts something costly for an anonymous client, by its IP address. Raises TooManyAttempts."""
    keys = attempt_keys("", client.address, purpose=purpose)
    async with auth.database.auth_transaction() as session:
        (row,) = (await session.exec(COUNT_ATTEMPT, {"accounts": [ANY_VALUE], "addresses": [keys.address]})).all()
        if not row.admitted:
            raise _too_many(row.blocked_until)
        await session.exec(PRUNE_ATTEMPTS)


def _too_many(until: datetime, error: type[TooManyAttempts] = TooManyAttempts) -> TooManyAttempts:
    return error(retry_after=_seconds(until))


def _seconds(until: datetime) -> int:
    return max(1, min(LONGEST_WAIT, math.ceil((until - now()).total_seconds())))
