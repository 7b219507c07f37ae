"""CSV as spreadsheets write it: separators, encodings, headings, dates, and the service's own file saved again."""

import csv
import io
import json
from typing import Any

import pytest

from app.services.transfer.formats.csv import CSV_COLUMNS
from tests.api.test_import_warnings import import_twice
from tests.api.test_transfer import CSV, ICS, JSON, counts, exported, imported
from tests.support import Person

ROWS = [["Title", "Due Date", "Tags"], ["Köln, Bonn", "2090-01-02", "a,b"], ['say "ä"; | \t', "", ""]]


def table(rows: list[list[str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "\r\n \r\n", "sep={}\r\n", '"SEP={}"\r\n', "\ufeffsep={}\r\n"])
async def test_every_separator_is_read(alice: Person, delimiter: str, first: str) -> None:
    report = await import_twice(alice, first.format(delimiter) + table(ROWS, delimiter), CSV)
    assert (counts(report), report["warnings"]) == ((2, 0, 0), [])
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert (tasks["Köln, Bonn"]["due_date"], tasks["Köln, Bonn"]["tags"]) == ("2090-01-02", ["a", "b"])
    assert 'say "ä"; |' in tasks


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("kind", ["csv", "ics", "json", "todoist"])
async def test_what_one_format_takes_of_encodings_the_others_take(alice: Person, encoding: str, kind: str) -> None:
    text, headers = {
        "csv": ("title\r\nKöln\r\n", CSV),
        "ics": ("BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:1\r\nSUMMARY:Köln\r\nEND:VTODO\r\nEND:VCALENDAR\r\n", ICS),
        "json": (json.dumps({"format": "todo/1", "tasks": [{"title": "Köln"}]}, ensure_ascii=False), JSON),
        "todoist": ("TYPE;CONTENT;INDENT\r\ntask;Köln;1\r\n", CSV),
    }[kind]
    mark = "\ufeff" if encoding in {"utf-16-le", "utf-16-be"} else ""
    content = (mark + text).encode(encoding)
    report = await imported(alice, content, headers)
    if (kind, encoding) == ("json", "cp1252"):  # RFC 8259 leaves no doubt
        assert counts(report) == (0, 0, 1)
        return
    assert (report["format"], counts(report)) == (kind, (1, 0, 0))
    assert await alice.titles() == ["Köln"]
    guessed = [(each["entity"], each["row"], each["type"]) for each in report["warnings"]]
    assert guessed == ([("file", 0, "guessed")] if encoding == "cp1252" else [])


@pytest.mark.parametrize(
    "content",
    [
        b"title\r\n\x81",  # not in Windows-1252
        "\ufefftitle\r\nx".encode("utf-16-le") + b"x",  # half of a character
        "\ufefftitle\r\n".encode("utf-16-le") + b"\x00\xd8",  # half of a surrogate pair
        b"n\xe4me\r\nx",
    ],
)
async def test_a_file_that_is_text_in_no_encoding_is_refused_with_a_way_out(alice: Person, content: bytes) -> None:
    answer = await alice.call("POST", "/import", content=content, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert "UTF-8" in answer.json()["detail"]


async def test_headings_in_any_case_are_recognized_and_unknown_ones_named_once(alice: Person) -> None:
    rows = [["TITLE ", "Due Date", "Recurrence-From", "Notes", "Größe", "Empty", "title"]]
    rows += [["Milk", "2090-01-02", "due", "two litres", "XL", "", ""], ["Bread", "", "", "", "M", "", "again"]]
    report = await import_twice(alice, table([*rows, ["Eggs", *[""] * 6, "beyond"]]), CSV)
    assert counts(report) == (3, 0, 0)
    assert [(each["entity"], each["row"], each["field"], each["value"]) for each in report["warnings"]] == [
        ("tasks", 3, "", "beyond"),
        ("file", 0, "Notes", "Notes"), ("file", 0, "Größe", "XL"), ("file", 0, "title", "again"),
    ]  # fmt: skip
    assert (report["warned"], report["warnings"][2]["message"]) == (
        2,
        "There is no such field here: the column was left out, in 2 rows.",
    )
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert tasks["Milk"]["description"] == "two litres"


@pytest.mark.parametrize(
    ("delimiter", "cells", "due", "warned"),
    [
        (",", ["31/12/2090", "01/02/2090", "5/6/2090 9:00"], ["2090-12-31", "2090-02-01", "2090-06-05T09:00:00Z"], []),
        (",", ["12/31/2090", "01/02/2090"], ["2090-12-31", "2090-01-02"], []),
        (";", ["01/02/2090", "03/03/2090"], ["2090-02-01", "2090-03-03"], [("file", "01/02/2090", "guessed")]),
        (";", ["12/31/2090", "01/02/2090"], ["2090-12-31", "2090-01-02"], []),
        (",", ["01/02/2090", "03/03/2090"], [None, "2090-03-03"], [("tasks", "01/02/2090", "left_out")]),
        (",", ["1.2.2090", "2090/02/01"], ["2090-02-01", "2090-02-01"], []),
        (",", ["46023"], ["2026-01-01"], [("tasks", "46023", "guessed")]),
    ],
)  # fmt: skip
async def test_dates_are_read_as_the_spreadsheet_wrote_them(
    alice: Person, delimiter: str, cells: list[str], due: list[str | None], warned: list[tuple[str, str, str]]
) -> None:
    rows = [["title", "due_date"], *([str(number), cell] for number, cell in enumerate(cells))]
    report = await import_twice(alice, table(rows, delimiter), CSV)
    tasks = sorted((await alice.get("/tasks")).json(), key=lambda task: str(task["title"]))
    assert [task["due_date"] for task in tasks] == due
    assert [(each["entity"], each["value"], each["type"]) for each in report["warnings"]] == warned


async def test_the_own_csv_saved_by_a_european_spreadsheet_is_read_again(alice: Person, bob: Person) -> None:
    await alice.add("Rent", due_date="2090-02-28", tags=["a", "b"], reminders=["-P1D"], description="=1+1")
    rows = list(csv.reader(io.StringIO(await exported(alice, "csv"), newline="")))
    due = rows[0].index("due_date")
    rows[1][due], rows[1][rows[0].index("completed")] = "28.02.2090", "FALSE"
    report = await import_twice(bob, "\ufeff" + table(rows, ";"), CSV)
    assert (counts(report), report["warnings"]) == ((1, 0, 0), [])
    (task,) = (await bob.get("/tasks")).json()
    assert [task[name] for name in ("due_date", "tags", "reminders", "description")] == [
        "2090-02-28", ["a", "b"], ["-P1D"], "=1+1",
    ]  # fmt: skip


async def test_a_series_in_a_csv_keeps_its_own_day_and_what_is_left_of_it(alice: Person, bob: Person) -> None:
    monthly = await alice.add("Rent", due_date="2090-01-31", recurrence="FREQ=MONTHLY")
    third = await alice.add("Thrice", due_date="2090-01-01", recurrence="FREQ=DAILY;COUNT=3")
    for task in (monthly, third):
        await alice.patch(f"/tasks/{task['id']}/complete")
    file = await exported(alice, "csv")
    assert tuple(next(csv.reader(io.StringIO(file)))) == CSV_COLUMNS
    assert (await import_twice(bob, file, CSV))["warnings"] == []
    mine, theirs = [json.loads(await exported(person))["tasks"] for person in (alice, bob)]
    names = ("due_date", "anchor_date", "occurrences_done")
    kept: list[Any] = [
        {row["title"]: [row[name] for name in names] for row in rows if row["recurrence"]} for rows in (mine, theirs)
    ]
    assert kept[0] == kept[1]
    assert kept[0]["Rent"][:2] == ["2090-02-28", "2090-01-31"]
    for _ in range(2):
        for task in (await bob.get("/tasks?status=pending")).json():
            await bob.patch(f"/tasks/{task['id']}/complete", {"completed": True})
    left = {task["title"]: task["due_date"] for task in (await bob.get("/tasks?status=pending")).json()}
    assert left == {"Rent": "2090-04-30"}


async def test_a_row_of_blank_cells_is_no_row(alice: Person) -> None:
    report = await imported(alice, 'title,tags\na,\n,\n  , \n"\t",""\nb,\n', CSV)
    assert (report["created"]["tasks"], report["failed"], report["warned"]) == (2, 0, 0)
