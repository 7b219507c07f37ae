"""Import that loses nothing silently: what only describes a row never costs it, and is named by a warning.

Each case is one field of one row. ``WARNED`` lists what the report says of it, and what the row then has.
"""

import json
from typing import Any

import pytest

from app.schemas.transfer import TaskImport
from tests.api.test_transfer import CSV, JSON, counts, imported
from tests.support import Person

LONG_TITLE = "Word " * 50
DAY = {"due_date": "2090-05-06"}
# fields of a row, (field, value, type) of each warning, and fields of the task that is imported
WARNED: list[tuple[dict[str, Any], list[tuple[str, str, str]], dict[str, Any]]] = [
    ({"created_at": "2090-01-01"}, [("created_at", "2090-01-01", "guessed")], {}),
    ({"uid": "no uid"}, [("uid", "no uid", "left_out")], {}),
    ({"parent_wanted": "no uid"}, [("parent_wanted", "no uid", "left_out")], {}),
    ({"ical": "BEGIN:VTODO"}, [("ical", "BEGIN:VTODO", "left_out")], {}),
    ({"updated_at": "yesterday"}, [("updated_at", "yesterday", "left_out")], {}),
    ({"created_at": {"a": 1}}, [("created_at", '{"a": 1}', "left_out")], {}),
    ({"completed": True, "completed_at": "soon"}, [("completed_at", "soon", "left_out")], {"completed": True}),
    (
        {"completed": False, "completed_at": "2026-01-01T00:00:00Z"},
        [("completed_at", "2026-01-01T00:00:00Z", "left_out")],
        {"completed": False, "completed_at": None},
    ),
    ({"completed": "perhaps"}, [("completed", "perhaps", "left_out")], {"completed": False}),
    ({"completed": 7}, [("completed", "7", "left_out")], {"completed": False}),
    ({"due_date": "next life"}, [("due_date", "next life", "left_out")], {"due_date": None}),
    ({"due_date": "01/12/2090"}, [("due_date", "01/12/2090", "left_out")], {"due_date": None}),
    ({"due_date": "0001-01-01"}, [("due_date", "0001-01-01", "left_out")], {"due_date": None}),
    ({"due_date": 1893456000}, [("due_date", "1893456000", "guessed")], {"due_date": "2030-01-01T00:00:00Z"}),
    ({**DAY, "recurrence": "FREQ=HOURLY"}, [("recurrence", "FREQ=HOURLY", "left_out")], {"recurrence": None, **DAY}),
    ({**DAY, "recurrence": 5}, [("recurrence", "5", "left_out")], {"recurrence": None}),
    ({"recurrence": "FREQ=DAILY"}, [("recurrence", "FREQ=DAILY", "left_out")], {"recurrence": None}),
    (
        {"due_date": "x", "recurrence": "FREQ=DAILY"},
        [("due_date", "x", "left_out"), ("recurrence", "FREQ=DAILY", "left_out")],
        {"recurrence": None},
    ),
    (
        {**DAY, "recurrence": "FREQ=DAILY", "recurrence_from": "birth"},
        [("recurrence_from", "birth", "left_out")],
        {"recurrence": "FREQ=DAILY", "recurrence_from": "due"},
    ),
    (
        {**DAY, "recurrence": "FREQ=DAILY", "anchor_date": "?"},
        [("anchor_date", "?", "left_out")],
        {"recurrence": "FREQ=DAILY"},
    ),
    ({"occurrences_done": -1}, [("occurrences_done", "-1", "left_out")], {}),
    ({"occurrences_done": "many"}, [("occurrences_done", "many", "left_out")], {}),
    (
        {**DAY, "reminders": ["-PT5M", "soon", 5, "-P1D", "-P9999D"]},
        [("reminders", "soon", "left_out"), ("reminders", "5", "left_out"), ("reminders", "-P9999D", "left_out")],
        {"reminders": ["-PT5M", "-P1D"]},
    ),
    (
        {**DAY, "reminders": [f"-PT{n}M" for n in range(1, 14)]},
        [("reminders", "-PT11M, -PT12M, -PT13M", "left_out")],
        {"reminders": [f"-PT{n}M" for n in range(1, 11)]},
    ),
    ({"reminders": "soon"}, [("reminders", "soon", "left_out")], {"reminders": []}),
    (
        {"tags": ["fine", " ", "x" * 60, 5, "fine"]},
        [("tags", " ", "left_out"), ("tags", "x" * 60, "cut"), ("tags", "5", "left_out")],
        {"tags": ["fine", "x" * 49 + "…"]},
    ),
    (
        {"tags": [f"t{n}" for n in range(22)]},
        [("tags", "t20, t21", "left_out")],
        {"tags": [f"t{n}" for n in range(20)]},
    ),
    ({"remind_channels": [99]}, [("remind_channels", "#99", "left_out")], {"remind_channels": None}),
    ({"remind_channels": "phone"}, [("remind_channels", "phone", "left_out")], {"remind_channels": None}),
    ({"tags": "home"}, [("tags", "home", "left_out")], {"tags": []}),
    ({"status": "someday"}, [("status", "someday", "left_out")], {"status": "pending"}),
    ({"status": 3}, [("status", "3", "left_out")], {"status": "pending"}),
    ({"status": "On hold"}, [("status", "On hold", "guessed")], {"status": "waiting"}),
    ({"status": "Done"}, [("status", "Done", "guessed")], {"status": "completed", "completed": True}),
    (
        {"status": "waiting", "completed": True},
        [("status", "waiting", "left_out")],
        {"status": "completed", "completed": True},
    ),
    (
        {"status": "cancelled", "completed_at": "2026-07-01T09:00:00Z"},
        [("completed_at", "2026-07-01T09:00:00Z", "left_out")],
        {"status": "cancelled", "completed_at": None},
    ),
    ({"start_date": "soon"}, [("start_date", "soon", "left_out")], {"start_date": None}),
    ({"deadline": "soon"}, [("deadline", "soon", "left_out")], {"deadline": None}),
    (
        {"deadline": "2090-01-31T23:30:00Z"},
        [("deadline", "2090-01-31T23:30:00Z", "changed")],
        {"deadline": "2090-02-01"},
    ),
    ({"deadline": "2090-01-31T09:00"}, [("deadline", "2090-01-31T09:00", "changed")], {"deadline": "2090-01-31"}),
    ({"estimate_minutes": "long"}, [("estimate_minutes", "long", "left_out")], {"estimate_minutes": None}),
    ({"estimate_minutes": -5}, [("estimate_minutes", "-5", "left_out")], {"estimate_minutes": None}),
    ({"estimate_minutes": 10**6}, [("estimate_minutes", "1000000", "left_out")], {"estimate_minutes": None}),
    ({"estimate_minutes": "999d"}, [("estimate_minutes", "999d", "left_out")], {"estimate_minutes": None}),
    ({"favorite": "perhaps"}, [("favorite", "perhaps", "left_out")], {"favorite": False}),
    ({"priority": "huge"}, [("priority", "huge", "left_out")], {"priority": "medium"}),
    ({"priority": 3}, [("priority", "3", "left_out")], {"priority": "medium"}),
    ({"priority": "critical"}, [("priority", "critical", "guessed")], {"priority": "urgent"}),
    ({"description": 5}, [("description", "5", "left_out")], {"description": None}),
    ({"description": "a" * 17_000}, [("description", "a" * 199 + "…", "cut")], {"description": "a" * 16_383 + "…"}),
    ({"description": "a\0b"}, [("description", "a\0b", "changed")], {"description": "ab"}),
    (
        {"title": LONG_TITLE, "description": "more"},
        [("title", LONG_TITLE[:199] + "…", "cut")],
        {"title": LONG_TITLE[:199].strip() + "…", "description": f"{LONG_TITLE.strip()}\n\nmore"},
    ),
    (
        {"title": "y" * 17_000, "description": 5},
        [("description", "5", "left_out"), ("title", "y" * 199 + "…", "cut"), ("description", "y" * 199 + "…", "cut")],
        {"title": "y" * 199 + "…", "description": "y" * 16_383 + "…"},
    ),
    ({"parent_id": 99}, [("parent_id", "u:99", "changed")], {"parent_id": None}),
    ({"project_id": 99}, [("project_id", "u:99", "changed")], {"project_id": None}),
    ({"series_id": 99}, [("series_id", "u:99", "left_out")], {"series_id": None}),
    ({"colour": "red"}, [("colour", "red", "left_out")], {}),
    ({"x" * 300: {"a": 1}}, [("x" * 199 + "…", '{"a": 1}', "left_out")], {}),
]
# fields of a row that are read although no request may send them, and fields of the task
READ_WITHOUT_WARNING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"created_at": "2026-07-01T09:00:00"}, {"created_at": "2026-07-01T07:00:00Z"}),
    ({"created_at": "20260701T090000"}, {"created_at": "2026-07-01T07:00:00Z"}),
    ({"created_at": "2026-07-01 09:00:00"}, {"created_at": "2026-07-01T07:00:00Z"}),
    ({"created_at": "2026-07-01T09:00:00+0530"}, {"created_at": "2026-07-01T03:30:00Z"}),
    ({"created_at": "2026-07-01T09:00:00+02:00[Europe/Berlin]"}, {"created_at": "2026-07-01T07:00:00Z"}),
    ({"created_at": "Wed, 01 Jul 2026 09:00:00 GMT"}, {"created_at": "2026-07-01T09:00:00Z"}),
    ({"status": "In Progress"}, {"status": "in_progress"}),
    ({"status": "completed"}, {"status": "completed", "completed": True}),
    ({"completed": "Yes"}, {"completed": True}),
    ({"completed": 1}, {"completed": True}),
    ({"completed_at": "2026-07-01T09:00:00"}, {"completed": True, "completed_at": "2026-07-01T07:00:00Z"}),
    ({"due_date": "31/12/2090"}, {"due_date": "2090-12-31"}),
    ({"due_date": "12/31/2090 5:00 PM"}, {"due_date": "2090-12-31T16:00:00Z"}),
    ({"due_date": "31.12.2090"}, {"due_date": "2090-12-31"}),
    ({"due_date": "31.12.26"}, {"due_date": "2026-12-31"}),
    ({"due_date": "31-Dec-26"}, {"due_date": "2026-12-31"}),
    ({"created_at": "1-Jan-99 9:00"}, {"created_at": "1999-01-01T08:00:00Z"}),
    ({"due_date": " 2090-12-31;"}, {"due_date": "2090-12-31"}),
    ({"due_date": "2090/12/31"}, {"due_date": "2090-12-31"}),
    ({"due_date": "20901231"}, {"due_date": "2090-12-31"}),
    ({"due_date": "December 31, 2090"}, {"due_date": "2090-12-31"}),
    ({**DAY, "recurrence": "RRULE:freq=daily;"}, {"recurrence": "FREQ=DAILY"}),
    (
        {**DAY, "recurrence": "FREQ=DAILY;UNTIL=20900701T090000"},
        {"recurrence": "FREQ=DAILY;UNTIL=20900701T070000Z"},
    ),
    ({"priority": " High"}, {"priority": "high"}),
    ({"start_date": "31/12/2090"}, {"start_date": "2090-12-31"}),
    ({"start_date": "2090-07-01 09:00"}, {"start_date": "2090-07-01T07:00:00Z"}),
    ({"deadline": "31.12.2090"}, {"deadline": "2090-12-31"}),
    *(({"estimate_minutes": text}, {"estimate_minutes": 90}) for text in ("90", 90.0, "90 min", "1h 30m", "PT1H30M")),
    *(({"estimate_minutes": text}, {"estimate_minutes": None}) for text in ("0", 0)),
    *(({"favorite": word}, {"favorite": True}) for word in ("yes", "Starred", 1)),
    ({"favorite": "0"}, {"favorite": False}),
    ({"reminders": ["2090-07-01 09:00"]}, {"reminders": ["2090-07-01T07:00:00Z"]}),
    ({"description": None, "priority": None, "tags": None, "due_date": "", "colour": None, "size": []}, {}),
]


