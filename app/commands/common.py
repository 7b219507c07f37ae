"""What every command needs: settings, and errors as one line."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import typer
from pydantic import ValidationError

from app.config import Settings, get_settings
from app.db import migrations
from app.db.database import Database
from app.errors import AppError
from app.main import database_options, direct_options
from app.observability.logs import configure_logging
from app.observability.startup_errors import reason, settings_reasons

REPAIRABLE = (AppError, OSError, TimeoutError, ValueError, asyncpg.PostgresError)


def read_settings() -> Settings:
    """The settings, or one line for each that is wrong and exit status 2."""
    try:
        settings = get_settings()
        configure_logging(settings)
        return settings
    except ValidationError as error:
        for line in settings_reasons(error):
            typer.echo(f"todo: {line}", err=True)
    except (OSError, ValueError) as error:
        typer.echo(f"todo: .env cannot be read: {error}", err=True)
    raise typer.Exit(2)


def fail(error: BaseException) -> typer.Exit:
    """What an operator can repair is one line, not a traceback."""
    typer.echo(f"todo: {reason(error)}", err=True)
    return typer.Exit(1)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work``; what an operator can repair is one line and exit status 1."""
    # Like Ctrl-C, so that an embedded PostgreSQL started for this command is stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return asyncio.run(work)
    except REPAIRABLE as error:
        raise fail(error) from None


@asynccontextmanager
async def open_database() -> AsyncIterator[Database]:
    """The service's database with today's schema; facts become one line and exit status 1."""
    settings = read_settings()
    async with database_options(settings) as options:
        if settings.auto_migrate:
            await migrations.upgrade(direct_options(settings, options))
        database = await Database(options, size=1, timeout=settings.pool_timeout).open()
        try:
            yield database
        except AppError as fact:
            raise ValueError(fact.detail) from None
        finally:
            await database.close()
