"""Reading the service's JSON exports: the document is split into unparsed rows, which take little more than their text.

A row is parsed when it is imported, and strictly: no duplicate names, no NaN.
"""

from collections.abc import Iterator
from heapq import merge
from typing import Any, TypeVar

import msgspec

from app.domain.filters.grammar import FILTER_MAX
from app.domain.filters.row_ids import find_row_ids
from app.domain.user_ids import USER_ID_MAX
from app.errors import EXPORT_FORMAT, AppError, Invalid, MalformedBody, WrongFormat
from app.json_codec import parse_json
from app.models.types import MAX_ID
from app.services.changes.entities import IMPORTED_ENTITIES
from app.services.transfer.formats.json_row_count import check_rows
from app.services.transfer.import_row import (
    EXCERPT_MAX,
    FILTER_TABLES,
    Fingerprints,
    ImportRow,
    LoadedRow,
    RowWarning,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

T = TypeVar("T")
RowId = int | str  # exports have numbers; files that are made by hand may have others
ID_FIELDS = ("id", "parent_id", "series_id", "project_id", "task_id")
UNKNOWN_NAMES_LISTED = 20
EMPTY_VALUES = frozenset({b"null", b"[]", b"{}", b'""'})
# Names of a document that hold no rows.
DOCUMENT_NAMES = frozenset({"format", "user_id", "settings", "exported_at", "revision", "revision_at_end"})
POSITION_MAX, SORT_SLICE = 250, 10_000  # characters, as in the database; rows that are sorted at a time
ROW_MAX = 1_000_000  # bytes; the largest row that can be stored has fewer


# An export. The arrays hold the text of each row; ``settings`` is empty if there are none.
ExportDocument: Any = msgspec.defstruct(
    "Document",
    [
        ("format", str, ""),
        ("user_id", str, ""),
        ("settings", msgspec.Raw, msgspec.Raw()),
        *((name, list[msgspec.Raw], []) for name in IMPORTED_ENTITIES),
    ],
)


class RowIds(msgspec.Struct):
    """The ids of a row and of those that it refers to."""

    id: RowId | None = None
    source_id: str | None = None
    position: str = ""
    parent_id: RowId | None = None
    series_id: RowId | None = None
    project_id: RowId | None = None
    task_id: RowId | None = None
    remind_channels: list[RowId] | None = None


class RowName(msgspec.Struct):
    """A row that its name identifies: a channel, or a view with parameters, which refer to other rows."""

    id: RowId | None = None
    name: str = ""
    parameters: Any = None  # which can hold ids of a project and of tasks


def read_document(text: Any, rows_max: int) -> Any:
    """Returns an ExportDocument. ``text`` is anything with a buffer.

    Raises TooManyRows, MalformedBody and WrongFormat.
    """
    check_rows(text, rows_max)
    try:
        document = msgspec.json.decode(text, type=ExportDocument)
    except msgspec.ValidationError:
        raise WrongFormat(loc=("body",)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody from None
    if document.format != EXPORT_FORMAT:
        raise WrongFormat(loc=("body", "format"))
    if len(document.user_id) > USER_ID_MAX:  # it becomes part of every row's source id
        raise WrongFormat(f"A user_id has at most {USER_ID_MAX} characters.", loc=("body", "user_id"))
    return document


def find_unknown_names(text: Any) -> dict[str, str]:
    """Returns the names of a document that hold no rows of this service, each with the beginning of its text."""
    known = DOCUMENT_NAMES | IMPORTED_ENTITIES.keys()
    found = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    others = {name: bytes(memoryview(raw)[: EXCERPT_MAX + 1]) for name, raw in found.items() if name not in known}
    return {name: raw.decode("utf-8", "replace") for name, raw in others.items() if raw not in EMPTY_VALUES}


class DocumentRows:
    """The rows of a document, in the order in which they are to be created."""

    def __init__(self, document: Any, unknown: dict[str, str]) -> None:
        """Takes in ``unknown`` the names that hold something else, with the beginning of it."""
        self._document, self._unknown = document, unknown
        self._made = Fingerprints("json")
        self._sources: dict[str, dict[RowId, str]] = {"projects": {}, "tasks": {}, "channels": {}}
        self._names = {
            name: [_read_ids(raw, RowIds) for raw in getattr(document, name)] for name in ("projects", "tasks")
        }
        for entity, rows in self._names.items():
            for row in rows:
                if row is not None and row.id is not None:
                    self._sources[entity][row.id] = self._source(row)
        for raw in document.channels:
            if (named := _read_ids(raw, RowName)) is not None and named.id is not None:
                self._sources["channels"][named.id] = bounded_source_id(named.name.strip())

    def __iter__(self) -> Iterator[tuple[str, ImportRow]]:
        """Yields pairs of entity and row, the settings first: local times and the begin of days depend on them.

        Positions among siblings follow from the order in which rows are created.
        """
        if bytes(settings := self._document.settings):
            yield "settings", ImportRow(1, "settings", lambda: _load(settings))
        for name, entity in IMPORTED_ENTITIES.items():
            rows = getattr(self._document, name)
            if (names := self._names.get(name)) is not None:
                yield from ((name, self._item(name, number, names[number])) for number in _by_position(names))
            elif entity.import_key == "name":
                yield from ((name, self._named(name, number, raw)) for number, raw in enumerate(rows))
            else:
                yield from ((name, self._item(name, number, _read_ids(raw, RowIds))) for number, raw in enumerate(rows))
        for name, text in [*self._unknown.items()][:UNKNOWN_NAMES_LISTED]:
            yield warn_of_file(make_warning(name, "There is nothing of this name here: it was left out.", text))
        if (more := len(self._unknown) - UNKNOWN_NAMES_LISTED) > 0:
            yield warn_of_file(make_warning("", f"{more} more names of the document were left out."))

    def _item(self, entity: str, number: int, names: RowIds | None) -> ImportRow:
        raw = getattr(self._document, entity)[number]
        if names is None:
            return ImportRow(number + 1, self._made.of(entity, str(number)), lambda: _load(raw))
        item = ImportRow(number + 1, "", lambda: _load_with_ids(raw))
        if names.source_id or names.id is not None:
            item.source, item.uid = self._source(names), names.source_id or str(names.id)
        else:
            item.source = self._made.of(entity, bytes(raw).decode("utf-8", "replace"))
        if entity == "projects":
            item.parent = self._refer("projects", names.parent_id)
        elif entity in {"tasks", "comments"}:
            item.parent = self._refer("tasks", names.parent_id)
            item.series = self._refer("tasks", names.series_id)
            item.task = self._refer("tasks", names.task_id)
            item.project = self._refer("projects", names.project_id)
            if names.remind_channels is not None:
                item.channels = [self._sources["channels"].get(each, f"#{each}") for each in names.remind_channels]
        return item

    def _named(self, entity: str, number: int, raw: msgspec.Raw) -> ImportRow:
        names = _read_ids(raw, RowName)
        if names is None:
            return ImportRow(number + 1, self._made.of(entity, str(number)), lambda: _load(raw))
        item = ImportRow(number + 1, bounded_source_id(names.name.strip()), lambda: _load(raw), uid=names.name)
        item.parent = self._refer("tasks", _id_in(names.parameters, "parent_id"))
        item.series = self._refer("tasks", _id_in(names.parameters, "series_id"))
        item.project = self._refer("projects", _id_in(names.parameters, "project_id"))
        found = names.parameters.get("filter") if isinstance(names.parameters, dict) else None
        if isinstance(found, str) and (rows := find_row_ids(found[:FILTER_MAX])):
            item.filter_rows = {row: self._refer(FILTER_TABLES[row.field], row.id) or "" for row in rows}
        return item

    def _source(self, names: RowIds) -> str:
        return bounded_source_id(names.source_id or f"{self._document.user_id}:{names.id}")

    def _refer(self, entity: str, number: RowId | None) -> str | None:
        if number is None:
            return None
        return self._sources[entity].get(number) or bounded_source_id(f"{self._document.user_id}:{number}")


def _by_position(names: list[RowIds | None]) -> Iterator[int]:
    """Sorts in slices: no other thread runs while one is sorted."""

    def position(number: int) -> str:
        return found.position[:POSITION_MAX] if (found := names[number]) else ""

    starts = range(0, len(names), SORT_SLICE)
    slices = [sorted(range(start, min(start + SORT_SLICE, len(names))), key=position) for start in starts]
    return merge(*slices, key=position)


def _read_ids(raw: msgspec.Raw, kind: type[T]) -> T | None:
    """Returns the ids of a row, without those of a wrong type; None if the row is refused when it is parsed."""
    if len(memoryview(raw)) > ROW_MAX:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    try:
        return msgspec.convert(_with_valid_ids(_load(raw).fields)[0], type=kind)
    except (AppError, msgspec.ValidationError):
        return None


def _with_valid_ids(fields: dict[str, Any]) -> tuple[dict[str, Any], list[RowWarning]]:
    """Returns the fields without ids, source ids and positions of a wrong type, and warnings of these."""
    wrong = [name for name in ID_FIELDS if not _is_id(fields.get(name))]
    channels = fields.get("remind_channels") or []
    wrong += [] if isinstance(channels, list) and all(map(_is_id, channels)) else ["remind_channels"]
    wrong += [name for name in ("source_id", "position") if not isinstance(fields.get(name), str | None)]
    if not wrong:
        return fields, []
    message = "An id is a whole number or text, a position text: it was left out."
    warnings = [make_warning(name, message, fields[name]) for name in wrong]
    return {name: value for name, value in fields.items() if name not in wrong}, warnings


def _is_id(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 2**53
    return value is None or isinstance(value, str) or (type(value) is int and abs(value) <= MAX_ID)


def _id_in(parameters: Any, name: str) -> int | None:
    value = parameters.get(name) if isinstance(parameters, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if type(value) is int else None


def _load_with_ids(raw: msgspec.Raw) -> LoadedRow:
    return LoadedRow(*_with_valid_ids(_load(raw).fields))


def _load(raw: msgspec.Raw) -> LoadedRow:
    if len(memoryview(raw)) > ROW_MAX:
        raise Invalid(f"A row has at most {ROW_MAX} bytes.", loc=("body",))
    value = parse_json(bytes(raw))
    if not isinstance(value, dict):
        raise MalformedBody("A row is not an object.")
    return LoadedRow(value)
