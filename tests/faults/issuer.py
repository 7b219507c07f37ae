"""Faults of the token issuer: a real issuer on the loopback, and a service that fetches its keys."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from tests.auth.test_jwks import Issuer
from tests.faults.play import Fault
from tests.faults.stage import ALWAYS, Stage, dsn, end, started
from tests.ports import free_port
from tests.processes import Service

ISSUER = "https://issuer.test"
UNKNOWN = 300  # tokens that name unknown keys
BETWEEN_FETCHES = 5  # seconds, min_interval of JwksCache


class KeyRing(Issuer):
    """An issuer that signs tokens, publishes its keys, and can become unreachable."""

    def __init__(self) -> None:
        super().__init__()
        self._server: asyncio.Server | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/jwks"
        self._signing: dict[str, Ed25519PrivateKey] = {}

    def rotate(self, kid: str) -> None:
        """Publishes a new key next to the existing ones; from then on it signs."""
        self._signing[kid] = Ed25519PrivateKey.generate()
        self.keys.append({**OKPAlgorithm.to_jwk(self._signing[kid].public_key(), as_dict=True), "kid": kid})

    def token(self, subject: str, kid: str | None = None) -> str:
        """Returns a token signed with the newest key, whatever its ``kid``."""
        newest = list(self._signing)[-1]
        now = int(time.time())
        claims = {"sub": subject, "iss": ISSUER, "aud": ISSUER, "iat": now, "exp": now + 900}
        return jwt.encode(claims, self._signing[newest], "EdDSA", {"kid": kid or newest})

    async def appear(self) -> None:
        self._server = await asyncio.start_server(self.answer, "127.0.0.1", self._port)

    async def vanish(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


@asynccontextmanager
async def trusting(other: Stage, ring: KeyRing) -> AsyncIterator[Stage]:
    """Starts a service on the database of ``other`` that trusts the keys of ``ring``."""
    cwd = other.folder / "trusting"
    cwd.mkdir(exist_ok=True)
    settings: dict[str, Any] = {name: value for name, value in ALWAYS.items() if name != "jwt_secret"}
    settings |= {"database_url": dsn(other.pgdata), "jwks_url": ring.url, "jwt_issuer": ISSUER, "port": free_port()}
    start = partial(Service, cwd, **settings)
    stage = Stage(other.folder, start, start(), other.brief)
    try:
        await started(stage.service)
        yield stage
    finally:
        await asyncio.to_thread(end, stage.service)
        await ring.vanish()


async def ask(stage: Stage, token: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=30) as http:
        return await http.get("/api/me/tasks", headers={"Authorization": f"Bearer {token}"})


def faults(ring: KeyRing) -> tuple[Fault, ...]:
    """Returns the faults in this order: the first needs an issuer that has never been reachable."""

    async def down(stage: Stage) -> float:
        await ring.vanish()
        await asyncio.sleep(1.0 if stage.brief else 5.0)
        assert (await ask(stage, ring.token("late", "unheard-of"))).status_code in (401, 503)
        await ring.appear()
        return time.monotonic()

    async def slow(stage: Stage) -> float:
        ring.delay = 3.0
        await _after_the_last_fetch()
        began = time.monotonic()
        answer = await ask(stage, ring.token("slow", "unheard-of"))
        assert time.monotonic() - began < 6
        if answer.status_code == 503:  # the running fetch had started before the token came
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await ask(stage, ring.token("slow", "unheard-of"))
        assert answer.status_code == 401
        ring.delay = 0.0
        return time.monotonic()

    async def rotated(stage: Stage) -> float:
        await _after_the_last_fetch()  # else the new key is 503 until then, as `flooded` wants it
        ring.rotate(f"key-{len(ring.keys)}")
        answer = await ask(stage, ring.token("rotated"))
        assert answer.status_code == 200, answer.text
        return time.monotonic()

    async def flooded(stage: Stage) -> float:
        before, began = len(ring.requests), time.monotonic()
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=30) as http:
            for number in range(UNKNOWN):
                headers = {"Authorization": f"Bearer {ring.token('flood', f'unheard-of-{number}')}"}
                assert (await http.get("/api/me/tasks", headers=headers)).status_code in (401, 503, 429)
        most = 2 + (time.monotonic() - began) / BETWEEN_FETCHES
        assert len(ring.requests) - before <= most, "each of them was worth a request to the issuer"
        return time.monotonic()

    return (
        Fault("JWKS down", down, token=ring.token),
        Fault("JWKS takes 3 s", slow, token=ring.token),
        Fault("JWKS rotated", rotated, token=ring.token),
        Fault(f"{UNKNOWN} tokens with unknown kids", flooded, token=ring.token),
    )


async def _after_the_last_fetch() -> None:
    """Waits until an unknown kid may cause a fetch again."""
    await asyncio.sleep(BETWEEN_FETCHES + 0.1)
