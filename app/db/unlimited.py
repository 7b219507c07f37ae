"""Connections for work that takes as long as it takes: migrations, new epochs, the distribution of tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.db.connection_options import ConnectOptions


async def connect_unlimited(options: ConnectOptions) -> Any:
    """Connects without the limits of the service's connections, neither the driver's nor the server's."""
    arguments = options.arguments() | {"command_timeout": None}
    arguments.pop("server_settings", None)
    return await asyncpg.connect(**arguments)


@asynccontextmanager
async def unlimited_connection(options: ConnectOptions) -> AsyncIterator[Any]:
    """Yields such a connection, and closes it."""
    connection = await connect_unlimited(options)
    try:
        yield connection
    finally:
        await connection.close()
