"""Columns that most tables have."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, text
from sqlmodel import Field as Col
from sqlmodel import SQLModel


def identity() -> Any:
    """Returns an id column that the database fills in."""
    return Col(sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))


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
