"""Copies of tasks and of projects, with what is below them: open, in order, with dates that keep their distances."""

import asyncio
from typing import Any

import pytest

from app.services.changes.entities import PROJECT_ENTITY
from app.services.duplicates import COPIES_MAX
from tests.api.test_projects import make, revision
from tests.api.test_undo import undo
from tests.entity_samples import make_sample
from tests.support import Person, assert_problem

Row = dict[str, Any]
OWN_FIELDS = {"id", "uid", "version", "position", "created_at", "updated_at", "parent_id", "project_id"}


async def duplicate(person: Person, path: str, **fields: Any) -> Row:
    answer = await person.post(f"{path}/duplicate", fields or None)
    assert answer.status_code == 201, answer.text
    row: Row = answer.json()
    noun = path.split("/")[1]
    assert answer.headers["location"] == f"/api/{person.subject}/{noun}/{row['id']}"
    assert answer.headers["etag"] == f'"{row["version"]}"'
    return row


async def tasks(person: Person, query: str = "") -> list[Row]:
    found: list[Row] = (await person.get(f"/tasks?sort=position&order=asc&limit=1000{query}")).json()
    return found


async def below(person: Person, row: Row) -> list[Row]:
    return await tasks(person, f"&parent_id={row['id']}")


def content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in OWN_FIELDS}


async def zone(person: Person, name: str) -> None:
    assert (await person.patch("/settings", {"timezone": name})).status_code == 200


async def test_the_name_asked_for_is_given_to_no_other_copy(alice: Person) -> None:
    area = await make(alice, "Area")
    await make(alice, "Part", parent_id=area["id"])
    assert (await duplicate(alice, f"/projects/{area['id']}", name="Part (copy)"))["name"] == "Part (copy)"
    names = {row["name"] for row in (await alice.get("/projects")).json()}
    assert names == {"Area", "Part", "Part (copy)", "Part (copy 2)"}


async def test_a_task_is_copied_with_its_subtasks_in_one_write(alice: Person) -> None:
    project = await make(alice)
    fields = {"description": "d", "priority": "high", "tags": ["a"], "due_date": "2031-03-03", "reminders": ["-P1D"]}
    root = await alice.add("Trip", project_id=project["id"], **fields)
    pack = await alice.add("Pack", parent_id=root["id"], status="waiting")
    await alice.add("Socks", parent_id=pack["id"])
    book = await alice.add("Book", parent_id=root["id"])
    await alice.post(f"/tasks/{book['id']}/move", {"before": pack["id"]})
    await alice.add("after", project_id=project["id"])
    await alice.post(f"/tasks/{root['id']}/comments", {"body": "x"})
    number = await revision(alice)
    copy = await duplicate(alice, f"/tasks/{root['id']}")
    assert content(copy) == content(root)
    assert (copy["project_id"], copy["parent_id"], copy["uid"] != root["uid"]) == (project["id"], None, True)
    assert [task["title"] for task in await tasks(alice) if task["parent_id"] is None] == ["Trip", "Trip", "after"]
    first = await below(alice, copy)
    assert [(task["title"], task["status"]) for task in first] == [("Book", "pending"), ("Pack", "pending")]
    assert [task["title"] for task in await below(alice, first[1])] == ["Socks"]
    assert (await alice.get(f"/tasks/{copy['id']}/comments")).json() == []
    changes = (await alice.get(f"/changes?since={number}")).json()["changes"]
    assert [(change["revision"], change["action"]) for change in changes] == [(number + 1, "created")] * 4
    await undo(alice, number + 1)
    assert len(await tasks(alice)) == 5
    history = (await alice.get(f"/tasks/{copy['id']}/history")).json()
    assert [entry["action"] for entry in history] == ["deleted", "created"]


@pytest.mark.parametrize("entity", ["task", "project"])
async def test_every_field_is_copied(alice: Person, entity: str) -> None:
    path, row = await make_sample(alice, entity)
    copy = await duplicate(alice, path)
    differ = {name for name in row if copy[name] != row[name]} - OWN_FIELDS
    assert differ == ({"status"} if entity == "task" else {"name"})  # in progress, and no two have the same name


