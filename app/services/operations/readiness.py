"""Whether this process can serve."""

import asyncio
import time
from weakref import WeakKeyDictionary

from sqlalchemy import text

from app.db.compiled import Prepared
from app.db.database import NO_OWNER, Database
from app.db.migrations import head
from app.errors import AppError, SchemaMismatch

VERSION = Prepared(text("select version_num from alembic_version"))
SERVER = Prepared(text("select cast(current_setting('server_version_num') as integer) / 10000"))
REMEMBERED = 1.0  # seconds


class Readiness:
    """Asks the database at most once in a second, however often it is asked itself.

    Nobody needs a token to ask: a flood of it must not take the places in the pool from those who work.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked_at = 0.0
        self._answer: asyncio.Task[AppError | None] | None = None

    async def check(self) -> None:
        """Raises Unavailable when the database does not answer, SchemaMismatch when it is behind or ahead."""
        if self._answer is None or (self._answer.done() and time.monotonic() - self._asked_at >= REMEMBERED):
            self._asked_at = time.monotonic()
            self._answer = asyncio.create_task(_look(self._database))
        if (fact := await asyncio.shield(self._answer)) is not None:  # who hangs up does not end it for the others
            raise fact.with_traceback(None)


async def _look(database: Database) -> AppError | None:
    try:
        async with database.transaction(NO_OWNER, read_only=True) as session:
            return None if (await session.exec(VERSION)).first() == head() else SchemaMismatch()
    except AppError as fact:
        return fact


_OF: "WeakKeyDictionary[Database, Readiness]" = WeakKeyDictionary()


async def check_ready(database: Database) -> None:
    """Raises the facts of ``Readiness.check``."""
    await _OF.setdefault(database, Readiness(database)).check()
