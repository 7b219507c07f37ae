"""Whether this process can serve."""

from sqlalchemy import text

from app.db.migrations import head
from app.db.session import Database
from app.db.statements import Prepared
from app.errors import Unavailable

VERSION = Prepared(text("select version_num from alembic_version"))
NOBODY = "nobody"  # a transaction needs an owner; this statement reads nobody's rows


class SchemaMismatch(Unavailable):
    code, message = "schema_mismatch", "The database schema is not the one this version needs: run 'todo migrate'."


async def check_ready(database: Database) -> None:
    """Raises Unavailable when the database does not answer, SchemaMismatch when it is behind or ahead."""
    async with database.transaction(NOBODY, read_only=True) as session:
        if (await session.exec(VERSION)).first() != head():
            raise SchemaMismatch
