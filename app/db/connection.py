"""One connection, in the state that transactions expect."""

import asyncio
from typing import Any

import asyncpg
import msgspec

from app.db.connection_options import ConnectOptions
from app.db.results import DatabaseRow


async def open_connection(options: ConnectOptions, limit: float, server: tuple[str, int] | None = None) -> Any:
    """Connects to the server of ``options``, or to a primary at another host and port.

    ``limit`` is the longest time for connecting, and then for the rest, in seconds. Raises OSError, TimeoutError,
    errors of asyncpg, and RuntimeError for a server that would read quotes in another way.
    """
    # A request that connects holds a place in the pool. If the network drops packets, attempts that will fail must not
    # keep later requests from trying.
    arguments = options.arguments() | {"timeout": min(options.connect_timeout, limit)}
    if server is not None:
        arguments |= {"host": server[0], "port": server[1], "target_session_attrs": "primary"}
    connection = await asyncpg.connect(record_class=DatabaseRow, **arguments)
    try:
        async with asyncio.timeout(limit):
            await _prepare(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _prepare(connection: Any) -> None:
    # SQLAlchemy's JSONB writes text and expects the driver to read it back as a value.
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)
    if connection.get_settings().standard_conforming_strings != "on":
        raise RuntimeError("standard_conforming_strings must be on: owners are quoted under that rule")
