"""Readiness: whether this process can serve."""

import asyncio
import time
from weakref import WeakKeyDictionary

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.database import NO_OWNER, Database
from app.db.migrations import head_revision
from app.db.notifications import RUNNING_PROGRAMS
from app.errors import AppError, SchemaMismatch

SELECT_SCHEMA_REVISION = CompiledStatement(text("select version_num from alembic_version"))
SELECT_SERVER_VERSION = CompiledStatement(text("select cast(current_setting('server_version_num') as integer) / 10000"))
SELECT_RUNNING_PROGRAMS = CompiledStatement(
    text("""
    select application_name from pg_stat_activity
    where datname = current_database() and application_name = any(cast(:names as text[]))
""")
)
RESULT_LIFE = 1.0  # seconds


class Readiness:
    """Checks the database at most once a second, however many requests ask for it.

    The request needs no token: a flood of them must not take connections of the pool from other requests.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checked_at = 0.0
        self._result: asyncio.Task[AppError | None] | None = None

    async def check(self) -> None:
        """Raises Unavailable when the database does not respond, SchemaMismatch when its schema is older or newer."""
        if self._result is None or (self._result.done() and time.monotonic() - self._checked_at >= RESULT_LIFE):
            self._checked_at = time.monotonic()
            self._result = asyncio.create_task(_check_database(self._database))
        # Shielded: a caller that disconnects does not cancel it for the others.
        if (error := await asyncio.shield(self._result)) is not None:
            raise error.with_traceback(None)


async def _check_database(database: Database) -> AppError | None:
    try:
        async with database.transaction(NO_OWNER, read_only=True) as session:
            return None if (await session.exec(SELECT_SCHEMA_REVISION)).first() == head_revision() else SchemaMismatch()
    except AppError as error:
        return error


async def find_running_programs(database: Database) -> list[str]:
    """Returns which of RUNNING_PROGRAMS use this database now, each process once, but not those behind a pooler."""
    async with database.transaction(NO_OWNER, read_only=True) as session:
        return (await session.exec(SELECT_RUNNING_PROGRAMS, {"names": list(RUNNING_PROGRAMS)})).all()


_READINESS_OF: "WeakKeyDictionary[Database, Readiness]" = WeakKeyDictionary()


async def check_ready(database: Database) -> None:
    """Raises Unavailable or SchemaMismatch, as found within the last second."""
    await _READINESS_OF.setdefault(database, Readiness(database)).check()
