"""Against guessing: tries are counted before a password is looked at, in a transaction of their own.

Three counters: of an account at an address, of an account anywhere, of an address for any account. Each lets some tries
pass, then asks to wait 1, 2, 4 ... 60 seconds. Waiting is never longer, and a stranger's guesses do not count against
an owner who comes from an address where they have logged in before (OWASP's device cookies, without the cookie).
"""

import ipaddress
import logging
import math
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import text

from app.clock import now
from app.db.session import Session
from app.db.statements import Prepared
from app.errors import TooManyAttempts
from app.services.auth_context import AuthContext, Client

log = logging.getLogger("app.security")

FREE_HERE, FREE_ACCOUNT, FREE_ADDRESS = 10, 30, 100
LONGEST_WAIT = 60
ANY = b""

_COUNT = f"""
    on conflict (account, address) do update set
        admitted = a.blocked_until <= now(),
        last_at = case when a.blocked_until > now() then a.last_at else now() end,
        failures = case when a.blocked_until > now() then a.failures
                        when a.last_at < now() - interval '15 minutes' then 1 else a.failures + 1 end,
        blocked_until = case when a.blocked_until > now() then a.blocked_until
                             when a.last_at < now() - interval '15 minutes' then now()
                             else now() + make_interval(secs => case when a.failures + 1 < {{free}} then 0
                                 else least({LONGEST_WAIT}, power(2, least(a.failures + 1 - {{free}}, 10))) end) end
    returning admitted, blocked_until
"""
_FREE = f"(case when a.address = '' then {FREE_ACCOUNT} when a.account = '' then {FREE_ADDRESS} else {FREE_HERE} end)"
# In the order of the keys, so that two tries never wait for each other in a circle.
_TRY = """
    insert into login_attempts as a (account, address, failures, admitted, blocked_until, last_at)
    select k.account, k.address, 1, true, now(), now()
    from unnest(cast(:accounts as bytea[]), cast(:addresses as bytea[])) as k (account, address)
    order by k.account, k.address
"""
ADMIT = Prepared(text(_TRY + _COUNT.format(free=_FREE)))
ADDRESS_BLOCKED = Prepared(
    text("select blocked_until from login_attempts where account = '' and address = :address and blocked_until > now()")
)
SUCCEEDED = Prepared(
    text("""
    with here as (delete from login_attempts where account = :account and address = :address)
    update login_attempts set failures = greatest(failures - 1, 0), blocked_until = now()
    where account = :account and address = ''
""")
)
PRUNE = Prepared(
    text("""
    delete from login_attempts where (account, address) in (
        select account, address from login_attempts where last_at < now() - interval '1 day'
        order by last_at limit 20 for update skip locked)
""")
)
FORGET = Prepared(text("delete from login_attempts where account = :account"))


class Keys(NamedTuple):
    """What is counted: hashes, so that the table is no list of who uses this service and from where."""

    account: bytes
    address: bytes


def keys_of(email_key: str, address: str, *, purpose: str = "login") -> Keys:
    """An IPv6 host owns a network of 64 bits, so that is what counts as its address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        network = address
    else:
        network = str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))
    return Keys(_digest(f"{purpose}:{email_key}"), _digest(f"{purpose}:{network}"))


def _digest(value: str) -> bytes:
    return sha256(value.encode()).digest()


async def admit(session: Session, keys: Keys, *, known: bool) -> None:
    """Count a try, or raise TooManyAttempts: then the caller's transaction must end without a commit.

    ``known``: the owner has logged in from this address before, and what happens elsewhere is not held against them.
    """
    if until := (await session.exec(ADDRESS_BLOCKED, {"address": keys.address})).first():
        raise _too_many(until)
    pairs = [keys] if known else [keys, Keys(keys.account, ANY)]
    params = {"accounts": [pair.account for pair in pairs], "addresses": [pair.address for pair in pairs]}
    rows = (await session.exec(ADMIT, params)).all()
    if waits := [row.blocked_until for row in rows if not row.admitted]:
        raise _too_many(max(waits))


async def failed(session: Session, keys: Keys) -> None:
    """The try was wrong: that also counts for the address. What nobody tried for a day is forgotten meanwhile."""
    await session.exec(ADMIT, {"accounts": [ANY], "addresses": [keys.address]})
    await session.exec(PRUNE)


async def succeeded(session: Session, keys: Keys) -> None:
    """The try was right: it does not count, and what was wrong before it at this address does not either."""
    await session.exec(SUCCEEDED, keys._asdict())


async def count_mail(auth: AuthContext, email_key: str, client: Client) -> None:
    """A mail that anybody can cause is a try, too: nobody's mailbox is filled. Raises TooManyAttempts."""
    keys = keys_of(email_key, client.address, purpose="mail")
    async with auth.database.auth_transaction() as session:
        await admit(session, keys, known=False)
        await failed(session, keys)


def _too_many(until: datetime) -> TooManyAttempts:
    log.warning("attempts_blocked")
    return TooManyAttempts(retry_after=max(1, min(LONGEST_WAIT, math.ceil((until - now()).total_seconds()))))
