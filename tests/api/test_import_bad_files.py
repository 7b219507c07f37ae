"""Import files with one error, or made to be expensive: only invalid rows are refused, and no row is imported in
part."""

import json
from typing import Any

import pytest

from tests.api.test_transfer import CSV, ICS, JSON, counts, imported
from tests.support import Person, assert_problem


@pytest.mark.parametrize("column", ["source_id", "parent", "title", "description", "tags", "project", "due_date"])
async def test_a_nul_character_in_a_late_row_costs_only_that_cell(alice: Person, column: str) -> None:
    names = [column, *({"title"} - {column})]
    rows = [",".join(names)] + [f"{'' if column != 'title' else 't'},t{n}" for n in range(1500)] + ["a\0b,bad", ",last"]
    rows[-1] = ",last" if column != "title" else "last"
    report = await imported(alice, "\r\n".join(rows), CSV)
    created, skipped, failed = counts(report)
    assert skipped == 0
    assert (created, failed) == ((1501, 1) if column == "title" else (1502, 0))
    if column not in {"title", "source_id"}:
        (warning,) = report["warnings"]
        assert (warning["row"], warning["field"]) == (1501, "parent_id" if column == "parent" else column)


async def test_a_source_id_with_a_nul_character_is_recognized_on_reimport(alice: Person) -> None:
    text = "source_id,title\r\na\0b,one\r\n"
    assert counts(await imported(alice, text, CSV)) == (1, 0, 0)
    assert counts(await imported(alice, text, CSV)) == (0, 1, 0)


async def test_nul_characters_in_ids_of_json_and_icalendar_fail_at_most_their_row(alice: Person) -> None:
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
    assert report["created"] == {"projects": 1, "channels": 0, "tags": 0, "tasks": 2, "comments": 1, "views": 1}
    assert report["failed"] == 1
    todo = "BEGIN:VTODO\r\nUID:{}\r\nSUMMARY:x\r\n{}END:VTODO\r\n"
    todos = todo.format("a\0", "") + todo.format("b", "RELATED-TO:a\0\r\n") + todo.format("c", "RELATED-TO:\0\r\n")
    calendar = f"BEGIN:VCALENDAR\r\n{todos}END:VCALENDAR\r\n"
    assert counts(await imported(alice, calendar, ICS)) == (3, 0, 0)


async def test_a_title_over_the_limit_is_cut_and_kept_in_the_description(alice: Person) -> None:
    report = await imported(alice, f"title\r\nfine\r\n{'x' * 200_000}\r\nfine too\r\n", CSV)
    assert counts(report) == (3, 0, 0)
    assert [(each["row"], each["field"], each["type"]) for each in report["warnings"]] == [
        (2, "title", "cut"), (2, "description", "cut"),
    ]  # fmt: skip
    (task,) = (await alice.get("/tasks?search=xxx")).json()
    assert (task["title"], task["description"]) == ("x" * 199 + "…", "x" * 16_383 + "…")


@pytest.fixture
def few_rows(app: Any) -> Any:
    before, app.state.settings.import_rows_max = app.state.settings.import_rows_max, 3
    yield
    app.state.settings.import_rows_max = before


@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("kind", ["json", "csv", "ics", "todoist"])
async def test_a_file_with_too_many_rows_is_refused_as_a_whole(
    alice: Person, few_rows: None, kind: str, rows: int
) -> None:
    tasks = [{"title": '"\\],{', "tags": ["a", "b"]}] * rows
    text, headers = {
        "json": (
            json.dumps({"format": "todo/1", "user_id": 'u",', "tasks": tasks}),
            JSON,
        ),
        "csv": ("title\r\n" + "x\r\n\r\n" * rows, CSV),
        "ics": ("BEGIN:VCALENDAR\r\n" + "BEGIN:VTODO\r\nSUMMARY:x\r\nEND:VTODO\r\n" * rows, ICS),
        "todoist": ("TYPE,CONTENT,INDENT\r\n" + "task,x,1\r\n,,\r\n" * rows, CSV),
    }[kind]
    if rows == 3:
        assert counts(await imported(alice, text, headers)) == (3, 0, 0)
        return
    assert_problem(await alice.call("POST", "/import", content=text, headers=headers), 413, "too_many_rows")
    assert (await alice.get("/tasks")).json() == []


@pytest.mark.parametrize("row", ["{}", "5", "[]", '"a"'])
async def test_a_million_tiny_rows_are_refused_without_parsing_them(alice: Person, row: str) -> None:
    text = '{"format": "todo/1", "tasks": [' + ",".join([row] * 1_000_000) + "]}"
    assert_problem(await alice.call("POST", "/import", content=text, headers=JSON), 413, "too_many_rows")


async def test_a_row_over_the_size_limit_is_an_error(alice: Person) -> None:
    rows = [{"title": "fine"}, {"title": "large", "x": [0] * 400_000}]
    report = await imported(alice, json.dumps({"format": "todo/1", "tasks": rows}), JSON)
    assert counts(report) == (1, 0, 1)
    many = {"title": "fields"} | {f"f{n}": n for n in range(150)}
    report = await imported(alice, json.dumps({"format": "todo/1", "tasks": [many]}), JSON)
    assert (counts(report), report["warned"], len(report["warnings"])) == ((1, 0, 0), 1, 50)
    assert report["warnings"][-1]["message"] == "The row has 101 more warnings."


async def test_expensive_calendar_entries_fail_and_deep_nesting_is_refused(alice: Person) -> None:
    todo = "BEGIN:VTODO\r\nSUMMARY:{}\r\n{}END:VTODO\r\n"
    alarms = "BEGIN:VALARM\r\nTRIGGER:-PT1M\r\nEND:VALARM\r\n" * 2000
    todos = todo.format("many", "A:\r\n" * 300_000) + todo.format("alarms", alarms) + todo.format("fine", "")
    folded = todo.format("folded", " x\r\n" * 300_000)
    report = await imported(alice, f"BEGIN:VCALENDAR\r\n{todos}{folded}END:VCALENDAR\r\n", ICS)
    assert counts(report) == (2, 0, 2)
    assert sorted(await alice.titles()) == ["fine", "folded" + "x" * 193 + "…"]
    deep = "BEGIN:VCALENDAR\r\n" + todo.format("x", "") + "BEGIN:X\r\n" * 100
    assert_problem(await alice.call("POST", "/import", content=deep, headers=ICS), 422, "import_format")
    assert len(await alice.titles()) == 2
