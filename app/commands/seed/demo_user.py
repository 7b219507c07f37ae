"""Creates the demo user of ``todo seed`` and imports its data."""

import secrets
from zoneinfo import ZoneInfo

import typer

from app.clock import now
from app.commands.common import open_database
from app.commands.seed.life import DemoData
from app.commands.users import hash_password, read_account
from app.db.database import Database
from app.errors import AccountNotFound
from app.jobs.importing import Import
from app.services.accounts import operators
from app.services.transfer.export_pages import ExportHead, read_head, read_page
from app.services.transfer.row_validation import RowReader


async def fill_demo_user(
    *, user: str, email: str, tasks: int, number: int, timezone: str, again: bool, description_max: int
) -> None:
    """Imports demo data for ``user``, or for the account of ``email``, and prints how to log in."""
    async with open_database() as database:
        owner, password = (user, "") if user else await _ensure_account(database, email, timezone)
        head = await _read_head(database, owner, again=again)
        moment, zone = now(), ZoneInfo(head.timezone)
        reader = RowReader(description_max=description_max, timezone=zone, now=moment)
        job = Import(database, owner, reader, dry_run=False)
        await job.run(DemoData(number, moment, zone, f"seed:{head.revision}").items(tasks))
    typer.echo(f"{job.created['tasks']} tasks in {job.created['projects']} new projects for {owner}")
    typer.echo(_login_hint(owner, "" if user else email, password))


async def _ensure_account(database: Database, email: str, timezone: str) -> tuple[str, str]:
    """Finds or creates the account; returns its user id, and the password if it is new."""
    try:
        return await operators.find_user(database, email), ""
    except AccountNotFound:
        password = secrets.token_urlsafe(12)
    account = read_account(email, password, "Demo", timezone)
    return await operators.create_user(database, account, await hash_password(password)), password


async def _read_head(database: Database, owner: str, *, again: bool) -> ExportHead:
    """Reads the state of ``owner``. Raises ValueError if there are tasks already, unless ``again``."""
    async with database.transaction(owner, read_only=True) as session:
        if not again and await read_page(session, owner, "tasks", 0, live=False):
            raise ValueError(f"{owner} has tasks already: --again adds to them")
        return await read_head(session, owner)


def _login_hint(owner: str, email: str, password: str) -> str:
    if password:
        return f"log in as {email} with the password {password}"
    return f"log in as {email}" if email else f"a token: todo token {owner}"
