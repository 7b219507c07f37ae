"""The issuer's public keys: fetched in the background, so that a request with a known key never waits.

A JWKS (RFC 7517) is trusted for its keys only (``app.auth.published_keys``).
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from app.auth.published_keys import KeySet, PublishedKey, parse_keys
from app.config import Settings
from app.errors import KeysUnavailable, RefusalReason

log = logging.getLogger(__name__)

MAX_BODY = 256 * 1024


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
        self.key_set = KeySet([], [])
        self.failure: str | None = None  # of the latest fetch
        self._named: dict[str, PublishedKey] = {}
        self._fetched_at = self._tried_at = -math.inf
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

    async def find(self, kid: str | None) -> PublishedKey | None:
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
        if key is None and (self.failure is not None or self._begun == begun):
            wait = self._min_interval - (self._clock() - self._tried_at)
            raise KeysUnavailable(retry_after=max(1, math.ceil(wait)), reason=RefusalReason.KEYS_UNAVAILABLE)
        return key

    async def refresh(self) -> None:
        """Fetches the keys now, or waits for the fetch in progress. Failures are logged, never raised."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(), name="jwks-fetch")
        # A caller that is cancelled must not cancel the fetch of the others.
        await asyncio.shield(self._flight)

    def _lookup(self, kid: str | None) -> PublishedKey | None:
        if self._clock() - self._fetched_at > self._stale_for:
            return None
        if kid is not None:
            return self._named.get(kid)
        return self.key_set.keys[0] if len(self.key_set.keys) == 1 else None

    async def _keep_fresh(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(self._retry_every if self.failure is not None else self._refresh_every)

    async def _fetch(self) -> None:
        self._begun += 1
        try:
            async with asyncio.timeout(self._timeout):
                key_set = parse_keys(await self._download())
        except Exception as error:
            # Whatever the issuer responds, the known keys stay in use until the next attempt.
            self.failure = f"{type(error).__name__}: {error}"
            log.warning("jwks_unavailable", extra={"url": self._url, "reason": self.failure})
        else:
            self.failure = None
            self._take(key_set)
            self._fetched_at = self._clock()
        finally:
            self._tried_at = self._clock()
            self._flight = None

    def _take(self, key_set: KeySet) -> None:
        """Uses these keys from now on, and names those that are new, gone or not usable."""
        if key_set != self.key_set or self._fetched_at == -math.inf:
            level = logging.WARNING if key_set.unusable or not key_set.keys else logging.INFO
            log.log(level, "jwks_keys", extra=key_set.summary())
        self.key_set = key_set
        # The first of a name wins.
        self._named = {key.kid: key for key in reversed(key_set.keys) if key.kid is not None}

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
