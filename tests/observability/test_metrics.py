"""The content of metrics, traces and log lines of requests, and what they never contain."""

import asyncio
import io
import json
import logging
import re
import threading
import time
import timeit
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.http.middleware import SLOW_LINES
from app.http.routing import DirectRoute
from app.jobs.backups import BackupJob
from app.jobs.dispatcher import Dispatcher, RetrySchedule
from app.jobs.webhooks import WebhookOutbox
from app.main import create_app
from app.net.outbound import OutboundClient
from app.net.outbound_policy import OutboundPolicy
from app.observability.logs import configure_logging
from app.observability.metrics import Metrics
from app.observability.request_context import start_request
from tests.citus import CITUS_URL
from tests.ports import free_port
from tests.processes import wait_until
from tests.servers import Server, events, running
from tests.support import Person, assert_problem, make_token

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-prometheus"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("anyio_backend")]


@pytest.fixture
async def watched(settings: Settings) -> AsyncIterator[FastAPI]:
    seen = {
        "metrics_token": TOKEN, "rate_limit_per_minute": 9, "slow_request_ms": 1, "worker": "inside", "access_log": True
    }  # fmt: skip
    application = create_app(Settings.model_validate(settings.model_dump() | seen))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def http(watched: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(watched), base_url="http://test") as opened:
        yield opened


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(said: str) -> Samples:
    families = text_string_to_metric_families(said)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


async def samples(http: httpx.AsyncClient) -> Samples:
    answer = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return parse(answer.text)


def requests(found: Samples, route: str, method: str, status: str) -> float:
    labels = (("method", method), ("route", route), ("status", status))
    return found.get(("todo_http_request_duration_seconds_count", labels), 0)


async def test_requests_are_counted_by_route_method_and_status(http: httpx.AsyncClient, alice: Person) -> None:
    alice = Person(http, alice.subject)
    task = await alice.add()
    for path in (f"/tasks/{task['id']}", "/tasks/999999", "/tasks/x"):
        await alice.get(path)
    for method in ("GET", "BREW", "POST"):
        await http.request(method, "/nowhere/at/all")
    found = await samples(http)
    tasks = "/api/{user_id}/tasks"
    assert requests(found, tasks, "POST", "2xx") == 1
    assert requests(found, tasks + "/{task_id}", "GET", "2xx") == 1
    assert requests(found, tasks + "/{task_id}", "GET", "4xx") == 2
    assert requests(found, "unmatched", "", "4xx") == 3
    seconds = found["todo_http_request_duration_seconds_sum", (("method", "POST"), ("route", tasks), ("status", "2xx"))]
    assert 0 < seconds < 5
    buckets = [
        value for (name, labels), value in found.items()
        if name.endswith("_bucket") and ("route", tasks) in labels and ("method", "POST") in labels
    ]  # fmt: skip
    assert buckets == sorted(buckets)
    assert buckets[-1] == 1
    assert alice.subject not in str(found)


async def test_refusals_pool_streams_and_worker_are_exported(http: httpx.AsyncClient, alice: Person) -> None:
    alice = Person(http, alice.subject)
    answers = [await alice.get("/tasks") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 3
    found = await samples(http)
    assert found["todo_rate_limited_total", (("route", "/api/{user_id}/tasks"),)] == 3
    assert found["todo_pool_size", ()] == 5
    assert 0 <= found["todo_pool_in_use", ()] <= 5
    assert found["todo_pool_waiting", ()] == 0
    assert found["todo_event_streams", ()] == 0
    assert found["todo_webhooks_due", ()] >= 0
    assert found["todo_refresh_reuse_total", ()] == 0


async def test_a_reused_refresh_token_is_counted(http: httpx.AsyncClient, watched: FastAPI, sql: Any) -> None:
    account = {
        "email": f"{sha256(str(id(http)).encode()).hexdigest()}@example.com",
        "password": "correct horse battery",
    }
    first = (await http.post("/api/auth/register", json=account)).json()
    token = first["refresh_token"]
    for _ in range(2):
        token = (await http.post("/api/auth/refresh", json={"refresh_token": token})).json()["refresh_token"]
    assert_problem(await http.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]}), 401)
    assert (await samples(http))["todo_refresh_reuse_total", ()] == 1


async def test_the_pool_reports_waiting_transactions(app: FastAPI) -> None:
    database = app.state.database
    sessions = [database.transaction(f"metrics-{number}") for number in range(7)]

    async def hold(session: Any) -> None:
        await session.exec(text("select pg_sleep(1)"))
        await session.rollback()

    tasks = [asyncio.create_task(hold(session)) for session in sessions]
    async with asyncio.timeout(0.9):
        while database.load != (5, 2, 5):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.gather(*tasks)
    assert database.load == (0, 0, 5)


