"""Idempotency keys: a record is written in the same transaction as the effect, or not at all."""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import DateTime, Text, bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as pg_insert

from app.clock import now
from app.db.changes import OWNER
from app.db.compiled import CompiledStatement, StatementSequence
from app.db.session import Session
from app.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from app.models.idempotency import IDEMPOTENCY_KEYS
from app.models.users import USERS
from app.services.users import lock_owner

KEY_PARAMETER = bindparam("key", type_=Text)
RESPONSE_LIFE = timedelta(hours=24)
# A parameter everywhere: a distributed database takes no interval in ON CONFLICT, and one clock decides.
EXPIRED_AT = bindparam("expired_at", type_=DateTime(timezone=True))
IS_FRESH = IDEMPOTENCY_KEYS.c.created_at > EXPIRED_AT
RESPONSE_COLUMNS = ("fingerprint", "status", "headers", "body")


class StoredResponse(NamedTuple):
    status: int
    headers: list[list[str]]
    body: bytes


# One statement takes the lock and reads the record. Its snapshot may be older than the lock, so it may miss a record of
# a concurrent write; the effect then conflicts with that record when it writes its own, and is rolled back.
_lock = func.pg_try_advisory_xact_lock(func.hashtextextended(OWNER + literal_column("chr(31)") + KEY_PARAMETER, 0))
CLAIM_KEY = CompiledStatement(
    select(_lock.label("locked"), *(IDEMPOTENCY_KEYS.c[name] for name in RESPONSE_COLUMNS)).join_from(
        select(literal_column("1").label("one")).subquery("one"),
        IDEMPOTENCY_KEYS,
        (IDEMPOTENCY_KEYS.c.user_id == OWNER) & (IDEMPOTENCY_KEYS.c.key == KEY_PARAMETER) & IS_FRESH,
        isouter=True,
    )
)
# ``prune_at``: the worker deletes the keys of owners who send no more of them. The owner's row is locked first, as
# everywhere, because the key is inserted from the rows that this returns.
_next_prune = bindparam("next_prune_at", type_=DateTime(timezone=True))
_user = (
    pg_insert(USERS)
    .values(id=OWNER, prune_at=_next_prune)
    .on_conflict_do_update(index_elements=[USERS.c.id], set_={"prune_at": func.least(USERS.c.prune_at, _next_prune)})
)
_expired = delete(IDEMPOTENCY_KEYS).where(
    IDEMPOTENCY_KEYS.c.user_id == OWNER, ~IS_FRESH, IDEMPOTENCY_KEYS.c.key != KEY_PARAMETER
)
_response = {name: bindparam(name, type_=IDEMPOTENCY_KEYS.c[name].type) for name in RESPONSE_COLUMNS}


def _unless_fresh(new: Insert) -> Any:
    """Returns the INSERT, replacing a record that has expired; it returns no row if there is one that has not."""
    return new.on_conflict_do_update(
        index_elements=[IDEMPOTENCY_KEYS.c.user_id, IDEMPOTENCY_KEYS.c.key],
        set_={name: new.excluded[name] for name in (*RESPONSE_COLUMNS, "created_at")},
        where=~IS_FRESH,
    ).returning(IDEMPOTENCY_KEYS.c.status)


_locked = _user.returning(USERS.c.id).cte("owner")
_new = pg_insert(IDEMPOTENCY_KEYS).values(user_id=OWNER, key=KEY_PARAMETER, **_response)
STORE_RESPONSE = CompiledStatement(
    _unless_fresh(
        pg_insert(IDEMPOTENCY_KEYS).from_select(
            ["user_id", "key", *RESPONSE_COLUMNS],
            select(_locked.c.id, KEY_PARAMETER, *_response.values()),
            include_defaults=False,
        )
    ).add_cte(_expired.cte("expired")),
    distributed=StatementSequence(_user, _expired, _unless_fresh(_new)),
)


async def claim_key(session: Session, owner: str, key: str, fingerprint: bytes) -> StoredResponse | None:
    """Returns the response stored under ``key``; None when there is none: then this transaction holds the key.

    Raises IdempotencyKeyInUse while another transaction has it, IdempotencyKeyReused for another request.
    """
    row = (await session.exec(CLAIM_KEY, {"owner": owner, "key": key, "expired_at": now() - RESPONSE_LIFE})).one()
    if not row.locked:
        raise IdempotencyKeyInUse(retry_after=1)
    if row.status is None:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused(loc=("header", "Idempotency-Key"))
    return StoredResponse(row.status, row.headers, row.body)


async def store_response(session: Session, owner: str, key: str, fingerprint: bytes, response: StoredResponse) -> None:
    """Stores ``response`` for a day. Raises IdempotencyKeyInUse when a concurrent request stored one first."""
    moment = now()
    values = {"owner": owner, "key": key, "fingerprint": fingerprint, **response._asdict()}
    values |= {"expired_at": moment - RESPONSE_LIFE, "next_prune_at": moment + RESPONSE_LIFE}
    if (await session.exec(STORE_RESPONSE, values)).first() is None:
        raise IdempotencyKeyInUse(retry_after=1)


# For work longer than a transaction may be open: a record without a response holds the key. If its process dies, the
# key can be taken over after a while.
RUNNING_RESPONSE = StoredResponse(102, [], b"")
_ABANDONED_AFTER: Any = literal_column("interval '15 minutes'")
_is_held = (
    IDEMPOTENCY_KEYS.c.user_id == OWNER,
    IDEMPOTENCY_KEYS.c.key == KEY_PARAMETER,
    IDEMPOTENCY_KEYS.c.status == RUNNING_RESPONSE.status,
)
TAKE_OVER_KEY = CompiledStatement(
    update(IDEMPOTENCY_KEYS)
    .where(*_is_held, IDEMPOTENCY_KEYS.c.created_at < func.now() - _ABANDONED_AFTER)
    .values(created_at=func.now())
    .returning(IDEMPOTENCY_KEYS.c.status)
)
SETTLE_KEY = CompiledStatement(
    update(IDEMPOTENCY_KEYS)
    .where(*_is_held)
    .values(
        {name: bindparam(f"new_{name}", type_=IDEMPOTENCY_KEYS.c[name].type) for name in ("status", "headers", "body")}
    )
)
RELEASE_KEY = CompiledStatement(delete(IDEMPOTENCY_KEYS).where(*_is_held))


async def acquire_key(session: Session, owner: str, key: str, fingerprint: bytes) -> StoredResponse | None:
    """Returns the response stored under ``key``; None when the caller holds the key until ``settle_key``.

    Raises IdempotencyKeyInUse while another request holds it, IdempotencyKeyReused for another request.
    """
    kept = await claim_key(session, owner, key, fingerprint)
    if kept is None:
        await store_response(session, owner, key, fingerprint, RUNNING_RESPONSE)
    elif kept.status == RUNNING_RESPONSE.status:
        await lock_owner(session, owner)
        if (await session.exec(TAKE_OVER_KEY, {"owner": owner, "key": key})).first() is None:
            raise IdempotencyKeyInUse(retry_after=1)
        return None
    return kept


async def settle_key(session: Session, owner: str, key: str, response: StoredResponse | None) -> None:
    """Stores ``response`` under a key that is held; None releases the key."""
    mine = {"owner": owner, "key": key}
    if response is None:
        await session.exec(RELEASE_KEY, mine)
    else:
        new = {f"new_{name}": value for name, value in response._asdict().items()}
        await session.exec(SETTLE_KEY, {**mine, **new})
