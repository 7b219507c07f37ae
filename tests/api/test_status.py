"""The status of tasks: beside ``completed``, in lists, series, subtasks, reminders, statistics, history and undo."""

from typing import Any

import pytest

from tests.api.test_subtasks import get, last_write, patch, undo_last
from tests.support import Person, assert_problem

OPEN_STATUSES = ["pending", "in_progress", "waiting"]
STATUSES = [*OPEN_STATUSES, "cancelled", "completed"]
SERIES = {"due_date": "2031-01-06", "recurrence": "FREQ=DAILY"}
Row = dict[str, Any]


def state(task: Row) -> tuple[str, bool, bool]:
    return task["status"], task["completed"], task["completed_at"] is not None


def state_of(status: str) -> tuple[str, bool, bool]:
    return status, status == "completed", status == "completed"


async def listed(alice: Person, **parameters: Any) -> list[str]:
    rows = (await alice.get("/tasks", params={"sort": "title", **parameters})).json()
    return [row["title"] for row in (rows["tasks"] if isinstance(rows, dict) else rows)]


@pytest.mark.parametrize("status", STATUSES)
async def test_a_task_is_created_and_changed_by_its_status(alice: Person, status: str) -> None:
    made = await alice.add("made", status=status)
    assert state(made) == state_of(status)
    assert state(await get(alice, made["id"])) == state_of(status)
    for before in STATUSES:
        task = await alice.add("changed", status=before)
        assert state(await patch(alice, task["id"], status=status)) == state_of(status)


@pytest.mark.parametrize(
    ("before", "completed", "after"),
    [
        ("waiting", True, "completed"),
        ("cancelled", True, "completed"),
        ("completed", False, "pending"),
        ("in_progress", False, "in_progress"),
        ("cancelled", False, "cancelled"),
    ],
)
async def test_completed_alone_changes_the_status(alice: Person, before: str, completed: bool, after: str) -> None:
    """What was begun before it was completed is pending when it is reopened."""
    for path in ("", "/complete"):
        task = await alice.add("a", status=before)
        answer = await alice.call("PATCH", f"/tasks/{task['id']}{path}", json={"completed": completed})
        assert state(answer.json()) == state_of(after)


async def test_null_is_pending_and_a_toggle_completes_what_is_cancelled(alice: Person) -> None:
    task = await alice.add("a", status="cancelled")
    assert (await patch(alice, task["id"], status=None))["status"] == "pending"
    task = await patch(alice, task["id"], status="cancelled")
    toggled = (await alice.call("PATCH", f"/tasks/{task['id']}/complete")).json()
    assert state(toggled) == state_of("completed")
    toggled = (await alice.call("PATCH", f"/tasks/{task['id']}/complete")).json()
    assert state(toggled) == state_of("pending")


@pytest.mark.parametrize(
    "fields",
    [
        {"completed": True, "status": "pending"},
        {"completed": True, "status": "cancelled"},
        {"is_completed": True, "status": "waiting"},
    ],
)
async def test_a_status_that_contradicts_completed_is_refused(alice: Person, fields: Row) -> None:
    task = await alice.add("a", status="in_progress")
    for method, path, body in (
        ("POST", "/tasks", {"title": "b", **fields}),
        ("PUT", "/tasks/uid:new", {"title": "b", **fields}),
        ("PATCH", f"/tasks/{task['id']}", fields),
        ("PUT", f"/tasks/{task['id']}", fields),
    ):
        answer = assert_problem(await alice.call(method, path, json=body), 422, "status_conflict")
        assert answer["errors"][0]["loc"] == ["body", "status"]
    assert await get(alice, task["id"]) == task
    assert_problem(await alice.post("/tasks", {"title": "b", "completed": False, "status": "completed"}), 422)


