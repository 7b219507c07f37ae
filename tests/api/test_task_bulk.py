"""Many tasks in one write, over HTTP."""

import asyncio
from typing import Any

import pytest

from app.domain.ordering import key_after_all, key_of_id, keys_after_all
from app.schemas.task_query import TaskConditions
from tests.api.test_projects import make
from tests.api.test_subtasks import family, get, last_write, state, undo_last
from tests.support import Person, assert_problem

Task = dict[str, Any]


async def revision(person: Person) -> int:
    return int((await person.get("/tasks?limit=1")).headers["x-revision"])


async def bulk(person: Person, action: str, *tasks: Task | int, **more: Any) -> list[str]:
    """Returns the statuses, in the order of the tasks."""
    body: dict[str, Any] = {"action": action, **more}
    if "filter" not in more:
        body["ids"] = [task if isinstance(task, int) else task["id"] for task in tasks]
    answer = await person.post("/tasks/bulk", body)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    if "ids" in body:
        assert [item["id"] for item in results] == body["ids"]
    return [item["status"] for item in results]


async def snapshot(person: Person) -> list[Task]:
    """Returns all tasks, without the fields that every write sets."""
    both = (await person.get("/tasks?limit=500")).json() + (await person.get("/tasks/trash?limit=500")).json()
    own = {"version", "updated_at", "deleted_at"}
    return sorted(({k: v for k, v in t.items() if k not in own} for t in both), key=lambda task: task["id"])


async def seed(sql: Any, person: Person, count: int, *, tag: str = "home") -> None:
    """Inserts tasks as if they had been created before."""
    await person.add("first", tags=[tag])
    await sql.execute(
        "insert into tasks (user_id, title, priority, tags, version) "
        "select $1, 'Task ' || n, 'medium', array[$3], 1 from generate_series(2, $2) n",
        person.subject, count, tag,
    )  # fmt: skip


# ---- each action


async def test_bulk_reports_each_task_and_changes_none_of_another_user(alice: Person, bob: Person) -> None:
    one, two, done = await alice.add("one"), await alice.add("two"), await alice.add("done", completed=True)
    theirs, gone = await bob.add("theirs"), await alice.add("gone")
    await alice.delete(f"/tasks/{gone['id']}")
    before = await revision(alice)
    ids: list[Any] = [two, theirs, gone, done, one, 2**62]
    answer = await alice.post("/tasks/bulk", {"ids": [i if isinstance(i, int) else i["id"] for i in ids],
                                              "action": "complete"})  # fmt: skip
    assert [item["status"] for item in answer.json()["results"]] == [
        "completed", "not_found", "not_found", "unchanged", "completed", "not_found",
    ]  # fmt: skip
    assert answer.headers["x-revision"] == str(before + 1)
    assert await last_write(alice) == [("task", one["id"], "completed"), ("task", two["id"], "completed")]
    assert (await get(alice, two["id"]))["version"] == before + 1
    assert await get(bob, theirs["id"]) == theirs
    for action in ("complete", "reopen", "delete", "restore"):
        assert await bulk(alice, action, theirs) == ["not_found"]
    for action, change in (("update", {"priority": "high"}), ("move", {"project_id": None})):
        assert await bulk(alice, action, theirs, change=change) == ["not_found"]
    assert await get(bob, theirs["id"]) == theirs
    assert await revision(bob) == 1


async def test_a_bulk_without_changes_takes_no_revision(alice: Person) -> None:
    task, before = await alice.add(), 1
    assert await bulk(alice, "reopen", task) == ["unchanged"]
    assert await bulk(alice, "restore", task) == ["unchanged"]
    assert await bulk(alice, "update", task, change={"priority": "medium", "tags": []}) == ["unchanged"]
    assert await bulk(alice, "delete", 2**62) == ["not_found"]
    assert await bulk(alice, "delete", filter={"tag": ["nobody"]}) == []
    answer = await alice.post("/tasks/bulk", {"ids": [task["id"]], "action": "reopen"})
    assert "x-revision" not in answer.headers
    assert await revision(alice) == before
    assert await get(alice, task["id"]) == task


