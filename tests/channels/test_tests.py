"""Tests that a user sends to a channel, and the kinds of channels that can be used."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from app.jobs.channel_sender import TESTS_PER_USER
from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace
from tests.api.test_transfer import JSON, exported, imported
from tests.channels.push_service import Browser
from tests.channels.reminding import deliveries, make_channel, remind, settled, tried, until
from tests.receivers import receiving
from tests.support import Person, assert_problem
from tests.workers import make_worker


async def test_a_test_is_sent_at_once_and_says_what_came_back(anna: Person, bob: Person) -> None:
    with receiving(lambda number: 200 if number == 0 else 507) as receiver:
        channel = await make_channel(anna, kind="ntfy", url=receiver.server_url, topic="t", name="Phone", active=False)
        path = f"/channels/{channel['id']}/test"
        sent, failed = (await anna.post(path)).json(), (await anna.post(path)).json()
        assert_problem(await bob.post(path), 404, "channel_not_found")
        call = receiver.calls[0]
    assert (sent["kind"], sent["outcome"], sent["status"], sent["error"]) == ("test", "delivered", 200, None)
    assert (failed["outcome"], failed["status"], failed["error"]) == ("failed", 507, "The server responded with 507.")
    assert call.json["message"] == "Reminders come here, to the channel Phone."
    assert call.headers["idempotency-key"] == sent["message_id"] != failed["message_id"]
    assert await deliveries(anna, channel) == [sent, failed]
    assert (await anna.get(f"/channels/{channel['id']}")).json() == channel
    assert len(receiver.calls) == 2


async def test_a_repeated_test_is_not_sent_again(anna: Person) -> None:
    with receiving(lambda _: 410) as receiver:
        channel = await make_channel(anna, kind="webpush", subscription=Browser().subscription(receiver.server_url))
        path, key = f"/channels/{channel['id']}/test", {"Idempotency-Key": "k"}
        first, again = await anna.post(path, headers=key), await anna.post(path, headers=key)
        assert len(receiver.calls) == 1
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    changed = (await anna.get(f"/channels/{channel['id']}")).json()
    assert int(first.headers["x-revision"]) == changed["version"] > channel["version"]


async def test_no_connection_and_refused_addresses_are_outcomes(anna: Person, alice: Person) -> None:
    channel = await make_channel(anna, kind="gotify", url="http://127.0.0.1:9", token="x")
    told = (await anna.post(f"/channels/{channel['id']}/test")).json()
    assert (told["outcome"], told["status"]) == ("failed", None)
    assert told["error"].startswith("ConnectError")
    with receiving() as receiver:  # the other application's calls may not leave the public internet
        channel = await make_channel(alice, kind="apprise", url=f"https://localhost:{receiver.port}/notify")
        told = (await alice.post(f"/channels/{channel['id']}/test")).json()
        assert told["error"] == "The URL does not lead to the public internet."
        assert receiver.calls == []


async def test_a_test_of_a_browser_that_is_gone_disables_its_channel(anna: Person) -> None:
    with receiving(lambda _: 410) as receiver:
        subscription = Browser().subscription(receiver.server_url)
        channel = await make_channel(anna, kind="webpush", subscription=subscription)
        told = (await anna.post(f"/channels/{channel['id']}/test")).json()
    assert (told["outcome"], told["status"]) == ("failed", 410)
    assert (await anna.get(f"/channels/{channel['id']}")).json()["active"] is False


async def test_a_test_that_arrives_lets_waiting_messages_follow(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving(lambda number: 500 if number == 0 else 200) as receiver:
        channel = await make_channel(anna, kind="ntfy", url=receiver.server_url, topic="t")
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1000))):
            await tried(anna, channel)
            assert (await anna.post(f"/channels/{channel['id']}/test")).json()["outcome"] == "delivered"
            told = await settled(anna, channel, 2)
    assert [each["outcome"] for each in told] == ["delivered", "delivered"]


@pytest.mark.parametrize("kind", ["webpush", "gotify"])
async def test_a_channel_without_its_secrets_says_so(anna: Person, bob: Person, kind: str) -> None:
    with receiving() as receiver:
        given: dict[str, Any] = {"subscription": Browser().subscription(receiver.server_url)}
        if kind == "gotify":
            given = {"url": receiver.server_url, "token": "x"}
        await make_channel(anna, kind=kind, **given)
        await imported(bob, await exported(anna), JSON)
        (channel,) = (await bob.get("/channels")).json()
        told = (await bob.post(f"/channels/{channel['id']}/test")).json()
    assert (told["outcome"], told["status"]) == ("failed", None)
    assert told["error"] == "It comes from a file, which holds no secrets: set them."
    assert receiver.calls == []


async def test_kinds_say_what_is_missing(anna: Person, alice: Person, service: FastAPI) -> None:
    kinds = {each["kind"]: each for each in (await anna.get("/channels/kinds")).json()}
    assert list(kinds) == ["webpush", "ntfy", "gotify", "apprise", "mail"]
    assert kinds["webpush"]["public_key"] == service.state.channel_sender.push_public_key
    assert len(kinds["webpush"]["public_key"]) == 87
    assert [name for name, kind in kinds.items() if kind["available"]] == ["webpush", "ntfy", "gotify", "apprise"]
    assert kinds["mail"]["reason"] == "The operator has set no mail server (SMTP_URL)."
    (push, *_) = (await alice.get("/channels/kinds")).json()  # an application without a key
    assert push == {
        "kind": "webpush", "available": False, "public_key": None,
        "reason": "The operator has set no key for Web Push (VAPID_PRIVATE_KEY).",
    }  # fmt: skip


async def test_few_tests_of_a_user_run_at_once(anna: Person, bob: Person, service: FastAPI) -> None:
    """Each holds a place for a call, for as long as a receiver takes."""
    release, loop = asyncio.Event(), asyncio.get_running_loop()

    def respond(_: int) -> int:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return 200

    with receiving(respond) as receiver:
        path = f"/channels/{(await make_channel(anna, kind='ntfy', url=receiver.server_url, topic='t'))['id']}/test"
        running = [asyncio.create_task(anna.post(path)) for _ in range(TESTS_PER_USER)]
        await until(lambda: len(receiver.calls) == TESTS_PER_USER)
        refused = await anna.post(path, headers={"Idempotency-Key": "k"})
        assert_problem(refused, 429, "too_many_tests")
        assert refused.headers["retry-after"] == "5"
        release.set()
        assert {(await each).json()["outcome"] for each in running} == {"delivered"}
        assert (await anna.post(path, headers={"Idempotency-Key": "k"})).json()["outcome"] == "delivered"


async def test_the_latest_tests_of_a_channel_are_kept(anna: Person) -> None:
    channel = await make_channel(anna, kind="mail")
    for _ in range(23):
        last = (await anna.post(f"/channels/{channel['id']}/test")).json()
    kept = await deliveries(anna, channel)
    assert (len(kept), kept[-1]) == (20, last)
