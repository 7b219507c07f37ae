"""Statements for tables whose rows have the revision of their latest write, as ``version``."""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Table, Update, bindparam, func, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import NEXT_REVISION


def kept_columns(table: Table) -> list[Column[Any]]:
    """Lists the columns that ``changes.data`` holds: of computed ones only ``position``, which clients read."""
    return [column for column in table.c if column.computed is None or column.name == "position"]


def moment_of(table: Table) -> ColumnElement[Any]:
    """Returns the time of a write. now() is the start of the transaction, which may precede a concurrent write."""
    return func.greatest(func.now(), table.c.updated_at)


def update_row(
    table: Table, where: Any, *, checks_version: bool, revision: ColumnElement[int] = NEXT_REVISION, **values: Any
) -> Update:
    """Builds an UPDATE that sets ``version``; ``checks_version``: only where the version is one of ``versions``."""
    statement = update(table).where(*where)
    if checks_version:
        statement = statement.where(table.c.version == func.any(bindparam("versions", type_=ARRAY(BigInteger))))
    return statement.values(version=revision, updated_at=moment_of(table), **values)