def document(*rows: dict[str, Any]) -> str:
    tasks = [{"id": number, "title": "A task"} | row for number, row in enumerate(rows, 1)]
    settings = {"timezone": "Europe/Berlin"}
    return json.dumps({"format": "todo/1", "user_id": "u", "settings": settings, "tasks": tasks})


def warned(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["field"], each["value"], each["type"]) for each in report["warnings"]]


async def import_twice(person: Person, text: str, headers: dict[str, str]) -> dict[str, Any]:
    """Returns the report of an import, after a dry run whose report is the same."""
    dry = await imported(person, text, headers, "?dry_run=true")
    report = await imported(person, text, headers)
    assert dry | {"dry_run": False, "revision": report["revision"]} == report
    return report


@pytest.mark.parametrize(("row", "warnings", "stored"), WARNED)
async def test_a_field_never_costs_its_row_and_is_named(
    alice: Person, row: dict[str, Any], warnings: list[tuple[str, str, str]], stored: dict[str, Any]
) -> None:
    report = await import_twice(alice, document(row), JSON)
    assert counts(report) == (1, 0, 0), report
    assert warned(report) == warnings
    assert report["warned"] == 1
    assert {(each["entity"], each["row"], each["uid"]) for each in report["warnings"]} == {("tasks", 1, "1")}
    (task,) = (await alice.get("/tasks")).json()
    assert {name: task[name] for name in stored} == stored


