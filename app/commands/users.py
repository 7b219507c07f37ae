"""``todo user``: management of accounts by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import open_database, run

if TYPE_CHECKING:
    from app.models.accounts import AccountCreate

app = typer.Typer(help="Accounts: create, list, password, reset-factors, disable, delete.", no_args_is_help=True)
EmailArgument = Annotated[str, typer.Argument(help="E-mail of the account.")]
PLACEHOLDER_PASSWORD = "a password to be asked for"
PasswordOption = Annotated[str, typer.Option(help="Asked for, twice, when left out.", show_default=False)]


def ask_password(given: str) -> str:
    """Return ``given``, or ask for a password twice."""
    return given or str(typer.prompt("Password", hide_input=True, confirmation_prompt="Repeat for confirmation"))


async def find_user_id(email: str) -> str:
    """Return the user id of an account. Raises ValueError."""
    from app.services.accounts import operators

    async with open_database() as database:
        return await operators.find_user(database, email)


def read_account(email: str, password: str, name: str, timezone: str) -> AccountCreate:
    """Returns a new account. Raises ValueError with all that is wrong."""
    from pydantic import ValidationError

    from app.errors.findings import describe_findings, locate_errors, make_findings
    from app.models.accounts import AccountCreate

    given = {"email": email, "password": password, "name": name, "timezone": timezone}
    try:
        return AccountCreate(**given)
    except ValidationError as error:
        raise ValueError(describe_findings(make_findings(locate_errors(error, given)))) from None


async def hash_password(password: str) -> str:
    """Returns the hash of a new password. Raises ValueError for its length, and WeakPassword."""
    from app.auth.passwords import PasswordHasher, check_new_password
    from app.models.accounts import PASSWORD_MAX, PASSWORD_MIN

    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise ValueError(f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")
    check_new_password(password)
    hasher = PasswordHasher(threads=1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


@app.command()
def create(
    email: EmailArgument,
    password: PasswordOption = "",
    name: Annotated[str, typer.Option(help="Shown to the user.")] = "",
    timezone: Annotated[str, typer.Option(help="Time zone: an IANA name.")] = "UTC",
) -> None:
    """Create an account and print its user id, also with REGISTRATION=closed."""

    async def work() -> None:
        from app.services.accounts import operators

        read_account(email, password or PLACEHOLDER_PASSWORD, name, timezone)  # before it asks for a password
        async with open_database() as database:
            await operators.refuse_taken_email(database, email)
            account = read_account(email, ask_password(password), name, timezone)
            typer.echo(await operators.create_user(database, account, await hash_password(account.password)))

    run(work())


@app.command(name="list")
def list_() -> None:
    """List the accounts: user id, date of creation, state, e-mail."""

    async def work() -> None:
        from app.services.accounts import operators

        async with open_database() as database:
            for user in await operators.list_users(database):
                state = "disabled" if user.disabled_at else "active" if user.confirmed else "unconfirmed"
                typer.echo(f"{user.user_id}  {user.created_at:%Y-%m-%d}  {state:<11}  {user.email}")

    run(work())


@app.command(name="password")
def password_(email: EmailArgument, password: PasswordOption = "") -> None:
    """Set a new password. Every session of the account ends."""

    async def work() -> None:
        from app.services.accounts import operators

        async with open_database() as database:
            await operators.find_user(database, email)  # before it asks for a password
            await operators.set_user_password(database, email, await hash_password(ask_password(password)))

    run(work())


@app.command(name="reset-factors")
def reset_factors(email: EmailArgument) -> None:
    """Remove every second factor, for a user who has lost them. Every session of the account ends."""

    async def work() -> None:
        from app.services.accounts import operators

        async with open_database() as database:
            await operators.reset_factors(database, email)

    run(work())


@app.command()
def disable(
    email: EmailArgument, undo: Annotated[bool, typer.Option("--undo", help="Enable it again.")] = False
) -> None:
    """Deny access: no login, and every session and API token is refused within 5 seconds."""

    async def work() -> None:
        from app.services.accounts import operators

        async with open_database() as database:
            await operators.disable_user(database, email, undo=undo)

    run(work())


@app.command()
def delete(email: EmailArgument, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete an account and all of its data permanently."""
    if not yes:
        typer.confirm(f"Delete {email} and everything it has?", abort=True)

    async def work() -> None:
        import asyncio

        from app.services.accounts import operators
        from app.services.accounts.erasure import SECOND_ERASURE_DELAY, erase_owner

        async with open_database() as database:
            user_id = await operators.find_user(database, email)
            await erase_owner(database, user_id)
            await asyncio.sleep(SECOND_ERASURE_DELAY)  # running processes may have accepted a last write
            await erase_owner(database, user_id)

    run(work())
