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
    assert draft.keys() == {
        *("title", "priority", "due_date", "start_date", "recurrence", "reminders", "tags", "project"),
    }
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


async def test_reminders_are_those_of_the_task(alice: Person) -> None:
    text = "Dentist 2090-05-02 at 15:00, remind me 1 day before and an hour before"
    added = await add(alice, text)
    assert (added["task"]["title"], added["task"]["reminders"]) == ("Dentist", ["-P1D", "-PT1H"])
    assert added["task"]["remind_at"] == "2090-05-01T15:00:00Z"
    assert [(span["text"], span["value"]) for span in added["understood"] if span["field"] == "reminders"] == [
        ("remind me 1 day before", "-P1D"), ("and an hour before", "-PT1H"),
    ]  # fmt: skip
    draft = (await add(alice, "Call Bob, remind me 2090-05-02T09:00", dry_run=True))["task"]
    assert (draft["title"], draft["due_date"], draft["reminders"]) == ("Call Bob", None, ["2090-05-02T09:00:00Z"])


async def test_a_reminder_is_in_the_zone_of_its_owner(alice: Person) -> None:
    assert (await alice.patch("/settings", {"timezone": "Asia/Tokyo"})).status_code == 200
    task = (await add(alice, "Remind me on 2090-05-02 at 9 to call Bob"))["task"]
    assert (task["title"], task["remind_at"]) == ("call Bob", "2090-05-02T00:00:00Z")
    task = (await add(alice, "Pay rent 2090-05-02 remind me at 17:00"))["task"]
    assert (task["reminders"], task["remind_at"], task["remind_channels"]) == (["PT17H"], "2090-05-02T08:00:00Z", None)


@pytest.mark.parametrize(
    ("text", "sent", "due"),
    [
        ("Buy stamps", "2030-01-02", "2030-01-02"),
        ("Buy stamps 2031-03-04", "2030-01-02", "2031-03-04"),
        ("Buy stamps", "2030-01-02T09:00:00Z", "2030-01-02T09:00:00Z"),
        ("Buy stamps", None, None),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_due_date_is_used_where_the_text_has_none(
    alice: Person, text: str, sent: str | None, due: str | None, *, dry_run: bool
) -> None:
    assert (await add(alice, text, due_date=sent, dry_run=dry_run))["task"]["due_date"] == due


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_start_is_read_in_the_users_zone(alice: Person, *, dry_run: bool) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "Asia/Tokyo"})
    added = await add(alice, "Course starts 2031-04-01 at 9:00, due 2031-07-01", dry_run=dry_run)
    task = added["task"]
    assert (task["title"], task["start_date"], task["due_date"]) == ("Course", "2031-04-01T00:00:00Z", "2031-07-01")
    spans = [(span["field"], span["value"]) for span in added["understood"]]
    assert spans == [("start_date", "2031-04-01T00:00:00Z"), ("due_date", "2031-07-01")]
