"""Delivery of reminders: each kind's form of a message, and what the worker makes of the receivers' responses."""

import asyncio
import socket
import time
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import FastAPI

from app.jobs.channel_sender import MAIL_SECONDS
from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace
from app.net.outbound import CALL_TIMEOUT
from app.services.channels.outbox import MESSAGE_LEASE_SECONDS
from tests.channels.reminding import deliveries, make_channel, remind, settled, tried, until
from tests.receivers import Receiver, receiving
from tests.support import Person
from tests.workers import FAST, PATIENT, make_worker

TASK_URL = "https://todo.example.com/app/#/all?task={id}"


async def ntfy(person: Person, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    return await make_channel(person, kind="ntfy", url=receiver.server_url, topic="anna", **fields)


async def test_ntfy_gets_the_json_form(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving(lambda _: 200) as receiver:
        channel = await ntfy(anna, receiver, token="tk_secret")
        task = await remind(sql, anna, "Zażółć gęślą 🎂", description="a\nb", priority="high", due_date="2090-05-01")
        async with make_worker(service):
            (told,) = await settled(anna, channel)
        (call,) = receiver.calls
    message_id = f"{channel['id']}-{told['message_id'].split('-')[1]}-{task['id']}"
    assert call.json == {
        "topic": "anna", "title": "Zażółć gęślą 🎂", "message": "Due Mon 1 May 2090.\na\nb", "priority": 4,
        "tags": ["alarm_clock"], "sequence_id": message_id, "click": TASK_URL.format(**task),
    }  # fmt: skip
    assert call.path == "/"
    assert call.headers["authorization"] == "Bearer tk_secret"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-sequence-id"] == call.headers["idempotency-key"] == told["message_id"] == message_id
    assert (told["kind"], told["outcome"], told["attempts"], told["status"]) == ("reminder", "delivered", 1, 200)
    assert (told["task_id"], told["error"], told["next_attempt_at"]) == (task["id"], None, None)


async def test_gotify_gets_its_token_in_a_header_and_never_an_empty_message(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    with receiving(lambda _: 200) as receiver:
        channel = await make_channel(anna, kind="gotify", url=f"{receiver.server_url}/sub/", token="A.secret")
        task = await remind(sql, anna, priority="urgent")
        async with make_worker(service):
            (told,) = await settled(anna, channel)
        (call,) = receiver.calls
    assert (call.path, call.headers["x-gotify-key"]) == ("/sub/message", "A.secret")
    assert call.json == {
        "title": "Call mum", "message": "A reminder of this task.", "priority": 8,
        "extras": {
            "todo::delivery": {"id": told["message_id"], "task_id": task["id"]},
            "client::notification": {"click": {"url": TASK_URL.format(**task)}},
        },
    }  # fmt: skip


@pytest.mark.parametrize("urls", [None, ["tgram://bot/chat", "discord://a/b"]])
async def test_apprise_gets_its_form(anna: Person, service: FastAPI, sql: Any, urls: list[str] | None) -> None:
    with receiving(lambda _: 200) as receiver:
        channel = await make_channel(anna, kind="apprise", url=f"{receiver.server_url}/notify/key", urls=urls)
        task = await remind(sql, anna, description="how")
        async with make_worker(service):
            await settled(anna, channel)
        (call,) = receiver.calls
    expected = {"title": "Call mum", "body": f"how\n{TASK_URL.format(**task)}", "type": "info", "format": "text"}
    assert call.json == expected | ({"urls": ",".join(urls)} if urls else {})
    assert call.path == "/notify/key"


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, "The Apprise server has nothing configured"), (424, "Apprise could not reach all of the services.")],
)
async def test_apprise_that_sends_nothing_is_no_delivery(
    anna: Person, service: FastAPI, sql: Any, status: int, error: str
) -> None:
    with receiving(lambda number: status if number < 2 else 200) as receiver:
        channel = await make_channel(anna, kind="apprise", url=f"{receiver.server_url}/notify/key")
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1))):
            waiting = await tried(anna, channel)
            assert waiting["error"].startswith(error)
            assert (waiting["outcome"], waiting["status"], waiting["attempts"]) == (None, status, 1)
            assert waiting["next_attempt_at"] is not None
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["attempts"], told["error"]) == ("delivered", 3, None)
    assert len({call.headers["idempotency-key"] for call in receiver.calls}) == 1