async def test_a_subtask_is_copied_next_to_itself(alice: Person) -> None:
    root = await alice.add("root")
    sub = await alice.add("sub", parent_id=root["id"], due_date="2031-01-01", recurrence="FREQ=DAILY;COUNT=5")
    await alice.patch(f"/tasks/{sub['id']}/complete")
    copy = await duplicate(alice, f"/tasks/{sub['id']}", uid="mine")
    assert (copy["uid"], copy["parent_id"], copy["due_date"]) == ("mine", root["id"], "2031-01-02")
    assert_problem(await alice.post(f"/tasks/{sub['id']}/duplicate", {"uid": "mine"}), 409, "uid_taken")
    whole = await duplicate(alice, f"/tasks/{root['id']}")  # without the completed occurrence
    assert [(task["title"], task["completed"]) for task in await below(alice, whole)] == [("sub", False)] * 2


async def test_what_is_closed_is_open_in_the_copy_or_left_out(alice: Person) -> None:
    root = await alice.add("root", completed=True)
    done = await alice.add("done", parent_id=root["id"], completed=True)
    await alice.add("below done", parent_id=done["id"])
    await alice.add("open", parent_id=root["id"])
    await alice.add("cancelled", parent_id=root["id"], status="cancelled")
    copy = await duplicate(alice, f"/tasks/{root['id']}")
    assert (copy["completed"], copy["completed_at"], copy["status"]) == (False, None, "pending")
    assert [(task["title"], task["status"]) for task in await below(alice, copy)] == [
        ("done", "pending"),
        ("open", "pending"),
        ("cancelled", "pending"),
    ]
    less = await duplicate(alice, f"/tasks/{root['id']}", completed=False)
    assert [task["title"] for task in await below(alice, less)] == ["open"]


async def test_dates_keep_their_distance_from_the_due_date(alice: Person) -> None:
    await zone(alice, "Europe/Berlin")
    root = await alice.add("root", due_date="2031-03-24", reminders=["-P1D", "2031-03-23T08:00:00Z"])
    await alice.add("at nine", parent_id=root["id"], due_date="2031-03-25T09:00")
    await alice.add("day before", parent_id=root["id"], due_date="2031-03-23", recurrence="FREQ=WEEKLY;COUNT=3")
    await alice.add("no date", parent_id=root["id"])
    copy = await duplicate(alice, f"/tasks/{root['id']}", due_date="2031-04-07")
    assert (copy["due_date"], copy["reminders"]) == ("2031-04-07", ["-P1D", "2031-04-06T07:00:00Z"])
    found = {task["title"]: task for task in await below(alice, copy)}
    assert found["at nine"]["due_date"] == "2031-04-08T07:00:00Z"  # the clocks change on 30 March
    assert (found["day before"]["due_date"], found["no date"]["due_date"]) == ("2031-04-06", None)
    for due in ("2031-04-06", "2031-04-13", "2031-04-20"):  # the series begins again
        series = (await alice.get(f"/tasks/{found['day before']['id']}")).json()
        assert (series["due_date"], series["completed"]) == (due, False)
        await alice.patch(f"/tasks/{series['id']}/complete")
    assert (await alice.get(f"/tasks/{series['id']}")).json()["completed"]


