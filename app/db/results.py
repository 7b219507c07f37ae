"""Rows that statements take and return."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

CONVERTED_SLICE = 500  # changes that are converted without a pause: 3 ms


def encode_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Encodes ``rows`` as a JSON array, as input of a statement.

    Row by row, so that a thread releases the interpreter between two: 1,000 rows may be 16 MB.
    """
    return f"[{','.join([msgspec.json.encode(row).decode() for row in rows])}]"


async def convert_rows(rows: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Returns what ``convert`` makes of each row. Yields to the event loop in between: there can be any number."""
    converted = []
    for number, row in enumerate(rows, start=1):
        converted.append(convert(row))
        if number % CONVERTED_SLICE == 0:
            await asyncio.sleep(0)
    return converted


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
