"""Leaving: todo.txt that comes back as it was, Todoist's CSV, and a zip of everything, which says what is in it."""

import csv
import io
import zipfile
from typing import Any

import pytest

from tests.api.products.test_expected import send
from tests.api.test_transfer import add_sample_data, content
from tests.support import Person

TITLES = [
    "Plain", "Buy @milk", "x marks the spot", "(A) grade", "2026-12-01 is a day", "due:never +nothing",
    "100% sure  twice", "Ünïcode 🧤", "https://example.org/a:b", "at 10:30", "title:Plain", "+1", "a" * 200,
]  # fmt: skip
COMPARED = (
    "title", "description", "completed", "status", "priority", "due_date", "tags", "recurrence", "recurrence_from",
    "reminders", "uid", "start_date", "deadline", "estimate_minutes", "favorite",
)  # fmt: skip


async def state(person: Person) -> dict[str, dict[str, Any]]:
    """Returns tasks by uid, with the names of their projects and the uids of their parents."""
    document = (await person.get("/export")).json()
    names = {project["id"]: project["name"] for project in document["projects"]}
    uids = {task["id"]: task["uid"] for task in document["tasks"]}
    return {
        task["uid"]: {name: task[name] for name in COMPARED}
        | {"project": names.get(task["project_id"]), "parent": uids.get(task["parent_id"])}
        for task in document["tasks"]
        if not task["deleted_at"]
    }


async def fill(person: Person) -> None:
    await person.patch("/settings", {"timezone": "Europe/Berlin"})
    projects = [(await person.post("/projects", {"name": name})).json()["id"] for name in ("Garden", "Deep work, etc.")]
    for number, title in enumerate(TITLES):
        await person.add(title, priority=["none", "low", "medium", "high", "urgent"][number % 5])
    parent = await person.add(
        "Parent", project_id=projects[1], tags=["deep work", "a,b", "plain", "100%"], description="one\ntwo % é",
        due_date="2027-01-05T15:30:00Z", reminders=["-PT30M", "2027-01-01T08:00:00Z"],
        start_date="2027-01-03T07:15:00Z", deadline="2027-01-09", estimate_minutes=95, favorite=True,
    )  # fmt: skip
    await person.add(
        "Child",
        parent_id=parent["id"],
        due_date="2027-01-04",
        recurrence="FREQ=WEEKLY;BYDAY=MO",
        start_date="2027-01-02",
    )
    await person.add("Monthly", project_id=projects[0], due_date="2027-01-31", recurrence="FREQ=MONTHLY",
                     recurrence_from="completion")  # fmt: skip
    for status in ("in_progress", "waiting", "cancelled", "completed"):
        task = await person.add(f"It is {status}", priority="high")
        await person.patch(f"/tasks/{task['id']}", {"status": status})


