"""The ids of rows in the text of a filter, which are others where its tasks are imported."""

import re
from collections.abc import Callable
from typing import NamedTuple

from app.models.types import MAX_ID

GONE_ID = 0  # which no row has
# Quoted text; a condition: its field and operator, or its mark, and its value; a word.
_PIECE_PATTERN = re.compile(
    r'"(?:[^"\\]|\\.)*"|“[^”]*”'
    r'|(?P<head>(?P<field>[a-z_]+)\s*(?::?(?:<=|>=|<|>|!=)|==|:=|=|:)\s*|(?P<mark>[@#]))(?P<value>[^\s()"“”&|]+)'
    r'|[^\s()"“”&|:<>=!@#-][^\s()"“”&|:<>=]*',
    re.IGNORECASE,
)


class FilterRow(NamedTuple):
    """A row that a filter names by its id: ``field`` is project or parent."""

    field: str
    id: int


def find_row_ids(text: str) -> list[FilterRow]:
    """Returns the rows that a filter names by their ids, from left to right."""
    return [row for piece in _PIECE_PATTERN.finditer(text) if (row := _row_of(piece)) is not None]


def replace_row_ids(text: str, find: Callable[[FilterRow], int | None]) -> str:
    """Returns the filter with the ids that ``find`` returns; GONE_ID for None."""

    def replaced(piece: re.Match[str]) -> str:
        row = _row_of(piece)
        return piece[0] if row is None else f"{piece['head']}{find(row) or GONE_ID}"

    return _PIECE_PATTERN.sub(replaced, text)


def _row_of(piece: re.Match[str]) -> FilterRow | None:
    field, value = "project" if piece["mark"] == "#" else (piece["field"] or "").lower(), piece["value"] or ""
    if field not in {"project", "parent"} or not (value.isascii() and value.isdigit()):
        return None
    return FilterRow(field, number) if len(value) < 20 and (number := int(value)) <= MAX_ID else None
