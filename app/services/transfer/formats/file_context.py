"""The circumstances in which a file is read, which its reader cannot know from its content."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from app.domain.written_dates import DayOrder
from app.errors import TooManyRows
from app.services.transfer.import_row import ImportRow

EntityRow: TypeAlias = tuple[str, ImportRow]
Table: TypeAlias = Iterator[list[str]]


@dataclass(slots=True)
class RowBudget:
    """The number of rows that a file, or all files of a zip together, may still have."""

    left: int

    def take(self, count: int = 1) -> None:
        """Raises TooManyRows."""
        self.left -= count
        if self.left < 0:
            raise TooManyRows


@dataclass(frozen=True, slots=True)
class FileContext:
    """``timezone`` is the owner's. ``name`` is that of a file in a zip; others have none."""

    owner: str
    now: datetime
    timezone: ZoneInfo
    description_max: int
    budget: RowBudget
    name: str = ""


@dataclass(slots=True)
class FirstReading:
    """The facts that the first reading of a file finds for the second: ``sources`` are those of the file's own ids."""

    order: DayOrder = field(default_factory=DayOrder)
    sources: dict[str, str] = field(default_factory=dict)


TableReader: TypeAlias = Callable[[Table, Sequence[str], FileContext, FirstReading], Iterator[EntityRow]]