@pytest.mark.parametrize(("row", "stored"), READ_WITHOUT_WARNING)
async def test_other_ways_of_writing_a_value_are_read(
    alice: Person, row: dict[str, Any], stored: dict[str, Any]
) -> None:
    report = await import_twice(alice, document(row), JSON)
    assert (counts(report), report["warnings"]) == ((1, 0, 0), [])
    (task,) = (await alice.get("/tasks")).json()
    assert {name: task[name] for name in stored} == stored


def test_every_field_of_a_task_has_a_case() -> None:
    tried = {name for row, _, _ in WARNED for name in row}
    assert TaskImport.model_fields.keys() - tried == {"deleted_at"}


async def test_a_task_in_the_trash_stays_there_if_its_stamp_cannot_be_read(alice: Person) -> None:
    report = await imported(alice, document({"deleted_at": "long ago"}), JSON)
    assert warned(report) == [("deleted_at", "long ago", "guessed")]
    assert (await alice.get("/tasks")).json() == []
    assert len((await alice.get("/tasks/trash")).json()) == 1


async def test_all_faults_of_a_row_at_once_are_named(alice: Person) -> None:
    row: dict[str, Any] = {}
    for fields, warnings, _ in WARNED:
        row = {name: value for name, value in fields.items() if name in {field for field, _, _ in warnings}} | row
    report = await import_twice(alice, document(row), JSON)
    assert counts(report) == (1, 0, 0), report
    assert row.keys() == {field for field, _, _ in warned(report)}


