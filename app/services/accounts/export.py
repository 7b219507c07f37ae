"""The export of all data of an account: table by table, a page of rows at a time."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sqlalchemy import text

from app.clock import now
from app.db.compiled import CompiledStatement, escape_colons, quote_name
from app.db.database import Database
from app.services.accounts.api_tokens import SELECT_API_TOKENS as LIST_TOKENS
from app.services.accounts.context import AuthContext
from app.services.accounts.erasure import SELECT_USER_TABLES
from app.services.accounts.profile import get_account
from app.services.accounts.totp import get_factors
from app.services.changes.entities import OTHER_TABLES

PAGE_ROWS = 200
SECRET_TABLES = {table.name for table in OTHER_TABLES if table.secret == "all"}
SECRET_COLUMNS = {table.name: table.secret for table in OTHER_TABLES}
EXPORT_SESSIONS = CompiledStatement(
    text("""
    select id, user_agent, address, created_at, last_used_at, ended_at from sessions
    where user_id = :owner and client_id is null order by created_at
""")
)
EXPORT_APPS = CompiledStatement(
    text("""
    select id, client_id, client_name as name, scope, resource, user_agent, address, created_at, last_used_at, ended_at
    from sessions where user_id = :owner and client_id is not null order by created_at
""")
)
EXPORT_LINKS = CompiledStatement(
    text("""
    select id, provider, issuer, subject, email, created_at, last_used_at from oidc_links
    where user_id = :owner order by created_at
""")
)


async def read_account(auth: AuthContext, owner: str) -> AsyncIterator[bytes]:
    """Yields a JSON object in pieces, without secrets: hashes of passwords and tokens, keys of webhooks.

    Each table that the service reads for its users is under its own name, with its rows as stored. Pages are read one
    after the other, so concurrent writes may be in it or not. Raises AccountNotFound before the first piece.
    """
    async with auth.database.auth_transaction() as session:
        account = await get_account(session, owner)
        logins = (await session.exec(EXPORT_SESSIONS, {"owner": owner})).all()
        apps = (await session.exec(EXPORT_APPS, {"owner": owner})).all()
        links = (await session.exec(EXPORT_LINKS, {"owner": owner})).all()
        factors = await get_factors(session, owner)
        tokens = (await session.exec(LIST_TOKENS, {"owner": owner})).all()
    head: dict[str, Any] = {"exported_at": now(), "account": dict(account), "factors": factors}
    for name, rows in (("sessions", logins), ("apps", apps), ("links", links), ("api_tokens", tokens)):
        head[name] = [dict(row) for row in rows]
    yield msgspec.json.encode(head)[:-1]
    async with auth.database.transaction(owner, read_only=True, other_tables=True) as session:
        tables = (await session.exec(SELECT_USER_TABLES)).all()
    for table in tables:
        if table.readable and table.name not in SECRET_TABLES:
            yield b",%b:[" % msgspec.json.encode(table.name)
            separator = ""
            async for rows in _read_pages(auth.database, owner, table):
                yield (separator + ",".join(rows)).encode()
                separator = ","
            yield b"]"
    yield b"}"


async def _read_pages(database: Database, owner: str, table: Any) -> AsyncIterator[list[str]]:
    """Yields rows as JSON, in the order of the table's key."""
    after: dict[str, Any] = {}
    while True:
        async with database.transaction(owner, read_only=True, other_tables=True) as session:
            rows = (await session.exec(_page_query(table, is_first=not after), {"owner": owner, **after})).all()
        if not rows:
            return
        yield [row[0] for row in rows]
        after = {f"key{number}": value for number, value in enumerate(rows[-1][1:])}


def _page_query(table: Any, *, is_first: bool) -> Any:
    owned_by = "id" if table.name == "users" else "user_id"
    key = ", ".join(f"t.{escape_colons(name)}" for name in table.key)  # quoted by the catalogue
    shown = ", ".join(
        f"t.{quote_name(name)}" for name in table.columns if name not in SECRET_COLUMNS.get(table.name, ())
    )
    after = "" if is_first else f"and ({key}) > ({', '.join(f':key{number}' for number in range(len(table.key)))})"
    return text(f"""
        select (select row_to_json(shown)::text from (select {shown}) shown), {key} from {quote_name(table.name)} t
        where t.{owned_by} = :owner {after} order by {key} limit {PAGE_ROWS}
    """)  # noqa: S608 - names from the catalogue