async def test_a_client_sends_back_the_old_status_with_what_it_changed(alice: Person) -> None:
    """Front-ends that do not know the status send back the whole task."""
    task = await alice.add("a", status="waiting")
    done = await patch(alice, task["id"], **{**task, "completed": True})
    assert state(done) == state_of("completed")
    again = await patch(alice, task["id"], **{**done, "completed": False})
    assert state(again) == state_of("pending")
    assert state(await patch(alice, task["id"], **{**again, "status": "completed"})) == state_of("completed")
    assert state(await patch(alice, task["id"], completed=True, status=None)) == state_of("completed")


async def test_an_unknown_status_is_refused(alice: Person) -> None:
    for body in ({"title": "a", "status": "done"}, {"title": "a", "status": 1}, {"title": "a", "status": ["pending"]}):
        assert_problem(await alice.post("/tasks", body), 422, "validation_error")
    assert_problem(await alice.get("/tasks?status=done"), 422, "validation_error")


async def test_lists_views_and_bulk_writes_select_by_status(alice: Person) -> None:
    for status in STATUSES:
        await alice.add(status, status=status)
    assert await listed(alice, status="pending") == sorted(OPEN_STATUSES)
    for status in STATUSES[1:]:
        assert await listed(alice, status=status) == [status]
    assert await listed(alice, status="all") == await listed(alice) == sorted(STATUSES)
    view = (await alice.post("/views", {"name": "Waiting", "parameters": {"status": "waiting"}})).json()
    rows = (await alice.get(f"/views/{view['id']}/tasks")).json()
    assert [row["title"] for row in (rows["tasks"] if isinstance(rows, dict) else rows)] == ["waiting"]
    answer = await alice.post(
        "/tasks/bulk", {"filter": {"status": "pending"}, "action": "update", "change": {"status": "waiting"}}
    )
    assert sorted(item["status"] for item in answer.json()["results"]) == ["unchanged", "updated", "updated"]
    assert await listed(alice, status="waiting") == sorted(OPEN_STATUSES)


async def test_many_tasks_are_cancelled_and_reopened_in_one_write(alice: Person) -> None:
    tasks = [await alice.add(status, status=status) for status in STATUSES]
    ids = [task["id"] for task in tasks]
    answer = await alice.post("/tasks/bulk", {"ids": ids, "action": "update", "change": {"status": "cancelled"}})
    assert [item["status"] for item in answer.json()["results"]] == [*["cancelled"] * 3, "unchanged", "cancelled"]
    assert {(await get(alice, task_id))["status"] for task_id in ids} == {"cancelled"}
    answer = await alice.post("/tasks/bulk", {"ids": ids, "action": "reopen"})
    assert {item["status"] for item in answer.json()["results"]} == {"reopened"}
    assert {(await get(alice, task_id))["status"] for task_id in ids} == {"pending"}
    answer = await alice.post("/tasks/bulk", {"ids": ids, "action": "update", "change": {"status": "completed"}})
    assert_problem(answer, 422, "validation_error")


async def test_cancelling_a_task_cancels_what_is_open_below(alice: Person) -> None:
    for change in ("single", "bulk"):
        parent = await alice.add("parent")
        below = [await alice.add("below", parent_id=parent["id"], status=status) for status in STATUSES]
        lower = await alice.add("lower", parent_id=below[0]["id"])
        if change == "single":
            await patch(alice, parent["id"], status="cancelled")
        else:
            body = {"ids": [parent["id"]], "action": "update", "change": {"status": "cancelled"}}
            await alice.post("/tasks/bulk", body)
        found = [(await get(alice, task["id"]))["status"] for task in [*below, lower]]
        assert found == [*["cancelled"] * 4, "completed", "cancelled"]
        written = {task_id: action for _, task_id, action in await last_write(alice)}
        assert set(written.values()) == {"cancelled"}
        assert written.keys() == {parent["id"], lower["id"], *(task["id"] for task in below[:3])}
        await undo_last(alice)
        assert [(await get(alice, task["id"]))["status"] for task in [*below, lower]] == [*STATUSES, "pending"]


