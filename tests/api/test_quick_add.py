"""Quick add over HTTP. The phrases it parses are in tests/domain/quick_add_phrases.json."""

import asyncio
from typing import Any

import pytest

from tests.support import Person, assert_problem

RENT = "Pay rent every month on the 1st at 9 #Home p:high @bank"


async def add(person: Person, text: str, **options: Any) -> dict[str, Any]:
    answer = await person.post("/tasks/quick", {"text": text, **options})
    assert answer.status_code in (200, 201), answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_line_becomes_a_task(alice: Person, sql: Any) -> None:
    await alice.add("so that there is a row")
    await sql.execute("update users set timezone = 'Europe/Berlin' where id = $1", alice.subject)
    answer = await alice.post("/tasks/quick", {"text": RENT})
    assert answer.status_code == 201
    task = answer.json()["task"]
    assert task == (await alice.get(f"/tasks/{task['id']}")).json()
    assert answer.headers["location"].endswith(f"/tasks/{task['id']}")
    assert answer.headers["etag"] == f'"{task["version"]}"'
    assert (task["title"], task["priority"], task["tags"]) == ("Pay rent", "high", ["bank"])
    assert task["recurrence"] == "FREQ=MONTHLY;BYMONTHDAY=1"
    assert task["due_date"][8:] in ("01T08:00:00Z", "01T07:00:00Z")  # nine o'clock in Berlin
    project = await sql.fetchrow("select id, name from projects where user_id = $1", alice.subject)
    assert (project["id"], project["name"]) == (task["project_id"], "Home")
    spans = answer.json()["understood"]
    assert [RENT[span["start"] : span["end"]] for span in spans] == [span["text"] for span in spans]
    assert {span["field"] for span in spans} == {"project", "tags", "priority", "due_date", "recurrence"}


async def test_a_new_project_and_its_task_are_one_write(alice: Person, sql: Any) -> None:
    task = (await add(alice, "Paint the fence #garden"))["task"]
    changes = (await alice.get("/changes")).json()["changes"]
    assert [(c["revision"], c["entity"], c["action"]) for c in changes] == [
        (1, "project", "created"), (1, "task", "created"),
    ]  # fmt: skip
    assert task["version"] == 1
    again = (await add(alice, "Water it #GARDEN"))["task"]
    assert again["project_id"] == task["project_id"]
    await sql.execute("update projects set deleted_at = now() where user_id = $1", alice.subject)
    assert (await add(alice, "Mow #garden"))["task"]["project_id"] != task["project_id"]


async def test_concurrent_quick_adds_create_one_project(alice: Person, sql: Any) -> None:
    await alice.add("so that there is a row to lock")
    await asyncio.gather(*(add(alice, f"{n} #same") for n in range(5)))
    assert await sql.fetchval("select count(*) from projects where user_id = $1", alice.subject) == 1


async def test_a_dry_run_creates_nothing(alice: Person) -> None:
    answer = await alice.post("/tasks/quick", {"text": "Call mum tomorrow #family @phone", "dry_run": True})
    assert answer.status_code == 200
    draft = answer.json()["task"]
    assert draft.keys() == {"title", "priority", "due_date", "recurrence", "tags", "project"}
    assert (draft["title"], draft["project"], draft["tags"]) == ("Call mum", "family", ["phone"])
    assert (await alice.get("/tasks")).headers["x-revision"] == "0"


@pytest.mark.parametrize(
    ("text", "title"),
    [("Buy milk", "Buy milk"), ("Read 1984 by Orwell", "Read 1984 by Orwell"), ('Say "tomorrow"', 'Say "tomorrow"')],
)
async def test_unparsed_words_stay_in_the_title(alice: Person, text: str, title: str) -> None:
    added = await add(alice, text)
    assert (added["task"]["title"], added["understood"]) == (title, [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": "tomorrow #home"}, "empty_title"),
        ({"text": "x" * 300}, "quick_add_invalid"),
        ({"text": " "}, "validation_error"),
        ({"text": "x" * 501}, "validation_error"),
        ({"text": "a\0b"}, "validation_error"),
        ({}, "validation_error"),
        ({"text": "x", "dry_run": "yes"}, "validation_error"),
    ],
)
async def test_an_invalid_quick_add_is_refused(alice: Person, body: dict[str, Any], code: str) -> None:
    assert_problem(await alice.post("/tasks/quick", body), 422, code)
    assert (await alice.get("/tasks")).headers["x-revision"] == "0"