async def test_the_worker_reports_its_backlog(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    client = OutboundClient(OutboundPolicy())
    sender = Dispatcher(WebhookOutbox(app.state.database, client, retry=RetrySchedule()))
    due = [[("alice", 1), ("bob", 2)], [("bob", 2)], []]

    async def find_due(*_: Any, **__: Any) -> list[tuple[str, int]]:
        return due.pop(0)

    async def serve(*_: Any) -> None:
        return None

    monkeypatch.setattr("app.services.webhooks.deliveries.find_due_webhooks", find_due)
    monkeypatch.setattr(sender, "_serve", serve)
    assert sender.lag == (0, 0.0)
    for expected in (2, 1, 0):
        sender._busy.clear()
        await sender._start(None)
        sender._busy.clear()
        await asyncio.sleep(0.02)
        count, seconds = sender.lag
        assert count == expected
        assert (seconds > 0) is (expected > 0)
        if expected == 1:
            assert seconds >= 0.04
    await sender.aclose()


async def test_metrics_require_their_token(http: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/metrics"), 404, "route_not_found")
    assert_problem(await http.get("/metrics"), 401, "token_missing")
    for wrong in (TOKEN[:-1], TOKEN + "x", "ü", make_token("alice")):
        answer = await http.get("/metrics", headers={b"Authorization": f"Bearer {wrong}".encode("latin-1")})
        assert_problem(answer, 401, "token_invalid")


async def test_the_token_cannot_be_guessed_without_limit(settings: Settings) -> None:
    """Wrong tokens are counted apart: other callers of the same IP address do not stop monitoring."""
    change = {"metrics_token": SecretStr(TOKEN), "rate_limit_anonymous_per_minute": 5, "pool_size": 2}
    app = create_app(settings.model_copy(update=change))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        right, wrong = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, "wrong"))
        assert [(await http.get("/api/me/tasks")).status_code for _ in range(6)] == [401] * 5 + [429]
        assert [(await http.get("/metrics", headers=right)).status_code for _ in range(9)] == [200] * 9
        assert [(await http.get("/metrics", headers=wrong)).status_code for _ in range(5)] == [401] * 5
        for headers in (wrong, right):
            refused = await http.get("/metrics", headers=headers)
            assert_problem(refused, 429, "rate_limited")
            assert int(refused.headers["retry-after"]) > 0
        assert (await http.get("/health")).status_code == 200


def test_a_metrics_token_is_refused_with_several_processes() -> None:
    with pytest.raises(ValueError, match="METRICS_TOKEN shows one process"):
        Settings(_env_file=None, metrics_token=TOKEN, web_concurrency=2)


async def test_each_process_has_a_metrics_port_of_its_own(
    postgres: ConnectOptions, migrated: str, alice: Person
) -> None:
    port = free_port()
    with running(postgres.dsn, WEB_CONCURRENCY="2", METRICS_PORT=str(port), WORKER="inside") as server:
        async with server.person(alice.subject) as remote:
            for _ in range(5):
                assert (await remote.get("/tasks")).status_code == 200
            async with events(remote), httpx.AsyncClient(trust_env=False) as http:

                async def both() -> list[Samples]:
                    urls = [f"http://127.0.0.1:{port + number}/metrics" for number in range(2)]
                    return [parse((await http.get(url)).text) for url in urls]

                deadline = time.monotonic() + 60  # the second process may still be starting
                while True:
                    with suppress(httpx.ConnectError):
                        found = await both()
                        break
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)
                assert sum(requests(each, "/api/{user_id}/tasks", "GET", "2xx") for each in found) == 5
                assert sum(each["todo_event_streams", ()] for each in found) == 1
                assert sum(each["todo_connections_open", ()] for each in found) >= 1
                assert all(each["process_resident_memory_bytes", ()] > 0 for each in found)
            assert (await remote.get("/api/x/../../metrics")).status_code == 404


