"""Rate limits by subject, and by IP address for requests without a valid token.

The general limits are counted in this process and cost no round trip. Each of WEB_CONCURRENCY processes allows its
share of the setting: a client on one connection gets that share, and all processes together allow no more than the
setting. The limits of costly requests (``shared_quotas``) are exact: counted in PostgreSQL or Redis, for all processes
(``app.services.rate_limits``).

Both use GCRA (ITU-T I.371), which keeps one instant for each client: when its whole quota is available again.
Responses carry what is left (draft-ietf-httpapi-ratelimit-headers).
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
from app.services.rate_limits.quota import Quota, SharedCounter

MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
# Keys for each limit; 50,000 take about 10 MB. The least recently used key is dropped first, and regains a whole quota.
REMEMBERED_KEYS = 50_000
# Within a batch an operation costs a quarter of a request or less. A client that was offline must not meet a 429: with
# the default quota it may send 11,750 at once.
OPERATIONS_PER_REQUEST = 10
UNLIMITED_PATHS = frozenset({"/health", "/ready", "/metrics"})  # monitoring must work under any load
QUOTA_SETTINGS = {
    "default": "RATE_LIMIT_PER_MINUTE",
    "anonymous": "RATE_LIMIT_ANONYMOUS_PER_MINUTE",
    "caldav": "RATE_LIMIT_CALDAV_PER_MINUTE",
    "chat": "RATE_LIMIT_CHAT_PER_MINUTE",
    "import": "RATE_LIMIT_IMPORT_PER_HOUR",
    "export": "RATE_LIMIT_EXPORT_PER_HOUR",
}
LIMIT_HEADERS_KEY = "limits"  # in the scope of a request: the RateLimit headers of its response
COUNTED_OPERATIONS_KEY = "counted_operations"

RequestScope = MutableMapping[str, Any]
cached_network_of = lru_cache(4096)(network_of)


class Limiter:
    """One quota for each of many keys, in this process."""

    def __init__(
        self, quota: Quota, *, remembered: int = REMEMBERED_KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.quota = quota
        self._step = quota.seconds / quota.amount
        self._remembered = remembered
        self._clock = clock
        self._policy = quota.policy
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def consume(self, scope: RequestScope, key: str, requests: int = 1) -> None:
        """Counts a request, or several, and records the quota for the response. Raises RateLimited."""
        full_at, now = self._full_at, self._clock()
        left = full_at.get(key, 0.0) - now
        left = (left if left > 0 else 0.0) + self._step * requests
        admitted = left <= self.quota.seconds + 1e-6
        if admitted:
            full_at[key] = now + left
            full_at.move_to_end(key)
            if len(full_at) > self._remembered:
                full_at.popitem(last=False)
        _record_quota(scope, self.quota, self._policy, admitted, left)

    def is_used_up(self, key: str) -> bool:
        """Returns whether the next request would be refused."""
        return self._full_at.get(key, 0.0) - self._clock() + self._step > self.quota.seconds + 1e-6


def _record_quota(scope: RequestScope, quota: Quota, policy: bytes, admitted: bool, left: float) -> None:
    """Records the quota and what remains of it for the response. Raises RateLimited unless ``admitted``.

    ``left`` is the seconds until the whole quota is available again, this request included.
    """
    remaining = int((quota.seconds - left) * quota.amount / quota.seconds + 1e-6) if admitted else 0
    state = b'"%b";r=%d;t=%d' % (quota.name.encode(), remaining, math.ceil(left))
    if (before := scope.get(LIMIT_HEADERS_KEY)) is not None:
        policy, state = before[0][1] + b", " + policy, before[1][1] + b", " + state
    scope[LIMIT_HEADERS_KEY] = ((b"ratelimit-policy", policy), (b"ratelimit", state))
    if not admitted:
        wait, details = max(1, math.ceil(left - quota.seconds)), {"setting": QUOTA_SETTINGS.get(quota.name)}
        raise RateLimited(retry_after=wait, reason=f"rate_limited_{quota.name}", details=details)


class Limits:
    """Every limit of this process."""

    def __init__(self, settings: Settings) -> None:
        """Builds the limits. The lifespan sets ``counts``, which needs the database."""
        share = settings.web_concurrency
        self.subjects = _limiter("default", settings.rate_limit_per_minute, share)
        # The first sync of a calendar app is a request for each task, and must not stop the user's other clients.
        self.calendars = _limiter("caldav", settings.rate_limit_caldav_per_minute, share)
        self.addresses = _limiter("anonymous", settings.rate_limit_anonymous_per_minute, share)
        # Wrong tokens of /metrics have a quota of their own: other callers of that address must not stop monitoring.
        self.guesses = _limiter("guesses", settings.rate_limit_anonymous_per_minute, share)
        self.shared_quotas = {
            "chat": Quota("chat", settings.rate_limit_chat_per_minute, MINUTE_SECONDS),
            "import": Quota("import", settings.rate_limit_import_per_hour, HOUR_SECONDS),
            "export": Quota("export", settings.rate_limit_export_per_hour, HOUR_SECONDS),
        }
        self.counts: SharedCounter | None = None

    def consume_subject(self, scope: RequestScope, subject: str, *, quota: str = "default") -> None:
        """Counts a request with a valid token; ``quota`` is default, or caldav. Raises RateLimited."""
        limiter = self.calendars if quota == "caldav" else self.subjects
        if limiter is not None:
            limiter.consume(scope, subject)

    def consume_operations(self, scope: RequestScope, subject: str, operations: int) -> None:
        """Counts a batch, which has been counted as one request, as one for each OPERATIONS_PER_REQUEST begun.

        At most as the whole quota. Raises RateLimited.
        """
        more = (operations - 1) // OPERATIONS_PER_REQUEST
        if self.subjects is not None and more and COUNTED_OPERATIONS_KEY not in scope:
            scope[COUNTED_OPERATIONS_KEY] = True  # also if the transaction is repeated
            scope.pop(LIMIT_HEADERS_KEY)  # those of the one request
            self.subjects.consume(scope, subject, min(more, self.subjects.quota.amount - 1))

    def consume_address(self, scope: RequestScope) -> None:
        """Counts a request without a valid token, once, by IP address. Raises RateLimited."""
        if LIMIT_HEADERS_KEY not in scope:
            _consume_network(self.addresses, scope)

    def refuse_busy_address(self, scope: RequestScope) -> None:
        """Refuses an IP address that has used up its quota, before a lookup. Raises RateLimited."""
        _refuse_used_up(self.addresses, scope)

    def consume_guess(self, scope: RequestScope) -> None:
        """Counts a wrong token of /metrics by IP address. Raises RateLimited."""
        _consume_network(self.guesses, scope)

    def refuse_guesses(self, scope: RequestScope) -> None:
        """Refuses an IP address that has sent too many wrong tokens, also a right one. Raises RateLimited."""
        _refuse_used_up(self.guesses, scope)

    async def consume(self, scope: RequestScope, kind: str, subject: str) -> None:
        """Counts a costly request, ``kind`` of ``shared_quotas``, over all processes. Raises RateLimited."""
        quota = self.shared_quotas[kind]
        if quota.amount and self.counts is not None:
            _record_quota(scope, quota, quota.policy, *await self.counts.consume(quota, subject))


def _consume_network(limiter: Limiter | None, scope: RequestScope) -> None:
    if limiter is not None and (client := scope.get("client")):
        limiter.consume(scope, cached_network_of(client[0]))


def _refuse_used_up(limiter: Limiter | None, scope: RequestScope) -> None:
    if limiter is not None and (client := scope.get("client")):
        key = cached_network_of(client[0])
        if limiter.is_used_up(key):
            limiter.consume(scope, key)


def _limiter(name: str, per_minute: int, share: int) -> Limiter | None:
    return Limiter(Quota(name, max(1, per_minute // share), MINUTE_SECONDS)) if per_minute else None
