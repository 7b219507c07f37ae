"""Files that are wrong in one place, or made to cost much: only what is wrong is refused, and nothing half way."""

import json

import pytest

from tests.support import Person
from tests.test_import import CSV, ICS, JSON, counts, imported


@pytest.mark.parametrize("column", ["source_id", "parent", "title", "description", "tags", "project", "due_date"])
async def test_a_nul_in_a_late_row_does_not_end_the_import(alice: Person, column: str) -> None:
    names = [column, *({"title"} - {column})]
    rows = [",".join(names)] + [f"{'' if column != 'title' else 't'},t{n}" for n in range(1500)] + ["a\0b,bad", ",last"]
    rows[-1] = ",last" if column != "title" else "last"
    report = await imported(alice, "\r\n".join(rows), CSV)
    created, skipped, failed = counts(report)
    assert skipped == 0
    assert (created, failed) == ((1502, 0) if column == "source_id" else (1501, 1))


async def test_a_source_id_that_the_database_cannot_hold_is_known_again(alice: Person) -> None:
    text = "source_id,title\r\na\0b,one\r\n"
    assert counts(await imported(alice, text, CSV)) == (1, 0, 0)
    assert counts(await imported(alice, text, CSV)) == (0, 1, 0)


async def test_nul_in_ids_of_json_and_icalendar(alice: Person) -> None:
    document = {
        "format": "todo/1",
        "user_id": "a\0b",
        "projects": [{"id": 1, "name": "p"}],
        "tasks": [
            {"id": 1, "title": "one", "project_id": 1},
            {"id": 2, "title": "two", "source_id": "x\0", "parent_id": 1},
        ],
        "comments": [{"id": 1, "task_id": 2, "body": "why"}],
        "views": [{"name": "a\0", "parameters": {}}, {"name": "fine", "parameters": {}}],
    }  # fmt: skip
    report = await imported(alice, json.dumps(document), JSON)
    assert report["created"] == {"projects": 1, "tasks": 2, "comments": 1, "views": 1}
    assert report["failed"] == 1
    todo = "BEGIN:VTODO\r\nUID:{}\r\nSUMMARY:x\r\n{}END:VTODO\r\n"
    todos = todo.format("a\0", "") + todo.format("b", "RELATED-TO:a\0\r\n") + todo.format("c", "RELATED-TO:\0\r\n")
    calendar = f"BEGIN:VCALENDAR\r\n{todos}END:VCALENDAR\r\n"
    assert counts(await imported(alice, calendar, ICS)) == (2, 0, 1)


async def test_a_long_cell_is_an_error_of_its_row(alice: Person) -> None:
    report = await imported(alice, f"title\r\nfine\r\n{'x' * 200_000}\r\nfine too\r\n", CSV)
    assert counts(report) == (2, 0, 1)
    assert (report["errors"][0]["row"], report["errors"][0]["errors"][0]["loc"]) == (2, ["title"])
