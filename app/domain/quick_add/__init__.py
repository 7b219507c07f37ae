"""Quick add: reads "Pay rent every month on the 1st at 9 #home p:high @bank" as a task.

English, deterministic, without a language model. A wrong reading is worse than none: uncertain words stay in the title.
The rules are next to their tables: marks (``marks``), days, times, recurrences (``repeats``), and the words around a
phrase (``phrases``). In short:

- of several projects or priorities the last is used, the others stay in the title;
- of several days or recurrences none is used; of several times none is used, but the day is;
- "starting monday" is the first date of a recurrence, else the start of the task; a time directly after it is its time;
- a reminder that is not certain stays in the title with its time, which is not read as the due date;
- words in quotation marks, URLs and e-mail addresses are never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple, TypeVar

from app.domain.date_shift import day_in
from app.domain.quick_add.choice import choose, of_kind
from app.domain.quick_add.days import Day
from app.domain.quick_add.grammar import Moment, Reading
from app.domain.quick_add.marks import Mark
from app.domain.quick_add.phrases import Phrase
from app.domain.quick_add.reminders import Reminder, resolve_reminder
from app.domain.quick_add.series import Bound, Repeat, Start
from app.domain.quick_add.text import has_visible_text, tokenize, without
from app.domain.quick_add.times import Clock, Part, settled, to_utc
from app.domain.recurrence.rule import Rule
from app.errors import EmptyTitle
from app.models.task_reminders import REMINDERS_MAX
from app.models.types import MAX_YEAR, MIN_YEAR

QUICK_ADD_TEXT_MAX = 500
T = TypeVar("T")


class Span(NamedTuple):
    """An understood piece: ``text == source[start:end]`` in code points; ``field`` and ``value`` as of tasks.

    ``field`` is project (a name), tags, priority, due_date, start_date, recurrence or reminders (one of them).
    """

    text: str
    start: int
    end: int
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class ParsedTask:
    """``due``, ``start``: a day, or an instant in UTC. ``recurrence``: an RRULE with ``due`` as its first occurrence.

    ``reminders``: instants, or durations from ``due``.
    """

    title: str
    project: str | None
    tags: list[str]
    priority: str | None
    due: date | datetime | None
    start: date | datetime | None
    recurrence: str | None
    reminders: list[str]
    understood: list[Span]


class _Schedule(NamedTuple):
    due: date | datetime | None = None
    rule: Rule | None = None
    phrases: tuple[Phrase, ...] = ()


class _Begin(NamedTuple):
    """The start of a task. ``passed``: phrases that are not about its due date, some of which may be unused."""

    start: date | datetime | None = None
    phrases: tuple[Phrase, ...] = ()
    passed: tuple[Phrase, ...] = ()


def parse(text: str, *, now: datetime, timezone: tzinfo) -> ParsedTask:
    """Returns the task that ``text`` describes in ``timezone`` at ``now``. Raises EmptyTitle.

    ``text`` is cleaned and has up to QUICK_ADD_TEXT_MAX characters.
    """
    reading = Reading(text, tokenize(text), Moment.of(now, timezone))
    phrases = choose(reading)
    begin = _begin(reading.moment, phrases)
    schedule = _schedule(reading.moment, [phrase for phrase in phrases if phrase not in begin.passed])
    marks = of_kind(phrases, Mark)
    reminders = _reminders(reading.moment, schedule, phrases)
    spans = _spans(reading, schedule, begin, marks, reminders)
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
        start=begin.start,
        recurrence=str(schedule.rule) if schedule.rule else None,
        reminders=list(dict.fromkeys(value for _, value in reminders)),
        understood=spans,
    )


def _begin(moment: Moment, phrases: Sequence[Phrase]) -> _Begin:
    """Returns the start of a task that does not recur: its day, at the time that follows it."""
    starts = of_kind(phrases, Start)
    if not starts or of_kind(phrases, Repeat):
        return _Begin()
    phrase, start = starts[0]
    timed: list[Phrase] = []
    while (place := next((each for each in phrases if each.first == (timed or [phrase])[-1].end), None)) is not None:
        if not isinstance(place.meaning, Clock | Part):
            break
        timed.append(place)
    clock, part = _only(timed, Clock), _only(timed, Part)
    found = settled(clock, start.day.part or (part.name if part else None)) if clock else None
    if start.day.at:
        return _Begin(start.day.at, (phrase,), (phrase, *timed))
    begin = to_utc(moment, start.day.on, found) if found else start.day.on
    if not MIN_YEAR <= begin.year <= MAX_YEAR:
        return _Begin(passed=(phrase, *timed))
    return _Begin(begin, (phrase, *timed) if found else (phrase,), (phrase, *timed))


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
        first = day_in(due, moment.zone)
        rule = bound.applied(repeat.rule, first, timed=moment.zone if is_timed else None) if bound else repeat.rule
    if due is None or not MIN_YEAR <= due.year <= MAX_YEAR or bool(rule) != bool(repeat):
        return _Schedule()
    unused = (Mark, Reminder) if clock else (Mark, Reminder, Clock, Part)
    return _Schedule(due, rule, tuple(phrase for phrase in phrases if not isinstance(phrase.meaning, unused)))


def _reminders(moment: Moment, schedule: _Schedule, phrases: Sequence[Phrase]) -> list[tuple[Phrase, str]]:
    """Returns the reminders that are certain, as many as a task can have."""
    found: list[tuple[Phrase, str]] = []
    for phrase, reminder in of_kind(phrases, Reminder):
        value = resolve_reminder(reminder, moment, schedule.due, repeats=schedule.rule is not None)
        if value and len({value, *(other for _, other in found)}) <= REMINDERS_MAX:
            found.append((phrase, value))
    return found


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


def _spans(
    reading: Reading,
    schedule: _Schedule,
    begin: _Begin,
    marks: Sequence[tuple[Phrase, Mark]],
    reminders: Sequence[tuple[Phrase, str]],
) -> list[Span]:
    due, begun = (each.isoformat().replace("+00:00", "Z") if each else "" for each in (schedule.due, begin.start))
    found: list[tuple[Phrase, str, str]] = [(phrase, mark.field, mark.value) for phrase, mark in marks]
    found += [(phrase, "reminders", value) for phrase, value in reminders]
    found += [(phrase, "start_date", begun) for phrase in begin.phrases]
    for phrase in schedule.phrases:
        repeats = isinstance(phrase.meaning, Repeat | Bound)
        found.append((phrase, "recurrence", str(schedule.rule)) if repeats else (phrase, "due_date", due))
    spans: list[Span] = []
    for phrase, field, value in sorted(found, key=lambda item: item[0].first):
        start, end = reading.tokens[phrase.first].start, reading.tokens[phrase.end - 1].end
        joins = field not in {"tags", "reminders"}
        if spans and joins and field == spans[-1].field and reading.source[spans[-1].end : start].strip() in {"", ","}:
            start = spans.pop().start  # "monday, 9am" is one date
        spans.append(Span(reading.source[start:end], start, end, field, value))
    return spans
