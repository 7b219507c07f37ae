"""Idempotency-Key: one effect and one response, also with killed processes and concurrent requests."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.database import WORKER_ROLE
from app.http.idempotency import IdempotentRequest
from app.main import create_app
from app.services.retention.pruning import prune_changes
from tests.servers import running
from tests.support import Person, assert_problem


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


async def test_a_repeated_key_returns_the_first_response_without_a_second_effect(alice: Person) -> None:
    sent = key()
    first = await alice.post("/tasks", {"title": "a"}, headers=sent)
    again = await alice.post("/api/me/tasks", {"title": "a"}, headers=sent)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for name in ("etag", "location", "content-type", "cache-control", "content-length"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await alice.titles() == ["a"]
    quoted = {"Idempotency-Key": f'"{sent["Idempotency-Key"]}"'}
    assert (await alice.post("/tasks", {"title": "a"}, headers=quoted)).headers["idempotent-replayed"] == "true"


async def test_every_unsafe_method_accepts_an_idempotency_key(alice: Person) -> None:
    task = await alice.add("a")
    path = f"/tasks/{task['id']}"
    for method, tail, options in (
        ("PATCH", "/complete", {}),
        ("PUT", "", {"json": {"title": "b"}}),
        ("DELETE", "", {}),
        ("POST", "/restore", {}),
    ):
        sent = key()
        first = await alice.call(method, path + tail, headers=sent, **options)
        again = await alice.call(method, path + tail, headers=sent, **options)
        assert first.is_success
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"
    assert (await alice.get("/tasks")).headers["x-revision"] == "5"


async def test_a_different_request_with_the_same_key_is_refused(alice: Person, bob: Person) -> None:
    sent = key()
    await alice.post("/tasks", {"title": "a"}, headers=sent)
    assert_problem(await alice.post("/tasks", {"title": "b"}, headers=sent), 422, "idempotency_key_reused")
    assert_problem(await alice.delete("/tasks/trash", headers=sent), 422, "idempotency_key_reused")
    assert (await bob.post("/tasks", {"title": "b"}, headers=sent)).status_code == 201
    assert await alice.titles() == ["a"]


@pytest.mark.parametrize(
    ("body", "status"), [('{"title": ""}', 422), ('{"title": "a"', 400), ('{"title": "a", "x": 1}', 422)]
)
async def test_a_deterministic_refusal_is_replayed(alice: Person, body: str, status: int) -> None:
    sent = {**key(), "Content-Type": "application/json"}
    first = await alice.call("POST", "/tasks", content=body, headers=sent)
    again = await alice.call("POST", "/tasks", content=body, headers=sent)
    assert (first.status_code, again.status_code) == (status, status)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_not_found_and_stale_responses_are_replayed(alice: Person) -> None:
    task = await alice.add("a")
    path, stale = f"/tasks/{task['id']}", {**key(), "If-Match": '"9"'}
    assert_problem(await alice.patch(path, {"title": "b"}, headers=stale), 412)
    again = await alice.patch(path, {"title": "b"}, headers=stale)
    assert again.status_code == 412
    assert again.headers["idempotent-replayed"] == "true"
    assert (await alice.get("/tasks")).headers["x-revision"] == "1"


async def test_another_if_match_or_content_type_is_a_different_request(alice: Person) -> None:
    task = await alice.add("a")
    path, sent = f"/tasks/{task['id']}", key()
    assert_problem(await alice.patch(path, {"title": "b"}, headers={**sent, "If-Match": '"9"'}), 412)
    fresh = {**sent, "If-Match": '"1"'}
    assert_problem(await alice.patch(path, {"title": "b"}, headers=fresh), 422, "idempotency_key_reused")
    assert (await alice.patch(path, {"title": "b"}, headers={**fresh, **key()})).status_code == 200
    wrong = {**key(), "Content-Type": "text/plain"}
    assert_problem(await alice.call("POST", "/tasks", content='{"title": "c"}', headers=wrong), 415)
    right = {**wrong, "Content-Type": "application/json"}
    answer = await alice.call("POST", "/tasks", content='{"title": "c"}', headers=right)
    assert_problem(answer, 422, "idempotency_key_reused")


async def test_a_streamed_response_is_not_stored() -> None:
    nowhere: Any = None
    attempt = IdempotentRequest(nowhere, "alice", "key", b"")
    assert await attempt.keep(nowhere, Response(b"", media_type="text/event-stream")) is attempt


@pytest.mark.parametrize("by", ["a write", "the worker"])
async def test_the_worker_prunes_a_key_within_a_day(alice: Person, app: FastAPI, sql: Any, by: str) -> None:
    await alice.post("/tasks", {"title": "a"}, headers=key())
    await sql.execute("update users set prune_at = now() + interval '80 days' where id = $1", alice.subject)
    if by == "a write":
        await alice.post("/tasks", {"title": "a"}, headers=key())
    else:
        async with app.state.database.transaction(alice.subject, role=WORKER_ROLE) as session:
            await prune_changes(session, alice.subject, days=90)
    left = await sql.fetchval("select prune_at - now() from users where id = $1", alice.subject)
    assert timedelta(hours=23) < left <= timedelta(hours=24)


@pytest.mark.parametrize("value", ["", " ", "x" * 256, "a\tb", "é".encode()])
async def test_an_invalid_idempotency_key_is_refused(alice: Person, value: Any) -> None:
    answer = await alice.post("/tasks", {"title": "a"}, headers={"Idempotency-Key": value})
    assert_problem(answer, 422, "idempotency_key_invalid")
    assert await alice.titles() == []


async def test_a_read_ignores_the_idempotency_key(alice: Person) -> None:
    sent = key()
    for _ in range(2):
        assert "idempotent-replayed" not in (await alice.get("/tasks", headers=sent)).headers


async def test_an_idempotency_key_expires_after_a_day(alice: Person, app: FastAPI) -> None:
    sent, other = key(), key()
    for each in (sent, other):
        await alice.post("/tasks", {"title": "a"}, headers=each)
    async with app.state.database.transaction(alice.subject) as session:
        await session.exec(text("update idempotency_keys set created_at = now() - interval '25 hours'"))
    assert (await alice.post("/tasks", {"title": "b"}, headers=sent)).status_code == 201
    async with app.state.database.transaction(alice.subject) as session:
        assert (await session.exec(text("select key from idempotency_keys"))).all() == [sent["Idempotency-Key"]]


@pytest.mark.one_server("counts the round trips of the form for one server")
async def test_an_idempotency_key_costs_two_round_trips(alice: Person, app: FastAPI) -> None:
    counts = []
    transaction = app.state.database.transaction

    def recorded(*args: Any, **options: Any) -> Any:
        counts.append(transaction(*args, **options))
        return counts[-1]

    app.state.database.transaction = recorded
    try:
        await alice.post("/tasks", {"title": "a"})
        await alice.post("/tasks", {"title": "a"}, headers=key())
    finally:
        app.state.database.transaction = transaction
    assert [session.round_trips for session in counts] == [3, 5]


async def test_concurrent_requests_of_two_replicas_with_one_key_have_one_effect(
    settings: Settings, alice: Person
) -> None:
    async with AsyncExitStack() as stack:
        people = []
        for _ in range(2):
            replica = create_app(settings)
            await stack.enter_async_context(replica.router.lifespan_context(replica))
            transport = httpx.ASGITransport(replica)
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))
            people.append(Person(client, alice.subject))
        for number in range(10):
            sent = key()
            calls = (people[n % 2].post("/tasks", {"title": str(number)}, headers=sent) for n in range(8))
            answers = await asyncio.gather(*calls)
            statuses = Counter(answer.status_code for answer in answers)
            assert set(statuses) <= {201, 409}
            assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
            for answer in answers:
                if answer.status_code == 409:
                    assert answer.headers["retry-after"] == "1"
            late = await people[0].post("/tasks", {"title": str(number)}, headers=sent)
            assert late.headers["idempotent-replayed"] == "true"
    assert await alice.titles("?order=asc") == [str(number) for number in range(10)]


class KilledBeforeTheAnswer:
    """Kills its process by SIGKILL before the first byte of the response to a request with ``X-Kill``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def deadly(message: Message) -> None:
            if scope["type"] == "http" and "x-kill" in Request(scope).headers:
                os.kill(os.getpid(), signal.SIGKILL)
            await send(message)

        await self.app(scope, receive, deadly)


def create_mortal() -> FastAPI:
    app = create_app()
    app.add_middleware(KilledBeforeTheAnswer)
    return app


@pytest.mark.slow
async def test_a_retry_returns_the_first_response_when_the_process_was_killed_before_sending_it(
    postgres: ConnectOptions, alice: Person
) -> None:
    with running(postgres.dsn, app="tests.http.test_idempotency:create_mortal") as server:
        async with server.person(alice.subject) as person:
            sent = key()
            with pytest.raises(httpx.TransportError):
                await person.post("/tasks", {"title": "once"}, headers={**sent, "X-Kill": "now"})
            server.start()
            again = await person.post("/tasks", {"title": "once"}, headers=sent)
            assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
            assert again.json()["title"] == "once"
    assert await alice.titles() == ["once"]
