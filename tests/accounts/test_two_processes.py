"""Two server processes on one database, over real sockets, as deployed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.config import Settings
from app.services.accounts.login_throttle import FREE_PER_PAIR
from tests.accounts.support import Visitor
from tests.ports import free_port
from tests.support import SECRET

pytestmark = pytest.mark.slow


def serve(port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        env=kept | environment | {"PORT": str(port), "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
async def urls(app: Any, settings: Settings) -> AsyncIterator[list[str]]:
    """Starts two processes that trust a proxy on this machine and sign with EdDSA."""
    assert settings.database_url is not None
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    environment = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "JWT_SECRET": SECRET,
        "TOKEN_ALGORITHM": "EdDSA",
        "JWT_PRIVATE_KEY": key.decode().replace("\n", "\\n"),
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "ACCESS_TTL": "60",
        "POOL_SIZE": "3",
    }
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        for port in ports:
            process = serve(port, environment)
            stack.callback(process.wait, 15)
            stack.callback(process.terminate)
        found = [f"http://127.0.0.1:{port}" for port in ports]
        async with httpx.AsyncClient() as http:
            for url in found:
                with anyio.fail_after(20):
                    while not await answers(http, url):  # noqa: ASYNC110 - of another process
                        await anyio.sleep(0.1)
        yield found


async def answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_each_process_refuses_sessions_ended_by_the_other(urls: list[str]) -> None:
    async with httpx.AsyncClient(base_url=urls[0]) as here, httpx.AsyncClient(base_url=urls[1]) as there:
        laptop = await Visitor(here).register()
        phone = await laptop.another_device(there)
        assert await phone.is_in()
        sessions = (await phone.get("/api/auth/sessions")).json()
        (laptops,) = [found["id"] for found in sessions if not found["current"]]
        assert (await phone.call("DELETE", f"/api/auth/sessions/{laptops}")).status_code == 204
        started = time.monotonic()
        while await laptop.is_in():
            assert time.monotonic() - started < 5
            await anyio.sleep(0.1)
        assert await phone.is_in()


async def test_tokens_can_be_verified_with_the_published_key(urls: list[str]) -> None:
    async with httpx.AsyncClient(base_url=urls[0]) as here, httpx.AsyncClient(base_url=urls[1]) as there:
        visitor = await Visitor(here).register()
        keys = jwt.PyJWKSet.from_dict((await there.get("/.well-known/jwks.json")).json())
        claims = jwt.decode(visitor.access, keys.keys[0], ["EdDSA"], audience="urn:todo")
        assert claims["sub"] == visitor.id


async def test_one_of_50_concurrent_refreshes_over_sockets_succeeds(urls: list[str]) -> None:
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    async with httpx.AsyncClient(base_url=urls[0], limits=limits, timeout=20) as http:
        visitor = await Visitor(http).register()
        found = await asyncio.gather(*(visitor.refresh() for _ in range(50)))
        assert sorted(answer.status_code for answer in found) == [200] + [409] * 49


async def test_the_ip_address_is_that_reported_by_a_trusted_proxy(urls: list[str], sql: Any) -> None:
    async with httpx.AsyncClient(base_url=urls[0]) as http:
        visitor = Visitor(http)
        http.headers["X-Forwarded-For"] = "203.0.113.5"
        await visitor.register()
        (session,) = (await visitor.get("/api/auth/sessions")).json()
        assert session["address"] == "203.0.113.5"
        http.headers["X-Forwarded-For"] = "198.51.100.1"
        codes = [(await visitor.login(password="a wrong guess")).status_code for _ in range(FREE_PER_PAIR + 1)]
        assert codes[-1] == 429
        http.headers["X-Forwarded-For"] = "6.6.6.6, 203.0.113.5"  # the claims of a client are on the left
        assert (await visitor.login()).status_code == 200


async def test_forwarded_addresses_are_ignored_without_a_trusted_proxy(client: httpx.AsyncClient) -> None:
    visitor = Visitor(client)
    client.headers["X-Forwarded-For"] = "203.0.113.5"
    try:
        await visitor.register()
        assert (await visitor.get("/api/auth/sessions")).json()[0]["address"] == "127.0.0.1"
    finally:
        del client.headers["X-Forwarded-For"]
