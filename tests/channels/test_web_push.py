"""Web Push from the reminder to the browser that decrypts it."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI

from app.domain.notifications import Notification, push_message
from app.json_codec import encode
from app.models.task_fields import TITLE_MAX
from app.net.web_push import PLAIN_TEXT_MAX
from tests.channels.push_service import Browser, sender_of
from tests.channels.reminding import deliveries, make_channel, remind, settled, until
from tests.receivers import receiving
from tests.support import Person
from tests.workers import make_worker


async def test_a_browser_gets_an_encrypted_message(anna: Person, service: FastAPI, sql: Any) -> None:
    browser = Browser()
    with receiving(lambda _: 201) as receiver:
        subscription = browser.subscription(receiver.server_url)
        channel = await make_channel(anna, kind="webpush", subscription=subscription)
        task = await remind(sql, anna, "Ring 🎂", description="x" * 900)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
        (call,) = receiver.calls
    message = browser.read(call)
    assert (message["title"], message["kind"], message["task_id"], message["id"]) == (
        "Ring 🎂", "reminder", task["id"], told["message_id"]
    )  # fmt: skip
    assert message["late"] is False
    assert message["text"].startswith("xxx")
    key, claims = sender_of(call, receiver.server_url)
    assert key == service.state.channel_sender.push_public_key
    assert claims["sub"] == "https://todo.example.com"
    assert (call.path, call.headers["ttl"], call.headers["urgency"]) == ("/push/secret", "86400", "high")
    assert len(call.headers["topic"]) <= 32
    assert (told["outcome"], told["status"]) == ("delivered", 201)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_ended_disables_the_channel(
    anna: Person, service: FastAPI, sql: Any, status: int
) -> None:
    browser = Browser()
    with receiving(lambda _: status) as receiver:
        subscription = browser.subscription(receiver.server_url)
        channel = await make_channel(anna, kind="webpush", subscription=subscription)
        await remind(sql, anna, "a")
        await remind(sql, anna, "b")
        async with make_worker(service):
            told = await settled(anna, channel, 2)
        found = (await anna.get(f"/channels/{channel['id']}")).json()
        assert (found["active"], found["disabled_reason"]) == (
            False, f"The browser's subscription has ended: its push service responded with {status}."
        )  # fmt: skip
        assert {each["outcome"] for each in told} <= {"failed", "skipped"}
        change = (await anna.get(f"/changes?since={found['version'] - 1}")).json()["changes"][0]
        assert (change["entity"], change["action"], change["through"]) == ("channel", "updated", "delivery")
        await remind(sql, anna, "c")
        answer = await anna.post("/channels", {"kind": "webpush", "subscription": subscription})
        assert (answer.status_code, answer.json()["id"], answer.json()["active"]) == (200, channel["id"], True)
        assert len(await deliveries(anna, channel)) == 2


async def test_an_old_subscription_that_ended_leaves_the_new_one_enabled(anna: Person, service: FastAPI) -> None:
    """The browser subscribed again while the push service was still being waited for."""
    release, loop = asyncio.Event(), asyncio.get_running_loop()

    def respond(_: int) -> int:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return 410

    with receiving(respond) as receiver:
        channel = await make_channel(anna, kind="webpush", subscription=Browser().subscription(receiver.server_url))
        path = f"/channels/{channel['id']}"
        test = asyncio.create_task(anna.post(f"{path}/test"))
        await until(lambda: receiver.calls)
        renewed = {"subscription": Browser().subscription(receiver.server_url, "/push/new")}
        assert (await anna.patch(path, renewed)).status_code == 200
        release.set()
        assert (await test).json()["status"] == 410
    assert (await anna.get(path)).json()["active"] is True


def test_the_longest_message_fits() -> None:
    widest = '"\U0001f382'  # escaped in JSON, and four bytes in UTF-8
    notification = Notification(
        "9" * 60, "reminder", widest * (TITLE_MAX // 2), widest * 5000, url="https://todo.example.com/" + "x" * 200
    )
    text = encode(push_message(notification))
    assert len(text) <= PLAIN_TEXT_MAX
    assert json.loads(text)["title"] == notification.title
    for control in ("\n", "\u0001", "\\"):
        text = encode(push_message(Notification("1", "test", control * TITLE_MAX, control * 5000)))
        assert len(text) <= PLAIN_TEXT_MAX
