"""Files with values of wrong types and of every size: at most a row fails, and nothing but its own error comes up."""

import asyncio
import copy
import csv
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.errors import AppError, MalformedBody
from app.services.transfer.formats.detect import open_rows
from app.services.transfer.formats.file_context import FileContext, RowBudget
from app.services.transfer.import_row import LoadedRow, RowRefused
from app.services.transfer.row_validation import RowReader
from tests.api.products.test_expected import FOLDER

ZONE, NOW = ZoneInfo("Europe/Berlin"), datetime(2026, 11, 29, 12, tzinfo=UTC)
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, 1e300, 2**63, "", " ", "x", "\0", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2027-02-30", "-PT99999999M", "x" * 5000, [], [[]], ["x"], [None], {}, {"": ""}, {"a": [1]}, [{"id": 1}],
)  # fmt: skip
ODD_CELLS = [value for value in ODD_VALUES if isinstance(value, str)] + ["-1", "7", "1e300", "é" * 300, "P1D", "99:99"]
DOCUMENTS = ("google-takeout-2026.json", "google-takeout-tasks.json", "mstodo-lists.json", "taskwarrior-3.json",
             "superproductivity-backup.json", "todoist-sync.json", "trello-board.json", "vikunja-2.zip")  # fmt: skip
TABLES = ("ticktick-7.1.csv", "ticktick-7.2.csv", "outlook-tasks-en.csv")


def read_all(content: bytes) -> list[LoadedRow]:
    """Reads a file as an import does, without writing it."""

    async def run() -> list[LoadedRow]:
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            file.seek(0)
            context = FileContext("alice", NOW, ZONE, 16_384, RowBudget(100_000))
            reader = RowReader(description_max=16_384, timezone=ZONE, now=NOW)
            async with open_rows(file, "", context, 1_000_000) as (_, rows):
                return [loaded for entity, item in rows if (loaded := load(reader, entity, item.load)) is not None]

    return asyncio.run(run())


def load(reader: RowReader, entity: str, read: Callable[[], LoadedRow]) -> LoadedRow | None:
    try:
        loaded = read()
        if entity != "file":
            reader.read_loaded(entity, loaded)
    except (AppError, RowRefused):
        return None
    return loaded


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the paths of all values of a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_value_of_another_type_costs_at_most_its_row(name: str) -> None:
    content = (FOLDER / "files" / name).read_bytes()
    if name.endswith(".zip"):
        content = zipfile.ZipFile(io.BytesIO(content)).read("data.json")
    document = json.loads(content)
    paths = [*places(document)]
    step = max(1, len(paths) * len(ODD_VALUES) // 300)
    cases = [(path, value) for path in paths for value in ODD_VALUES][::step]
    refused = 0
    for path, value in cases:
        try:
            read_all(json.dumps(with_value(document, path, value)).encode())
        except AppError:  # the value that showed what the file is, or one of a project
            refused += 1
    assert refused < len(cases) / 5


@pytest.mark.parametrize("name", TABLES)
def test_a_cell_of_another_kind_costs_at_most_its_row(name: str) -> None:
    text = (FOLDER / "files" / name).read_text("utf-8-sig")
    rows = [*csv.reader(io.StringIO(text, newline=""))]
    head = next(place for place, cells in enumerate(rows) if len(cells) > 5)
    for place in range(head + 1, len(rows)):
        for column in range(len(rows[place])):
            for cell in ODD_CELLS[:: 1 + (place + column) % 3]:
                changed = [row if number != place else [*row[:column], cell, *row[column + 1 :]]
                           for number, row in enumerate(rows)]  # fmt: skip
                written = io.StringIO(newline="")
                csv.writer(written).writerows(changed)
                assert read_all(written.getvalue().encode())


@pytest.mark.parametrize("name", TABLES)
def test_a_short_row_costs_nothing_else(name: str) -> None:
    lines = (FOLDER / "files" / name).read_text("utf-8-sig").rstrip("\r\n")
    whole = len(read_all(lines.encode()))
    for end in ('\n"a"', "\n,", '\n"a","b","c"', "\n" + "," * 60):
        assert len(read_all((lines + end).encode())) >= whole


def test_a_file_of_line_ends_is_refused_at_once() -> None:
    begun = time.perf_counter()
    with pytest.raises(MalformedBody):
        read_all(b'{"uuid":\n' + b" \n" * 5_000_000)
    assert time.perf_counter() - begun < 10


def test_a_damaged_document_is_malformed_however_many_lines_it_has() -> None:
    with pytest.raises(MalformedBody):
        read_all(b'{"a": [\n' + b"1,\n" * 150_000)
