"""The rows that every format's reader returns, with warnings. Rows refer to each other by source ids.

Readers hand values on as they are in the file: ``app.services.transfer.row_validation`` leaves out those that it
cannot read, with a warning. A reader warns only of what never becomes a field.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from app.domain.filters.row_ids import FilterRow
from app.models.types import is_uid

SOURCE_MAX = 300
FILTER_TABLES = {"project": "projects", "parent": "tasks"}  # of the rows that a filter names
_TEXT_ENCODER = json.JSONEncoder(ensure_ascii=False)
EXCERPT_MAX = 200  # characters of a value in a report


class Deviation(StrEnum):
    """The ways in which an imported row can differ from the file."""

    LEFT_OUT = "left_out"
    CUT = "cut"
    CHANGED = "changed"
    GUESSED = "guessed"
    KEPT_AS_TEXT = "kept_as_text"


class RowWarning(NamedTuple):
    """A difference between an imported row and the file. Made by ``make_warning``."""

    field: str
    value: str
    message: str
    type: Deviation


def make_warning(field: str, message: str, value: object = "", kind: Deviation = Deviation.LEFT_OUT) -> RowWarning:
    """Returns a warning. ``field`` is the task's, or the file's own name of what is no field here."""
    return RowWarning(excerpt_of(field), excerpt_of(value), message, kind)


def excerpt_of(value: object) -> str:
    """Returns the beginning of a value as a report shows it."""
    text = value if isinstance(value, str) else _beginning_of(value)
    return text if len(text) <= EXCERPT_MAX else text[: EXCERPT_MAX - 1] + "…"


def _beginning_of(value: object) -> str:
    """Returns the beginning of a value as JSON: the whole may have 450,000 items."""
    text = ""
    with suppress(RecursionError):
        for piece in _TEXT_ENCODER.iterencode(value):
            text += piece
            if len(text) > EXCERPT_MAX:
                break
    return text


class LoadedRow(NamedTuple):
    """The fields of a row as the file has them, and warnings of what is no field."""

    fields: dict[str, Any]
    warnings: Sequence[RowWarning] = ()


class ValidRow(NamedTuple):
    """The columns of a row, and what of it differs from the file."""

    columns: dict[str, Any]
    warnings: list[RowWarning]


class RowRefused(Exception):
    """The row is invalid: ``errors`` as in the report of an import."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__("row refused")


def row_error(field: str, message: str, type_: str = "value_error") -> RowRefused:
    """Returns an error of one field: a name, or names joined by dots."""
    return RowRefused([{"loc": field.split("."), "msg": message, "type": type_}])


@dataclass(slots=True)
class ImportRow:
    """One row of a file. ``load`` parses its fields, as late as possible: files are large and rows are small.

    ``parent``, ``series``, ``task``, ``project`` and ``channels`` are source ids; ``project_name`` finds a project or
    creates it. ``uid`` is the id that the file itself gives the row, by which a report names it. ``refers_by_uid``: the
    source ids are uids as calendars have them. ``filter_rows``: those of the rows that the filter of a view names.
    """

    row: int
    source: str
    load: Callable[[], LoadedRow]
    parent: str | None = None
    series: str | None = None
    project: str | None = None
    project_name: str | None = None
    task: str | None = None
    uid: str | None = None
    channels: list[str] | None = None
    refers_by_uid: bool = False
    filter_rows: Mapping[FilterRow, str] | None = None


WHOLE_FILE = "file"  # in the place of an entity: warnings that belong to no row


def warn_of_file(*warnings: RowWarning) -> tuple[str, ImportRow]:
    """Returns what a reader yields, anywhere among its rows, to warn of the file as a whole."""
    return WHOLE_FILE, ImportRow(0, WHOLE_FILE, lambda: LoadedRow({}, warnings))


def bounded_source_id(value: str) -> str:
    """Returns ``value``, or its hash where the database cannot index it: when it is long or contains NUL."""
    if len(value) <= SOURCE_MAX and "\0" not in value:
        return value
    return "sha256:" + sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def uid_of_calendar(value: str) -> str:
    """Returns the uid of a to-do whose UID is ``value``: the same, or its hash where it has other characters."""
    return value if is_uid(value) else f"ical-{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


class Fingerprints:
    """Makes source ids for rows without one: from their content and the number of equal rows before them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: dict[bytes, int] = {}

    def of(self, *parts: str) -> str:
        digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]
        number = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{self._prefix}:{digest.hex()}:{number}"