async def test_projects_comments_and_views_lose_fields_only(alice: Person) -> None:
    file = {
        "format": "todo/1",
        "user_id": "u",
        "projects": [{"id": 1, "name": "N" * 150, "color": "reddish", "archived_at": "never", "icon": "x"}],
        "tasks": [{"id": 1, "title": "A task", "project_id": 1}],
        "comments": [
            {"id": 1, "task_id": 1, "body": "b" * 6000, "created_at": "?"},
            {"id": 2, "task_id": 9, "body": "of a task that is not there"},
            {"id": 3, "task_id": 1, "body": ""},
        ],
        "views": [{"name": "V", "parameters": {"status": "lost", "priority": ["high", "huge"], "tag": ["x"]}}],
    }
    report = await import_twice(alice, json.dumps(file), JSON)
    assert report["created"] == {"projects": 1, "channels": 0, "tags": 0, "tasks": 1, "comments": 1, "views": 1}
    assert [(each["entity"], each["row"], each["errors"][0]["loc"]) for each in report["errors"]] == [
        ("comments", 3, ["body"]), ("comments", 2, ["task_id"]),
    ]  # fmt: skip
    assert [(each["entity"], each["field"], each["type"]) for each in report["warnings"]] == [
        ("projects", "icon", "left_out"), ("projects", "name", "cut"), ("projects", "color", "left_out"),
        ("projects", "archived_at", "left_out"), ("comments", "body", "cut"), ("comments", "created_at", "left_out"),
        ("views", "parameters.status", "left_out"), ("views", "parameters.priority", "left_out"),
    ]  # fmt: skip
    assert report["warned"] == 3
    (project,) = (await alice.get("/projects")).json()
    (task,) = (await alice.get("/tasks")).json()
    assert (project["name"], task["project_id"]) == ("N" * 99 + "…", project["id"])
    (view,) = (await alice.get("/views")).json()
    assert view["parameters"] == {"tag": ["x"]}


