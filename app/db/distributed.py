"""Detection of a database that is spread over several servers (Citus)."""

from typing import Any

SELECT_CITUS = "select exists (select from pg_extension where extname = 'citus')"
# Only then do the workers see SET LOCAL; without an owner they show no rows.
PROPAGATE_SETTINGS = " SET LOCAL citus.propagate_set_commands = 'local';"


async def is_distributed(connection: Any) -> bool:
    """Queries whether Citus is installed. Called once, when the service starts."""
    found: bool = await connection.fetchval(SELECT_CITUS)
    return found
