"""JSON documents of other products: parsed a part at a time, so that a large file takes little more than its text."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from app.errors import AppError, Invalid, MalformedBody
from app.services.transfer.formats.file_context import RowBudget
from app.services.transfer.formats.json import ROW_MAX
from app.services.transfer.formats.json_row_count import check_rows
from app.services.transfer.import_row import Deviation, ImportRow, LoadedRow, RowWarning, make_warning

SAMPLE_ITEMS = 20  # items of an array that are looked at
NAMES_LISTED = 40  # names without a meaning here, of one file
EMPTY_JSON: tuple[Any, ...] = (None, "", [], {}, False, 0)
_DECODE_ANY = msgspec.json.Decoder().decode
_DECODE_NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DECODE_ITEMS = msgspec.json.Decoder(list[msgspec.Raw]).decode


class JsonPart:
    """A value of a document, not parsed yet. All parts of a file share one budget of rows."""

    def __init__(self, text: Any, budget: RowBudget) -> None:
        """Takes in ``text`` anything with a buffer."""
        self._text, self._budget = text, budget

    def names(self) -> dict[str, "JsonPart"]:
        """Returns the values of an object by name; of anything else none. Raises MalformedBody and TooManyRows."""
        found = self._parts(_DECODE_NAMES)
        return {name: JsonPart(raw, self._budget) for name, raw in found.items()} if found else {}

    def items(self) -> list["JsonPart"]:
        """Returns the items of an array; of anything else none. Raises MalformedBody and TooManyRows."""
        found = self._parts(_DECODE_ITEMS)
        self._budget.take(len(found or ()))
        return [JsonPart(raw, self._budget) for raw in found or ()]

    def item_names(self) -> frozenset[str]:
        """Returns the names that the first items of an array have, if they are objects."""
        found = self._parts(_DECODE_ITEMS) or []
        return frozenset().union(*(JsonPart(raw, self._budget).names() for raw in found[:SAMPLE_ITEMS]))

    def values(self) -> list["JsonPart"]:
        """Returns the values of an object, each of which counts as a row."""
        found = [*self.names().values()]
        self._budget.take(len(found))
        return found

    def _parts(self, decode: Callable[[Any], Any]) -> Any:
        check_rows(memoryview(self._text), self._budget.left + 1, depth=1)
        try:
            return decode(self._text)
        except msgspec.ValidationError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedBody from None

    def value(self) -> Any:
        """Parses the value. Raises Invalid and MalformedBody."""
        if len(memoryview(self._text)) > ROW_MAX:
            raise Invalid(f"A row has at most {ROW_MAX} bytes.", loc=("body",))
        try:
            return _DECODE_ANY(self._text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedBody("The row is not JSON.") from None

    def beginning(self) -> str:
        with memoryview(self._text) as view:
            return bytes(view[:200]).decode("utf-8", "replace")


class DocumentShape(NamedTuple):
    """The names of a document that is an object, or those that the first items of an array have."""

    names: frozenset[str]
    item_names: frozenset[str] = frozenset()
    parts: Mapping[str, JsonPart] = {}

    def names_within(self, *names: str) -> frozenset[str]:
        """Returns the names of the first items of the arrays ``names`` of an object."""
        return frozenset().union(*(self.parts[name].item_names() for name in names if name in self.parts))


Row = dict[str, Any]


def rows_of(
    entity: str, parts: list[JsonPart], made: Callable[[int, Row], Iterator[tuple[str, ImportRow]]]
) -> Iterator[tuple[str, ImportRow]]:
    """Yields what ``made`` yields for each object, given its number; a row that is none fails alone."""
    for number, part in enumerate(parts, start=1):
        try:
            row = part.value()
            if not isinstance(row, dict):
                raise MalformedBody("A row is not an object.")
        except AppError as error:
            yield entity, ImportRow(number, f"broken:{entity}:{number}", _raiser(error))
        else:
            yield from made(number, row)


def _raiser(error: AppError) -> Callable[[], LoadedRow]:
    def load() -> LoadedRow:
        raise error

    return load


def items_of(value: object) -> list[Any]:
    """Returns the items of a value that should be an array."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[Row]:
    """Returns the objects of a value that should be an array of them."""
    return [each for each in items_of(value) if isinstance(each, dict)]


def text_at(row: Mapping[str, Any], *names: str) -> str:
    """Returns the text or number at a path of names, else nothing."""
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def is_on(value: object) -> bool:
    """Returns whether a value means yes: some versions of a product write 1 or "true"."""
    return value in (True, 1, "1", "true", "True", "yes", "Y", "y")


def number_at(row: Mapping[str, Any], name: str) -> float:
    """Returns the number at ``name``, also where it is text, else 0."""
    try:
        return float(text_at(row, name) or 0)
    except ValueError:
        return 0.0


class UnknownNames:
    """The names in a file's objects that have no meaning here, with how often they have a value, and the first."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        self._found: dict[str, tuple[int, Any]] = {}

    def note(self, row: Row) -> None:
        for name, value in row.items():
            if name in self._known or value in EMPTY_JSON:
                continue
            count, first = self._found.get(name, (0, None))
            if count or len(self._found) < NAMES_LISTED:
                self._found[name] = count + 1, first if count else make_warning(name, "", value).value

    def warnings(self) -> list[RowWarning]:
        message = "There is no such field here: it was left out, in {} rows."
        return [
            make_warning(name, message.format(count), first, Deviation.LEFT_OUT)
            for name, (count, first) in self._found.items()
        ]


def readable_rows(parts: list[JsonPart]) -> Iterator[Row]:
    """Yields the objects that ``rows_of`` does not refuse."""
    for part in parts:
        try:
            row = part.value()
        except AppError:
            continue
        if isinstance(row, dict):
            yield row