@pytest.mark.parametrize(
    ("old", "new", "copied", "other"),
    [
        ("2031-03-24T10:00", "2031-03-26T12:30", "2031-03-26T11:30:00Z", "2031-03-27T11:30:00Z"),
        ("2031-03-24T10:00", "2031-03-31T10:00:00Z", "2031-03-31T10:00:00Z", "2031-04-01T10:00:00Z"),
        ("2031-03-24T10:00", "2031-03-26", "2031-03-26", "2031-03-27T09:00:00Z"),
        ("2031-03-24", "2031-03-26T12:30", "2031-03-26T11:30:00Z", "2031-03-27T09:00:00Z"),
        (None, "2031-03-26", "2031-03-26", "2031-03-26T09:00:00Z"),
    ],
)
async def test_a_day_and_an_instant_are_moved_by_local_time(
    alice: Person, old: str | None, new: str, copied: str, other: str
) -> None:
    await zone(alice, "Europe/Berlin")
    root = await alice.add("root", due_date=old)
    await alice.add("other", parent_id=root["id"], due_date="2031-03-25T10:00")
    copy = await duplicate(alice, f"/tasks/{root['id']}", due_date=new)
    assert (copy["due_date"], [task["due_date"] for task in await below(alice, copy)]) == (copied, [other])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"due_date": "soon"}, "validation_error"),
        ({"due_date": 3}, "validation_error"),
        ({"title": "x"}, "validation_error"),
        ({"completed": "no"}, "validation_error"),
        ({"due_date": "2199-12-31"}, "shift_too_far"),
    ],
)
async def test_an_invalid_copy_of_a_task_is_refused(alice: Person, body: Row, code: str) -> None:
    root = await alice.add("root", due_date="2031-01-01")
    await alice.add("later", parent_id=root["id"], due_date="2031-02-01")
    assert_problem(await alice.post(f"/tasks/{root['id']}/duplicate", body), 422, code)
    assert len(await tasks(alice)) == 2


async def test_rows_of_others_and_in_the_trash_are_not_copied(alice: Person, bob: Person) -> None:
    theirs, gone = await bob.add("theirs"), await alice.add("gone")
    await alice.delete(f"/tasks/{gone['id']}")
    for row in (theirs, gone):
        assert_problem(await alice.post(f"/tasks/{row['id']}/duplicate"), 404, "task_not_found")
    project, deleted = await make(bob), await make(alice)
    await alice.delete(f"/projects/{deleted['id']}")
    for row in (project, deleted):
        assert_problem(await alice.post(f"/projects/{row['id']}/duplicate"), 404, "project_not_found")
    root = await alice.add("root")
    left = await alice.add("left", parent_id=root["id"])
    await alice.delete(f"/tasks/{left['id']}")
    assert await below(alice, await duplicate(alice, f"/tasks/{root['id']}")) == []


async def test_comments_are_copied_on_request(alice: Person) -> None:
    area = await make(alice, "Area")
    root = await alice.add("root", project_id=area["id"])
    sub = await alice.add("sub", parent_id=root["id"])
    for task, body in ((root, "1"), (sub, "2"), (root, "3")):
        assert (await alice.post(f"/tasks/{task['id']}/comments", {"body": body})).status_code == 201
    copy = await duplicate(alice, f"/tasks/{root['id']}", comments=True)
    (below_copy,) = await below(alice, copy)
    for task, bodies in ((copy, ["1", "3"]), (below_copy, ["2"])):
        assert [each["body"] for each in (await alice.get(f"/tasks/{task['id']}/comments")).json()] == bodies
    number = await revision(alice)
    changes = (await alice.get(f"/changes?since={number - 1}")).json()["changes"]
    assert {change["entity"] for change in changes} == {"task", "comment"}
    project = await duplicate(alice, f"/projects/{area['id']}", comments=True)
    found = [task for task in await tasks(alice, f"&project_id={project['id']}") if task["title"] == "root"]
    assert [len((await alice.get(f"/tasks/{task['id']}/comments")).json()) for task in found] == [2, 2]
    await undo(alice, await revision(alice))
    assert_problem(await alice.get(f"/projects/{project['id']}"), 404)


