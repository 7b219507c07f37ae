"""Deleting an account with all its rows."""

import asyncio
import logging
from graphlib import TopologicalSorter

from sqlalchemy import text

from app.auth.claims import Identity
from app.db.compiled import CompiledStatement, quote_name
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.models.accounts import fold_email
from app.services.accounts import login_throttle
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import confirm_password
from app.services.accounts.revocation import REVOCATION_BOUND
from app.services.accounts.second_factors import FACTOR_PURPOSE, require_recent_factor

log = logging.getLogger("app.security")

ERASER_ROLE = "todo_eraser"
SECOND_ERASURE_DELAY = REVOCATION_BOUND + 1.0  # seconds after which no process accepts the account's access tokens
LOCK_ERASED_OWNER = CompiledStatement(text("select id from users where id = :owner for update"))
# They name the account that asked for a link, not the owner of the row, which is a browser.
DELETE_BEGUN_LINKS = CompiledStatement(text("delete from oidc_sign_ins where linking_user_id = :owner"))
SELECT_EMAIL = CompiledStatement(text("select email from accounts where user_id = :owner for no key update"))
# The catalogue lists every table of user data, also those of later versions, with its key and the tables it refers to.
SELECT_USER_TABLES = CompiledStatement(
    text("""
    select c.relname as name,
           array(select distinct f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
                 where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid) as refers_to,
           array(select quote_ident(a.attname) from pg_index i
                 cross join unnest(cast(i.indkey as smallint[])) with ordinality as k (number, place)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
                 where i.indrelid = c.oid and i.indisprimary order by k.place) as key,
           array(select a.attname::text from pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
           has_table_privilege(c.oid, 'select') as readable
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition
      and (c.relname = 'users' or exists (select from pg_attribute a where a.attrelid = c.oid
                                          and a.attname = 'user_id' and not a.attisdropped))
    order by c.relname
""")
)


async def delete_account(auth: AuthContext, identity: Identity, password: str, client: Client) -> None:
    """Deletes an account with all its rows.

    Raises WrongPassword, TooManyAttempts, AccountNotFound, SecondFactorRequired, SessionEnded.
    """
    owner = identity.subject
    await require_recent_factor(auth, identity)  # again: the client decides when it sends its body
    await confirm_password(auth, owner, password, client)
    await erase_owner(auth.database, owner)
    auth.revocations.forget(owner)
    log.warning("account_deleted", extra={"user_id": owner})
    auth.run_in_background(_erase_late_writes(auth.database, owner))


async def _erase_late_writes(database: Database, owner: str) -> None:
    """Erases what another process wrote after the erasure, with a login that it had checked just before."""
    try:
        await asyncio.sleep(SECOND_ERASURE_DELAY)
    finally:
        await erase_owner(database, owner)


@retry_on_contention
async def erase_owner(database: Database, owner: str) -> None:
    """Deletes every row of ``owner`` from every table, in one transaction; before it, the counters of the e-mail."""
    async with database.auth_transaction() as session:
        await session.exec(DELETE_BEGUN_LINKS, {"owner": owner})
        if email := (await session.exec(SELECT_EMAIL, {"owner": owner})).first():
            for purpose, name in (("login", fold_email(email)), ("mail", fold_email(email)), (FACTOR_PURPOSE, owner)):
                keys = login_throttle.attempt_keys(name, "", purpose=purpose)
                await session.exec(login_throttle.DELETE_ATTEMPTS, {"account": keys.account})
    async with database.transaction(owner, role=ERASER_ROLE) as session:
        await session.exec(LOCK_ERASED_OWNER, {"owner": owner})  # waits for the writes that have begun
        tables = (await session.exec(SELECT_USER_TABLES)).all()
        order = TopologicalSorter({table.name: table.refers_to for table in tables}).static_order()
        for name in reversed([name for name in order if name != "alembic_version"]):
            column = "id" if name == "users" else "user_id"
            await session.exec(text(f"delete from {quote_name(name)} where {column} = :owner"), {"owner": owner})  # noqa: S608
