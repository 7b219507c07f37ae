"""Creates the demo user of ``todo seed`` and imports its data."""

import asyncio
import secrets
from contextlib import suppress
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import typer

from app.clock import now
from app.commands.common import local_url, open_database
from app.commands.seed.life import DemoData
from app.commands.users import hash_password, read_account
from app.config import Settings
from app.db.connect import database_options, direct_options
from app.db.database import Database
from app.db.notifications import RECONNECT_SECONDS, SERVER_PROGRAM, WORKING_SERVER_PROGRAM
from app.errors import AccountNotFound
from app.jobs.importing import Import
from app.services.accounts import operators
from app.services.operations.readiness import find_running_programs
from app.services.transfer.export_pages import ExportHead, read_head, read_page
from app.services.transfer.row_validation import RowReader

ASKING_SECONDS = 2.0  # seconds for a service to answer at the address of the settings


async def fill_demo_user(
    settings: Settings, *, user: str, email: str, tasks: int, number: int, timezone: str, again: bool, offline: bool
) -> None:
    """Imports demo data for ``user``, or for the account of ``email``, and prints how to log in."""
    where = describe_database(settings)
    if not offline and settings.embedded and not (settings.data_dir / "pg").exists():
        raise _not_served(where)  # before a new database is made there
    async with open_database() as database:
        if not offline and not await _is_served(settings, database):
            raise _not_served(where)
        owner, password = (user, "") if user else await _ensure_account(database, email, timezone)
        head = await _read_head(database, owner, "" if user else email, again=again)
        moment, zone = now(), ZoneInfo(head.timezone)
        reader = RowReader(description_max=settings.description_max, timezone=zone, now=moment)
        job = Import(database, owner, reader, dry_run=False)
        await job.run(DemoData(number, moment, zone, f"seed:{head.revision}").items(tasks))
    typer.echo(f"{job.created['tasks']} tasks in {job.created['projects']} new projects for {owner}, in {where}")
    typer.echo(_login_hint(settings, owner, "" if user else email, password))


def describe_database(settings: Settings) -> str:
    """Returns which database the settings name, without a password."""
    if settings.database_url is None:
        return f"the embedded PostgreSQL of {settings.data_dir.expanduser().resolve()}"
    with suppress(ValueError):
        parts = urlsplit(settings.database_url.get_secret_value().strip())
        return f"the database {parts.path.lstrip('/') or 'todo'} of {parts.netloc.rpartition('@')[2] or 'a socket'}"
    return "the database of DATABASE_URL"


async def _is_served(settings: Settings, database: Database) -> bool:
    """Returns whether a running service uses the database. One behind a pooler is not seen, and assumed."""
    if settings.database_url is not None:
        async with database_options(settings) as options:
            if direct_options(settings, options).pooled:
                return True
    for pause in (0.0, RECONNECT_SECONDS, 1.0):  # it may be connecting again
        await asyncio.sleep(pause)
        if {SERVER_PROGRAM, WORKING_SERVER_PROGRAM} & set(await find_running_programs(database)):
            return True
    return False


def _not_served(where: str) -> ValueError:
    return ValueError(
        f"no running 'todo serve' uses {where}: start it, or set DATA_DIR or DATABASE_URL as it has them. "
        "Nothing was written; --offline fills this database anyway"
    )


async def _ensure_account(database: Database, email: str, timezone: str) -> tuple[str, str]:
    """Finds or creates the account; returns its user id, and the password if it is new."""
    try:
        return await operators.find_user(database, email), ""
    except AccountNotFound:
        password = secrets.token_urlsafe(12)
    account = read_account(email, password, "Demo", timezone)
    return await operators.create_user(database, account, await hash_password(password)), password


async def _read_head(database: Database, owner: str, email: str, *, again: bool) -> ExportHead:
    """Reads the state of ``owner``. Raises ValueError if there are tasks already, unless ``again``."""
    async with database.transaction(owner, read_only=True) as session:
        if not again and await read_page(session, owner, "tasks", 0, live=False):
            way_back = f"; 'todo user password {email}' sets a new password" if email else ""
            raise ValueError(f"{email or owner} has tasks already: --again adds to them{way_back}")
        return await read_head(session, owner)


def _login_hint(settings: Settings, owner: str, email: str, password: str) -> str:
    if not email:
        return f"a token: todo token {owner}"
    url = settings.public_base or local_url(settings, settings.port)
    place = f"{url}/app" if _answers(url) else "/app, at the address that 'todo serve' printed"
    if password:
        return f"log in as {email} with the password {password} at {place}"
    return f"log in as {email} at {place} ('todo user password {email}' sets a new password)"


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=ASKING_SECONDS, trust_env=False).is_success
    return False