async def test_a_project_is_copied_with_its_tree_and_tasks(alice: Person) -> None:
    area = await make(alice, "Area", color="#112233", favorite=True)
    inside = await make(alice, "Inside", parent_id=area["id"])
    archived = await make(alice, "Old", parent_id=area["id"])
    await alice.patch(f"/projects/{archived['id']}", {"archived": True})
    other = await make(alice, "Other")
    for title, row in (("one", area), ("two", area), ("three", inside), ("old", archived), ("else", other)):
        task = await alice.add(title, project_id=row["id"])
        await alice.add(f"below {title}", parent_id=task["id"])
    number = await revision(alice)
    copy = await duplicate(alice, f"/projects/{area['id']}")
    assert (copy["name"], copy["color"], copy["favorite"], copy["archived_at"]) == (
        "Area (copy)",
        "#112233",
        True,
        None,
    )
    listed = (await alice.get("/projects")).json()
    assert [row["name"] for row in listed] == ["Area", "Area (copy)", "Inside", "Other", "Inside (copy)"]
    new = next(row for row in listed if row["name"] == "Inside (copy)")
    assert new["parent_id"] == copy["id"]
    assert [task["title"] for task in await tasks(alice, f"&project_id={copy['id']}")] == [
        "one",
        "two",
        "below one",
        "below two",
    ]
    assert [task["title"] for task in await tasks(alice, f"&project_id={new['id']}")] == ["three", "below three"]
    assert {task["parent_id"] for task in await tasks(alice, f"&project_id={copy['id']}")} >= {None}
    assert await revision(alice) == number + 1
    await undo(alice, number + 1)
    assert len((await alice.get("/projects")).json()) == 3
    assert len(await tasks(alice)) == 10


async def test_the_copies_of_a_project_have_names_of_their_own(alice: Person) -> None:
    project = await make(alice, "Trip")
    made = [(await duplicate(alice, f"/projects/{project['id']}"))["name"] for _ in range(3)]
    assert made == ["Trip (copy)", "Trip (copy 2)", "Trip (copy 3)"]
    second = next(row for row in (await alice.get("/projects")).json() if row["name"] == "Trip (copy 2)")
    assert (await duplicate(alice, f"/projects/{second['id']}"))["name"] == "Trip (copy 4)"
    assert (await duplicate(alice, f"/projects/{project['id']}", name=" Paris ", uid="p"))["name"] == "Paris"
    assert_problem(
        await alice.post(f"/projects/{project['id']}/duplicate", {"name": "paris"}), 409, "project_name_taken"
    )
    assert_problem(await alice.post(f"/projects/{project['id']}/duplicate", {"uid": "p"}), 409, "uid_taken")
    long = await make(alice, "x" * 100)
    assert (await duplicate(alice, f"/projects/{long['id']}"))["name"] == "x" * 93 + " (copy)"


async def test_an_archived_project_is_a_template(alice: Person) -> None:
    area = await make(alice, "Template")
    inside = await make(alice, "Part", parent_id=area["id"])
    await alice.add("x", project_id=inside["id"], due_date="2020-01-10", completed=True)
    await alice.add("y", project_id=area["id"], due_date="2020-01-08T23:30:00Z")
    await alice.patch(f"/projects/{area['id']}", {"archived": True})
    await zone(alice, "Europe/Berlin")  # where the first date is 9 January
    copy = await duplicate(alice, f"/projects/{area['id']}", start="2031-05-01")
    assert [row["name"] for row in (await alice.get("/projects")).json()] == ["Template (copy)", "Part (copy)"]
    assert [task["due_date"] for task in await tasks(alice, f"&project_id={copy['id']}")] == ["2031-04-30T22:30:00Z"]
    new = (await alice.get("/projects")).json()[1]
    found = await tasks(alice, f"&project_id={new['id']}")
    assert [(task["due_date"], task["completed"]) for task in found] == [("2031-05-02", False)]
    later = await duplicate(alice, f"/projects/{inside['id']}", shift_days=-5)
    assert [task["due_date"] for task in await tasks(alice, f"&project_id={later['id']}")] == ["2020-01-05"]
    less = await duplicate(alice, f"/projects/{inside['id']}", completed=False, start="2031-05-01")
    assert await tasks(alice, f"&project_id={less['id']}") == []


@pytest.mark.parametrize(
    "body",
    [
        {"shift_days": 1, "start": "2031-01-01"}, {"shift_days": 36_501}, {"shift_days": "1"}, {"start": "soon"},
        {"start": "2031-01-01T09:00:00Z"}, {"name": ""}, {"color": "#112233"}, {"start": "2300-01-01"},
    ],
)  # fmt: skip
async def test_an_invalid_copy_of_a_project_is_refused(alice: Person, body: Row) -> None:
    project = await make(alice)
    assert_problem(await alice.post(f"/projects/{project['id']}/duplicate", body), 422, "validation_error")


