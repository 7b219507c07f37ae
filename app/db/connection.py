"""One connection, in the state that transactions expect."""

import asyncio
from typing import Any

import asyncpg
import msgspec

from app.db.connection_options import ConnectOptions
from app.db.results import DatabaseRow


async def open_connection(options: ConnectOptions, *, within: float, **other: Any) -> Any:
    """Connects within ``within`` seconds. ``other`` are arguments of ``asyncpg.connect`` in place of ``options``.

    Raises OSError, TimeoutError and errors of asyncpg.
    """
    # A request that connects holds a place in the pool. If the network drops packets, attempts that will fail must not
    # keep later requests from trying.
    arguments = options.arguments() | {"timeout": min(options.connect_timeout, within), **other}
    connection = await asyncpg.connect(record_class=DatabaseRow, **arguments)
    try:
        async with asyncio.timeout(within):
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
