"""Rows that statements take and return."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec


def encode_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Encodes ``rows`` as a JSON array, as input of a statement.

    Row by row, so that a thread releases the interpreter between two: 1,000 rows may be 16 MB.
    """
    return f"[{','.join([msgspec.json.encode(row).decode() for row in rows])}]"


class DatabaseRow(asyncpg.Record):  # type: ignore[misc]
    """A record whose columns are also attributes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Result:
    """The rows of one statement in the order of the database; of a single column its values instead of rows."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def all(self) -> list[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        """Returns the only row. Raises ValueError if there is none or more than one."""
        (row,) = self._rows
        return row
