"""Demo data as rows of an import: the same ``seed`` on the same day gives the same rows, to the minute."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from app.commands.seed.words import DEMO_COMMENTS, DEMO_NOTES, DEMO_SERIES, DEMO_THEMES, DEMO_TREES, Series
from app.services.transfer.import_row import ImportRow, LoadedRow

HISTORY_DAYS = 180  # days back to the oldest completed task
MAX_OCCURRENCES = 12  # kept of each series, at most
TREE_SHARE, SERIES_SHARE = 30, 12  # one tree, one series for this number of tasks
# States of tasks; the first ones are fixed, so that few tasks also have one of each kind.
FIRST_STATES = ("overdue", "today", "today", "soon", "someday", "done", "trash", "overdue")
TASK_STATES, STATE_WEIGHTS = ("done", "soon", "someday", "overdue", "today", "trash"), (62, 18, 8, 5, 3, 4)
DEMO_PRIORITIES, PRIORITY_WEIGHTS = ("none", "low", "medium", "high", "urgent"), (1, 3, 8, 4, 1)


@dataclass(slots=True)
class DemoTask:
    """A task before it has an id. Rows are sorted by ``created``."""

    created: datetime
    source: str
    theme: int
    fields: dict[str, Any]
    parent: str | None = None
    series: str | None = None


class DemoData:
    """Random demo data. ``moment`` is now; ``prefix`` keeps source ids of two runs for one user apart."""

    def __init__(self, seed: int, moment: datetime, zone: ZoneInfo, prefix: str) -> None:
        self._random = Random(seed)  # noqa: S311 - it must be repeatable
        self._now, self._zone, self._prefix = moment.astimezone(zone), zone, prefix
        self._today = self._now.date()
        self._number = 0

    def items(self, tasks: int) -> Iterator[tuple[str, ImportRow]]:
        """Yields rows for ``tasks`` tasks, their projects and comments, each after the rows it refers to."""
        born = self._local(self._today - timedelta(days=HISTORY_DAYS + 30), 9)
        for number, theme in enumerate(DEMO_THEMES):
            fields = {"name": theme.name, "color": theme.color, "created_at": born.isoformat()}
            yield "projects", ImportRow(number + 1, self._project(number), partial(LoadedRow, fields))
        rows = sorted(self._tasks(tasks), key=lambda row: row.created)
        for number, row in enumerate(rows):
            made = ImportRow(number + 1, row.source, partial(LoadedRow, row.fields), row.parent, row.series)
            made.project = self._project(row.theme)
            yield "tasks", made
        for number, row in enumerate(rows[::8]):
            written = min(row.created + timedelta(hours=self._random.randint(1, 40)), self._now)
            fields = {"body": self._random.choice(DEMO_COMMENTS), "created_at": written.isoformat()}
            yield "comments", ImportRow(number + 1, self._source(), partial(LoadedRow, fields), task=row.source)

    def _tasks(self, wanted: int) -> Iterator[DemoTask]:
        rows = self._small(wanted)
        yield from rows
        titles = self._titles()
        states = [*FIRST_STATES, *self._random.choices(TASK_STATES, STATE_WEIGHTS, k=wanted)]
        for state in islice(states, wanted - len(rows)):
            yield self._single(state, *next(titles))

    def _small(self, wanted: int) -> list[DemoTask]:
        """Returns series with completed occurrences, and tasks with subtasks: at most half of all."""
        rows: list[DemoTask] = []
        chosen = DEMO_SERIES[: wanted // SERIES_SHARE]
        for series in chosen:
            rows += self._series(series, min(MAX_OCCURRENCES, wanted // 4 // len(chosen)))
        for tree in islice(cycle(DEMO_TREES), wanted // TREE_SHARE):
            rows += self._tree(*tree)
        return rows

    def _series(self, series: Series, done: int) -> list[DemoTask]:
        due = self._today + timedelta(days=series.due) if series.days else _first_of(self._today, 1)
        days = [
            due - timedelta(days=series.days * n) if series.days else _first_of(due, -n) for n in range(1, done + 1)
        ]
        days = [day for day in days if self._local(day, 21) < self._now]
        head = self._row(self._local((days or [self._today])[-1] - timedelta(days=5), 8), series.theme, series.title)
        head.fields |= {
            "due_date": _format_due(due, series.time),
            "recurrence": series.rule,
            "occurrences_done": len(days),
            "reminders": ["-PT30M"] if series.time else [],
        }
        rows = [head]
        for day in days:
            finished = self._waking(day)
            row = self._row(finished, series.theme, series.title)
            row.series = head.source
            row.fields |= {"due_date": _format_due(day, series.time), **_completed(finished)}
            rows.append(row)
        return rows

    def _tree(self, title: str, theme: int, below: tuple[str, ...], done: int) -> list[DemoTask]:
        ahead = self._random.randint(3, 25)
        top = self._row(self._ago(6, 30), theme, title)
        top.fields |= {"due_date": _format_due(self._today + timedelta(days=ahead)), "priority": "high"}
        rows = [top]
        for number, name in enumerate(below):
            row = self._row(top.created + timedelta(minutes=number + 1), theme, name)
            row.parent = top.source
            if number < done:
                row.fields |= _completed(self._between(row.created))
            rows.append(row)
        return rows

    def _single(self, state: str, theme: int, title: str) -> DemoTask:
        random = self._random
        if state == "done":
            finished = self._ago(0, HISTORY_DAYS, recent=True)
            row = self._row(finished - timedelta(days=random.randint(0, 20), hours=random.randint(1, 9)), theme, title)
            row.fields |= _completed(finished)
            if random.random() < 0.6:
                row.fields["due_date"] = _format_due(finished.date() + timedelta(days=random.randint(-2, 3)))
        else:
            row = self._row(self._ago(13, 60) if state == "overdue" else self._ago(1, 40), theme, title)
            row.fields |= self._open(state, row.created)
        row.fields["priority"] = random.choices(DEMO_PRIORITIES, PRIORITY_WEIGHTS)[0]
        row.fields["tags"] = sorted(random.sample(DEMO_THEMES[theme].tags, random.choice((0, 1, 1, 2))))
        if random.random() < 0.15:
            row.fields["description"] = random.choice(DEMO_NOTES)
        return row

    def _open(self, state: str, created: datetime) -> dict[str, Any]:
        """Returns the fields of an open or deleted task in ``state``."""
        days, time_of_day = self._random.randint(1, 12), self._random.choice(("", "", "09:30", "18:00"))
        if state == "overdue":
            return {"due_date": _format_due(self._today - timedelta(days=days), time_of_day)}
        if state == "today":
            return {"due_date": _format_due(self._today)}
        if state == "soon":
            due = _format_due(self._today + timedelta(days=days + self._random.choice((0, 0, 7, 30))), time_of_day)
            return {"due_date": due, "reminders": ["-PT30M"] if time_of_day else ["-P1D"] if days > 8 else []}
        if state == "trash":
            return {"deleted_at": max(self._between(created), self._now - timedelta(days=20)).isoformat()}
        return {}

    def _titles(self) -> Iterator[tuple[int, str]]:
        """Yields each title once in random order; then again, with the number of a week."""
        week = 0
        while True:
            found = [(n, f"{v} {t}") for n, theme in enumerate(DEMO_THEMES) for v in theme.verbs for t in theme.things]
            self._random.shuffle(found)
            yield from ((theme, f"{title}, week {week}" if week else title) for theme, title in found)
            week += 1

    def _row(self, created: datetime, theme: int, title: str) -> DemoTask:
        return DemoTask(created, self._source(), theme, {"title": title, "created_at": created.isoformat()})

    def _ago(self, least: int, most: int, *, recent: bool = False) -> datetime:
        """Returns a daytime hour between ``most`` and ``least`` days ago."""
        days = self._random.triangular(least, most, least if recent else None)
        found = self._waking(self._today - timedelta(days=int(days)))
        return found if found < self._now else found - timedelta(days=1)

    def _waking(self, day: date) -> datetime:
        return self._local(day, self._random.randint(8, 20)) + timedelta(minutes=self._random.randint(0, 59))

    def _between(self, created: datetime) -> datetime:
        return created + (self._now - created) * self._random.uniform(0.2, 0.9)

    def _local(self, day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour), self._zone)

    def _project(self, theme: int) -> str:
        return f"{self._prefix}:project:{theme}"

    def _source(self) -> str:
        self._number += 1
        return f"{self._prefix}:{self._number}"


def _completed(moment: datetime) -> dict[str, Any]:
    return {"completed": True, "completed_at": moment.isoformat(), "updated_at": moment.isoformat()}


def _format_due(day: date, time_of_day: str = "") -> str:
    """Formats a whole day, or a local time, which the import reads in the user's zone."""
    return f"{day}T{time_of_day}" if time_of_day else str(day)


def _first_of(day: date, months: int) -> date:
    """Returns the first of the month, ``months`` after the month of ``day``."""
    month = day.year * 12 + day.month - 1 + months
    return date(month // 12, month % 12 + 1, 1)
