"""Subtasks, projects and positions of tasks: the effects of a write on other tasks."""

import asyncio
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.citus.session import set_everywhere
from app.domain.ordering import KEY_DIGITS, key_after_all, key_between, key_of_id
from app.services.retention import trash
from tests.api.test_projects import make
from tests.support import Person, assert_problem

Task = dict[str, Any]


async def get(person: Person, task_id: int) -> Task:
    task: Task = (await person.get(f"/tasks/{task_id}")).json()
    return task


async def patch(person: Person, task_id: int, **change: Any) -> Task:
    answer = await person.patch(f"/tasks/{task_id}", change)
    assert answer.status_code == 200, answer.text
    task: Task = answer.json()
    return task


async def last_write(person: Person) -> list[tuple[str, int, str]]:
    """Returns entity, id and action of the changes of the latest write."""
    revision = int((await person.get("/tasks?limit=1")).headers["x-revision"])
    changes = (await person.get(f"/changes?since={revision - 1}")).json()["changes"]
    assert {change["revision"] for change in changes} == {revision}
    return [(change["entity"], change["entity_id"], change["action"]) for change in changes]


async def undo_last(person: Person) -> None:
    revision = (await person.get("/tasks?limit=1")).headers["x-revision"]
    assert (await person.post(f"/changes/{revision}/undo")).status_code == 200


async def family(person: Person, **fields: Any) -> tuple[Task, Task, Task]:
    parent = await person.add("parent", **fields)
    child = await person.add("child", parent_id=parent["id"])
    return parent, child, await person.add("grandchild", parent_id=child["id"])


async def state(person: Person) -> dict[str, bool]:
    return {task["title"]: task["completed"] for task in (await person.get("/tasks")).json()}


# ---- project and parent


async def test_a_subtask_is_always_in_the_project_of_its_parent(alice: Person) -> None:
    home, work = await make(alice, "Home"), await make(alice, "Work")
    parent, child, grandchild = await family(alice, project_id=home["id"])
    assert child["project_id"] == grandchild["project_id"] == home["id"]
    await patch(alice, parent["id"], project_id=work["id"])
    assert await last_write(alice) == [("task", task["id"], "updated") for task in (parent, child, grandchild)]
    assert (await get(alice, grandchild["id"]))["project_id"] == work["id"]
    await undo_last(alice)
    assert (await get(alice, grandchild["id"]))["project_id"] == home["id"]
    body = {"title": "x", "parent_id": parent["id"], "project_id": work["id"]}
    assert_problem(await alice.post("/tasks", body), 422, "other_project")


async def test_the_changed_field_wins_when_project_and_parent_are_both_sent(alice: Person) -> None:
    home, work = await make(alice, "Home"), await make(alice, "Work")
    parent, child, grandchild = await family(alice, project_id=home["id"])
    # clients send back the fields they received
    away = await patch(alice, child["id"], **{**child, "project_id": work["id"]})
    assert (away["project_id"], away["parent_id"]) == (work["id"], None)
    assert (await get(alice, grandchild["id"]))["project_id"] == work["id"]
    back = await patch(alice, child["id"], parent_id=parent["id"])
    assert (back["project_id"], back["parent_id"]) == (home["id"], parent["id"])
    top = await patch(alice, child["id"], parent_id=None)
    assert (top["project_id"], top["parent_id"]) == (home["id"], None)
    inbox = await patch(alice, child["id"], project_id=None)
    assert inbox["project_id"] is None
    assert (await get(alice, grandchild["id"]))["project_id"] is None
    echoed = await patch(alice, child["id"], **{**inbox, "parent_id": parent["id"]})
    assert echoed["project_id"] == home["id"]
    answer = await alice.patch(f"/tasks/{inbox['id']}", {"parent_id": parent["id"], "project_id": work["id"]})
    assert answer.json()["parent_id"] is None  # the parent is unchanged, so the project is the changed field
    other = await alice.add("other")
    refused = await alice.patch(f"/tasks/{other['id']}", {"parent_id": parent["id"], "project_id": work["id"]})
    assert_problem(refused, 422, "other_project")