async def test_each_reminder_goes_to_the_channels_that_its_task_names(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as first, receiving() as second, receiving() as third:
        one = await ntfy(anna, first)
        two = await ntfy(anna, second)
        named = await ntfy(anna, third, all_reminders=False)
        off = await ntfy(anna, third, active=False)
        await remind(sql, anna, "all")
        await remind(sql, anna, "named", remind_channels=[two["id"], named["id"], off["id"]])
        await remind(sql, anna, "none", remind_channels=[])
        async with make_worker(service):
            await settled(anna, one)
            await settled(anna, two, 2)
            await settled(anna, named)
        titles = [sorted(call.json["title"] for call in receiver.calls) for receiver in (first, second, third)]
    assert titles == [["all"], ["all", "named"], ["named"]]
    assert await deliveries(anna, off) == []


async def test_a_reminder_that_waits_is_sent_later_marked_late(anna: Person, service: FastAPI, sql: Any) -> None:
    """The worker was down when it was due, and then the receiver."""
    with receiving(lambda number: 503 if number < 3 else 200) as receiver:
        channel = await ntfy(anna, receiver)
        await remind(sql, anna, ago=3600)
        async with make_worker(service, pace=PATIENT):
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["attempts"]) == ("delivered", 4)
    assert all(call.json["message"].startswith("Late: this reminder was for ") for call in receiver.calls)
    assert len({call.headers["x-sequence-id"] for call in receiver.calls}) == 1


@pytest.mark.parametrize("done", ["complete", "delete", "purge"])
async def test_a_task_that_is_done_before_it_is_sent_is_skipped(
    anna: Person, service: FastAPI, sql: Any, done: str
) -> None:
    with receiving(lambda _: 503) as receiver:
        channel = await ntfy(anna, receiver)
        task = await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1000))):
            await until(lambda: receiver.calls)
            await asyncio.sleep(0.2)
        if done == "complete":
            await anna.patch(f"/tasks/{task['id']}/complete")
        else:
            await anna.delete(f"/tasks/{task['id']}")
        if done == "purge":
            await anna.delete("/tasks/trash")
        await sql.execute("update deliveries set next_attempt_at = now() where user_id = $1", anna.subject)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert told["outcome"] == "skipped"
    assert told["error"] == f"The task was {'completed' if done == 'complete' else 'deleted'} before it was sent."
    assert len(receiver.calls) == 1


async def test_a_recurring_task_whose_occurrence_is_done_is_skipped(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving(lambda _: 503) as receiver:
        channel = await ntfy(anna, receiver)
        task = await remind(sql, anna, due_date="2089-12-31T09:00:00Z", recurrence="FREQ=DAILY")
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1000))):
            await until(lambda: receiver.calls)
            await asyncio.sleep(0.2)
        assert (await anna.patch(f"/tasks/{task['id']}/complete")).json()["completed"] is False
        await sql.execute("update deliveries set next_attempt_at = now() where user_id = $1", anna.subject)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert told["outcome"] == "skipped"


async def test_a_receiver_that_fails_is_tried_with_one_message_and_gets_the_others_when_it_responds(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    healthy: list[int] = []
    with receiving(lambda _: 200 if healthy else 500) as receiver:
        channel = await ntfy(anna, receiver)
        await remind(sql, anna, "first")
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=0.5))):
            await until(lambda: receiver.calls)
            for number in range(6):
                await remind(sql, anna, f"later {number}")
            await asyncio.sleep(0.8)
            assert len(receiver.calls) <= 3
            healthy.append(1)
            told = await settled(anna, channel, 7)
    assert {each["outcome"] for each in told} == {"delivered"}
    sent = [call.json["title"] for call in receiver.calls[-7:]]
    assert sorted(sent) == sorted(["first", *(f"later {number}" for number in range(6))])


async def test_what_never_succeeds_is_given_up(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving(lambda _: 500) as receiver:
        channel = await ntfy(anna, receiver)
        await remind(sql, anna)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["status"], told["error"]) == ("failed", 500, "The server responded with 500.")
    assert told["attempts"] > 1
    assert (await anna.get(f"/channels/{channel['id']}")).json()["active"] is True


