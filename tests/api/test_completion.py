"""Completing tasks that have subtasks, are subtasks, recur or move: in one write, and with concurrent writers."""

import asyncio
from typing import Any

import pytest

from tests.api.test_projects import make
from tests.api.test_series import complete, occurrences
from tests.api.test_subtasks import get, last_write, patch, undo_last
from tests.support import Person

SERIES = {"due_date": "2031-01-06", "recurrence": "FREQ=DAILY"}
ROUNDS = 25
WAYS_TO_COMPLETE: list[tuple[str, dict[str, Any] | None]] = [
    ("/complete", None),
    ("/complete", {"completed": True}),
    ("", {"completed": True}),
]


@pytest.mark.parametrize("how", ["alone", "bulk"])
async def test_completing_a_recurring_parent_keeps_completed_occurrences_of_its_child(alice: Person, how: str) -> None:
    parent = await alice.add("parent", **SERIES)
    child = await alice.add("child", parent_id=parent["id"], **SERIES)
    await complete(alice, child)
    (done,) = await occurrences(alice, child)
    if how == "alone":
        await complete(alice, parent)
    else:
        await alice.post("/tasks/bulk", {"ids": [parent["id"]], "action": "complete"})
    assert (await get(alice, parent["id"]))["due_date"] == "2031-01-07"
    assert await get(alice, done["id"]) == done


@pytest.mark.parametrize("fields", [{}, SERIES], ids=["plain", "recurring"])
async def test_a_parent_is_completed_and_moved_in_one_write(alice: Person, fields: dict[str, Any]) -> None:
    home, work = await make(alice, "Home"), await make(alice, "Work")
    parent = await alice.add("parent", project_id=home["id"], **fields)
    still = await alice.add("open", parent_id=parent["id"])
    done = await alice.add("done", parent_id=parent["id"], completed=True)
    answer = await patch(alice, parent["id"], completed=True, project_id=work["id"])
    assert answer["project_id"] == work["id"]
    assert answer["completed"] is not bool(fields)
    expected = {still["id"]: "completed", done["id"]: "updated"}
    if fields:  # open again, for the next occurrence
        expected = {still["id"]: "updated", done["id"]: "reopened"}
    for task_id in expected:
        task = await get(alice, task_id)
        assert (task["project_id"], task["completed"]) == (work["id"], not fields)
        assert (task["completed_at"] is None, task["version"]) == (bool(fields), answer["version"])
    actions = {task_id: action for _, task_id, action in await last_write(alice)}
    assert {task_id: actions[task_id] for task_id in expected} == expected
    await undo_last(alice)
    before = [(await get(alice, task_id))["completed"] for task_id in expected]
    assert before == [False, True]
    assert {(await get(alice, task_id))["project_id"] for task_id in expected} == {home["id"]}


@pytest.mark.parametrize("how", ["toggle", "set", "update", "bulk"])
async def test_what_is_open_below_a_completed_subtask_is_completed_as_well(alice: Person, how: str) -> None:
    parent = await alice.add("parent")
    child = await alice.add("child", parent_id=parent["id"], completed=True)
    grandchild = await alice.add("grandchild", parent_id=child["id"])
    path = f"/tasks/{parent['id']}"
    if how == "bulk":
        await alice.post("/tasks/bulk", {"ids": [parent["id"]], "action": "complete"})
    elif how == "toggle":
        await alice.patch(f"{path}/complete")
    else:
        await alice.patch(path if how == "update" else f"{path}/complete", {"completed": True})
    assert (await get(alice, grandchild["id"]))["completed"]
    assert await get(alice, child["id"]) == child
    actions = [(task_id, action) for _, task_id, action in await last_write(alice)]
    assert actions == [(parent["id"], "completed"), (grandchild["id"], "completed")]


async def test_putting_back_a_completed_parent_does_not_complete_its_subtasks(alice: Person) -> None:
    parent = await alice.add("parent")
    child = await alice.add("child", parent_id=parent["id"])
    sent = await complete(alice, parent, completed=True, subtasks="keep")
    assert (await alice.call("PUT", f"/tasks/{parent['id']}", json=sent)).json()["completed"]
    assert await get(alice, child["id"]) == child


async def test_completing_the_last_occurrence_keeps_subtasks_open_when_requested(alice: Person) -> None:
    parent = await alice.add("parent", due_date="2031-01-06", recurrence="FREQ=DAILY;COUNT=1")
    child = await alice.add("child", parent_id=parent["id"])
    assert (await complete(alice, parent, completed=True, subtasks="keep"))["completed"]
    assert await get(alice, child["id"]) == child


async def test_no_subtask_remains_when_its_parent_is_deleted_concurrently(alice: Person) -> None:
    for _ in range(ROUNDS):
        parent = await alice.add("parent")
        path, body = f"/tasks/{parent['id']}", {"title": "child", "parent_id": parent["id"]}
        added, deleted = await asyncio.gather(alice.post("/tasks", body), alice.delete(path))
        assert (deleted.status_code, added.status_code in (201, 422)) == (204, True), added.text
        if added.status_code == 201:
            assert (await alice.get(f"/tasks/{added.json()['id']}")).status_code == 404


@pytest.mark.parametrize(("path", "fields"), WAYS_TO_COMPLETE)
async def test_a_subtask_added_concurrently_is_completed_only_if_added_before_its_parent_is(
    alice: Person, path: str, fields: dict[str, Any] | None
) -> None:
    for _ in range(ROUNDS):
        parent = await alice.add("parent")
        body = {"title": "child", "parent_id": parent["id"]}
        complete_parent = alice.patch(f"/tasks/{parent['id']}{path}", fields)
        added, done = await asyncio.gather(alice.post("/tasks", body), complete_parent)
        assert (added.status_code, done.json()["completed"]) == (201, True)
        child = await get(alice, added.json()["id"])
        assert child["completed"] is (added.json()["version"] < done.json()["version"])


async def test_concurrent_toggles_each_invert_the_completion(alice: Person) -> None:
    task = await alice.add()
    for _ in range(ROUNDS):
        answers = await asyncio.gather(*(alice.patch(f"/tasks/{task['id']}/complete") for _ in range(4)))
        states = [answer.json()["completed"] for answer in sorted(answers, key=lambda one: one.json()["version"])]
        assert states == [True, False, True, False]


@pytest.mark.parametrize(("path", "fields"), WAYS_TO_COMPLETE[1:])
async def test_of_concurrent_completions_one_is_recorded_as_such(
    alice: Person, path: str, fields: dict[str, Any]
) -> None:
    for _ in range(ROUNDS):
        task = await alice.add()
        answers = await asyncio.gather(*(alice.patch(f"/tasks/{task['id']}{path}", fields) for _ in range(4)))
        assert {answer.json()["completed"] for answer in answers} == {True}
        changes = (await alice.get(f"/changes?since={task['version']}")).json()["changes"]
        assert [change["action"] for change in changes] == ["completed", "updated", "updated", "updated"]