async def test_children_of_a_refused_task_come_to_the_top(alice: Person) -> None:
    file = {
        "format": "todo/1",
        "user_id": "u",
        "tasks": [
            {"id": 1, "title": "\u200b"},
            {"id": 2, "title": "child", "parent_id": 1},
            {"id": 3, "title": "grandchild", "parent_id": 2},
        ],
        "comments": [{"id": 1, "task_id": 1, "body": "lost"}, {"id": 2, "task_id": 3, "body": "kept"}],
    }
    report = await import_twice(alice, json.dumps(file), JSON)
    assert counts(report) == (2, 0, 2)
    assert report["created"]["comments"] == 1
    assert [(each["uid"], each["field"], each["value"]) for each in report["warnings"]] == [("2", "parent_id", "u:1")]
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert tasks["child"]["parent_id"] is None
    assert tasks["grandchild"]["parent_id"] == tasks["child"]["id"]


async def test_a_dry_run_knows_the_projects_and_parents_that_are_deleted(alice: Person) -> None:
    gone = {"deleted_at": "2026-01-01T00:00:00Z"}
    file = {
        "format": "todo/1",
        "user_id": "u",
        "projects": [{"id": 1, "name": "Gone", **gone}, {"id": 2, "name": "P"}, {"id": 3, "name": "Q"}],
        "tasks": [
            {"id": 1, "title": "of a deleted project", "project_id": 1},
            {"id": 2, "title": "deleted", "project_id": 1, **gone},
            {"id": 3, "title": "below a deleted task", "parent_id": 2, "project_id": 2},
            {"id": 4, "title": "in P", "project_id": 2},
            {"id": 5, "title": "below it, but of Q", "parent_id": 4, "project_id": 3},
            {"id": 6, "title": "below it, and of P", "parent_id": 4, "project_id": 2},
        ],
    }
    report = await import_twice(alice, json.dumps(file), JSON)
    assert [(each["uid"], each["field"]) for each in report["warnings"]] == [
        ("1", "project_id"), ("3", "parent_id"), ("5", "project_id"),
    ]  # fmt: skip