async def test_bulk_completes_and_reopens_tasks(alice: Person) -> None:
    parent, _, grandchild = await family(alice)
    other = await alice.add("other")
    before = await snapshot(alice)
    assert await bulk(alice, "complete", grandchild, parent, other) == ["completed"] * 3
    assert set((await state(alice)).values()) == {True}
    assert len(await last_write(alice)) == 4
    await undo_last(alice)
    assert await snapshot(alice) == before
    await bulk(alice, "complete", parent)
    assert await bulk(alice, "reopen", parent, grandchild, other) == ["reopened", "reopened", "unchanged"]
    assert await state(alice) == {"parent": False, "child": True, "grandchild": False, "other": False}
    assert (await get(alice, parent["id"]))["completed_at"] is None


async def test_bulk_complete_advances_recurring_tasks_in_the_same_write(alice: Person) -> None:
    series = await alice.add("series", due_date="2031-01-06", recurrence="FREQ=WEEKLY")
    last = await alice.add("last", due_date="2031-01-06", recurrence="FREQ=DAILY;COUNT=1")
    below = await alice.add("below", parent_id=series["id"])
    checked = await alice.add("checked", parent_id=series["id"], completed=True)
    plain = await alice.add("plain")
    await alice.add("under plain", parent_id=plain["id"])
    before = await snapshot(alice)
    statuses = await bulk(alice, "complete", below, plain, series, last, checked)
    assert statuses == ["unchanged", "completed", "completed", "completed", "reopened"]
    write = await last_write(alice)
    assert sorted(action for _, _, action in write) == ["completed"] * 4 + ["created", "reopened"]
    assert (await get(alice, series["id"]))["due_date"] == "2031-01-13"
    assert await state(alice) | {"series": True} == {
        "series": True, "last": True, "below": False, "checked": False, "plain": True, "under plain": True,
    }  # fmt: skip
    await undo_last(alice)
    after = await snapshot(alice)
    assert [task for task in after if task["series_id"] is None] == before
    assert [task["series_id"] for task in (await alice.get("/tasks/trash")).json()] == [series["id"]]


async def test_bulk_update_changes_only_the_fields_sent(alice: Person) -> None:
    work = await make(alice, "Work")
    one = await alice.add("one", tags=["a", "b"], description="x", reminders=["-PT1H"])
    two = await alice.add("two", tags=["b"], priority="high", due_date="2031-01-01")
    below = await alice.add("below", parent_id=two["id"])
    before = await snapshot(alice)
    change = {
        "description": "same", "priority": "low", "due_date": "2031-05-01T09:00:00Z", "add_tags": ["c", "b"],
        "remove_tags": ["a"], "project_id": work["id"],
    }  # fmt: skip
    assert await bulk(alice, "update", one, two, change=change) == ["updated", "updated"]
    for task, tags in ((one, ["b", "c"]), (two, ["b", "c"])):
        now = await get(alice, task["id"])
        assert (now["title"], now["tags"], now["priority"]) == (task["title"], tags, "low")
        assert (now["description"], now["due_date"]) == ("same", "2031-05-01T09:00:00Z")
        assert (now["project_id"], now["position"]) == (work["id"], task["position"])
    assert (await get(alice, one["id"]))["remind_at"] == "2031-05-01T08:00:00Z"
    assert (await get(alice, below["id"]))["project_id"] == work["id"]
    assert (await bulk(alice, "update", one, below, change={"project_id": work["id"]})) == ["unchanged"] * 2
    await undo_last(alice)
    assert await snapshot(alice) == before
    cleared = {"description": None, "priority": None, "tags": None, "reminders": None, "due_date": None}
    assert await bulk(alice, "update", one, below, change=cleared) == ["updated", "unchanged"]
    now = await get(alice, one["id"])
    assert [now[name] for name in cleared] == [None, "medium", [], [], None]


