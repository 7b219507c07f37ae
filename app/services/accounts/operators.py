"""The operator's management of accounts, from the command line."""

from contextlib import suppress
from typing import Any

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.database import Database
from app.errors import AccountNotFound, EmailTaken
from app.models.accounts import AccountCreate, fold_email
from app.services.accounts.mailed_tokens import LOCK_ACCOUNT
from app.services.accounts.passwords import set_password
from app.services.accounts.profile import FIND_ACCOUNT_ID, create_account
from app.services.accounts.sessions import end_all_sessions
from app.services.accounts.totp import delete_factors

SELECT_ACCOUNTS = CompiledStatement(
    text("""
    select user_id, email, created_at, disabled_at, password_hash is not null as confirmed from accounts
    order by created_at, user_id
""")
)
DISABLE_ACCOUNT = CompiledStatement(
    text("""
    update accounts set disabled_at = case when :undo then null else coalesce(disabled_at, now()) end
    where user_id = :owner
""")
)


async def create_user(database: Database, account: AccountCreate, password_hash: str) -> str:
    """Returns the id of the new user. Raises EmailTaken."""
    async with database.auth_transaction() as session:
        return await create_account(session, account.email, password_hash, name=account.name, timezone=account.timezone)


async def list_users(database: Database) -> list[Any]:
    """Returns all accounts, oldest first."""
    async with database.auth_transaction() as session:
        return (await session.exec(SELECT_ACCOUNTS)).all()


async def find_user(database: Database, email: str) -> str:
    """Returns the id of a user. Raises AccountNotFound."""
    async with database.auth_transaction() as session:
        row = (await session.exec(FIND_ACCOUNT_ID, {"email_key": fold_email(email)})).first()
    if row is None:
        raise AccountNotFound(f"there is no account with the e-mail {email}")
    user_id: str = row.user_id
    return user_id


async def refuse_taken_email(database: Database, email: str) -> None:
    """Raises EmailTaken if there is an account with this e-mail."""
    with suppress(AccountNotFound):
        await find_user(database, email)
        raise EmailTaken


async def set_user_password(database: Database, email: str, password_hash: str) -> None:
    """Sets a password and ends every session. Raises AccountNotFound."""
    owner = await find_user(database, email)
    async with database.auth_transaction() as session:
        await set_password(session, owner, password_hash)


async def disable_user(database: Database, email: str, *, undo: bool) -> None:
    """Disables an account, or with ``undo`` enables it, and ends every session. Raises AccountNotFound."""
    owner = await find_user(database, email)
    async with database.auth_transaction() as session:
        await session.exec(DISABLE_ACCOUNT, {"owner": owner, "undo": undo})
        await end_all_sessions(session, owner)


async def reset_factors(database: Database, email: str) -> None:
    """Removes every second factor and ends every session. Raises AccountNotFound."""
    owner = await find_user(database, email)
    async with database.auth_transaction() as session:
        await session.exec(LOCK_ACCOUNT, {"owner": owner})
        await delete_factors(session, owner)
        await end_all_sessions(session, owner)
