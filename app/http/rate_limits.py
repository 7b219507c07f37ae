"""How much one subject may ask for, and one address without a token.

The general limits are counted in this process and cost no round trip: each of WEB_CONCURRENCY processes gives its
share, so a client that sits on one connection meets that share, and all processes together never give more than the
setting. The tight ones (``TIGHT``) cost more than a request should, so they are exact: counted where all processes
look (``app.services.rate_limits.postgres``).

Both are GCRA (ITU-T I.371): of a client only one instant is kept, the one at which it has its whole quota again.
Answers say what is left (draft-ietf-httpapi-ratelimit-headers).
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

from app.config import Settings
from app.errors import RateLimited
from app.net.addresses import network_of
from app.services.rate_limits.quota import Counts, Quota

MINUTE, HOUR = 60, 3600  # seconds
# Of each kind. Who is forgotten first has not been seen for longest, and begins with a whole quota: 50,000 addresses
# or subjects take about 10 MB.
REMEMBERED = 50_000
UNLIMITED = frozenset({"/health", "/ready", "/metrics"})  # who watches the service must see it under any load
STATIC = ("/app/", "/docs/")  # files from memory, forty for one page of the web client
HEADERS = "limits"  # in the scope of a request: what its answer says of the limits that it met

Scope = MutableMapping[str, Any]
network = lru_cache(4096)(network_of)


class Limiter:
    """One quota for each of many keys, in this process."""

    def __init__(
        self, quota: Quota, *, remembered: int = REMEMBERED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.quota = quota
        self._step = quota.seconds / quota.amount
        self._remembered = remembered
        self._clock = clock
        self._policy = quota.policy
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, scope: Scope, key: str) -> None:
        """Count a request, and have its answer say so. Raises RateLimited."""
        full_at, now = self._full_at, self._clock()
        left = full_at.get(key, 0.0) - now
        left = (left if left > 0 else 0.0) + self._step
        admitted = left <= self.quota.seconds + 1e-6
        if admitted:
            full_at[key] = now + left
            full_at.move_to_end(key)
            if len(full_at) > self._remembered:
                full_at.popitem(last=False)
        _note(scope, self.quota, self._policy, admitted, left)

    def is_used_up(self, key: str) -> bool:
        """Whether the next one would be refused."""
        return self._full_at.get(key, 0.0) - self._clock() + self._step > self.quota.seconds + 1e-6


def _note(scope: Scope, quota: Quota, policy: bytes, admitted: bool, left: float) -> None:
    """What the answer says: quotas and what is left of them. ``left``: seconds until all is, with this request."""
    remaining = int((quota.seconds - left) * quota.amount / quota.seconds + 1e-6) if admitted else 0
    state = b'"%b";r=%d;t=%d' % (quota.name.encode(), remaining, math.ceil(left))
    if (before := scope.get(HEADERS)) is not None:
        policy, state = before[0][1] + b", " + policy, before[1][1] + b", " + state
    scope[HEADERS] = ((b"ratelimit-policy", policy), (b"ratelimit", state))
    if not admitted:
        raise RateLimited(retry_after=max(1, math.ceil(left - quota.seconds)))


class Limits:
    """Every limit of this process."""

    def __init__(self, settings: Settings) -> None:
        """``counts`` is set at the start: it needs the database."""
        share = settings.web_concurrency
        self.subjects = _limiter("default", settings.rate_limit_per_minute, share)
        self.addresses = _limiter("anonymous", settings.rate_limit_anonymous_per_minute, share)
        self.tight = {
            "chat": Quota("chat", settings.rate_limit_chat_per_minute, MINUTE),
            "import": Quota("import", settings.rate_limit_import_per_hour, HOUR),
        }
        self.counts: Counts | None = None

    def take_subject(self, scope: Scope, subject: str) -> None:
        """Count a request whose token is good. Raises RateLimited."""
        if self.subjects is not None:
            self.subjects.take(scope, subject)

    def take_address(self, scope: Scope) -> None:
        """Count a request without a token, or with one that is not good, once. Raises RateLimited."""
        if self.addresses is None or HEADERS in scope or scope.get("path", "").startswith(STATIC):
            return
        if client := scope.get("client"):
            self.addresses.take(scope, network(client[0]))

    def refuse_busy_address(self, scope: Scope) -> None:
        """Before something is looked up for an address that has nothing left. Raises RateLimited."""
        if self.addresses is not None and (client := scope.get("client")):
            key = network(client[0])
            if self.addresses.is_used_up(key):
                self.addresses.take(scope, key)

    async def take(self, scope: Scope, kind: str, subject: str) -> None:
        """Count one of the costly things, ``kind`` of ``tight``, for all processes. Raises RateLimited."""
        quota = self.tight[kind]
        if quota.amount and self.counts is not None:
            _note(scope, quota, quota.policy, *await self.counts.take(quota, subject))


def _limiter(name: str, per_minute: int, share: int) -> Limiter | None:
    return Limiter(Quota(name, max(1, per_minute // share), MINUTE)) if per_minute else None