async def test_the_dashboard_uses_only_exported_metrics(
    http: httpx.AsyncClient, watched: FastAPI, settings: Settings, postgres: ConnectOptions, alice: Person
) -> None:
    watched.state.metrics.backups = BackupJob(settings, postgres)  # as with BACKUP_DIR
    await Person(http, alice.subject).get("/tasks")
    for _ in range(12):
        await Person(http, alice.subject).get("/tasks")
    exported = {name for name, _ in await samples(http)}
    board = json.loads((ROOT / "docs/grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {name for text in expressions for name in re.findall(r"\b((?:todo|process)_\w+)\{", text)}
    assert len(used) >= 12
    assert used <= exported, used - exported
    assert {name for name in exported if name.startswith("todo_")} - used <= {"todo_build"}


def test_counting_a_request_costs_little() -> None:
    metrics = Metrics()
    seconds = min(timeit.repeat(lambda: metrics.observe("/x", "GET", 200, 0.003), number=2000, repeat=20)) / 2000
    assert seconds < 5e-6


# -- the log


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(settings.model_copy(update={"log_format": "json"}))
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(text := io.StringIO())
    yield text
    root.handlers[:], root.level = before[0], before[1]


async def test_slow_requests_are_logged_with_their_round_trips(
    http: httpx.AsyncClient, alice: Person, log: io.StringIO, sql: Any
) -> None:
    start_request(None)
    alice = Person(http, alice.subject)
    task = await alice.add("a secret title")
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute("select from users where id = $1 for update", alice.subject)
    waiting = asyncio.create_task(alice.patch(f"/tasks/{task['id']}", {"title": "another secret"}))
    await asyncio.sleep(0.1)
    await transaction.rollback()
    answer = await waiting
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (slow,) = [line for line in lines if line["event"] == "slow_request" and line["method"] == "PATCH"]
    assert slow["level"] == "warning"
    assert slow["route"] == "/api/{user_id}/tasks/{task_id}"
    assert slow["status"] == 200
    assert slow["ms"] >= 90
    assert slow["round_trips"] == (5 if CITUS_URL else 3)  # a write there is three statements
    assert slow["request_id"] == answer.headers["x-request-id"]
    assert slow["user"] == sha256(alice.subject.encode()).hexdigest()[:12]
    assert not [word for word in ("secret", alice.subject) if word in log.getvalue()]


async def test_slow_request_lines_are_limited_per_second(settings: Settings, log: io.StringIO) -> None:
    async def slow() -> Response:
        await asyncio.sleep(0.01)
        return Response()

    application = create_app(settings.model_copy(update={"slow_request_ms": 1, "rate_limit_per_minute": 0}))
    application.router.routes.append(DirectRoute("/slow", slow))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as http:
        answers = await asyncio.gather(*(http.get("/slow") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    said = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert SLOW_LINES <= said.count("slow_request") <= 2 * SLOW_LINES  # a second may have ended between them


async def test_a_log_line_without_a_token_names_no_user_of_the_request_before(
    http: httpx.AsyncClient, alice: Person, log: io.StringIO
) -> None:
    await Person(http, alice.subject).get("/tasks")
    await http.get("/docs")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    by_route = {line["route"]: line for line in lines if line["event"] == "request"}
    assert len(by_route["/api/{user_id}/tasks"]["user"]) == 12
    assert "user" not in by_route["/docs"]


# -- OpenTelemetry


class Collector(ThreadingHTTPServer):
    """An OTLP collector on loopback."""

    def __init__(self) -> None:
        self.traces: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/traces":
                    collector.traces.append(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Logs nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def spans(self) -> list[Any]:
        exports = [
            ExportTraceServiceRequest.FromString(body.decode("latin-1").encode("latin-1")) for body in self.traces
        ]
        return [span for one in exports for r in one.resource_spans for s in r.scope_spans for span in s.spans]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


async def test_spans_name_the_route_and_no_user(postgres: ConnectOptions, migrated: str, alice: Person) -> None:
    collector = Collector()
    env = {
        "OTEL": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "todo",
    }
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    try:
        with running(postgres.dsn, **env) as server:
            await call(server, alice, parent)
            wait_until(lambda: [span for span in collector.spans() if "tasks" in span.name])
    finally:
        collector.stop()
    (span,) = [span for span in collector.spans() if "tasks" in span.name]
    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
    assert span.name == "GET /api/{user_id}/tasks"
    assert span.trace_id.hex() in parent
    assert attributes["http.route"] == "/api/{user_id}/tasks"
    assert attributes["http.response.status_code"] == 200
    text = str(collector.spans())
    assert alice.subject not in text
    assert "secret" not in text


async def call(server: Server, alice: Person, parent: str) -> None:
    async with server.person(alice.subject) as remote:
        answer = await remote.get("/tasks?search=secret", headers={"traceparent": parent})
        assert answer.status_code == 200


def test_opentelemetry_is_off_by_default_and_names_the_missing_extra(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not create_app(settings)._native_telemetry.enabled()
    monkeypatch.setattr("app.config.rules.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'todo\[otel\]'"):
        Settings(_env_file=None, otel=True)
