"""Rate limits in one process and in all processes, and their response headers."""

import asyncio
import shutil
import subprocess
import time
import timeit
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.errors import RateLimited
from app.http.dependencies import Subject, limited
from app.http.rate_limits import Limiter, Limits
from app.http.routing import DirectRoute
from app.main import create_app
from app.services.rate_limits.postgres import PRUNE_RATE_LIMITS, FallbackCounter, consume
from app.services.rate_limits.quota import Quota
from app.services.rate_limits.redis import RedisCounter, RedisUnavailable
from tests.accounts.support import Visitor
from tests.ports import free_port
from tests.processes import wait_until
from tests.support import Person, assert_problem, make_token

WORKING = Quota("chat", 10, 60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def headers(scope: dict[str, Any]) -> list[str]:
    return [value.decode() for _, value in scope["limits"]]


def test_a_quota_can_be_used_at_once_and_refills_gradually() -> None:
    clock = Clock()
    scope: dict[str, Any] = {}
    limiter = Limiter(Quota("default", 6, 60), clock=clock)
    for left in (5, 4, 3, 2, 1, 0):
        limiter.consume(scope := {}, "alice")
        assert headers(scope) == ['"default";q=6;w=60', f'"default";r={left};t={(6 - left) * 10}']
    with pytest.raises(RateLimited) as refused:
        limiter.consume(scope := {}, "alice")
    assert refused.value.retry_after == 10
    assert headers(scope)[1].startswith('"default";r=0;')
    limiter.consume({}, "bob")
    clock.now += 9.9
    assert limiter.is_used_up("alice")
    clock.now += 0.1
    assert not limiter.is_used_up("alice")
    limiter.consume({}, "alice")
    with pytest.raises(RateLimited):  # what was refused did not count
        limiter.consume({}, "alice")
    clock.now += 600
    limiter.consume(scope := {}, "alice")
    assert headers(scope)[1] == '"default";r=5;t=10'


def test_the_limiter_remembers_a_bounded_number_of_latest_callers() -> None:
    limiter = Limiter(Quota("default", 1, 60), remembered=100)
    for number in range(1000):
        limiter.consume({}, str(number))
        limiter.is_used_up("0")
    assert len(limiter._full_at) == 100
    assert limiter.is_used_up("999")
    assert not limiter.is_used_up("899")


def test_each_process_grants_its_share_and_zero_disables_a_limit() -> None:
    limits = Limits(Settings(_env_file=None, web_concurrency=4, rate_limit_anonymous_per_minute=0))
    assert limits.subjects is not None
    assert limits.subjects.quota == ("default", 300, 60)
    limits.consume_address(scope := {"client": ("192.0.2.1", 1)})
    assert "limits" not in scope


def test_an_ipv6_network_counts_as_one_address() -> None:
    limits = Limits(Settings(_env_file=None, rate_limit_anonymous_per_minute=1))
    limits.consume_address({"client": ("2001:db8::1", 1)})
    with pytest.raises(RateLimited):
        limits.consume_address({"client": ("2001:db8::2", 1)})
    limits.consume_address({"client": ("2001:db8:0:1::1", 1)})
    limits.consume_address({"client": None})  # a socket of this machine has none


def test_counting_costs_less_than_5_microseconds() -> None:
    limiter = Limiter(Quota("default", 10**9, 60))
    for number in range(50_000):
        limiter.consume({}, str(number))
    seconds = min(timeit.repeat(lambda: limiter.consume({}, "25000"), number=2000, repeat=20))
    assert seconds / 2000 < 5e-6


# -- over HTTP


def router() -> APIRouter:
    """Returns a router with a limited route, like chat and import."""
    routes = APIRouter(prefix="/api/limited", route_class=DirectRoute, dependencies=[Depends(limited("import"))])

    @routes.post("")
    async def costly_things(owner: Subject, before: Annotated[None, Depends(limited("chat"))]) -> Response:
        return Response(status_code=204)

    return routes


@pytest.fixture
async def strict(settings: Settings) -> AsyncIterator[FastAPI]:
    """Starts an application with low limits."""
    small = {
        "rate_limit_per_minute": 8,
        "rate_limit_anonymous_per_minute": 5,
        "rate_limit_chat_per_minute": 4,
        "rate_limit_import_per_hour": 2,
        "rate_limit_export_per_hour": 3,
    }
    application = create_app(settings.model_copy(update=small))
    application.router.routes.extend(router().routes)
    for route in application.router.routes:
        if getattr(route, "path", "") == "/api/limited":
            application.router.middleware_stack._add(route)  # type: ignore[attr-defined]
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def http(strict: FastAPI, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Stops the clock of the general limits: on a busy machine they would refill between the requests."""
    for limiter in (strict.state.limits.subjects, strict.state.limits.addresses):
        monkeypatch.setattr(limiter, "_clock", lambda: 1e9)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(strict), base_url="http://test") as opened:
        yield opened


def assert_limited(answer: httpx.Response, name: str) -> None:
    assert_problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 3600
    assert f'"{name}";r=0;' in answer.headers["ratelimit"]
    assert f'"{name}";q=' in answer.headers["ratelimit-policy"]


async def test_a_user_has_one_quota_for_all_routes(http: httpx.AsyncClient, alice: Person, bob: Person) -> None:
    alice, bob = Person(http, alice.subject), Person(http, bob.subject)
    paths = ["/tasks", "/tasks/1", "/tasks?limit=0", "/api/somebody-else/tasks", "/api/auth/me", "/tasks", "/changes"]
    seen = [await alice.get(path) for path in paths]
    assert [answer.status_code for answer in seen] == [200, 404, 422, 403, 404, 200, 200]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in seen] == [f"r={left}" for left in range(7, 0, -1)]
    assert {answer.headers["ratelimit-policy"] for answer in seen} == {'"default";q=8;w=60'}
    await alice.add()
    assert_limited(await alice.get("/tasks"), "default")
    assert_limited(await alice.get("/events"), "default")
    assert_limited(await alice.post("/tasks", {"title": "x"}), "default")
    assert (await bob.get("/tasks")).status_code == 200
    assert (await http.get("/docs")).status_code == 200


async def test_a_batch_counts_by_its_operations(http: httpx.AsyncClient, alice: Person, bob: Person) -> None:
    alice, bob = Person(http, alice.subject), Person(http, bob.subject)

    async def send(person: Person, operations: int) -> httpx.Response:
        create = {"operation": "create_task", "arguments": {"title": "x"}}
        return await person.post("/batch", {"operations": [create] * operations})

    for operations, left in ((1, 7), (10, 6), (11, 4), (20, 2)):
        answer = await send(alice, operations)
        assert answer.status_code == 200
        assert answer.headers["ratelimit"] == f'"default";r={left};t={round((8 - left) * 7.5)}'
        assert answer.headers["ratelimit-policy"] == '"default";q=8;w=60'
    assert_limited(await send(alice, 21), "default")
    assert len(await alice.titles()) == 42
    assert (await send(bob, 500)).headers["ratelimit"] == '"default";r=0;t=60'
    assert_limited(await send(bob, 1), "default")


async def test_requests_without_a_valid_token_count_for_the_ip_address(http: httpx.AsyncClient, alice: Person) -> None:
    alice = Person(http, alice.subject)
    forged = {"Authorization": f"Bearer {make_token(alice.subject, secret='x' * 40)}"}
    expected = [
        (await http.get("/api/me/tasks"), 401),
        (await http.get("/api/me/tasks", headers=forged), 401),
        (await http.get("/nowhere", headers=forged), 404),
        (await http.post("/api/auth/login", json={}, headers=alice.headers), 422),
        (await http.get("/openapi.json"), 200),
    ]
    assert [answer.status_code for answer, _ in expected] == [status for _, status in expected]
    assert [answer.headers["ratelimit"].split(";")[1] for answer, _ in expected] == ["r=4", "r=3", "r=2", "r=1", "r=0"]
    for path in ("/api/me/tasks", "/nowhere", "/docs", "/api/auth/me", "/.well-known/jwks.json"):
        assert_limited(await http.get(path, headers=forged), "anonymous")
    assert_limited(await http.post("/api/auth/register", json={}), "anonymous")
    assert_limited(await http.post("/api/auth/logout", headers=alice.headers), "anonymous")
    for _ in range(20):
        for path in ("/health", "/ready"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers
    assert (await alice.get("/tasks")).status_code == 200  # a valid token is not limited with its network


async def test_exports_of_tasks_and_of_the_account_share_a_quota(http: httpx.AsyncClient) -> None:
    ann = await Visitor(http).register()
    for path in ("/api/me/export", "/api/auth/me/export", "/api/me/export?format=csv"):
        assert (await ann.get(path)).status_code == 200
    for path in ("/api/me/export", "/api/auth/me/export"):
        assert_limited(await ann.get(path), "export")
    assert (await ann.get("/api/me/tasks")).status_code == 200


async def test_guessed_api_tokens_are_not_looked_up_beyond_the_quota(
    http: httpx.AsyncClient, strict: FastAPI, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = Person(http, alice.subject)
    token = (await alice.post("/api/auth/tokens", {"name": "script", "scope": "read"})).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/api/me/tasks", headers=bearer)).status_code == 200
    looked_up: list[Any] = []
    find = strict.state.auth.revocations._find

    async def counted(*args: Any) -> Any:
        looked_up.append(args)
        return await find(*args)

    monkeypatch.setattr(strict.state.auth.revocations, "_find", counted)
    assert (await alice.delete(f"/api/auth/tokens/{(await alice.get('/api/auth/tokens')).json()[0]['id']}")).is_success
    answers = [await http.get("/api/me/tasks", headers=bearer) for _ in range(9)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 4
    assert len(looked_up) == 5


async def test_expensive_routes_have_a_quota_of_their_own(http: httpx.AsyncClient, alice: Person, bob: Person) -> None:
    alice, bob = Person(http, alice.subject), Person(http, bob.subject)
    first = await alice.post("/api/limited")
    assert first.status_code == 204
    assert first.headers["ratelimit-policy"] == '"default";q=8;w=60, "import";q=2;w=3600, "chat";q=4;w=60'
    assert first.headers["ratelimit"] == '"default";r=7;t=8, "import";r=1;t=1800, "chat";r=3;t=15'
    assert (await alice.post("/api/limited")).status_code == 204
    refused = await alice.post("/api/limited")
    assert_limited(refused, "import")
    assert 1790 <= int(refused.headers["retry-after"]) <= 1800
    assert (await bob.post("/api/limited")).status_code == 204
    assert_problem(await http.post("/api/limited"), 401, "token_missing")


async def test_imports_have_a_quota_and_a_refused_one_imports_nothing(http: httpx.AsyncClient, alice: Person) -> None:
    alice = Person(http, alice.subject)

    async def send(title: str, query: str = "") -> httpx.Response:
        headers = {"Content-Type": "text/csv"}
        return await alice.call("POST", f"/import{query}", content=f"title\r\n{title}\r\n", headers=headers)

    tried = await send("a", "?dry_run=true")
    assert (tried.status_code, tried.json()["created"]["tasks"]) == (200, 1)
    assert '"import";r=1;' in tried.headers["ratelimit"]
    assert (await send("b")).status_code == 200
    refused = await send("c")
    assert_limited(refused, "import")
    assert 1790 <= int(refused.headers["retry-after"]) <= 1800
    assert await alice.titles() == ["b"]


async def test_mcp_requests_count_for_the_quota_of_their_user(http: httpx.AsyncClient, alice: Person) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    local = {"Host": "localhost", "Accept": "application/json, text/event-stream"}
    good = await http.post("/mcp", json=ping, headers=alice.headers | local)
    assert good.status_code == 200, good.text
    assert good.headers["ratelimit"].startswith('"default";r=7;')
    assert "anonymous" not in good.headers["ratelimit"]
    none = await http.post("/mcp", json=ping, headers=local)
    assert none.status_code == 401
    assert none.headers["ratelimit"].startswith('"anonymous";r=4;')
    for _ in range(7):
        await http.post("/mcp", json=ping, headers=alice.headers | local)
    assert_limited(await http.post("/mcp", json=ping, headers=alice.headers | local), "default")


async def test_cors_exposes_the_rate_limit_headers(http: httpx.AsyncClient, alice: Person) -> None:
    origin = {"Origin": "http://localhost:3000"}
    alice = Person(http, alice.subject)
    exposed = (await alice.get("/tasks", headers=origin)).headers["access-control-expose-headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed.split(", "))


def test_the_document_describes_the_limit_of_every_limited_operation(app: FastAPI) -> None:
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            limited_here = path not in {"/health", "/ready"}
            assert ("429" in operation["responses"]) is limited_here, (method, path)
            for status, response in operation["responses"].items():
                if status < "400":
                    assert ("RateLimit" in response["headers"]) is limited_here, (method, path)


# -- exact, in all processes


async def test_concurrent_processes_admit_exactly_the_quota(
    app: FastAPI, postgres: ConnectOptions, alice: Person
) -> None:
    processes = [await Database(postgres, size=5, timeout=20).open() for _ in range(3)]
    outcomes = await asyncio.gather(*(consume(processes[n % 3], WORKING, alice.subject) for n in range(45)))
    admitted = [left for granted, left in outcomes if granted]
    assert len(admitted) == 10
    assert max(admitted) <= 60
    assert all(60 < left <= 66.1 for granted, left in outcomes if not granted)
    assert (await consume(processes[0], Quota("other", 10, 60), alice.subject))[1] == pytest.approx(6, abs=0.1)
    for database in processes:
        await database.close()


async def test_expired_counters_are_removed(app: FastAPI, sql: Any, alice: Person) -> None:
    quick = Quota("quick", 20, 1)
    assert (await consume(app.state.database, quick, alice.subject))[1] == pytest.approx(0.05, abs=0.01)
    before = await sql.fetchval("select count(*) from rate_limits where full_at < now() + interval '1 second'")
    assert before >= 1
    await asyncio.sleep(0.2)
    async with app.state.database.auth_transaction() as session:
        await session.exec(PRUNE_RATE_LIMITS)
    assert await sql.fetchval("select count(*) from rate_limits where full_at < now() - interval '0.1 s'") == 0


async def test_the_rate_limit_table_is_unlogged_and_names_no_user(app: FastAPI, sql: Any, alice: Person) -> None:
    await consume(app.state.database, WORKING, alice.subject)
    assert await sql.fetchval("select relpersistence from pg_class where relname = 'rate_limits'") == b"u"
    assert alice.subject not in str(await sql.fetch("select * from rate_limits"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute("begin; set local role todo_user; select * from rate_limits")


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path("/tmp")) as process:
        try:
            time.sleep(0.2)
            wait_until(lambda: process.poll() is None)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


async def test_redis_admits_exactly_the_quota(redis_url: str, alice: Person) -> None:
    clients = [RedisCounter(redis_url) for _ in range(3)]
    deadline = time.monotonic() + 10
    while True:
        try:
            await clients[0].consume(Quota("start", 1, 1), alice.subject)
            break
        except RedisUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*(clients[n % 3].consume(WORKING, alice.subject) for n in range(45)))
    assert sum(granted for granted, _ in outcomes) == 10
    assert all(60 < left <= 66.1 for granted, left in outcomes if not granted)
    assert (await clients[0].consume(WORKING, "bob"))[0]
    for client in clients:
        await client.aclose()


async def test_the_database_counts_while_redis_is_unavailable(app: FastAPI, alice: Person) -> None:
    redis = RedisCounter(f"redis://127.0.0.1:{free_port()}/0")
    counts = FallbackCounter(app.state.database, redis)
    outcomes = [await counts.consume(Quota("few", 3, 60), alice.subject) for _ in range(5)]
    assert [granted for granted, _ in outcomes] == [True] * 3 + [False] * 2
    await redis.aclose()


def test_an_invalid_redis_url_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with redis://"):
        Settings(_env_file=None, rate_limit_url="http://127.0.0.1")
