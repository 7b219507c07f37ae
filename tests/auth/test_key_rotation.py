"""An issuer rotates its keys while other callers send unknown key names: no valid token is refused as invalid."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.auth.jwks import JwksCache
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.main import create_app
from tests.faults.issuer import ISSUER, KeyRing
from tests.support import assert_problem

pytestmark = pytest.mark.slow

INTERVAL = 0.5  # seconds between two fetches that requests cause
ADDRESS_LIMIT = 100  # requests a minute without a valid token


@pytest.fixture
async def ring(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeyRing]:
    monkeypatch.setenv("NO_PROXY", "*")
    made = KeyRing()
    made.rotate("first")
    await made.appear()
    yield made
    await made.vanish()


@pytest.fixture
async def trusting(app: FastAPI, settings: Settings, ring: KeyRing) -> AsyncIterator[FastAPI]:
    """Starts an application on the shared database that trusts the keys of ``ring``."""
    changes = {"jwks_url": ring.url, "jwt_issuer": ISSUER, "rate_limit_anonymous_per_minute": ADDRESS_LIMIT}
    own = create_app(settings.model_copy(update=changes))
    own.state.database, own.state.auth = app.state.database, app.state.auth
    async with JwksCache(ring.url, min_interval=INTERVAL) as cache:
        own.state.verifier = TokenVerifier(own.state.settings, None, cache)
        yield own


async def ask(app: FastAPI, token: str, address: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get("/api/me/tasks", headers={"Authorization": f"Bearer {token}"})


async def test_no_valid_token_is_refused_while_keys_rotate(trusting: FastAPI, ring: KeyRing) -> None:
    statuses: list[int] = []
    ends = time.monotonic() + 6 * INTERVAL
    began, before = time.monotonic(), len(ring.requests)

    async def send_unknown_keys() -> None:
        number = 0
        while time.monotonic() < ends:
            number += 1
            answer = await ask(trusting, ring.token("flood", f"made-up-{number}"), f"198.51.100.{number % 200}")
            assert answer.status_code in (401, 503)

    async def use_each_new_key() -> None:
        for number in range(8):
            ring.rotate(f"key-{number}")
            token = ring.token("good")
            for _ in range(3):
                statuses.append((answer := await ask(trusting, token, "203.0.113.1")).status_code)
                if answer.status_code == 200:
                    break
                assert_problem(answer, 503, "keys_unavailable")
                assert answer.headers["retry-after"] == "1"
                await asyncio.sleep(INTERVAL)  # as the response requests, in whole seconds
            await asyncio.sleep(0.8 * INTERVAL - 0.2)

    await asyncio.gather(send_unknown_keys(), use_each_new_key())
    assert statuses.count(200) == 8
    assert set(statuses) == {200, 503}
    assert len(ring.requests) - before <= 2 + (time.monotonic() - began) / INTERVAL


async def test_unknown_key_names_count_against_their_ip_address(trusting: FastAPI, ring: KeyRing) -> None:
    assert (await ask(trusting, ring.token("good"), "192.0.2.2")).status_code == 200
    answers = [await ask(trusting, ring.token("x", f"x{n}"), "192.0.2.1") for n in range(ADDRESS_LIMIT + 20)]
    assert {answer.status_code for answer in answers[:ADDRESS_LIMIT]} <= {401, 503}
    assert sum(answer.status_code == 429 for answer in answers) >= 15
    assert (await ask(trusting, ring.token("good"), "192.0.2.1")).status_code == 200
