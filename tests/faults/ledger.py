"""A ledger of every acknowledged write, compared with the tables."""

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

STORED = """
    select data ->> 'description' as mark, count(*) as times
    from changes where user_id = any($1) and entity = 'task' group by 1
"""
REVISIONS = """
    select u.id from users u where u.id = any($1) and u.revision <> (
        select count(distinct revision) from changes c where c.user_id = u.id)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request; ``status`` is 0 without a response. Times are in seconds of the monotonic clock."""

    kind: str
    sent_at: float
    answered_at: float
    status: int
    retry_after: bool

    @property
    def took(self) -> float:
        return self.answered_at - self.sent_at

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class Ledger:
    """Records requests. Each write has a unique mark in the task's description, so that its row in ``changes`` names
    it."""

    owners: list[str]
    samples: list[Sample] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)

    def note(self, kind: str, sent_at: float, status: int, retry_after: bool) -> None:
        self.samples.append(Sample(kind, sent_at, time.monotonic(), status, retry_after))

    def warm(self) -> bool:
        """Returns whether reads and writes have started to succeed."""
        good = [sample.kind for sample in self.samples if sample.good]
        return good.count("GET") >= 5 and good.count("POST") >= 5

    async def audit(self, connection: Any) -> "Audit":
        """Compares with the stored rows; ``connection`` is a superuser's."""
        stored = Counter({row["mark"]: row["times"] for row in await connection.fetch(STORED, self.owners)})
        gaps = [row["id"] for row in await connection.fetch(REVISIONS, self.owners)]
        return Audit(
            acknowledged=len(self.acknowledged),
            lost=len([mark for mark in self.acknowledged if stored[mark] == 0]),
            duplicated=len([mark for mark in self.sent if stored[mark] > 1]),
            unanswered_but_stored=len([mark for mark in self.sent - self.acknowledged if stored[mark] > 0]),
            invented=len([mark for mark in stored if mark and mark not in self.sent]),
            gaps=gaps,
        )

    def longest_outage(self) -> float:
        """Returns the longest time between two successes, of reads or of writes."""
        return max(self._longest_gap(reads=True), self._longest_gap(reads=False))

    def _longest_gap(self, *, reads: bool) -> float:
        moments = sorted(s.answered_at for s in self.samples if s.good and (s.kind == "GET") == reads)
        return max((later - sooner for sooner, later in pairwise(moments)), default=0.0)

    def first_success_after(self, moment: float) -> float:
        """Returns the seconds from ``moment`` to the response of the first request that succeeds after it."""
        return min((s.answered_at - moment for s in self.samples if s.good and s.answered_at >= moment), default=1e9)

    def count(self, *statuses: int) -> int:
        return sum(sample.status in statuses for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of the comparison. ``gaps`` are owners whose revisions are not those of their changes."""

    acknowledged: int
    lost: int
    duplicated: int
    unanswered_but_stored: int
    invented: int
    gaps: list[str]
