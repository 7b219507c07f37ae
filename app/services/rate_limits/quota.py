"""Quotas: how many uses are admitted in how many seconds, for one subject or IP address."""

from typing import NamedTuple, Protocol


class Quota(NamedTuple):
    """``amount`` uses in ``seconds``."""

    name: str
    amount: int
    seconds: int

    @property
    def policy(self) -> bytes:
        return b'"%b";q=%d;w=%d' % (self.name.encode(), self.amount, self.seconds)


class SharedCounter(Protocol):
    """A counter that all processes share."""

    async def consume(self, quota: Quota, subject: str) -> tuple[bool, float]:
        """Counts one use of ``quota``; returns whether it is admitted, and seconds until all of it is free again."""