async def test_todo_txt_comes_back_as_it_was(alice: Person, bob: Person) -> None:
    await fill(alice)
    await bob.patch("/settings", {"timezone": "Europe/Berlin"})
    answer = await alice.get("/export?format=txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    report = await send(bob, answer.content, "text/plain")
    assert (report["format"], report["failed"], report["warnings"]) == ("todo.txt", 0, [])
    assert await state(bob) == await state(alice)
    again = await send(alice, answer.content, "application/octet-stream")
    assert {*again["created"].values()} == {0}


async def test_todo_txt_holds_names_that_its_words_do_not(alice: Person, bob: Person) -> None:
    for number, name in enumerate(("Inbox", "1", "+plus", "@at")):
        project = (await alice.post("/projects", {"name": name})).json()["id"]
        await alice.add(f"Plain {number}", project_id=project, tags=[("@a", "+p", "@", "#")[number]])
    for person in (alice, bob):
        await person.patch("/settings", {"timezone": "Europe/Berlin"})
    await alice.add("Owl", due_date="2026-10-25T00:30:00Z", start_date="2026-10-25T01:30:00Z")  # both 02:30
    report = await send(bob, (await alice.get("/export?format=txt")).content, "text/plain")
    assert report["warnings"] == []
    assert await state(bob) == await state(alice)


async def test_a_line_of_todo_txt_reads_as_other_programs_write_it(alice: Person) -> None:
    await fill(alice)
    lines = {line.partition(" uid:")[0]: line for line in (await alice.get("/export?format=txt")).text.splitlines()}
    day = (await alice.get("/tasks?search=monthly")).json()[0]["created_at"][:10]
    assert any(line.startswith(f"(C) {day} Monthly +Garden due:2027-01-31 rec:1m") for line in lines), lines
    assert any(line.startswith("(A) ") for line in lines)
    assert sum(line.startswith("x ") for line in lines) == 2


async def test_todoist_csv_has_subtasks_below_their_tasks(alice: Person, bob: Person) -> None:
    await fill(alice)
    parent = next(task for task in (await alice.get("/tasks")).json() if task["title"] == "Parent")
    await alice.post(f"/tasks/{parent['id']}/comments", {"body": 'said "yes",\nthen no'})
    answer = await alice.get("/export?format=todoist")
    assert answer.headers["content-disposition"] == 'attachment; filename="todoist.csv"'
    rows = [*csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))]
    assert {row["PRIORITY"] for row in rows if row["TYPE"] == "task"} == {"1", "2", "3", "4"}
    place = next(number for number, row in enumerate(rows) if row["CONTENT"].startswith("Parent "))
    assert (rows[place]["DATE"], rows[place]["TIMEZONE"]) == ("2027-01-05 16:30", "Europe/Berlin")
    assert (rows[place + 1]["TYPE"], rows[place + 1]["CONTENT"]) == ("note", 'said "yes",\nthen no')
    assert (rows[place + 2]["CONTENT"], rows[place + 2]["INDENT"]) == ("Child", "2")
    assert not [row for row in rows if "completed" in row["CONTENT"] or "cancelled" in row["CONTENT"]]
    await bob.patch("/settings", {"timezone": "Europe/Berlin"})
    report = await send(bob, answer.content, "text/csv")
    assert (report["format"], report["failed"]) == ("todoist", 0)
    found = {task["title"]: task for task in (await bob.get("/tasks?limit=100")).json()}
    assert found["Child"]["parent_id"] == found["Parent"]["id"]
    assert (found["Child"]["due_date"], found["Child"]["recurrence"]) == ("2027-01-04", "FREQ=WEEKLY;BYDAY=MO")
    assert found["Parent"]["due_date"] == "2027-01-05T15:30:00Z"
    assert (found["Parent"]["deadline"], found["Parent"]["estimate_minutes"]) == ("2027-01-09", 95)
    assert (found["Monthly"]["due_date"], found["Monthly"]["recurrence_from"]) == ("2027-01-31", "completion")


async def test_a_zip_holds_everything_and_comes_back(alice: Person, bob: Person, sql: Any) -> None:
    await add_sample_data(alice, sql)
    answer = await alice.get("/export?format=zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="todo.zip"'
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    text = packed.read("README.txt").decode()
    assert all(name in text for name in packed.namelist() if name != "README.txt")
    assert alice.subject in text
    for kind, name in (("json", "todo.json"), ("csv", "todo.csv"), ("txt", "todo.txt"), ("todoist", "todoist.csv")):
        exported = (await alice.get(f"/export?format={kind}")).content
        assert kind == "json" or packed.read(name) == exported
    report = await send(bob, answer.content, "application/zip")
    assert (report["format"], report["failed"]) == ("json", 0)
    assert [each for each in report["warnings"] if each["entity"] == "file"] == []
    mine = content(packed.read("todo.json").decode())
    theirs = content((await bob.get("/export")).text)
    assert [row["title"] for row in theirs["tasks"]] == [row["title"] for row in mine["tasks"]]
    assert {name: len(rows) for name, rows in theirs.items()} == {name: len(rows) for name, rows in mine.items()}


@pytest.mark.parametrize("kind", ["txt", "todoist", "zip"])
async def test_an_empty_account_has_files_too(alice: Person, bob: Person, kind: str) -> None:
    answer = await alice.get(f"/export?format={kind}")
    assert answer.status_code == 200
    if kind == "zip":
        report = await send(bob, answer.content, "application/octet-stream")
        assert {*report["created"].values()} == {0}