async def test_references_to_missing_tasks_and_projects_are_refused(alice: Person, bob: Person) -> None:
    foreign_task, foreign_project = await bob.add(), await make(bob)
    task, gone = await alice.add("a"), await alice.add("gone")
    deleted = await make(alice)
    await alice.delete(f"/tasks/{gone['id']}")
    await alice.delete(f"/projects/{deleted['id']}")
    before = (await alice.get("/tasks")).headers["x-revision"]
    bad = [("parent_id", foreign_task["id"]), ("parent_id", gone["id"]), ("parent_id", 2**62)]
    bad += [("project_id", foreign_project["id"]), ("project_id", deleted["id"]), ("project_id", 2**62)]
    bad += [("parent_id", task["id"])]
    for field, value in bad:
        for answer in (
            await alice.post("/tasks", {"title": "x", field: value}) if value != task["id"] else None,
            await alice.patch(f"/tasks/{task['id']}", {field: value}),
            await alice.post(f"/tasks/{task['id']}/move", {field: value}),
        ):
            if answer is not None:
                body = assert_problem(answer, 422, "unknown_reference")
                assert body["errors"][0]["loc"] == ["body", field]
    for value in (0, -1, 2**63, "1", 1.5, True, []):
        assert_problem(await alice.patch(f"/tasks/{task['id']}", {"parent_id": value}), 422, "validation_error")
    assert (await alice.get("/tasks")).headers["x-revision"] == before


@pytest.mark.parametrize("column", ["parent_id", "series_id"])
async def test_the_database_refuses_a_reference_to_a_task_of_another_user(
    alice: Person, bob: Person, sql: Any, column: str
) -> None:
    mine, foreign = await alice.add(), await bob.add()
    with pytest.raises(asyncpg.ForeignKeyViolationError, match=f"tasks_{column}_fkey"):
        await sql.execute(f"update tasks set {column} = $1 where id = $2", mine["id"], foreign["id"])
    async with sql.transaction():
        await sql.execute("set local role todo_user; " + set_everywhere(f"set local app.user_id = '{bob.subject}'"))
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await sql.execute(f"update tasks set {column} = $1 where id = $2", mine["id"], foreign["id"])
        await sql.execute("rollback; begin")


async def test_trees_are_at_most_five_levels_deep_and_have_no_cycles(alice: Person) -> None:
    chain = [await alice.add("1")]
    for level in range(2, 6):
        chain.append(await alice.add(str(level), parent_id=chain[-1]["id"]))
    assert_problem(await alice.post("/tasks", {"title": "6", "parent_id": chain[-1]["id"]}), 422, "too_deep")
    root = await alice.add("0")
    assert_problem(await alice.patch(f"/tasks/{chain[0]['id']}", {"parent_id": root["id"]}), 422, "too_deep")
    for below in chain[1:]:
        answer = await alice.patch(f"/tasks/{chain[0]['id']}", {"parent_id": below["id"]})
        assert_problem(answer, 422, "unknown_reference")
    await patch(alice, chain[1]["id"], parent_id=None)
    await patch(alice, chain[0]["id"], parent_id=chain[3]["id"])
    assert_problem(await alice.patch(f"/tasks/{chain[1]['id']}", {"parent_id": chain[0]["id"]}), 422)


async def test_undo_creates_no_cycle_and_no_orphan(alice: Person) -> None:
    a, b = await alice.add("a"), await alice.add("b")
    under = await patch(alice, a["id"], parent_id=b["id"])
    out = await patch(alice, a["id"], parent_id=None)
    await patch(alice, b["id"], parent_id=a["id"])
    assert_problem(await alice.post(f"/changes/{out['version']}/undo"), 409, "undo_conflict")
    assert_problem(await alice.post(f"/changes/{under['version']}/undo"), 409, "undo_conflict")
    project = await make(alice)
    moved = await patch(alice, a["id"], project_id=project["id"])
    back = await patch(alice, a["id"], project_id=None)
    await alice.delete(f"/projects/{project['id']}")
    assert_problem(await alice.post(f"/changes/{back['version']}/undo"), 409, "undo_conflict")
    assert_problem(await alice.post(f"/changes/{moved['version']}/undo"), 409, "undo_conflict")
    filled = await make(alice, "Filled")
    await alice.add("c", project_id=filled["id"])
    assert_problem(await alice.post(f"/changes/{filled['version']}/undo"), 409, "undo_conflict")
    assert (await get(alice, a["id"]))["parent_id"] is None


# ---- completing


