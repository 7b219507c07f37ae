"""What every format's reader gives: rows that name each other by source ids."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

SOURCE_MAX = 300


@dataclass(slots=True)
class Item:
    """One row of a file. ``load`` reads its fields, as late as possible: files are large and rows are small.

    ``parent``, ``series``, ``task`` and ``project`` are sources; ``project_name`` finds a project, or makes one.
    """

    row: int
    source: str
    load: Callable[[], dict[str, Any]]
    parent: str | None = None
    series: str | None = None
    project: str | None = None
    project_name: str | None = None
    task: str | None = None


def source_text(value: str) -> str:
    """A source id that fits an index, and that the database can hold: it knows no NUL."""
    if len(value) <= SOURCE_MAX and "\0" not in value:
        return value
    return "sha256:" + sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


class Fingerprints:
    """Source ids of rows that bring none: what they hold, and how many of the same came before."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[bytes, int] = {}

    def of(self, *parts: str) -> str:
        digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
        number = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{self._prefix}:{digest.hex()}:{number}"
