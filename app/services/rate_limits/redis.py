"""Rate limits in Redis or Valkey: RATE_LIMIT_URL and the extra ``redis``."""

from hashlib import sha256
from typing import Any

from app.services.rate_limits.quota import Quota

REDIS_TIMEOUT = 0.5  # seconds; after that the database counts
# A script is atomic; the time is the server's.
CONSUME_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local left = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') - now, 0) + step
if left > window + 0.000001 then return {0, tostring(left)} end
redis.call('SET', KEYS[1], string.format('%.6f', now + left), 'PX', math.ceil(left * 1000))
return {1, tostring(left)}
"""


class RedisUnavailable(Exception):
    """Redis did not respond, or its response is invalid."""


class RedisCounter:
    """Counts in Redis, in one round trip."""

    def __init__(self, url: str) -> None:
        """Does not connect yet. Raises ValueError when the extra is missing or the URL is invalid."""
        try:
            from redis.asyncio import Redis
            from redis.exceptions import RedisError
        except ImportError as error:
            raise ValueError("RATE_LIMIT_URL needs the extra: pip install 'todo[redis]'") from error
        self._errors: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)
        self._client = Redis.from_url(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)
        self._script: Any = self._client.register_script(CONSUME_SCRIPT)

    async def consume(self, quota: Quota, subject: str) -> tuple[bool, float]:
        """Counts one use of ``quota``, see the protocol. Raises RedisUnavailable."""
        key = "todo:" + sha256(f"{quota.name}:{subject}".encode()).hexdigest()
        try:
            admitted, left = await self._script(keys=[key], args=[quota.seconds / quota.amount, quota.seconds])
        except self._errors as error:
            raise RedisUnavailable(type(error).__name__) from error
        return bool(admitted), float(left)

    async def aclose(self) -> None:
        await self._client.aclose()
