"""Files of Todoist: dates, zones, deadlines, durations, notes, and what of them has no field here."""

import csv
import io
from typing import Any

import pytest

from tests.api.test_import_warnings import import_twice
from tests.api.test_transfer import CSV, counts, imported
from tests.support import Person

HEADER = (
    "TYPE,CONTENT,DESCRIPTION,IS_COLLAPSED,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE,DURATION,"
    "DURATION_UNIT,DEADLINE,DEADLINE_LANG"
)


def todoist(*rows: dict[str, str], delimiter: str = ",", more: str = "") -> str:
    text = io.StringIO()
    names = [*HEADER.split(","), *filter(None, more.split(","))]
    writer = csv.DictWriter(text, names, delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerow({"TYPE": "meta", "CONTENT": "view_style=board"})
    for row in rows:
        writer.writerow({"TYPE": "task", "PRIORITY": "4", "INDENT": "1", "DATE_LANG": "en"} | row)
        writer.writerow({})
    return text.getvalue()


def warned(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["field"], each["value"], each["type"]) for each in report["warnings"]]


async def only_task(person: Person) -> dict[str, Any]:
    (task,) = (await person.get("/tasks")).json()
    found: dict[str, Any] = task
    return found


async def test_a_repetition_from_the_completion_is_one_here(alice: Person) -> None:
    report = await import_twice(alice, todoist({"CONTENT": "Descale", "DATE": "every! 3 months"}), CSV)
    assert (counts(report), report["warnings"]) == ((1, 0, 0), [])
    task = await only_task(alice)
    assert (task["recurrence"], task["recurrence_from"]) == ("FREQ=MONTHLY;INTERVAL=3", "completion")


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("America/New_York", "2026-12-31T22:00:00Z"),
        ("US/Central", "2026-12-31T23:00:00Z"),
        ("asia/tokyo", "2026-12-31T08:00:00Z"),
        ("Pacific Standard Time", "2027-01-01T01:00:00Z"),
        ("/mozilla.org/20050126_1/Asia/Tokyo", "2026-12-31T08:00:00Z"),
        ("GMT+0200", "2026-12-31T15:00:00Z"),
        ("", "2026-12-31T16:00:00Z"),
    ],
)
async def test_a_time_is_in_the_zone_of_its_row(alice: Person, zone: str, due: str) -> None:
    await alice.patch("/settings", {"timezone": "Europe/Berlin"})
    text = todoist({"CONTENT": "Call", "DATE": "31 Dec 2026 17:00", "TIMEZONE": zone})
    assert (await import_twice(alice, text, CSV))["warnings"] == []
    assert (await only_task(alice))["due_date"] == due


async def test_an_unknown_zone_is_named_unless_there_is_no_time(alice: Person) -> None:
    rows = [
        {"CONTENT": "Call", "DATE": "31 Dec 2026 17:00", "TIMEZONE": "Mars/Base"},
        {"CONTENT": "Write", "DATE": "31 Dec 2026", "TIMEZONE": "Mars/Base"},
    ]
    report = await import_twice(alice, todoist(*rows), CSV)
    assert warned(report) == [("TIMEZONE", "Mars/Base", "guessed")]


async def test_the_days_of_a_repetition_are_those_of_the_account(alice: Person) -> None:
    await alice.patch("/settings", {"timezone": "Europe/Berlin"})
    rows = [
        {"CONTENT": title, "DATE": f"every {days} at 22:00", "TIMEZONE": "America/New_York"}
        for title, days in (("week", "mon, fri"), ("month", "1st friday of the month"), ("day", "day"))
    ]
    report = await import_twice(alice, todoist(*rows), CSV)
    assert warned(report) == [("recurrence", "FREQ=MONTHLY;BYDAY=1FR", "guessed")]
    assert {task["title"]: task["recurrence"] for task in (await alice.get("/tasks")).json()} == {
        "week": "FREQ=WEEKLY;BYDAY=TU,SA",
        "month": "FREQ=MONTHLY;BYDAY=1FR",
        "day": "FREQ=DAILY",
    }


async def test_what_has_no_field_is_kept_in_the_description(alice: Person) -> None:
    row = {
        "CONTENT": "Call the office",
        "DESCRIPTION": "about the lease",
        "DATE": "when I feel like it",
        "DEADLINE": "2027-01-15",
        "DURATION": "30",
        "DURATION_UNIT": "minute",
        "RESPONSIBLE": "Ann (123)",
    }
    report = await import_twice(alice, todoist(row), CSV)
    assert warned(report) == [
        ("DATE", "when I feel like it", "kept_as_text"),
        ("RESPONSIBLE", "Ann (123)", "kept_as_text"),
    ]
    task = await only_task(alice)
    assert task["description"] == ("about the lease\nDate: when I feel like it\nResponsible: Ann (123)")
    assert (task["deadline"], task["estimate_minutes"]) == ("2027-01-15", 30)
    plain = todoist({"CONTENT": "Plain", "DURATION": "", "DURATION_UNIT": "None"})
    assert (await imported(alice, plain, CSV))["warnings"] == []


