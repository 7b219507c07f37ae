"""So many of something in so many seconds, for one subject or IP address."""

from typing import NamedTuple, Protocol


class Quota(NamedTuple):
    """So many in so many seconds."""

    name: str
    amount: int
    seconds: int

    @property
    def policy(self) -> bytes:
        return b'"%b";q=%d;w=%d' % (self.name.encode(), self.amount, self.seconds)


class Counts(Protocol):
    """What all processes count in."""

    async def take(self, quota: Quota, subject: str) -> tuple[bool, float]:
        """Whether it was admitted, and the seconds until the whole quota is there again."""
