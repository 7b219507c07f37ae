"""The choice of this process' database, without the web application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.config import Settings
from app.db.connection_options import ConnectOptions, connect_options
from app.db.embedded import embedded_postgres


@asynccontextmanager
async def database_options(settings: Settings) -> AsyncIterator[ConnectOptions]:
    """Yields the options of DATABASE_URL, or of an embedded server that runs as long as the context lasts."""
    if settings.database_url is not None:
        yield connect_options(settings.database_url.get_secret_value(), settings)
        return
    async with embedded_postgres(settings) as options:
        yield options


def direct_options(settings: Settings, options: ConnectOptions) -> ConnectOptions:
    """Returns the options of a direct connection (bypassing the pooler), which migrations need."""
    if settings.direct_database_url is None:
        return options
    return connect_options(settings.direct_database_url.get_secret_value(), settings)
