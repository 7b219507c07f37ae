"""The duration of a stream ends when it begins: no stream is in the latency histogram or the slow-request log for as
long as its client reads or its model answers.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message

from app.http.middleware import RequestContextMiddleware
from app.observability.metrics import Metrics
from tests.assistant.conftest import Talking, talk  # noqa: F401 - a fixture
from tests.assistant.scripted import Says, in_turn
from tests.support import Person

ROOT = Path(__file__).parents[2]
PAUSE = 0.4  # seconds that the client or the model takes, longer than any request here
STREAMS = [
    "/export?format=json", "/export?format=csv", "/export?format=ics", "/calendar.ics?token={}",
    "/calendar.ics?token={}&kind=todo", "/events",
]  # fmt: skip


class Watch:
    """The metrics of a service, and a client that pauses after each part of a response."""

    def __init__(self, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app, self.metrics = app, Metrics()
        layer: Any = app.middleware_stack
        while not isinstance(layer, RequestContextMiddleware):
            layer = layer.app
        monkeypatch.setattr(layer, "metrics", self.metrics)
        monkeypatch.setattr(layer, "slow_ms", int(PAUSE * 1000))

    async def read(self, person: Person, path: str, *, method: str = "GET", body: Any = None, accept: str = "") -> int:
        """Sends one request, reads slowly, leaves after the first bytes of an endless stream; returns the status."""
        url, _, query = path.partition("?")
        headers = [(name.lower().encode(), value.encode()) for name, value in person.headers.items()]
        headers += [(b"accept", accept.encode())] if accept else []
        content = b"" if body is None else json.dumps(body).encode()
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        scope = {
            "type": "http", "method": method, "path": url, "raw_path": url.encode(), "query_string": query.encode(),
            "headers": headers, "scheme": "http", "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
            "client": ("127.0.0.1", 1), "server": ("test", 80),
        }  # fmt: skip
        unread: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
        left, status = asyncio.Event(), 0

        async def receive() -> Message:
            if unread:
                return unread.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.body":
                await asyncio.sleep(PAUSE)
                if url.endswith("/events"):
                    left.set()

        await self.app(scope, receive, send)
        return status

    def buckets(self) -> dict[float, float]:
        """Returns the cumulative counts of all requests by bucket."""
        found: dict[float, float] = {}
        for family in text_string_to_metric_families(self.metrics.render("")[0].decode()):
            for sample in family.samples:
                if sample.name == "todo_http_request_duration_seconds_bucket":
                    bound = float(sample.labels["le"])
                    found[bound] = found.get(bound, 0) + sample.value
        return found


@pytest.fixture
def slow_lines() -> Iterator[list[logging.LogRecord]]:
    lines: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign, assignment]
    log = logging.getLogger("app.slow")
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


def assert_short(watch: Watch, lines: list[logging.LogRecord]) -> None:
    assert [record.__dict__["route"] for record in lines] == []
    found = watch.buckets()
    assert found[0.25] == found[float("inf")] == 1, found


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_counts_until_it_begins(
    app: FastAPI, alice: Person, monkeypatch: pytest.MonkeyPatch, slow_lines: list[logging.LogRecord], path: str
) -> None:
    token = (await alice.post("/calendar", {"name": "phone"})).json()["token"]
    url = f"/api/{alice.subject}{path.format(token)}"
    watch = Watch(app, monkeypatch)
    await watch.read(alice, url)  # one-time compilation and imports are not measured
    watch = Watch(app, monkeypatch)
    slow_lines.clear()
    assert await watch.read(alice, url) == 200
    assert_short(watch, slow_lines)


async def test_the_export_of_an_account_counts_until_it_begins(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, slow_lines: list[logging.LogRecord]
) -> None:
    account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    made = (await client.post("/api/auth/register", json=account)).json()
    person = Person(client, "me")
    person.headers = {"Authorization": f"Bearer {made['access_token']}"}
    await Watch(app, monkeypatch).read(person, "/api/auth/me/export")
    watch = Watch(app, monkeypatch)
    slow_lines.clear()
    assert await watch.read(person, "/api/auth/me/export") == 200
    assert_short(watch, slow_lines)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_a_chat_message_counts_until_the_model_is_called(
    talk: Talking,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    slow_lines: list[logging.LogRecord],
    accept: str,
) -> None:
    alice = talk(in_turn(Says("Hello."), Says("Hello.", delay=PAUSE)))
    await alice.say("hello")
    watch = Watch(alice.app, monkeypatch)
    slow_lines.clear()
    path = f"/api/{alice.person.subject}/chat"
    assert await watch.read(alice.person, path, method="POST", body={"message": "hi"}, accept=accept) == 200
    assert_short(watch, slow_lines)


async def test_an_ordinary_response_counts_until_it_is_sent(
    app: FastAPI, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.get("/tasks")
    watch = Watch(app, monkeypatch)
    assert await watch.read(alice, f"/api/{alice.subject}/tasks") == 200
    assert watch.buckets()[0.25] == 0


def test_every_module_with_a_stream_is_read_above() -> None:
    """A module that is new here has a stream that the tests above do not read yet."""
    streams = re.compile(r"\b(StreamedFile|EventStream|ChatStream|StreamingResponse)\(")
    found = {path.name for path in (ROOT / "app/routers").glob("*.py") if streams.search(path.read_text())}
    assert found == {"accounts.py", "calendar_feeds.py", "changes.py", "chat.py", "transfer.py"}