async def test_more_than_the_maximum_is_not_copied(alice: Person, sql: Any) -> None:
    project = await make(alice)
    root = await alice.add("root", project_id=project["id"])
    fill = """insert into tasks (user_id, title, parent_id, project_id, version)
        select $1, n::text, $2, $3, 1 from generate_series(1, $4) n"""
    await sql.execute(fill, alice.subject, root["id"], project["id"], COPIES_MAX - 1)
    copy = await duplicate(alice, f"/tasks/{root['id']}")
    assert len(await below(alice, copy)) == COPIES_MAX - 1
    await undo(alice, copy["version"])
    before = await revision(alice)
    assert_problem(await alice.post(f"/projects/{project['id']}/duplicate"), 422, "too_many_copies")
    await alice.add("one more", parent_id=root["id"])
    assert_problem(await alice.post(f"/tasks/{root['id']}/duplicate"), 422, "too_many_copies")
    assert await revision(alice) == before + 1
    # The occurrences of a series are not copied, however many there are.
    await sql.execute(
        "update tasks set series_id = $2 where user_id = $1 and parent_id = $2", alice.subject, root["id"]
    )
    assert await below(alice, await duplicate(alice, f"/tasks/{root['id']}")) == []


async def test_no_copy_goes_beyond_the_limit_of_projects(alice: Person, sql: Any) -> None:
    assert PROJECT_ENTITY.limit
    area = await make(alice, "Area")
    await make(alice, "Inside", parent_id=area["id"])
    fill = "insert into projects (user_id, name, version) select $1, n::text, 1 from generate_series(1, $2) n"
    await sql.execute(fill, alice.subject, PROJECT_ENTITY.limit.rows - 5)
    answers = await asyncio.gather(*(alice.post(f"/projects/{area['id']}/duplicate") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "too_many_projects"}


async def test_a_repeated_request_makes_one_copy(alice: Person) -> None:
    root, project = await alice.add("root"), await make(alice)
    for path in (f"/tasks/{root['id']}", f"/projects/{project['id']}"):
        headers = {"Idempotency-Key": f"key {path}"}
        first, second = [await alice.post(f"{path}/duplicate", headers=headers) for _ in range(2)]
        assert (first.status_code, first.json()) == (201, second.json())
    assert (len(await tasks(alice)), len((await alice.get("/projects")).json())) == (2, 2)


async def test_copies_are_made_in_a_batch_and_named_by_their_uids(alice: Person) -> None:
    operations = [
        {"operation": "create_project", "arguments": {"uid": "p", "name": "P"}},
        {"operation": "create_task", "arguments": {"uid": "t", "title": "t", "project_uid": "p"}},
        {"operation": "create_task", "arguments": {"title": "below", "parent_uid": "t"}},
        {"operation": "duplicate_task", "arguments": {"task_uid": "t", "uid": "t2", "due_date": "2031-01-01"}},
        {"operation": "update_task", "arguments": {"task_uid": "t2", "title": "t2"}},
        {"operation": "duplicate_project", "arguments": {"project_id": "uid:p", "name": "P2"}},
        {"operation": "duplicate_task", "arguments": {"task_uid": "t"}},
    ]
    answer = await alice.post("/batch", {"operations": operations})
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 201, 201, 201, 200, 201, 201]
    assert (results[4]["body"]["due_date"], results[5]["body"]["name"]) == ("2031-01-01", "P2")
    assert len(await tasks(alice)) == 10
    await undo(alice, answer.json()["revision"])
    assert await tasks(alice) == []
    assert (await alice.get("/projects")).json() == []


async def test_concurrent_copies_of_one_task_are_whole(alice: Person) -> None:
    root = await alice.add("root")
    await alice.add("below", parent_id=root["id"])
    await asyncio.gather(*(duplicate(alice, f"/tasks/{root['id']}") for _ in range(5)))
    found = await tasks(alice)
    roots = [task["id"] for task in found if task["parent_id"] is None]
    assert sorted(task["parent_id"] for task in found if task["parent_id"]) == sorted(roots)
    assert len({task["position"] for task in found}) == len(found) == 12