async def test_a_warning_says_where_and_what_in_a_sentence(alice: Person) -> None:
    report = await import_twice(alice, document({"colour": "red"}), JSON)
    assert report["warnings"] == [
        {"entity": "tasks", "row": 1, "uid": "1", "field": "colour", "value": "red",
         "message": "There is no such field here: it was left out.", "type": "left_out"}
    ]  # fmt: skip


async def test_a_row_that_was_imported_before_has_no_warnings(alice: Person) -> None:
    text = document({"colour": "red"}, {"parent_id": 99})
    assert (await imported(alice, text, JSON))["warned"] == 2
    again = await import_twice(alice, text, JSON)
    assert (counts(again), again["warned"], again["warnings"]) == ((0, 2, 0), 0, [])


async def test_all_warned_rows_are_counted_and_the_first_thousand_warnings_listed(alice: Person) -> None:
    text = "title,priority,due_date\r\n" + "t,odd,never\r\n" * 1_200
    report = await import_twice(alice, text, CSV)
    assert (counts(report), report["warned"], len(report["warnings"])) == ((1_200, 0, 0), 1_200, 1_000)
    assert [report["warnings"][-1][name] for name in ("row", "field")] == [500, "due_date"]


async def test_a_waiting_row_keeps_its_warnings(alice: Person) -> None:
    """A row that waits for its parent is held as JSON text."""
    rows: list[dict[str, Any]] = [{"parent_id": 2, "colour": "red", "due_date": "odd"}, {"title": "parent"}]
    report = await import_twice(alice, document(*rows), JSON)
    assert warned(report) == [("colour", "red", "left_out"), ("due_date", "odd", "left_out")]


async def test_ids_may_be_text_and_others_are_left_out(alice: Person) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "parent"},
        {"id": "b", "title": "child", "parent_id": "a"},
        {"id": 9e99, "title": "odd", "parent_id": True, "source_id": 5, "position": 7},
        {"id": 7.0, "title": "whole"},
    ]
    text = json.dumps({"format": "todo/1", "user_id": "u", "tasks": rows})
    report = await import_twice(alice, text, JSON)
    assert counts(report) == (4, 0, 0)
    assert {(each["row"], each["field"]) for each in report["warnings"]} == {
        (3, "id"), (3, "parent_id"), (3, "source_id"), (3, "position"),
    }  # fmt: skip
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert tasks["child"]["parent_id"] == tasks["parent"]["id"]
    assert counts(await imported(alice, text, JSON)) == (0, 4, 0)


async def test_names_of_a_document_and_settings_without_a_place_are_named(alice: Person) -> None:
    file = {
        "format": "todo/1", "user_id": "u", "exported_at": "2026-01-01", "revision": 4, "revision_at_end": 5,
        "settings": {"timezone": "Asia/Tokyo", "week_start": "monday"},
        "tasks": [{"id": 1, "title": "x"}], "habits": [{"name": "run"}], "empty": [],
    }  # fmt: skip
    report = await import_twice(alice, json.dumps(file), JSON)
    assert [(each["entity"], *warning) for each, warning in zip(report["warnings"], warned(report), strict=True)] == [
        ("settings", "week_start", "monday", "left_out"),
        ("file", "habits", '[{"name": "run"}]', "left_out"),
    ]


async def test_a_view_refers_to_rows_by_digits_also(alice: Person) -> None:
    """Formerly the text stood for a row of this account with the same number."""
    other = await alice.post("/projects", {"name": "Other"})
    file = {
        "format": "todo/1",
        "user_id": "u",
        "projects": [{"id": other.json()["id"], "name": "Home"}],
        "views": [{"name": "V", "parameters": {"project_id": str(other.json()["id"])}}],
    }
    assert (await imported(alice, json.dumps(file), JSON))["warnings"] == []
    home = next(project for project in (await alice.get("/projects")).json() if project["name"] == "Home")
    (view,) = (await alice.get("/views")).json()
    assert view["parameters"] == {"project_id": home["id"]}
