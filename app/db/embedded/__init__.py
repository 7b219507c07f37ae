"""PostgreSQL inside the service: a real server from a wheel, over a unix socket in the data folder."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg

from app.config import Settings
from app.db.connection_options import ConnectOptions, connect_options

DATABASE_NAME = "todo"
# The built-in provider sorts and folds Unicode the same on every machine; initdb's default follows LANG.
CREATE_DATABASE = (
    f"create database {DATABASE_NAME} template template0 encoding 'UTF8' "
    "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
)
SPARE_CONNECTIONS = 20  # for the superuser, autovacuum, psql, a backup


def prepare_data_dir(folder: Path) -> Path:
    """Creates ``folder`` for its owner alone and returns it absolute; an existing one keeps its mode.

    It may be shared or mounted: ``pg`` and the secret in it have their own modes. Raises OSError.
    """
    try:
        folder = folder.expanduser().resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"DATA_DIR {str(folder)!r} cannot be made: {reason}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"DATA_DIR {str(folder)!r} cannot be written to by this user")
    return folder


def _join(settings: Settings) -> tuple[Any, str]:
    """Starts or joins the cluster; returns it and the folder of its socket."""
    if sys.platform == "win32":
        raise OSError("the embedded PostgreSQL needs Linux or macOS: set DATABASE_URL")
    from app.db.embedded.cluster import Cluster  # its imports are useless with DATABASE_URL and absent on Windows

    cluster = Cluster(prepare_data_dir(settings.data_dir))
    wanted = settings.web_concurrency * (settings.pool_size + 1) + SPARE_CONNECTIONS  # one more for LISTEN
    return cluster, cluster.join(max_connections=max(100, wanted))


@asynccontextmanager
async def embedded_postgres(settings: Settings) -> AsyncIterator[ConnectOptions]:
    """Starts the server of ``settings.data_dir``, or joins the one that another process started or left behind.

    The last process that leaves stops it.
    """
    joining = asyncio.create_task(asyncio.to_thread(_join, settings))
    try:
        cluster, sockets = await asyncio.shield(joining)
    except asyncio.CancelledError:
        # Ctrl-C while it starts: the thread cannot be interrupted, so the server is stopped right after its start.
        cluster, _ = await joining
        await asyncio.to_thread(cluster.leave)
        raise
    try:
        await _ensure_database(connect_options(_url("postgres", sockets), settings))
        yield connect_options(_url(DATABASE_NAME, sockets), settings)
    finally:
        await asyncio.to_thread(cluster.leave)


def _url(database: str, sockets: str) -> str:
    # Complete, so that no environment variable (PGPORT, PGSSLMODE) applies.
    return f"postgresql://postgres@/{database}?{urlencode({'host': sockets, 'port': 5432, 'sslmode': 'disable'})}"


async def _ensure_database(maintenance: ConnectOptions) -> None:
    connection = await asyncpg.connect(**maintenance.arguments())
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE_NAME):
            await connection.execute(CREATE_DATABASE)
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another process was first
    finally:
        await connection.close()


def root_warning() -> str | None:
    """Returns a warning if the process runs as root, else None."""
    if sys.platform != "win32" and os.geteuid() == 0:
        return (
            "running as root: PostgreSQL runs as the owner of its data, 'pgserver' for new data, "
            "which is granted access to the parent folders of DATA_DIR and of the installed program"
        )
    return None


def binaries() -> Path | None:
    """Returns the folder of the PostgreSQL programs of the embedded server; None if it is not installed."""
    if sys.platform == "win32":
        return None
    from app.db.embedded.files import bin_folder  # not on Windows, as above

    try:
        return bin_folder()
    except OSError:
        return None
