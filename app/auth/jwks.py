"""The issuer's public keys: fetched in the background, so that a request with a known key never waits.

A JWKS (RFC 7517) is trusted for its keys only: the algorithm follows from the type of the key, and keys that could be
used to forge a token (symmetric or published private keys) are dropped.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from app.config import Settings
from app.errors import KeysUnavailable

log = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
MAX_KEYS = 100
RSA_BITS = range(2048, 8192 + 1)  # RFC 7518, 3.3 asks for 2048; far beyond 8192 a verification is slow

# RFC 8725, 3.1: each key serves exactly one algorithm, and the key decides which.
_KEY_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", None): "RS256"}
_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")


class JwksCache:
    """The keys of one issuer. Use as an async context manager; entering it never waits for the issuer."""

    def __init__(
        self,
        url: str,
        *,
        refresh_every: float = 600,
        retry_every: float = 15,
        min_interval: float = 5,
        stale_for: float = 86_400,
        timeout: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes all durations in seconds.

        ``min_interval`` lies between the end of one fetch and another one caused by a request; ``stale_for`` is how
        long keys stay in use while the issuer does not respond; ``timeout`` is for one whole fetch.
        """
        self._url = url
        self._refresh_every, self._retry_every = refresh_every, retry_every
        self._min_interval, self._stale_for, self._timeout = min_interval, stale_for, timeout
        self._clock = clock
        self._keys: list[PyJWK] = []
        self._named: dict[str, PyJWK] = {}
        self._fetched_at = self._tried_at = -math.inf
        self._failed = False
        self._begun = 0  # fetches
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        import httpx  # only with such an issuer: see ``app.net.outbound``

        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=timeout,
            # Fetches are ten minutes apart: a kept connection would mostly be dead.
            limits=httpx.Limits(max_keepalive_connections=0),
            # Uncompressed, so that MAX_BODY bounds memory, not only transfer.
            headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Returns the cache for JWKS_URL or BETTER_AUTH_URL; None if neither is set."""
        if settings.jwks_url:
            return cls(settings.jwks_url)
        if settings.better_auth_url:
            return cls(settings.better_auth_url.rstrip("/") + "/api/auth/jwks")
        return None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_fresh(), name="jwks")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the background refresh and closes the connection."""
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def find(self, kid: str | None) -> PyJWK | None:
        """Returns the key named ``kid``, or for None the only key of the set; None if there is no such key.

        An unknown key may be new (Better Auth publishes it together with its first token), so it causes a fetch, at
        most one per ``min_interval`` for any number of tokens. Raises KeysUnavailable unless a fetch that began after
        the token had arrived did not have the key: until then it is unknown whether the key exists.
        """
        key = self._lookup(kid)
        if key is not None:
            return key
        begun = self._begun
        if self._flight is not None or self._clock() - self._tried_at >= self._min_interval:
            await self.refresh()
            key = self._lookup(kid)
        if key is None and (self._failed or self._begun == begun):
            wait = self._min_interval - (self._clock() - self._tried_at)
            raise KeysUnavailable(retry_after=max(1, math.ceil(wait)))
        return key

    async def refresh(self) -> None:
        """Fetches the keys now, or waits for the fetch in progress. Failures are logged, never raised."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(), name="jwks-fetch")
        # A caller that is cancelled must not cancel the fetch of the others.
        await asyncio.shield(self._flight)

    def _lookup(self, kid: str | None) -> PyJWK | None:
        if self._clock() - self._fetched_at > self._stale_for:
            return None
        if kid is not None:
            return self._named.get(kid)
        return self._keys[0] if len(self._keys) == 1 else None

    async def _keep_fresh(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(self._retry_every if self._failed else self._refresh_every)

    async def _fetch(self) -> None:
        self._begun += 1
        try:
            async with asyncio.timeout(self._timeout):
                keys = parse_keys(await self._download())
        except Exception as error:
            # Whatever the issuer responds, the known keys stay in use until the next attempt.
            self._failed = True
            reason = f"{type(error).__name__}: {error}"
            log.warning("jwks_unavailable", extra={"url": self._url, "reason": reason})
        else:
            self._failed = False
            self._fetched_at = self._clock()
            self._keys = [key for _, key in keys]
            self._named = {kid: key for kid, key in reversed(keys) if kid is not None}  # the first of a name wins
        finally:
            self._tried_at = self._clock()
            self._flight = None

    async def _download(self) -> bytes:
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY:
                    raise ValueError(f"more than {MAX_BODY} bytes")
            return bytes(body)


def parse_keys(body: bytes) -> list[tuple[str | None, PyJWK]]:
    """Returns the usable keys of a JWK set with their names, in its order. Raises ValueError if it is no JWK set.

    An empty set is valid: a new issuer has no key yet, and a compromised one may have revoked all.
    """
    try:
        document = json.loads(body.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")
    if len(entries) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    keys = [
        (entry.get("kid"), key)
        for entry in entries
        if isinstance(entry, dict) and (key := _public_key(entry)) is not None
    ]
    if len(keys) < len(entries):
        log.debug("jwks_keys_dropped", extra={"usable": len(keys), "published": len(entries)})
    return keys


def _public_key(entry: dict[str, Any]) -> PyJWK | None:
    """Returns the key, bound to the one algorithm of its type; None if it cannot verify signatures here."""
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if not isinstance(entry.get("kid", ""), str):
        return None
    if "d" in entry:  # a published private key: anyone could have signed
        return None
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    if not all(isinstance(value, str) for value in public.values()):
        return None
    algorithm = _KEY_ALGORITHMS.get((public.get("kty"), public.get("crv")))  # type: ignore[arg-type]  # None is a miss
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    with suppress(PyJWTError, ValueError):
        key = PyJWK(public, algorithm)
        if not isinstance(key.key, RSAPublicKey) or key.key.key_size in RSA_BITS:
            return key
    return None