@pytest.mark.parametrize("how", ["toggle", "set", "patch", "put"])
async def test_completing_a_task_completes_its_open_subtasks(alice: Person, how: str) -> None:
    parent, child, grandchild = await family(alice)
    done = await alice.add("done", parent_id=parent["id"], completed=True)
    path = f"/tasks/{parent['id']}"
    calls = {
        "toggle": ("PATCH", path + "/complete", {}), "set": ("PATCH", path + "/complete", {"completed": True}),
        "patch": ("PATCH", path, {"completed": True, "title": "p"}), "put": ("PUT", path, {"completed": True}),
    }  # fmt: skip
    method, url, body = calls[how]
    options: dict[str, Any] = {"json": body} if body else {}
    answer = await alice.call(method, url, **options)
    assert answer.json()["completed"]
    assert await last_write(alice) == [("task", task["id"], "completed") for task in (parent, child, grandchild)]
    assert await get(alice, done["id"]) == done
    assert all((await state(alice)).values())
    revision = answer.json()["version"]
    await alice.patch(f"{path}/complete", {"completed": False})
    assert [title for title, completed in (await state(alice)).items() if not completed] == [answer.json()["title"]]
    await undo_last(alice)
    await alice.post(f"/changes/{revision}/undo")
    assert sorted((await state(alice)).values()) == [False, False, False, True]


async def test_completing_keeps_subtasks_open_when_requested(alice: Person) -> None:
    parent, child, _ = await family(alice)
    answer = await alice.patch(f"/tasks/{parent['id']}/complete", {"completed": True, "subtasks": "keep"})
    assert answer.json()["completed"]
    assert await state(alice) == {"parent": True, "child": False, "grandchild": False}
    for body in ({"completed": True, "subtasks": "drop"}, {"subtasks": "keep"}):
        assert_problem(await alice.patch(f"/tasks/{child['id']}/complete", body), 422)


async def test_a_failed_if_match_changes_no_task_of_the_tree(alice: Person) -> None:
    parent, *_ = await family(alice)
    for call in (
        alice.patch(f"/tasks/{parent['id']}/complete", headers={"If-Match": '"9"'}),
        alice.patch(f"/tasks/{parent['id']}", {"completed": True}, headers={"If-Match": '"9"'}),
        alice.delete(f"/tasks/{parent['id']}", headers={"If-Match": '"9"'}),
        alice.patch(f"/tasks/{parent['id']}", {"parent_id": None}, headers={"If-Match": '"9"'}),
        alice.post(f"/tasks/{parent['id']}/move", {"parent_id": None}, headers={"If-Match": '"9"'}),
    ):
        assert_problem(await call, 412, "version_conflict")
    assert not any((await state(alice)).values())
    assert (await alice.get("/tasks")).headers["x-revision"] == "3"


# ---- deleting


async def test_deleting_and_restoring_a_task_include_its_subtasks(alice: Person) -> None:
    parent, child, grandchild = await family(alice)
    alone = await alice.add("alone", parent_id=parent["id"])
    await alice.delete(f"/tasks/{alone['id']}")
    assert (await alice.delete(f"/tasks/{parent['id']}")).status_code == 204
    assert await last_write(alice) == [("task", task["id"], "deleted") for task in (parent, child, grandchild)]
    assert await alice.titles() == []
    restored = (await alice.post(f"/tasks/{parent['id']}/restore")).json()
    assert restored["id"] == parent["id"]
    assert await last_write(alice) == [("task", task["id"], "restored") for task in (parent, child, grandchild)]
    assert sorted(await alice.titles()) == ["child", "grandchild", "parent"]  # not the one that was deleted before
    assert (await get(alice, grandchild["id"]))["parent_id"] == child["id"]
    await undo_last(alice)
    assert await alice.titles() == []


async def test_a_subtask_restored_without_its_parent_has_no_parent(alice: Person) -> None:
    parent, child, grandchild = await family(alice)
    await alice.delete(f"/tasks/{parent['id']}")
    back = (await alice.post(f"/tasks/{child['id']}/restore")).json()
    assert back["parent_id"] is None
    assert (await get(alice, grandchild["id"]))["parent_id"] == child["id"]
    await alice.post(f"/tasks/{parent['id']}/restore")
    assert (await get(alice, child["id"]))["parent_id"] is None


async def test_a_restored_subtask_is_in_the_current_project_of_its_parent(alice: Person) -> None:
    work = await make(alice)
    parent, child, _ = await family(alice)
    await alice.delete(f"/tasks/{child['id']}")
    await patch(alice, parent["id"], project_id=work["id"])
    assert (await alice.post(f"/tasks/{child['id']}/restore")).json()["project_id"] == work["id"]
    await alice.delete(f"/tasks/{child['id']}")
    top: int | None = None
    for title in "wxyz":
        top = (await alice.add(title, parent_id=top))["id"]
    await patch(alice, parent["id"], parent_id=top)
    assert (await alice.post(f"/tasks/{child['id']}/restore")).json()["parent_id"] is None  # it would be too deep


