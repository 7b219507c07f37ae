"""Quick add: reads "Pay rent every month on the 1st at 9 #home p:high @bank" as a task.

English, deterministic, without a language model. A wrong reading is worse than none: uncertain words stay in the title.
The rules are next to their tables: marks (``marks``), days, times, recurrences (``repeats``), and the words around a
phrase (``phrases``). In short:

- of several projects or priorities the last is used, the others stay in the title;
- of several days or recurrences none is used; of several times none is used, but the day is;
- words in quotation marks, URLs and e-mail addresses are never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple, TypeVar

from app.domain.quick_add.choice import choose, of_kind
from app.domain.quick_add.days import Day
from app.domain.quick_add.grammar import Moment, Reading
from app.domain.quick_add.marks import Mark
from app.domain.quick_add.phrases import Phrase
from app.domain.quick_add.series import Bound, Repeat, Start
from app.domain.quick_add.text import has_visible_text, tokenize, without
from app.domain.quick_add.times import Clock, Part, settled, to_utc
from app.domain.recurrence.rule import Rule
from app.errors import EmptyTitle
from app.models.types import MAX_YEAR, MIN_YEAR

QUICK_ADD_TEXT_MAX = 500
T = TypeVar("T")


class Span(NamedTuple):
    """An understood piece: ``text == source[start:end]`` in code points; ``field`` and ``value`` as of tasks.

    ``field`` is project (a name), tags, priority, due_date or recurrence.
    """

    text: str
    start: int
    end: int
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """``due``: a day, or an instant in UTC. ``recurrence``: an RRULE with ``due`` as its first occurrence."""

    title: str
    project: str | None
    tags: list[str]
    priority: str | None
    due: date | datetime | None
    recurrence: str | None
    understood: list[Span]


class _Schedule(NamedTuple):
    due: date | datetime | None = None
    rule: Rule | None = None
    phrases: tuple[Phrase, ...] = ()


def parse(text: str, *, now: datetime, timezone: tzinfo) -> ParsedTask:
    """Returns the task that ``text`` describes in ``timezone`` at ``now``. Raises EmptyTitle.

    ``text`` is cleaned and has up to QUICK_ADD_TEXT_MAX characters.
    """
    reading = Reading(text, tokenize(text), Moment.of(now, timezone))
    phrases = choose(reading)
    schedule = _schedule(reading.moment, phrases)
    marks = of_kind(phrases, Mark)
    spans = _spans(reading, schedule, marks)
    title = without(text, [(span.start, span.end) for span in spans])
    if not has_visible_text(title, was_cut=bool(spans)):
        raise EmptyTitle(loc=("body", "text"))
    values = {mark.field: mark.value for _, mark in marks}
    return ParsedTask(
        title=title,
        project=values.get("project"),
        tags=list(dict.fromkeys(mark.value for _, mark in marks if mark.field == "tags")),
        priority=values.get("priority"),
        due=schedule.due,
        recurrence=str(schedule.rule) if schedule.rule else None,
        understood=spans,
    )


def _schedule(moment: Moment, phrases: Sequence[Phrase]) -> _Schedule:
    """Combines day, time and recurrence; empty when they contradict each other."""
    repeat, start, bound = _only(phrases, Repeat), _only(phrases, Start), _only(phrases, Bound)
    day = start.day if start else _only(phrases, Day)
    clock = _chosen_clock(moment, phrases, day, repeat)
    if clock is None and ((repeat and repeat.part) or (day and day.needs_clock)):
        return _Schedule()
    rule: Rule | None = None
    due = _first_due(moment, repeat, day, clock) if repeat else _single_due(moment, day, clock)
    if repeat and due:
        is_timed = isinstance(due, datetime)
        first = due.astimezone(moment.zone).date() if isinstance(due, datetime) else due
        rule = bound.applied(repeat.rule, first, timed=moment.zone if is_timed else None) if bound else repeat.rule
    if due is None or not MIN_YEAR <= due.year <= MAX_YEAR or bool(rule) != bool(repeat):
        return _Schedule()
    unused = (Mark,) if clock else (Mark, Clock, Part)
    return _Schedule(due, rule, tuple(phrase for phrase in phrases if not isinstance(phrase.meaning, unused)))


def _only(phrases: Sequence[Phrase], kind: type[T]) -> T | None:
    return next((meaning for _, meaning in of_kind(phrases, kind)), None)


def _chosen_clock(moment: Moment, phrases: Sequence[Phrase], day: Day | None, repeat: Repeat | None) -> Clock | None:
    """Returns the time of day, unless it is uncertain or belongs to nothing."""
    clock, part = _only(phrases, Clock), _only(phrases, Part)
    named = next((phrase.part for phrase in (day, repeat) if phrase and phrase.part), part.name if part else None)
    found = settled(clock, named) if clock and not (day and day.at) else None
    if found is None:
        return None
    if found.ends_day and repeat and not repeat.plain:
        return None  # the midnight after a Friday is a Saturday's
    is_today = day is not None and day.on == moment.today
    if found.loose and not named and is_today and to_utc(moment, moment.today, found) < moment.now:
        return None  # "today at 9" in the afternoon: hardly this morning
    return found


def _single_due(moment: Moment, day: Day | None, clock: Clock | None) -> date | datetime | None:
    """Returns the due date of a task without recurrence; a time without a day is the next such time."""
    if day is None:
        return to_utc(moment, _earliest(moment, clock), clock) if clock else None
    if day.at:
        return day.at
    return to_utc(moment, day.on, clock) if clock else day.on


def _first_due(moment: Moment, repeat: Repeat, day: Day | None, clock: Clock | None) -> date | datetime | None:
    """Returns the first match from the given day on, else from now on; None for an instant that does not match."""
    start = day.on if day else moment.today
    first = repeat.first(max(start, _earliest(moment, clock)) if start == moment.today else start)
    if day and day.at:
        return day.at if first == day.on else None
    return to_utc(moment, first, clock) if first and clock else first


def _earliest(moment: Moment, clock: Clock | None) -> date:
    """Returns today, or tomorrow when the time has passed today."""
    has_passed = clock is not None and to_utc(moment, moment.today, clock) < moment.now
    return moment.today + timedelta(days=has_passed)


def _spans(reading: Reading, schedule: _Schedule, marks: Sequence[tuple[Phrase, Mark]]) -> list[Span]:
    due = schedule.due.isoformat().replace("+00:00", "Z") if schedule.due else ""
    found: list[tuple[Phrase, str, str]] = [(phrase, mark.field, mark.value) for phrase, mark in marks]
    for phrase in schedule.phrases:
        repeats = isinstance(phrase.meaning, Repeat | Bound)
        found.append((phrase, "recurrence", str(schedule.rule)) if repeats else (phrase, "due_date", due))
    spans: list[Span] = []
    for phrase, field, value in sorted(found, key=lambda item: item[0].first):
        start, end = reading.tokens[phrase.first].start, reading.tokens[phrase.end - 1].end
        if spans and field == spans[-1].field != "tags" and reading.source[spans[-1].end : start].strip() in {"", ","}:
            start = spans.pop().start  # "monday, 9am" is one date
        spans.append(Span(reading.source[start:end], start, end, field, value))
    return spans
