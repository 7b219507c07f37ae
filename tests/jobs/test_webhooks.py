"""Webhooks: real receivers on the loopback, one worker or several."""

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.jobs.dispatcher import CALLS_PER_OWNER, RetrySchedule
from app.jobs.worker import Pace
from app.main import create_app
from app.net.outbound import CALL_TIMEOUT, OutboundClient
from app.net.outbound_policy import OutboundPolicy
from app.services.retention import pruning
from app.services.webhooks.deliveries import LEASE_SECONDS
from tests.receivers import receiving
from tests.servers import running, working
from tests.support import Person, assert_problem
from tests.workers import make_worker


@pytest.fixture(scope="module")
async def service(settings: Settings) -> AsyncIterator[FastAPI]:
    """Starts an application that may call the loopback; the test runs its worker."""
    app = create_app(settings.model_copy(update={"webhooks_allow_private": True, "worker": "off"}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def anna(service: FastAPI) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://test") as client:
        yield Person(client, f"user-{uuid.uuid4().hex}")


async def subscribe(person: Person, url: str, *events: str) -> dict[str, Any]:
    answer = await person.post("/webhooks", {"url": url, "events": list(events)})
    assert answer.status_code == 201, answer.text
    hook: dict[str, Any] = answer.json()
    return hook


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.02)


async def delivered(person: Person, hook: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the deliveries, as soon as there are any."""
    for _ in range(100):
        if told := (await person.get(f"/webhooks/{hook['id']}/deliveries")).json():
            return list(told)
        await asyncio.sleep(0.05)
    raise AssertionError("nothing was delivered")


async def test_webhooks_are_signed_in_order_with_the_revision_in_their_id(anna: Person, service: FastAPI) -> None:
    await anna.add("before the subscription")
    with receiving() as receiver:
        hook = await subscribe(anna, receiver.url)
        task = await anna.add("a")
        await anna.patch(f"/tasks/{task['id']}/complete")
        await anna.delete(f"/tasks/{task['id']}")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) == 3)
        assert receiver.ids == [f"{hook['id']}-{revision}-task-{task['id']}" for revision in (2, 3, 4)]
        page = (await anna.get("/changes?since=1")).json()["changes"]
        for call, change in zip(receiver.calls, page, strict=True):
            body = Webhook(hook["secret"]).verify(call.body, call.headers)
            assert body == {"type": f"task.{change['action']}", "timestamp": change["at"], "data": change}
        with pytest.raises(WebhookVerificationError):
            Webhook(hook["secret"]).verify(receiver.calls[0].body + b" ", receiver.calls[0].headers)
        told = (await anna.get(f"/webhooks/{hook['id']}/deliveries")).json()
        assert [(d["event"], d["status"], d["attempt"], d["error"]) for d in told] == [
            ("task.deleted", 204, 1, None), ("task.completed", 204, 1, None), ("task.created", 204, 1, None),
        ]  # fmt: skip
        assert all(d["latency_ms"] >= 0 and d["at"].endswith("Z") for d in told)


async def test_a_webhook_receives_only_its_events(anna: Person, service: FastAPI) -> None:
    with receiving() as some, receiving() as none:
        await subscribe(anna, some.url, "task.completed", "task.purged")
        await subscribe(anna, none.url, "project.created")
        task = await anna.add("a")
        await anna.patch(f"/tasks/{task['id']}/complete")
        async with make_worker(service):
            await until(lambda: some.calls)
            await anna.patch(f"/tasks/{task['id']}", {"title": "b"})
            await asyncio.sleep(0.3)
        assert [call.json["type"] for call in some.calls] == ["task.completed"]
        assert none.calls == []


async def test_a_failed_delivery_is_retried_with_its_id_before_later_events(anna: Person, service: FastAPI) -> None:
    with receiving(lambda number: 500 if number < 2 else 200) as receiver:
        hook = await subscribe(anna, receiver.url)
        await anna.add("a")
        await anna.add("b")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) == 4)
        assert receiver.ids[0] == receiver.ids[1] == receiver.ids[2] != receiver.ids[3]
        told = (await anna.get(f"/webhooks/{hook['id']}/deliveries")).json()
        assert [(d["status"], d["attempt"]) for d in reversed(told)] == [(500, 1), (500, 2), (200, 3), (200, 1)]
        assert (await anna.get(f"/webhooks/{hook['id']}")).json()["failing_since"] is None


async def test_a_failing_webhook_is_disabled_with_a_reason_and_can_be_enabled(anna: Person, service: FastAPI) -> None:
    healthy: list[int] = []
    with receiving(lambda _: 200 if healthy else 503) as receiver:
        hook = await subscribe(anna, receiver.url)
        path = f"/webhooks/{hook['id']}"
        await anna.add("a")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) >= 3)
            for _ in range(100):
                if not (found := (await anna.get(path)).json())["active"]:
                    break
                await asyncio.sleep(0.05)
            assert found["disabled_reason"] == "No success for 24 hours: it responded with 503."
            assert found["failing_since"]
            assert_problem(await anna.post(path + "/test"), 409, "webhook_disabled")
            healthy.append(1)
            assert (await anna.patch(path, {"active": True})).json()["active"]
            before = len(receiver.calls)
            await until(lambda: len(receiver.calls) > before)
        assert len(set(receiver.ids)) == 1


async def test_an_endpoint_that_returns_410_is_not_called_again(anna: Person, service: FastAPI) -> None:
    with receiving(lambda _: 410) as receiver:
        hook = await subscribe(anna, receiver.url)
        await anna.add("a")
        async with make_worker(service):
            await until(lambda: receiver.calls)
            await asyncio.sleep(0.3)
        assert len(receiver.calls) == 1
        found = (await anna.get(f"/webhooks/{hook['id']}")).json()
        assert (found["active"], found["disabled_reason"]) == (False, "The endpoint responded with 410 Gone.")


async def test_a_redirect_is_a_failure_and_is_not_followed(anna: Person, service: FastAPI) -> None:
    with receiving(lambda number: 302 if number == 0 else 200) as receiver:
        hook = await subscribe(anna, receiver.url)
        await anna.add("a")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) == 2)
        told = (await anna.get(f"/webhooks/{hook['id']}/deliveries")).json()
        assert [d["status"] for d in reversed(told)] == [302, 200]


async def test_a_slow_endpoint_does_not_delay_other_webhooks(anna: Person, service: FastAPI) -> None:
    others = threading.Event()

    def slow(_: int) -> int:
        others.wait(8)
        return 200

    with receiving(slow) as tardy, receiving() as quick:
        await subscribe(anna, tardy.url)
        await subscribe(anna, quick.url)
        for title in "abc":
            await anna.add(title)
        async with make_worker(service):
            await until(lambda: len(quick.calls) == 3)
            assert len(tardy.calls) <= 1
            assert quick.calls[2].at - min(call.at for call in quick.calls + tardy.calls) < 1
            others.set()
            await until(lambda: len(tardy.calls) >= 2)


async def test_several_workers_never_deliver_one_event_concurrently(anna: Person, service: FastAPI) -> None:
    def busy(_: int) -> int:
        time.sleep(0.02)
        return 200

    with receiving(busy) as receiver:
        await subscribe(anna, receiver.url)
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(make_worker(service)) for _ in range(3)]
            for number in range(20):
                await anna.add(str(number))
                for each in workers:
                    each.webhooks.changed([anna.subject])
            await until(lambda: len(receiver.calls) >= 20)
            await asyncio.sleep(0.3)
        assert receiver.most == 1
        assert len(receiver.ids) == len(set(receiver.ids)) == 20
        assert [call.json["data"]["revision"] for call in receiver.calls] == list(range(1, 21))


async def test_both_secrets_sign_during_rotation(anna: Person, service: FastAPI) -> None:
    with receiving() as receiver:
        hook = await subscribe(anna, receiver.url)
        rotated = (await anna.post(f"/webhooks/{hook['id']}/rotate")).json()
        assert rotated["secret"] != hook["secret"]
        await anna.add("a")
        async with make_worker(service):
            await until(lambda: receiver.calls)
        for secret in (hook["secret"], rotated["secret"]):
            Webhook(secret).verify(receiver.calls[0].body, receiver.calls[0].headers)
        async with service.state.database.transaction(anna.subject) as session:
            await session.exec(text("update webhooks set previous_secret_until = now()"))
        await anna.add("b")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) == 2)
        with pytest.raises(WebhookVerificationError):
            Webhook(hook["secret"]).verify(receiver.calls[1].body, receiver.calls[1].headers)


async def test_a_test_delivery_is_sent_and_listed(anna: Person, service: FastAPI) -> None:
    with receiving(lambda _: 418) as receiver:
        hook = await subscribe(anna, receiver.url, "task.purged")
        assert (await anna.post(f"/webhooks/{hook['id']}/test")).status_code == 202
        async with make_worker(service):
            await until(lambda: receiver.calls)
            await asyncio.sleep(0.2)
        assert [call.json["type"] for call in receiver.calls] == ["webhook.test"]
        Webhook(hook["secret"]).verify(receiver.calls[0].body, receiver.calls[0].headers)
        (told,) = (await anna.get(f"/webhooks/{hook['id']}/deliveries")).json()
        assert (told["event"], told["status"]) == ("webhook.test", 418)


async def test_a_test_delivery_does_not_reset_failures(anna: Person, service: FastAPI) -> None:
    patient = Pace(poll=0.1, retry=RetrySchedule(first=1000))
    with receiving(lambda number: 500 if number == 0 else 200) as receiver:
        path = f"/webhooks/{(await subscribe(anna, receiver.url))['id']}"
        await anna.add("a")
        async with make_worker(service, pace=patient):
            async with asyncio.timeout(8):
                while not (failing := (await anna.get(path)).json())["failing_since"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert (await anna.post(path + "/test")).status_code == 202
            await until(lambda: len(receiver.calls) == 2)
            await asyncio.sleep(0.4)
        assert [call.json["type"] for call in receiver.calls] == ["task.created", "webhook.test"]
        assert (await anna.get(path)).json() == failing


async def test_a_slow_endpoint_with_a_backlog_releases_its_slot(
    anna: Person, service: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.dispatcher.CALLS_MAX", 1)
    monkeypatch.setattr("app.jobs.dispatcher.TURN_SECONDS", 0.0)

    def slow(_: int) -> int:
        time.sleep(0.2)
        return 200

    other = Person(anna.client, f"user-{uuid.uuid4().hex}")
    with receiving(slow) as tardy, receiving() as quick:
        await subscribe(anna, tardy.url)
        for number in range(8):
            await anna.add(str(number))
        await subscribe(other, quick.url)
        await other.add("a")
        async with make_worker(service):
            await until(lambda: quick.calls)
            assert len(tardy.calls) <= 3
            await until(lambda: len(tardy.calls) == 8)
        assert [call.json["data"]["revision"] for call in tardy.calls] == list(range(1, 9))


async def test_concurrent_deliveries_are_limited_per_user(anna: Person, service: FastAPI) -> None:
    def slow(_: int) -> int:
        time.sleep(0.3)
        return 200

    with receiving(slow) as receiver:
        for _ in range(6):
            await subscribe(anna, receiver.url)
        await anna.add("a")
        async with make_worker(service):
            await until(lambda: len(receiver.calls) == 6)
        assert receiver.most == CALLS_PER_OWNER


async def test_host_names_are_resolved_in_dedicated_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def nowhere(*_: Any, **__: Any) -> Any:
        threads.append(threading.current_thread().name)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    async with OutboundClient(OutboundPolicy()) as caller:
        outcome = await caller.post("https://example.com/", b"", {})
    assert outcome.error == "gaierror: no such name"
    assert threads[0].startswith("resolve")


async def test_a_refused_connection_is_reported_in_the_delivery(anna: Person, service: FastAPI) -> None:
    hook = await subscribe(anna, "http://127.0.0.1:9/")
    await anna.post(f"/webhooks/{hook['id']}/test")
    async with make_worker(service):
        told = await delivered(anna, hook)
    assert told[0]["status"] is None
    assert told[0]["error"].startswith("ConnectError")


async def test_webhooks_are_listed_changed_and_deleted(anna: Person, bob: Person) -> None:
    hook = await subscribe(anna, "https://example.com/hook", "task.created", "task.created")
    assert hook["secret"].startswith("whsec_")
    assert hook["events"] == ["task.created"]
    path = f"/webhooks/{hook['id']}"
    shown = (await anna.get(path)).json()
    assert shown == {k: v for k, v in hook.items() if k != "secret"}
    assert (await anna.get("/webhooks")).json() == [shown]
    changed = (await anna.patch(path, {"events": [], "url": "https://example.org/", "active": False})).json()
    assert (changed["events"], changed["url"], changed["active"]) == ([], "https://example.org/", False)
    assert changed["disabled_reason"] == "Switched off."
    for call in (bob.get(path), bob.patch(path, {"active": True}), bob.delete(path), bob.post(path + "/rotate")):
        assert_problem(await call, 404, "webhook_not_found")
    assert_problem(await anna.patch(path, {}), 422)
    assert (await anna.delete(path)).status_code == 204
    assert_problem(await anna.get(path), 404)
    for _ in range(20):
        await subscribe(anna, "https://example.com/")
    assert_problem(await anna.post("/webhooks", {"url": "https://example.com/"}), 409, "too_many_webhooks")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https://user:x@example.com/", "nonsense", "",
        "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest", "https://100.64.0.1/",
        "https://[::1]/", "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
        "https://0.0.0.0/", "https://192.168.1.1:8443/", "https://224.0.0.1/", "https://[2002:7f00:1::]/",
        "https://[fec0::1]/", "https://192.88.99.1/", "https://xn--/", "https://xn--a-.example/",
        "https://192.0.0.192/", "https://192.0.0.8/", "https://[::ffff:192.0.0.192]/", "https://[3fff::1]/",
        "https://exa mple.com/", "https://exam%70le.com/", "https://exa;mple.com/", "https://exa<mple.com/",
    ],
)  # fmt: skip
async def test_a_url_with_a_private_address_is_refused(alice: Person, url: str) -> None:
    assert_problem(await alice.post("/webhooks", {"url": url}), 422)


async def test_a_host_name_that_resolves_to_a_private_address_is_not_called(alice: Person, app: FastAPI) -> None:
    """localhost is accepted as a name; its IP address is checked at delivery, and nothing is sent."""
    with receiving() as receiver:
        hook = await subscribe(alice, f"https://localhost:{receiver.port}/")
        await alice.post(f"/webhooks/{hook['id']}/test")
        async with make_worker(app):
            told = await delivered(alice, hook)
        assert (told[0]["status"], told[0]["error"]) == (None, "The URL does not lead to the public internet.")
        assert receiver.calls == []


def test_a_delivery_times_out_before_its_lease() -> None:
    assert LEASE_SECONDS > 2 * CALL_TIMEOUT


async def test_old_changes_and_idempotency_keys_are_pruned(
    anna: Person, service: FastAPI, postgres: ConnectOptions
) -> None:
    for number in range(5):
        await anna.post("/tasks", {"title": str(number)}, headers={"Idempotency-Key": str(number)})
    connection = await asyncpg.connect(postgres.dsn)
    mine = f"where user_id = '{anna.subject}'"
    await connection.execute(f"update changes set at = now() - interval '91 days' {mine} and revision <= 3")
    await connection.execute(f"update idempotency_keys set created_at = now() - interval '2 days' {mine}")
    await connection.execute(f"update users set prune_at = now() where id = '{anna.subject}'")
    async with make_worker(service):
        for _ in range(100):
            if (await anna.get("/changes?since=2")).status_code == 410:
                break
            await asyncio.sleep(0.05)
    page = (await anna.get("/changes?since=3")).json()
    assert [c["revision"] for c in page["changes"]] == [4, 5]
    assert_problem(await anna.get("/changes?since=0"), 410, "changes_gone")
    assert await connection.fetchval(f"select count(*) from idempotency_keys {mine}") == 0
    due = await connection.fetchval(
        f"select prune_at - now() > interval '89 days' from users where id = '{anna.subject}'"
    )
    assert due
    await connection.close()


async def test_a_pruning_failure_of_one_user_does_not_affect_others(
    anna: Person, service: FastAPI, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Person(anna.client, f"user-{uuid.uuid4().hex}")
    for person, since in ((anna, "2 days"), (other, "1 day")):
        await person.add("a")
        await sql.execute(f"update users set prune_at = now() - interval '{since}' where id = $1", person.subject)
    prune = pruning.prune_changes

    async def failing(session: Any, owner: str, *, days: int) -> bool:
        if owner == anna.subject:
            raise RuntimeError
        return await prune(session, owner, days=days)

    monkeypatch.setattr(pruning, "prune_changes", failing)
    due = "select count(*) from users where id = any($1) and prune_at <= now()"
    async with make_worker(service):
        for _ in range(100):
            if not await sql.fetchval(due, [anna.subject, other.subject]):
                break
            await asyncio.sleep(0.05)
    hours = "select extract(epoch from prune_at - now()) / 3600 from users where id = $1"
    assert 0.9 < await sql.fetchval(hours, anna.subject) <= 1
    assert await sql.fetchval(hours, other.subject) > 89 * 24


@pytest.mark.slow
async def test_a_separate_worker_delivers_writes_of_a_server(postgres: ConnectOptions) -> None:
    """At once, since it receives the server's change notification."""
    env = {"WEBHOOKS_ALLOW_PRIVATE": "true"}
    with receiving() as receiver, running(postgres.dsn, **env) as server, working(postgres.dsn, **env):
        async with server.person(f"user-{uuid.uuid4().hex}") as person:
            await subscribe(person, receiver.url)
            await person.add("a")
            await until(lambda: receiver.calls, 20)  # the worker may still be starting
            began = time.monotonic()
            await person.add("b")
            await until(lambda: len(receiver.calls) == 2)
            assert receiver.calls[1].at - began < 2