async def test_a_restored_task_is_in_the_inbox_when_its_project_is_deleted(alice: Person) -> None:
    project = await make(alice)
    parent, child, _ = await family(alice, project_id=project["id"])
    await alice.delete(f"/projects/{project['id']}")
    back = (await alice.post(f"/tasks/{parent['id']}/restore")).json()
    assert back["project_id"] is None
    found = await get(alice, child["id"])
    assert (found["project_id"], found["parent_id"]) == (None, parent["id"])


async def test_emptying_the_trash_in_batches_respects_foreign_keys(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await make(alice)
    families = [await family(alice, project_id=project["id"]) for _ in range(3)]
    await alice.delete(f"/tasks/{families[0][2]['id']}")
    await alice.delete(f"/projects/{project['id']}")
    before = int((await alice.get("/tasks")).headers["x-revision"])
    monkeypatch.setattr(trash, "PURGE_BATCH", 2)
    assert (await alice.delete("/tasks/trash")).status_code == 204
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert {change["action"] for change in changes} == {"purged"}
    assert sorted(c["entity_id"] for c in changes if c["entity"] == "task") == sorted(
        task["id"] for one in families for task in one
    )
    assert [c["entity_id"] for c in changes if c["entity"] == "project"] == [project["id"]]
    assert (await alice.get("/tasks/trash")).json() == []
    numbers = [change["revision"] for change in changes]
    assert sorted(set(numbers)) == list(range(before + 1, max(numbers) + 1))


# ---- lists


async def test_tasks_are_filtered_by_project_and_parent(alice: Person, bob: Person) -> None:
    project = await make(alice)
    parent, _, _ = await family(alice, project_id=project["id"])
    await alice.add("inbox")
    assert sorted(await alice.titles(f"?project_id={project['id']}")) == ["child", "grandchild", "parent"]
    assert await alice.titles(f"?project_id={project['id']}&parent_id=none") == ["parent"]
    assert await alice.titles("?project_id=none") == ["inbox"]
    assert await alice.titles(f"?parent_id={parent['id']}") == ["child"]
    assert await alice.titles("?parent_id=none&sort=position") == ["parent", "inbox"]
    assert (await alice.get("/tasks?parent_id=none&count=true")).headers["x-total-count"] == "2"
    assert await bob.titles(f"?project_id={project['id']}") == []
    for value in ("0", "-1", "+1", "1_0", "inbox", "", "01", "99999999999999999999"):
        assert_problem(await alice.get(f"/tasks?project_id={value}"), 422, "validation_error")


# ---- order


async def order(person: Person) -> list[str]:
    return await person.titles("?sort=position")


async def test_moving_a_task_changes_no_other_row(alice: Person) -> None:
    a, b, c = [await alice.add(title) for title in "abc"]
    moved = (await alice.post(f"/tasks/{c['id']}/move", {"before": a["id"]})).json()
    assert moved["version"] == 4
    assert await order(alice) == ["c", "a", "b"]
    assert await last_write(alice) == [("task", c["id"], "updated")]
    await alice.post(f"/tasks/{c['id']}/move", {"after": a["id"]})
    assert await order(alice) == ["a", "c", "b"]
    await alice.post(f"/tasks/{a['id']}/move", {"after": b["id"]})
    await alice.add("d")
    assert await order(alice) == ["c", "b", "a", "d"]
    assert await alice.titles("?sort=position&order=desc") == ["d", "a", "b", "c"]
    await alice.post("/changes/6/undo")
    assert await order(alice) == ["a", "c", "b", "d"]


async def test_a_move_can_change_project_and_parent(alice: Person) -> None:
    project = await make(alice)
    parent, child, grandchild = await family(alice)
    other = await alice.add("other", project_id=project["id"])
    body = {"before": other["id"], "project_id": project["id"]}
    moved = (await alice.post(f"/tasks/{child['id']}/move", body)).json()
    assert (moved["project_id"], moved["parent_id"]) == (project["id"], None)
    assert await last_write(alice) == [("task", child["id"], "updated"), ("task", grandchild["id"], "updated")]
    assert await alice.titles(f"?project_id={project['id']}&parent_id=none&sort=position") == ["child", "other"]
    moved = (await alice.post(f"/tasks/{other['id']}/move", {"parent_id": parent["id"]})).json()
    assert (moved["project_id"], moved["parent_id"]) == (None, parent["id"])
    assert (await order(alice))[-1] == "other"
    for bad in ({}, {"before": 1, "after": 2}, {"before": None}, {"title": "x"}):
        assert_problem(await alice.post(f"/tasks/{other['id']}/move", bad), 422, "validation_error")
    assert_problem(await alice.post(f"/tasks/{other['id']}/move", {"after": other["id"]}), 422, "unknown_reference")
    assert_problem(await alice.post("/tasks/999999/move", {"after": other["id"]}), 404, "task_not_found")


async def test_a_move_does_not_take_the_position_of_a_deleted_task(alice: Person) -> None:
    a, b, c = [await alice.add(title) for title in "abc"]
    await alice.delete(f"/tasks/{b['id']}")
    await alice.post(f"/tasks/{c['id']}/move", {"after": a["id"]})
    await alice.post(f"/tasks/{b['id']}/restore")
    found = [task["position"] for task in (await alice.get("/tasks?sort=position")).json()]
    assert found == sorted(set(found))
    assert await order(alice) == ["a", "c", "b"]


async def test_a_new_task_sorts_after_a_task_moved_to_the_end(alice: Person) -> None:
    a, b, c = [await alice.add(title) for title in "abc"]
    for task in (a, b, a, b):
        await alice.post(f"/tasks/{task['id']}/move", {"project_id": None})
    await alice.delete(f"/tasks/{c['id']}")
    await alice.delete("/tasks/trash")
    await alice.post(f"/tasks/{a['id']}/move", {"after": b["id"]})
    await alice.add("d")
    assert await order(alice) == ["b", "a", "d"]


async def test_twenty_concurrent_moves_leave_a_strict_order(alice: Person) -> None:
    tasks = [await alice.add(str(number)) for number in range(8)]
    anchor = tasks[0]["id"]
    calls = []
    for number in range(20):
        place = {"before": anchor} if number % 2 else {"after": anchor}
        calls.append(alice.post(f"/tasks/{tasks[1 + number % 7]['id']}/move", place))
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    found = [task["position"] for task in (await alice.get("/tasks?sort=position")).json()]
    assert found == sorted(set(found))
    assert len(found) == 8
    again = (await alice.get("/tasks?sort=position&limit=3")).json()
    assert [task["position"] for task in again] == found[:3]


async def test_a_move_is_409_when_no_position_remains_between_two_tasks(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = [await alice.add(title) for title in "abc"]
    monkeypatch.setattr("app.services.ordering.MAX_LENGTH", 8)
    for number in range(60):  # its own place is no neighbour, so there and back again costs nothing
        place = {"after": a["id"]} if number % 2 else {"before": c["id"]}
        assert (await alice.post(f"/tasks/{b['id']}/move", place)).status_code == 200
    for _ in range(60):
        made = await alice.add("between")
        answer = await alice.post(f"/tasks/{made['id']}/move", {"after": a["id"]})
        if answer.status_code != 200:
            break
    assert_problem(answer, 409, "no_room_between")


keys = st.integers(1, 2**63 - 1).map(key_of_id) | st.text(KEY_DIGITS, min_size=1, max_size=12).filter(
    lambda key: not key.endswith("0")
)


@given(first=st.just("") | keys, second=st.none() | keys, near=st.sampled_from(["low", "middle", "high"]))
def test_a_position_key_is_strictly_between_and_leaves_room_below(first: str, second: str | None, near: str) -> None:
    low, high = (first, second) if second is None or first < second else (second, first)
    if low == high:
        with pytest.raises(ValueError, match="between"):
            key_between(low, high, near=near)
        return
    key = key_between(low, high, near=near)
    assert low < key
    assert high is None or key < high
    assert not key.endswith("0")
    assert len(key) <= max(len(low), len(high or "")) + 1


@given(last=st.just("") | keys)
def test_a_position_key_at_the_end_sorts_before_those_of_later_rows(last: str) -> None:
    later = next((2**bits for bits in range(63) if key_of_id(2**bits) > last), None)
    if later is not None:
        assert last < key_after_all(last) < key_of_id(later)


def test_position_keys_grow_slowly() -> None:
    """Measures the characters after 1,000 moves: to the front, to the end, and alternately to both sides of the last
    one."""
    front, end = key_of_id(1), key_of_id(1000)
    low, high = key_of_id(1), key_of_id(2)
    for number in range(1000):
        front = key_between("", front, near="high")
        end = key_after_all(end)
        low, high = (key_between(low, high), high) if number % 2 else (low, key_between(low, high))
    assert (len(front), len(end)) <= (32, 36)
    assert max(len(low), len(high)) <= 210


@given(st.lists(st.integers(1, 2**63 - 1), min_size=2, unique=True))
def test_position_keys_of_ids_sort_like_the_ids(ids: list[int]) -> None:
    assert sorted(map(key_of_id, ids)) == [key_of_id(number) for number in sorted(ids)]