async def test_bulk_actions_recompute_reminders(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-01T10:00:00Z", reminders=["-PT1H"])
    moments = []
    for action in ("complete", "reopen", "delete", "restore"):
        await bulk(alice, action, task)
        found = await alice.get(f"/tasks/{task['id']}")
        moments.append(found.json()["remind_at"] if found.status_code == 200 else None)
    assert moments == [None, "2031-01-01T09:00:00Z", None, "2031-01-01T09:00:00Z"]
    await bulk(alice, "update", task, change={"reminders": ["-P1D", "2030-12-01T08:00:00Z"]})
    assert (await get(alice, task["id"]))["remind_at"] == "2030-12-01T08:00:00Z"


async def test_bulk_moves_tasks_into_a_project(alice: Person) -> None:
    home, work = await make(alice, "Home"), await make(alice, "Work")
    parent, child, grandchild = await family(alice, project_id=home["id"])
    loose = await alice.add("loose")
    before = await snapshot(alice)
    assert await bulk(alice, "move", grandchild, loose, parent, change={"project_id": work["id"]}) == ["moved"] * 3
    assert await alice.titles(f"?project_id={work['id']}&sort=position") == ["child", "grandchild", "loose", "parent"]
    assert (await get(alice, grandchild["id"]))["parent_id"] == child["id"], "it came along with its parent"
    assert len(await last_write(alice)) == 4
    later = await alice.add("later")
    positions = [task["position"] for task in (await alice.get("/tasks?sort=position")).json()]
    assert positions == sorted(positions)
    assert positions[-1] == later["position"]
    await alice.delete(f"/tasks/{later['id']}")
    assert (await alice.post("/changes/7/undo")).status_code == 200
    assert [task for task in await snapshot(alice) if task["id"] != later["id"]] == before
    assert await bulk(alice, "move", child, change={"project_id": work["id"]}) == ["moved"]
    alone = await get(alice, child["id"])
    assert (alone["parent_id"], alone["project_id"]) == (None, work["id"])
    assert (await get(alice, grandchild["id"]))["project_id"] == work["id"]
    assert await bulk(alice, "move", child, change={"project_id": None}) == ["moved"]
    assert (await get(alice, grandchild["id"]))["project_id"] is None


async def test_bulk_moves_tasks_below_a_parent(alice: Person, bob: Person) -> None:
    work = await make(alice, "Work")
    target = await alice.add("target", project_id=work["id"])
    parent, child, grandchild = await family(alice)
    assert await bulk(alice, "move", child, parent, change={"parent_id": target["id"]}) == ["moved"] * 2
    for task, above in ((child, target), (parent, target), (grandchild, child)):
        now = await get(alice, task["id"])
        assert (now["parent_id"], now["project_id"]) == (above["id"], work["id"])
    await undo_last(alice)
    assert (await get(alice, child["id"]))["parent_id"] == parent["id"]
    theirs = await bob.add()
    for wrong in (grandchild["id"], parent["id"], theirs["id"], 2**62):
        body = {"ids": [target["id"], parent["id"]], "action": "move", "change": {"parent_id": wrong}}
        problem = assert_problem(await alice.post("/tasks/bulk", body), 422, "unknown_reference")
        assert problem["errors"][0]["loc"] == ["body", "change", "parent_id"]
    deep = await alice.add("4", parent_id=grandchild["id"])
    assert await bulk(alice, "move", parent, change={"parent_id": target["id"]}) == ["moved"]
    body = {"ids": [(await alice.add())["id"], target["id"]], "action": "move"}
    top = await alice.add("top")
    assert_problem(await alice.post("/tasks/bulk", {**body, "change": {"parent_id": top["id"]}}), 422, "too_deep")
    assert await bulk(alice, "move", child, deep, change={"parent_id": None}) == ["moved"] * 2
    assert (await get(alice, deep["id"]))["parent_id"] is None
    assert (await get(alice, grandchild["id"]))["parent_id"] == child["id"]


async def test_bulk_deletes_and_restores_tasks(alice: Person) -> None:
    work = await make(alice, "Work")
    parent, child, grandchild = await family(alice, project_id=work["id"])
    earlier, loose = await alice.add("earlier", parent_id=parent["id"]), await alice.add("loose")
    before = await snapshot(alice)
    await alice.delete(f"/tasks/{earlier['id']}")
    assert await bulk(alice, "delete", child, parent, earlier, loose) == ["deleted", "deleted", "not_found", "deleted"]
    assert (await alice.get("/tasks")).json() == []
    assert len(await last_write(alice)) == 4
    await undo_last(alice)
    assert sorted(await alice.titles()) == ["child", "grandchild", "loose", "parent"]
    await bulk(alice, "delete", parent, loose)
    assert await bulk(alice, "restore", earlier, loose, child, parent) == ["restored"] * 4
    assert await snapshot(alice) == before, "each is back in its place"
    await undo_last(alice)
    assert (await alice.get("/tasks")).json() == []
    await alice.delete(f"/projects/{work['id']}")
    assert await bulk(alice, "restore", grandchild, loose) == ["restored"] * 2
    now = await get(alice, grandchild["id"])
    assert (now["parent_id"], now["project_id"]) == (None, None)
    assert await bulk(alice, "restore", child) == ["restored"]


# ---- selecting tasks


async def test_bulk_selects_tasks_by_filter(alice: Person, bob: Person) -> None:
    await bob.add(tags=["home"])
    for number in range(4):
        await alice.add(str(number), tags=["home"] if number % 2 else [], priority="high")
    change = {"priority": "low"}
    wanted = {"tag": ["home"], "status": "pending"}
    assert await bulk(alice, "update", filter=wanted, change=change) == ["updated"] * 2
    assert sorted(await alice.titles("?priority=low")) == ["1", "3"]
    assert await bulk(alice, "delete", filter={"priority": "low"}) == ["deleted"] * 2
    assert await bulk(alice, "restore", filter={"search": "3"}) == ["restored"]
    assert await bulk(alice, "complete", filter={"project_id": "none", "overdue": False}) == ["completed"] * 3
    assert await bob.titles("?tag=home&priority=medium&status=pending") == ["Buy milk"]


async def test_bulk_changes_a_thousand_tasks_in_one_write(alice: Person, sql: Any) -> None:
    await seed(sql, alice, 1000)
    before = await revision(alice)
    ids = [task["id"] for page in range(2) for task in (await alice.get(f"/tasks?limit=500&page={page + 1}")).json()]
    assert len(ids) == 1000
    for action, more in (("complete", {}), ("move", {"change": {"project_id": None}}), ("delete", {}), ("restore", {})):
        statuses = await bulk(alice, action, *ids, **more)
        assert len(set(statuses)) == 1
    assert await revision(alice) == before + 4
    moved = (await alice.get("/tasks?sort=position&limit=500")).json()
    assert [task["id"] for task in moved] == ids[:500], "in the order in which they were named"
    for number, query in ((4, "deleted_at is not null"), (5, "deleted_at is null")):  # undo, and undo of that
        assert (await alice.post(f"/changes/{before + number}/undo")).status_code == 200
        found = f"select count(*) from tasks where user_id = $1 and completed and {query}"
        assert await sql.fetchval(found, alice.subject) == 1000


async def test_bulk_writes_nothing_when_its_filter_matches_too_many_tasks(alice: Person, sql: Any) -> None:
    await seed(sql, alice, 1001)
    answer = await alice.post("/tasks/bulk", {"filter": {}, "action": "delete"})
    problem = assert_problem(answer, 422, "too_many_matches")
    assert "1,000" in problem["detail"]
    assert await revision(alice) == 1
    assert (await alice.get("/tasks/trash")).json() == []


async def test_concurrent_bulk_requests_are_serialized(alice: Person) -> None:
    tasks = [await alice.add(str(number), parent_id=None) for number in range(20)]
    actions = ("complete", "reopen", "delete", "restore") * 3
    answers = await asyncio.gather(
        *(bulk(alice, action, *(tasks if number % 2 else reversed(tasks))) for number, action in enumerate(actions))
    )
    assert all(len(set(statuses)) == 1 for statuses in answers), "all saw the same state of every task"
    wrote = sum(statuses[0] not in ("unchanged", "not_found") for statuses in answers)
    assert await revision(alice) == 20 + wrote
    changes = (await alice.get("/changes?since=20&limit=500")).json()["changes"]
    assert len(changes) == 20 * wrote


async def test_a_bulk_with_the_same_idempotency_key_writes_once(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    body = {"ids": [task["id"]], "action": "complete"}
    answers = [await alice.post("/tasks/bulk", body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {"results": [{"id": task["id"], "uid": task["uid"], "status": "completed"}]}
    assert (await get(alice, task["id"]))["due_date"] == "2031-01-07"


# ---- refusals


@pytest.mark.parametrize(
    "body",
    [
        {"action": "complete"},
        {"ids": [], "action": "complete"},
        {"ids": [1, 1], "action": "complete"},
        {"ids": list(range(1, 1002)), "action": "complete"},
        {"ids": [0], "action": "complete"},
        {"ids": None, "action": "complete"},
        {"ids": [1], "filter": {}, "action": "complete"},
        {"filter": {"sort": "title"}, "action": "complete"},
        {"filter": {"limit": 3}, "action": "complete"},
        {"ids": [1], "action": "purge"},
        {"ids": [1], "action": "update"},
        {"ids": [1], "action": "update", "change": {}},
        {"ids": [1], "action": "update", "change": {"title": "x"}},
        {"ids": [1], "action": "update", "change": {"tags": ["a"], "add_tags": ["b"]}},
        {"ids": [1], "action": "complete", "change": {"priority": "low"}},
        {"ids": [1], "action": "move", "change": {"priority": "low"}},
        {"ids": [1], "action": "move", "change": {"project_id": 1, "parent_id": 2}},
    ],
)
async def test_an_invalid_bulk_request_is_refused(alice: Person, body: Any) -> None:
    assert_problem(await alice.post("/tasks/bulk", body), 422, "validation_error")


async def test_bulk_is_refused_for_all_tasks_when_one_cannot_take_the_change(alice: Person, bob: Person) -> None:
    plain = await alice.add(tags=[str(number) for number in range(20)], due_date="2031-01-01")
    series = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    before, theirs = await snapshot(alice), await make(bob, "Theirs")
    for change, code in (
        ({"due_date": None}, "due_date_needed"),
        ({"add_tags": ["one more"]}, "too_many_tags"),
        ({"project_id": theirs["id"]}, "unknown_reference"),
    ):
        body = {"ids": [plain["id"], series["id"]], "action": "update", "change": change}
        assert_problem(await alice.post("/tasks/bulk", body), 422, code)
    assert await snapshot(alice) == before
    assert await revision(alice) == 2


@pytest.mark.parametrize("number", [1, 7, 15, 16, 255, 4095, 10**9])
def test_position_keys_of_many_tasks_sort_before_those_of_later_tasks(number: int) -> None:
    last = key_of_id(number)
    for _ in range(30):
        keys = keys_after_all(last, 1000)
        assert keys == sorted(set(keys))
        assert last < keys[0]
        assert keys[-1] < key_of_id(number + 1)
        assert not any(key.endswith("0") for key in keys)
        last = keys[-1]
    assert len(last) < 20
    assert key_after_all(last) > last


async def test_completed_occurrences_are_kept_in_the_order_of_the_request(alice: Person) -> None:
    tasks = [await alice.add(f"series {n}", due_date="2031-01-06", recurrence="FREQ=DAILY") for n in range(8)]
    await bulk(alice, "complete", *reversed(tasks))
    kept = (await alice.get("/tasks?status=completed&order=asc")).json()
    assert [task["series_id"] for task in sorted(kept, key=lambda task: task["id"])] == [
        task["id"] for task in reversed(tasks)
    ]


@pytest.mark.parametrize("name", [*TaskConditions.model_fields, *TaskConditions.ALIASES])
async def test_a_filter_of_null_selects_nothing(alice: Person, name: str) -> None:
    task = await alice.add("stays", tags=["t"])
    answer = await alice.post("/tasks/bulk", {"action": "delete", "filter": {name: None}})
    assert_problem(answer, 422, "validation_error")
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


@pytest.mark.parametrize(
    "condition", [{"search": " "}, {"filter": ""}, {"filter": "\n"}, {"tag": []}, {"priority": []}]
)
async def test_a_blank_condition_selects_nothing(alice: Person, condition: dict[str, Any]) -> None:
    task = await alice.add("stays", tags=["t"])
    answer = await alice.post("/tasks/bulk", {"action": "delete", "filter": {"status": "pending", **condition}})
    assert_problem(answer, 422, "validation_error")
    assert answer.json()["errors"][0]["loc"] == ["body", "filter", *condition]
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task
