"""Uids in the arguments of tools: `uid:...` in place of an id, and the twins of the fields that refer to a row."""

from typing import Any

import pytest

from app.assistant.confirmation import must_wait
from app.assistant.tools import TOOLS_BY_NAME
from app.assistant.tools.calling import read_arguments
from app.errors import BadArguments
from tests.assistant.conftest import Talking
from tests.assistant.scripted import Says, in_turn
from tests.assistant.test_tool_arguments import SAMPLES

IDS = ("task_id", "project_id", "parent_id", "before", "after")
TARGETS = [(name, field) for name, sent in SAMPLES.items() for field in ("task_id", "project_id") if field in sent]


def test_every_id_may_be_a_uid() -> None:
    """A target by ``uid:...`` in its place, a reference by its twin."""
    for tool in TOOLS_BY_NAME.values():
        fields = tool.arguments.model_fields
        for name in fields.keys() & set(IDS):
            twin = f"{name.removesuffix('_id')}_uid"
            assert twin in fields or (tool.name, name) in TARGETS, f"{tool.name}.{name}"


@pytest.mark.parametrize(("name", "field"), TARGETS)
def test_what_is_no_uid_is_refused_and_a_deletion_by_uid_waits(name: str, field: str) -> None:
    tool = TOOLS_BY_NAME[name]
    for value in ("7", "uid:", "uid:a/b", "UID:a", 0, 1.5):
        with pytest.raises(BadArguments, match=field):
            read_arguments(tool, {**SAMPLES[name], field: value}, description_max=1000)
    read = read_arguments(tool, {**SAMPLES[name], field: "uid:7"}, description_max=1000)
    assert not tool.destructive or must_wait(tool, read, "delete task 7, delete project 7")
    assert "uid:" not in str(tool.offered_schema()["properties"][field])


async def test_tools_find_rows_by_uid(talk: Talking) -> None:
    alice = talk(in_turn(Says("Hello.")), chat_confirm="never")

    async def run(tool: str, **arguments: Any) -> Any:
        alice.model.script = in_turn(Says(calls=[(tool, arguments)]), Says("Done so."))
        (call,) = (await alice.say("go on"))["tool_calls"]
        return call["result"]

    home = await run("create_project", name="Home", uid="home")
    made = await run("add_task", title="a", uid="t", project_uid="home")
    assert await run("add_task", title="b", uid="t") == {
        "error": "uid_taken",
        "detail": f"There is a task with this uid already: {made['task_id']}.",
    }
    other = await run("add_task", title="b", uid="o")
    assert (await run("get_task", task_id="uid:t"))["project_id"] == home["project_id"]
    assert (await run("update_task", task_id="uid:t", title="c"))["task_id"] == made["task_id"]
    assert (await run("update_task", task_id="uid:nothing", title="c"))["error"] == "task_not_found"
    moved = await run("move_task", task_id="uid:o", before_uid="t", project_uid="home")
    assert (moved["status"], moved["task_id"]) == ("moved", other["task_id"])
    assert (await run("move_task", task_id="uid:o", parent_uid="nothing"))["error"] == "unknown_reference"
    assert (await run("move_task", task_id="uid:o", parent_uid="t"))["status"] == "moved"
    assert (await run("get_task", task_id="uid:o"))["parent_id"] == made["task_id"]
    comment = await run("add_comment", task_id="uid:t", uid="c", body="x")
    assert [line["uid"] for line in (await run("list_comments", task_id="uid:t"))["comments"]] == [comment["uid"]]
    work = await run("create_project", name="Work", uid="work")
    gone = await run("delete_project", project_id="uid:home", move_tasks_to="uid:work")
    assert (gone["project_id"], gone["status"]) == (home["project_id"], "deleted")
    assert (await run("get_task", task_id="uid:t"))["project_id"] == work["project_id"]
