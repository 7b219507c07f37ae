"""Helpers of all commands: settings, and errors as one line."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from app.config import Settings
    from app.db.database import Database


WILDCARD_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to show


def read_settings(*, check_names: bool = False) -> Settings:
    """Returns the settings, or prints one line for each that is wrong and exits with status 2. Configures logging.

    With ``check_names`` also prints a note for each name that is no setting.
    """
    from pydantic import ValidationError

    from app.config import get_settings
    from app.observability.logs import configure_logging

    if check_names:
        note_setting_problems()
    try:
        settings = get_settings()
        configure_logging(settings)
        return settings
    except ValidationError as error:
        from app.observability.startup_errors import describe_invalid_settings

        for line in describe_invalid_settings(error):
            typer.echo(f"todo: {line}", err=True)
    except (OSError, ValueError) as error:
        typer.echo(f"todo: {describe_unreadable_file(error)}", err=True)
    raise typer.Exit(2)


def note_setting_problems() -> None:
    """Prints a note for each line of .env and each variable that has no effect."""
    from app.observability.setting_names import find_setting_problems

    with suppress(OSError, ValueError):  # reading the settings reports it
        for sentence in find_setting_problems():
            typer.echo(f"note: {sentence}", err=True)


def describe_unreadable_file(error: Exception) -> str:
    """Return what to do about a .env that cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return ".env is not UTF-8: save it in that encoding"
    return f".env cannot be read: {error}"


def host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(settings: Settings, port: int) -> str:
    """Return the URL of the service on this machine."""
    return f"http://{host_and_port(WILDCARD_ADDRESSES.get(settings.host, settings.host), port)}"


def fail(error: BaseException) -> typer.Exit:
    """Prints ``error`` in one line. Returns what to raise."""
    from app.observability.startup_errors import describe_failure

    typer.echo(f"todo: {describe_failure(error)}", err=True)
    return typer.Exit(1)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Prints an error whose cause an operator can repair in one line, without traceback. Exits with status 1."""
    from asyncpg import PostgresError

    from app.errors import AppError

    try:
        yield
    except (AppError, OSError, TimeoutError, ValueError, PostgresError) as error:
        raise fail(error) from None


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs ``work`` within ``errors_in_one_line``."""
    import asyncio
    import signal

    # Like Ctrl-C, so that an embedded PostgreSQL started for this command is also stopped.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with errors_in_one_line():
        return asyncio.run(work)


@asynccontextmanager
async def open_database() -> AsyncIterator[Database]:
    """Opens the service's database with the current schema. Raises ValueError for application errors."""
    from app.db import migrations
    from app.db.connect import database_options, direct_options
    from app.db.database import Database
    from app.db.epoch import ensure_epoch
    from app.errors import AppError

    settings = read_settings()
    async with database_options(settings) as options:
        if settings.auto_migrate:
            await migrations.upgrade(direct_options(settings, options))
        await ensure_epoch(direct_options(settings, options))
        database = await Database(options, size=1, timeout=settings.pool_timeout).open()
        try:
            yield database
        except AppError as error:
            raise ValueError(error.detail) from None
        finally:
            await database.close()
