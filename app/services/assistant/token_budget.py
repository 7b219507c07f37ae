"""The model's tokens that an owner has used on a day. A call's maximum is reserved before the call."""

from sqlalchemy import BigInteger, bindparam, text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import ChatBudgetSpent

TOKEN_USE_DAYS = 31
PRUNE_TOKEN_USE = CompiledStatement(
    text(f"delete from token_use where user_id = :owner and day < (now() at time zone 'UTC')::date - {TOKEN_USE_DAYS}")  # noqa: S608 - a constant
)
# The owner's row exists: the message was stored before.
RESERVE_TOKENS = CompiledStatement(
    text("""
    insert into token_use as t (user_id, day, tokens) values (:owner, (now() at time zone 'UTC')::date, :tokens)
    on conflict (user_id, day) do update set tokens = greatest(t.tokens + excluded.tokens, 0)
    where t.tokens + excluded.tokens <= :most
    returning tokens""").bindparams(bindparam("tokens", type_=BigInteger), bindparam("most", type_=BigInteger))
)
SECONDS_TO_MIDNIGHT = CompiledStatement(
    text("""
    select cast(ceil(extract(epoch from date_trunc('day', now() at time zone 'UTC') + interval '1 day'
                             - (now() at time zone 'UTC'))) as integer)""")
)
UNLIMITED_TOKENS = 2**62


async def reserve_tokens(session: Session, owner: str, tokens: int, *, limit: int) -> None:
    """Counts ``tokens``, negative to return some; ``limit`` is per day, 0 for none.

    Raises ChatBudgetSpent, with the seconds until the next day, when the sum would exceed the limit.
    """
    most = UNLIMITED_TOKENS if limit == 0 or tokens < 0 else limit
    values = {"owner": owner, "tokens": tokens, "most": most}
    await session.exec(PRUNE_TOKEN_USE, values)
    row = (await session.exec(RESERVE_TOKENS, values)).first() if tokens <= most else None
    if row is None:
        raise ChatBudgetSpent(retry_after=(await session.exec(SECONDS_TO_MIDNIGHT)).one())
