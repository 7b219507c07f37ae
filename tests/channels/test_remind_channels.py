"""Channels that a task names: every way to write them, and that each reminder is sent once to each of them."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.channels.reminding import deliveries, make_channel, remind, settled, until
from tests.receivers import Receiver, receiving
from tests.support import Person, assert_problem
from tests.workers import make_worker


async def ntfy(person: Person, receiver: Receiver, name: str, **fields: Any) -> dict[str, Any]:
    body = {"kind": "ntfy", "url": receiver.server_url, "topic": name, "name": name}
    return await make_channel(person, **(body | fields))


def topics(receiver: Receiver) -> list[str]:
    return sorted(call.json["topic"] for call in receiver.calls)


async def test_a_batch_names_channels(anna: Person, service: FastAPI) -> None:
    channel = await make_channel(anna, kind="ntfy", topic="t")
    ids = [channel["id"]]
    create = {"operation": "create_task", "arguments": {"uid": "a", "title": "a", "remind_channels": ids}}
    answer = await anna.post("/batch", {"operations": [create]})
    assert answer.status_code == 200, answer.text
    (task,) = (await anna.get("/tasks")).json()
    assert task["remind_channels"] == ids
    for value in ([], None, ids):
        arguments = {"task_id": task["id"], "remind_channels": value}
        answer = await anna.post("/batch", {"operations": [{"operation": "update_task", "arguments": arguments}]})
        assert answer.status_code == 200, answer.text
        assert (await anna.get(f"/tasks/{task['id']}")).json()["remind_channels"] == value
    before = (await anna.get("/tasks")).headers["x-revision"]
    arguments = {"task_id": task["id"], "title": "b", "remind_channels": [999_999]}
    answer = await anna.post("/batch", {"operations": [{"operation": "update_task", "arguments": arguments}]})
    assert_problem(answer, 422)
    assert "there is no channel 999999" in answer.text
    assert (await anna.get("/tasks")).headers["x-revision"] == before


async def test_undo_brings_the_channels_of_a_task_back(anna: Person, service: FastAPI) -> None:
    channel = await make_channel(anna, kind="ntfy", topic="t")
    task = await anna.add("a", remind_channels=[channel["id"]])
    path = f"/tasks/{task['id']}"
    changed = (await anna.patch(path, {"remind_channels": []})).json()
    await anna.delete(f"/channels/{channel['id']}")
    assert (await anna.post(f"/changes/{changed['version']}/undo")).status_code == 200
    assert (await anna.get(path)).json()["remind_channels"] == [channel["id"]]  # one that may come back as well


async def test_the_next_occurrence_names_the_same_channels(anna: Person, service: FastAPI) -> None:
    channel = await make_channel(anna, kind="ntfy", topic="t")
    due = {"due_date": "2090-05-01", "recurrence": "FREQ=DAILY", "reminders": ["PT9H"]}
    task = await anna.add("a", remind_channels=[channel["id"]], **due)
    following = (await anna.patch(f"/tasks/{task['id']}/complete")).json()
    assert (following["due_date"], following["remind_channels"]) == ("2090-05-02", [channel["id"]])


@pytest.mark.parametrize("end", ["deleted", "switched off"])
async def test_a_reminder_whose_channels_are_gone_goes_to_those_that_take_all(
    anna: Person, service: FastAPI, sql: Any, end: str
) -> None:
    """It is not lost. One that is left is enough."""
    with receiving() as receiver:
        channels = {name: await ntfy(anna, receiver, name) for name in ("all", "gone", "left")}
        quiet = await ntfy(anna, receiver, "none", all_reminders=False)
        await remind(sql, anna, "one", remind_channels=[channels["gone"]["id"]])
        await remind(sql, anna, "two", remind_channels=[channels["gone"]["id"], channels["left"]["id"]])
        path = f"/channels/{channels['gone']['id']}"
        await (anna.delete(path) if end == "deleted" else anna.patch(path, {"active": False}))
        async with make_worker(service):
            await settled(anna, channels["all"], 1)
            await settled(anna, channels["left"], 2)
        assert topics(receiver) == ["all", "left", "left"]
        assert await deliveries(anna, quiet) == []


async def test_a_reminder_is_one_change_one_event_and_one_message_to_each_receiver(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    """However many workers there are, and however many channels: channels add nothing to the change."""
    with receiving() as receiver, receiving() as hook:
        channels = [await ntfy(anna, receiver, name) for name in ("one", "two", "three")]
        assert (await anna.post("/webhooks", {"url": hook.url, "events": ["task.reminded"]})).status_code == 201
        tasks = [await remind(sql, anna, f"task {number}") for number in range(3)]
        before = int((await anna.get("/tasks")).headers["x-revision"])
        async with make_worker(service), make_worker(service), make_worker(service):
            for channel in channels:
                await settled(anna, channel, 3)
            await until(lambda: len(hook.calls) == 3)
        changes = (await anna.get(f"/changes?since={before}")).json()["changes"]
    assert sorted(change["entity_id"] for change in changes) == sorted(task["id"] for task in tasks)
    assert {(change["entity"], change["action"]) for change in changes} == {("task", "reminded")}
    assert topics(receiver) == sorted(["one", "two", "three"] * 3)
    sent = [call.headers["idempotency-key"] for call in receiver.calls]
    assert (len(set(sent)), len(set(hook.ids))) == (9, 3)