async def test_a_long_title_keeps_its_subtasks_and_notes(alice: Person) -> None:
    long = "Very long line " * 14
    rows = [
        {"CONTENT": long},
        {"CONTENT": "child", "INDENT": "2"},
        {"TYPE": "note", "CONTENT": "of the child"},
        {"CONTENT": "grandchild", "INDENT": "3"},
    ]
    report = await import_twice(alice, todoist(*rows), CSV)
    assert (counts(report), report["created"]["comments"]) == ((3, 0, 0), 1)
    assert [(field, kind) for field, _, kind in warned(report)] == [("title", "cut")]
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    (parent,) = [task for task in tasks.values() if task["description"] == long.strip()]
    assert tasks["child"]["parent_id"] == parent["id"]
    assert tasks["grandchild"]["parent_id"] == tasks["child"]["id"]


async def test_a_note_of_the_project_becomes_a_comment_of_the_first_task(alice: Person) -> None:
    rows = [
        {"TYPE": "note", "CONTENT": "What the project is for"},
        {"TYPE": "section", "CONTENT": "S"},
        {"CONTENT": "First"},
        {"TYPE": "note", "CONTENT": "of the first"},
    ]
    text = todoist(*rows)
    report = await import_twice(alice, text, CSV)
    assert (counts(report), report["created"]["comments"]) == ((1, 0, 0), 2)
    assert [(each["entity"], each["field"], each["value"], each["type"]) for each in report["warnings"]] == [
        ("comments", "note", "What the project is for", "changed")
    ]
    task = await only_task(alice)
    comments = (await alice.get(f"/tasks/{task['id']}/comments")).json()
    assert {comment["body"] for comment in comments} == {"What the project is for", "of the first"}
    assert (await import_twice(alice, text, CSV))["skipped"]["comments"] == 2


async def test_notes_without_any_task_and_unknown_rows_are_named(alice: Person) -> None:
    rows = [{"TYPE": "note", "CONTENT": "Alone"}, {"TYPE": "habit", "CONTENT": "Run"}]
    report = await import_twice(alice, todoist(*rows), CSV)
    assert warned(report) == [("TYPE", "Run", "left_out"), ("note", "Alone", "left_out")]


async def test_unknown_columns_priorities_and_too_many_labels_are_named(alice: Person) -> None:
    labels = " ".join(f"@l{number}" for number in range(21))
    row = {"CONTENT": f"Pack {labels}", "PRIORITY": "9", "ENERGY": "low"}
    rows = [{"TYPE": "section", "CONTENT": "S" * 60}, row]
    report = await import_twice(alice, todoist(*rows, more="ENERGY"), CSV)
    assert warned(report) == [
        ("priority", "9", "left_out"),
        ("tags", "l20, " + "S" * 60, "left_out"),
        ("ENERGY", "low", "left_out"),
    ]
    assert (await only_task(alice))["priority"] == "none"
    report = await imported(alice, todoist({"TYPE": "section", "CONTENT": "S" * 60}, {"CONTENT": "x"}), CSV)
    assert warned(report) == [("tags", "S" * 60, "cut")]


async def test_subtasks_below_the_deepest_level_stay_with_the_tree(alice: Person) -> None:
    report = await import_twice(alice, todoist(*({"CONTENT": str(n), "INDENT": str(n)} for n in range(1, 8))), CSV)
    assert counts(report) == (7, 0, 0)
    assert [each["row"] for each in report["warnings"]] == [12, 14]
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert {tasks[title]["parent_id"] for title in "567"} == {tasks["4"]["id"]}


@pytest.mark.parametrize(
    ("dates", "due"),
    [
        (["31/12/2090", "01/02/2090"], ["2090-12-31", "2090-02-01"]),
        (["12/31/2090", "01/02/2090"], ["2090-12-31", "2090-01-02"]),
        (["01/02/2090"], [None]),
    ],
)
async def test_the_order_of_dates_is_that_of_the_file(alice: Person, dates: list[str], due: list[str | None]) -> None:
    rows = [{"CONTENT": str(number), "DATE": date} for number, date in enumerate(dates)]
    report = await import_twice(alice, todoist(*rows), CSV)
    tasks = sorted((await alice.get("/tasks")).json(), key=lambda task: str(task["title"]))
    assert [task["due_date"] for task in tasks] == due
    assert report["warned"] == due.count(None)


async def test_dates_in_other_languages_are_read_and_never_as_english(alice: Person) -> None:
    rows = [
        {"CONTENT": "a", "DATE": "3. März 2090", "DATE_LANG": "de"},
        {"CONTENT": "b", "DATE": "Mar 5", "DATE_LANG": "de"},
        {"CONTENT": "c", "DATE": "jährlich", "DATE_LANG": "de"},
    ]
    report = await import_twice(alice, todoist(*rows, delimiter=";"), CSV)
    assert warned(report) == [("DATE", "Mar 5", "kept_as_text")]
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert (tasks["a"]["due_date"], tasks["b"]["due_date"]) == ("2090-03-03", None)
    assert (tasks["b"]["description"], tasks["c"]["recurrence"]) == ("Date: Mar 5", "FREQ=YEARLY")
