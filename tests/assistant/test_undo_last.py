"""``undo_last`` passes over a write that cannot be undone, so that every earlier one stays within reach."""

from typing import Any

import pytest

from app.assistant.tools.undo import UNDONE_SHAPES
from app.services.changes.entities import ENTITY_REGISTRY
from tests.assistant.conftest import Talk, Talking
from tests.assistant.scripted import Says, in_turn


async def run(alice: Talk, tool: str, **arguments: Any) -> Any:
    """Lets the model call one tool in the conversation; returns its result."""
    alice.model.script = in_turn(Says(calls=[(tool, arguments)]), Says("So it is."))
    return (await alice.say("go on", confirm=None))["tool_calls"][-1]["result"]


@pytest.fixture
async def alice(talk: Talking) -> Talk:
    return talk(in_turn(Says("Hello.")), chat_confirm="off")


async def test_a_write_that_was_changed_since_is_passed_over(alice: Talk) -> None:
    first = await run(alice, "add_task", title="first")
    second = await run(alice, "add_task", title="second")
    await alice.person.patch(f"/tasks/{second['task_id']}", {"title": "mine now"})
    refused = await run(alice, "undo_last")
    assert refused["error"] == "undo_conflict"
    assert "title" in refused["detail"]
    assert "the next undo takes the write before it" in refused["detail"]
    undone = await run(alice, "undo_last")
    assert [change["task_id"] for change in undone["changes"]] == [first["task_id"]]
    assert await alice.person.titles() == ["mine now"]
    assert (await run(alice, "undo_last"))["error"] == "nothing_to_undo"


async def test_a_task_that_was_deleted_permanently_is_passed_over(alice: Talk) -> None:
    await run(alice, "add_task", title="first")
    second = await run(alice, "add_task", title="second")
    await alice.person.delete(f"/tasks/{second['task_id']}")
    await alice.person.delete("/tasks/trash")
    assert "deleted permanently" in (await run(alice, "undo_last"))["detail"]
    assert (await run(alice, "undo_last"))["status"] == "undone"
    assert await alice.person.titles() == []


async def test_emptying_the_trash_is_passed_over(alice: Talk) -> None:
    """Its own purge is a write of the agent that no undo brings back."""
    await run(alice, "add_task", title="first")
    second = await run(alice, "add_task", title="second")
    await run(alice, "delete_task", task_id=second["task_id"])
    await run(alice, "empty_trash")
    results = [await run(alice, "undo_last") for _ in range(4)]
    assert [each.get("status", each.get("error")) for each in results] == ["undo_conflict"] * 3 + ["undone"]
    assert await alice.person.titles() == []


async def test_a_write_that_the_user_undid_is_passed_over(alice: Talk) -> None:
    task = await run(alice, "add_task", title="first")
    await run(alice, "update_task", task_id=task["task_id"], title="second")
    revision = (await alice.person.get(f"/tasks/{task['task_id']}")).json()["version"]
    assert (await alice.person.post(f"/changes/{revision}/undo")).status_code == 200
    assert (await run(alice, "undo_last"))["error"] == "undo_conflict"
    # the undo by the user changed the row of the first write, too: nothing but this stays
    assert (await run(alice, "undo_last"))["status"] == "undone"
    assert await alice.person.titles() == []


async def test_an_undo_of_an_undo_leaves_the_earlier_writes_within_reach(alice: Talk) -> None:
    first = await run(alice, "add_task", title="first")
    second = await run(alice, "add_task", title="second")
    assert (await run(alice, "undo_last"))["changes"][0]["task_id"] == second["task_id"]
    (latest,) = (await alice.person.get(f"/tasks/{second['task_id']}/history")).json()[:1]
    assert (await alice.person.post(f"/changes/{latest['revision']}/undo")).status_code == 200
    assert await alice.person.titles() == ["second", "first"]
    assert (await run(alice, "undo_last"))["changes"][0]["task_id"] == first["task_id"]
    assert await alice.person.titles() == ["second"]


async def test_pruned_writes_are_not_offered(alice: Talk, sql: Any) -> None:
    await run(alice, "add_task", title="first")
    owner = alice.person.subject
    await sql.execute("delete from changes where user_id = $1", owner)
    await sql.execute("update users set pruned_revision = revision where id = $1", owner)
    assert (await run(alice, "undo_last"))["error"] == "nothing_to_undo"
    await run(alice, "add_task", title="second")
    assert await sql.fetchval("select count(*) from agent_writes where user_id = $1", owner) == 1
    assert (await run(alice, "undo_last"))["status"] == "undone"
    assert await alice.person.titles() == ["first"]


async def test_a_gap_in_the_numbers_costs_nothing(alice: Talk, sql: Any) -> None:
    """A restored database goes on a million and more numbers above."""
    await run(alice, "add_task", title="first")
    await sql.execute("update users set revision = revision + 3000000000 where id = $1", alice.person.subject)
    await run(alice, "add_task", title="second")
    count = "select count(*) from agent_writes where user_id = $1"
    assert await sql.fetchval(count, alice.person.subject) == 2
    for _ in range(2):
        assert (await run(alice, "undo_last"))["status"] == "undone"
    assert await alice.person.titles() == []


async def test_writes_of_before_a_restore_can_be_undone(alice: Talk, sql: Any) -> None:
    """A restored database begins an epoch: clients cannot read on from before it, and the changes are still there."""
    await run(alice, "add_task", title="first")
    lift = "update users set revision = revision + 3000000000, pruned_revision = revision + 3000000000 where id = $1"
    await sql.execute(lift, alice.person.subject)
    assert (await run(alice, "undo_last"))["status"] == "undone"
    assert await alice.person.titles() == []


async def test_a_write_with_several_changes_is_one_undo(alice: Talk) -> None:
    for title in ("a", "b", "c"):
        await alice.person.add(title, tags=["x"])
    await run(alice, "delete_tag", tag="x")
    assert (await run(alice, "undo_last"))["total"] == 3


async def test_a_conflict_after_the_writes_of_an_undo_rolls_them_back(alice: Talk) -> None:
    """Undoing the move would put a task into a project that has been deleted: that is checked after the write."""
    project = (await alice.person.post("/projects", {"name": "Home"})).json()["id"]
    task = await alice.person.add("task", project_id=project)
    first = await run(alice, "add_task", title="first")
    await run(alice, "move_task", task_id=task["id"], project_id="none")
    await alice.person.delete(f"/projects/{project}")
    moved = (await alice.person.get(f"/tasks/{task['id']}")).json()
    assert (await run(alice, "undo_last"))["error"] == "undo_conflict"
    assert (await alice.person.get(f"/tasks/{task['id']}")).json() == moved
    assert (await run(alice, "undo_last"))["changes"][0]["task_id"] == first["task_id"]
    assert await alice.person.titles() == ["task"]


def test_every_entity_that_tools_write_is_described() -> None:
    """The tools know neither views nor channels."""
    undoable = {entity.name for entity in ENTITY_REGISTRY if entity.undoable}
    assert UNDONE_SHAPES.keys() == undoable - {"view", "channel"}
