"""`/ready` is accurate, and cheap at any request rate."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.db.migrations import head_revision
from app.errors import SchemaMismatch, Unavailable
from app.models.accounts import known_time_zones
from app.services.operations import readiness
from app.services.operations.readiness import Readiness
from tests.support import Person, assert_problem


class SlowDatabase:
    """A database that counts its transactions, responds after a moment, and fails on request."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    def transaction(self, owner: str, *, read_only: bool) -> Any:
        return self

    async def __aenter__(self) -> Any:
        self.asked += 1
        await asyncio.sleep(0.02)
        if self.failure:
            raise self.failure
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def exec(self, statement: Any) -> Any:
        return self

    def first(self) -> str:
        return head_revision()


@pytest.fixture
def database() -> Any:
    return SlowDatabase()


async def test_many_readiness_checks_query_the_database_once(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = Readiness(database)
    await asyncio.gather(*(ready.check() for _ in range(200)))
    await ready.check()
    assert database.asked == 1
    monkeypatch.setattr(readiness, "RESULT_LIFE", 0.0)
    await ready.check()
    assert database.asked == 2


async def test_a_readiness_failure_reaches_all_waiters_and_is_cached_as_briefly_as_a_success(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, database.failure = Readiness(database), Unavailable(retry_after=1)
    told = await asyncio.gather(*(ready.check() for _ in range(20)), return_exceptions=True)
    assert {type(fact) for fact in told} == {Unavailable}
    assert database.asked == 1
    monkeypatch.setattr(readiness, "RESULT_LIFE", 0.0)
    database.failure = None
    await ready.check()


async def test_a_cancelled_readiness_check_does_not_cancel_the_others(database: Any) -> None:
    ready = Readiness(database)
    first, second = (asyncio.create_task(ready.check()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert database.asked == 1


async def test_readiness_fails_when_the_schema_revision_differs(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "RESULT_LIFE", 0.0)
    assert (await client.get("/ready")).json() == {"status": "ready"}
    with monkeypatch.context() as patched:
        patched.setattr(readiness, "head_revision", lambda: "9999")
        assert_problem(await client.get("/ready"), 503, SchemaMismatch.code)
    assert (await client.get("/ready")).status_code == 200


async def test_no_request_reads_the_names_of_time_zones(
    app: FastAPI, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes 16 to 48 ms on the event loop."""
    assert known_time_zones.cache_info().currsize == 1
    monkeypatch.setattr("app.models.accounts.available_timezones", lambda: pytest.fail("read again"))
    assert (await alice.patch("/settings", {"timezone": "Asia/Tokyo"})).status_code == 200
    assert (await alice.patch("/settings", {"timezone": "Mars/Base"})).status_code == 422


def test_the_libraries_of_webhooks_are_imported_in_a_thread() -> None:
    """They take 0.2 s on the event loop."""
    program = """if True:
        import asyncio, sys, threading
        from app.net import outbound
        threads = []
        load = outbound.import_module
        outbound.import_module = lambda name: threads.append(threading.current_thread()) or load(name)
        assert not {"httpx", "httpcore"} & set(sys.modules)
        asyncio.run(outbound.load_http_libraries())
        assert {"httpx", "httpcore"} <= set(sys.modules)
        assert threads and threading.main_thread() not in threads
    """
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