async def test_a_series_is_cancelled_whole_and_goes_on_when_it_is_reopened(alice: Person) -> None:
    task = await alice.add("a", status="in_progress", **SERIES)
    cancelled = await patch(alice, task["id"], status="cancelled")
    assert (cancelled["due_date"], cancelled["recurrence"]) == (task["due_date"], task["recurrence"])
    assert_problem(await alice.post(f"/tasks/{task['id']}/skip"), 409, "not_recurring")
    await patch(alice, task["id"], status="in_progress")
    following = (await alice.call("PATCH", f"/tasks/{task['id']}/complete", json={"completed": True})).json()
    assert (following["due_date"], following["status"]) == ("2031-01-07", "pending")
    done = (await alice.get(f"/tasks?series_id={task['id']}")).json()
    assert [row["status"] for row in (done["tasks"] if isinstance(done, dict) else done)] == ["completed"]


async def test_subtasks_are_open_for_the_next_occurrence(alice: Person) -> None:
    parent = await alice.add("parent", **SERIES)
    below = [await alice.add("below", parent_id=parent["id"], status=status) for status in STATUSES]
    await alice.call("PATCH", f"/tasks/{parent['id']}/complete", json={"completed": True})
    found = [(await get(alice, task["id"]))["status"] for task in below]
    assert found == [*OPEN_STATUSES, "pending", "pending"]


@pytest.mark.parametrize("status", ["cancelled", "completed"])
async def test_what_is_closed_reminds_nobody(alice: Person, status: str) -> None:
    fields = {"due_date": "2090-01-02", "reminders": ["-P1D"]}
    assert (await alice.add("made", status=status, **fields))["remind_at"] is None
    task = await alice.add("changed", status="waiting", **fields)
    assert task["remind_at"] is not None
    assert (await patch(alice, task["id"], status=status))["remind_at"] is None
    assert (await patch(alice, task["id"], due_date="2090-01-03"))["remind_at"] is None
    assert_problem(await alice.post(f"/tasks/{task['id']}/snooze", {"minutes": 5}), 409, "task_completed")
    assert (await patch(alice, task["id"], status="waiting"))["remind_at"] is not None


async def test_numbers_know_the_difference(alice: Person) -> None:
    for status in STATUSES:
        await alice.add(status, status=status, tags=["home"], due_date="2020-01-01")
    stats = (await alice.get("/stats")).json()
    assert {name: stats["totals"][name] for name in ("open", "completed", "cancelled", "overdue")} == {
        "open": 3,
        "completed": 1,
        "cancelled": 1,
        "overdue": 3,
    }
    assert stats["tags"] == [{"name": "home", "open": 3, "done": 1}]
    assert stats["per_day"][-1]["done"] == 1
    tags = (await alice.get("/tags")).json()
    assert [(tag["count"], tag["open"]) for tag in (tags["tags"] if isinstance(tags, dict) else tags)] == [(5, 3)]
    assert await listed(alice, overdue="true") == sorted(OPEN_STATUSES)


async def test_changes_name_what_happened(alice: Person) -> None:
    task = await alice.add("a")
    for status, action in (
        ("in_progress", "updated"),
        ("cancelled", "cancelled"),
        ("cancelled", "updated"),
        ("waiting", "reopened"),
        ("completed", "completed"),
        ("cancelled", "cancelled"),
        ("completed", "completed"),
        ("in_progress", "reopened"),
    ):
        await patch(alice, task["id"], status=status)
        ((_, _, found),) = await last_write(alice)
        assert (status, found) == (status, action)


async def test_a_snapshot_of_open_tasks_leaves_out_both_kinds_of_closed_ones(alice: Person) -> None:
    for status in STATUSES:
        await alice.add(status, status=status)
    page = (await alice.get("/changes?snapshot=true&completed=false")).json()
    assert sorted(change["data"]["title"] for change in page["changes"]) == sorted(OPEN_STATUSES)