async def test_a_message_that_the_receiver_does_not_take_is_not_repeated(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    with receiving(lambda number: 413 if number == 0 else 200) as receiver:
        channel = await ntfy(anna, receiver)
        await remind(sql, anna, "too long")
        async with make_worker(service):
            await settled(anna, channel)
            await remind(sql, anna, "short")
            told = await settled(anna, channel, 2)
    assert [(each["outcome"], each["status"], each["attempts"]) for each in told] == [
        ("failed", 413, 1), ("delivered", 200, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("ended", ["off", "deleted"])
async def test_nothing_is_sent_to_a_channel_that_was_switched_off(
    anna: Person, service: FastAPI, sql: Any, ended: str
) -> None:
    with receiving() as receiver:
        channel = await ntfy(anna, receiver)
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=1000, remind=0.05)):
            for _ in range(200):
                if await deliveries(anna, channel):
                    break
                await asyncio.sleep(0.02)
        path = f"/channels/{channel['id']}"
        await (anna.delete(path) if ended == "deleted" else anna.patch(path, {"active": False}))
        async with make_worker(service):
            for _ in range(200):
                if await sql.fetchval("select outcome from deliveries where user_id = $1", anna.subject):
                    break
                await asyncio.sleep(0.02)
        row = await sql.fetchrow("select outcome, error from deliveries where user_id = $1", anna.subject)
    assert tuple(row) == ("skipped", "The channel is switched off.")
    assert receiver.calls == []


async def test_a_receiver_that_does_not_respond_delays_nobody_else(
    anna: Person, bob: Person, service: FastAPI, sql: Any
) -> None:
    """The dead one has as many channels and messages as it likes, of the same user too."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(_: int) -> int:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return 200

    with receiving(wait) as dead, receiving() as alive:
        for _ in range(3):
            await ntfy(anna, dead)
        same = await ntfy(anna, alive)
        for number in range(10):
            await remind(sql, anna, f"task {number}")
        async with make_worker(service):
            began = loop.time()
            told = await settled(anna, same, 10)
            assert loop.time() - began < 4
            release.set()
    assert {each["outcome"] for each in told} == {"delivered"}


async def test_many_dead_receivers_delay_nobody_else(anna: Person, service: FastAPI, sql: Any) -> None:
    """Each is a server of its own, so that no bound on the calls to one applies."""
    with ExitStack() as dead, receiving() as alive:
        for _ in range(8):
            silent = dead.enter_context(socket.create_server(("127.0.0.1", 0)))
            await make_channel(anna, kind="ntfy", url=f"http://127.0.0.1:{silent.getsockname()[1]}", topic="t")
        last = await ntfy(anna, alive)
        await remind(sql, anna)
        async with make_worker(service):
            began = time.monotonic()
            await settled(anna, last)
            assert time.monotonic() - began < CALL_TIMEOUT


async def test_old_deliveries_are_pruned(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        channel = await ntfy(anna, receiver)
        await anna.post(f"/channels/{channel['id']}/test")
        kept = (await anna.post(f"/channels/{channel['id']}/test")).json()
    old = "update deliveries set created_at = now() - interval '91 days' where user_id = $1 and id <> $2"
    await sql.execute(old, anna.subject, kept["id"])
    await sql.execute("update users set prune_at = now() where id = $1", anna.subject)
    async with make_worker(service):
        for _ in range(200):
            if await deliveries(anna, channel) == [kept]:
                break
            await asyncio.sleep(0.05)
    assert await deliveries(anna, channel) == [kept]


async def test_three_workers_send_each_message_once(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        channel = await ntfy(anna, receiver)
        for number in range(30):
            await remind(sql, anna, f"task {number}")
        async with make_worker(service), make_worker(service), make_worker(service):
            told = await settled(anna, channel, 30)
    assert {(each["outcome"], each["attempts"]) for each in told} == {("delivered", 1)}
    ids = [call.headers["idempotency-key"] for call in receiver.calls]
    assert len(ids) == len(set(ids)) == 30


async def test_deliveries_of_others_are_404(anna: Person, bob: Person, service: FastAPI) -> None:
    with receiving() as receiver:
        channel = await ntfy(anna, receiver)
    answer = await bob.get(f"/channels/{channel['id']}/deliveries")
    assert (answer.status_code, answer.json()["code"]) == (404, "channel_not_found")


def test_an_attempt_ends_before_its_lease() -> None:
    assert 2 * max(CALL_TIMEOUT, MAIL_SECONDS) <= MESSAGE_LEASE_SECONDS
    assert FAST.retry.window < RetrySchedule().window
