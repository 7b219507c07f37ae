"""Columns that most tables have, and reading columns of a row in ``changes``."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, Table, Text, text
from sqlmodel import Field as Col
from sqlmodel import SQLModel

# Values of columns that are not nullable, for a change written before the column was added. Other columns are null.
OLD_ROW_DEFAULTS: dict[str, Any] = {
    "active": True,
    "all_reminders": True,
    "completed": False,
    "digest_days": [],
    "favorite": False,
    "parameters": {},
    "priority": "medium",
    "recurrence_from": "due",
    "reminders": [],
    "secrets": [],
    "state": "pending",
    "tags": [],
    "tool_calls": [],
}


def identity() -> Any:
    """Returns an id column that the database fills in."""
    return Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))


def uid_column() -> Any:
    """Returns the column of an id that a client may choose. The default is for processes that do not know the column.

    Ordered by bytes: two texts are equal only if they are the same.
    """
    default = text("(gen_random_uuid())::text")
    return Col(sa_column=Column("uid", Text(collation="C"), nullable=False, server_default=default))


def uid_key(table: str) -> Index:
    """Returns the index that makes a uid unique among its owner's rows, those in the trash included."""
    return Index(f"{table}_uid_key", "user_id", "uid", unique=True)


def nullable_instant() -> Any:
    """Returns a column of an instant that may be null."""
    return Col(default=None, sa_type=DateTime(timezone=True))


def written_at() -> Any:
    """Returns a column of an instant, by default the start of the transaction."""
    return Col(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})


def table_of(model: type[SQLModel]) -> Table:
    """Returns the table of a class that has one."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


class ChangeReader:
    """Reads columns of a table in ``changes.data``, in which a column that was added after the change is missing."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        types = {name: table.c[name].type for name in names}
        parsers: dict[str, Any] = {
            name: datetime.fromisoformat if isinstance(type_, DateTime) else date.fromisoformat
            for name, type_ in types.items()
            if isinstance(type_, DateTime | Date)  # whose JSON is text
        }
        self._fields = [(name, parsers.get(name), OLD_ROW_DEFAULTS.get(name)) for name in names]

    def read(self, data: Mapping[str, Any]) -> list[Any]:
        """Returns the values of the columns, in their order. Those of a row of the table are parsed already."""
        return [
            default
            if (value := data.get(name)) is None
            else value
            if parse is None or type(value) is not str
            else parse(value)
            for name, parse, default in self._fields
        ]
