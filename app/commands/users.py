"""``todo user``: management of accounts by the operator."""

from typing import Annotated

import typer

from app.commands.common import open_database, run

app = typer.Typer(help="Accounts: create, list, password, disable, delete.", no_args_is_help=True)
EmailArgument = Annotated[str, typer.Argument(help="E-mail of the account.")]
PasswordOption = Annotated[
    str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when left out.")
]


async def _hash(password: str) -> str:
    from app.auth.passwords import PasswordHasher, check_new_password

    if not 8 <= len(password) <= 128:
        raise ValueError("a password has 8 to 128 characters")
    check_new_password(password)
    hasher = PasswordHasher(threads=1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


@app.command()
def create(
    email: EmailArgument,
    password: PasswordOption,
    name: Annotated[str, typer.Option(help="Shown to the user.")] = "",
    timezone: Annotated[str, typer.Option(help="Time zone: an IANA name.")] = "UTC",
) -> None:
    """Create an account and print its user id, also with REGISTRATION=closed."""

    async def work() -> None:
        from pydantic import ValidationError

        from app.models.accounts import AccountCreate
        from app.services.accounts import operators

        try:
            account = AccountCreate(email=email, password=password, name=name, timezone=timezone)
        except ValidationError as error:
            raise ValueError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
        async with open_database() as database:
            typer.echo(await operators.create_user(database, account, await _hash(password)))

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
def password_(email: EmailArgument, password: PasswordOption) -> None:
    """Set a new password. Every session of the account ends."""

    async def work() -> None:
        from app.services.accounts import operators

        async with open_database() as database:
            await operators.set_user_password(database, email, await _hash(password))

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
