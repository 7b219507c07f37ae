"""The rows that every format's reader returns. They refer to each other by source ids."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

SOURCE_MAX = 300


@dataclass(slots=True)
class ImportRow:
    """One row of a file. ``load`` parses its fields, as late as possible: files are large and rows are small.

    ``parent``, ``series``, ``task`` and ``project`` are source ids; ``project_name`` finds a project or creates it.
    """

    row: int
    source: str
    load: Callable[[], dict[str, Any]]
    parent: str | None = None
    series: str | None = None
    project: str | None = None
    project_name: str | None = None
    task: str | None = None


def bounded_source_id(value: str) -> str:
    """Returns ``value``, or its hash where the database cannot index it: when it is long or contains NUL."""
    if len(value) <= SOURCE_MAX and "\0" not in value:
        return value
    return "sha256:" + sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


class Fingerprints:
    """Makes source ids for rows without one: from their content and the number of equal rows before them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[bytes, int] = {}

    def of(self, *parts: str) -> str:
        digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
        number = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{self._prefix}:{digest.hex()}:{number}"
