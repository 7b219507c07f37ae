"""The series of an iCalendar file: where each stands once its completed and excluded dates are passed over.

A series here has one open date. A file holds the first date, the rule, and for each date that differs a to-do of its
own with the same UID and a RECURRENCE-ID (RFC 5545, 3.8.4.4), or an EXDATE.

- Completed dates: the series goes on after the last of them. They are imported as its completed occurrences.
- EXDATE and cancelled dates: stepped over when they come next; a warning names later ones.
- Moved dates: the open date is due where it was moved to, while the series keeps its days. Others are tasks of their
  own, as are those with another title or text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain, islice, takewhile
from typing import Any, NamedTuple

from app.domain.recurrence import Due, Rule, parse_rule, shifted
from app.domain.recurrence.days import matching_days
from app.errors import InvalidRecurrence
from app.services.transfer.formats.ics.components import Property
from app.services.transfer.formats.ics.dates import MomentReader, TodoDates, read_dates, spelled_day
from app.services.transfer.formats.ics.rules import local_day, normalize_rule
from app.services.transfer.formats.ics.text import split
from app.services.transfer.formats.ics.values import moment_text, to_instant
from app.services.transfer.import_row import Deviation, RowWarning

DATES_COUNTED = 1_000  # passed over, of one series


class Override(NamedTuple):
    """A to-do with a RECURRENCE-ID. ``text`` is equal for to-dos of equal title, description, tags and priority."""

    number: int
    calendar: int
    occurrence: Property
    dates: dict[str, Property]
    done: bool
    cancelled: bool
    completed: Property | None
    text: int


@dataclass(slots=True)
class SeriesState:
    """The fields of a series. ``absorbed`` are the to-dos of its dates that it stands for, by number."""

    dates: TodoDates
    recurrence: str
    anchor: Due | None = None
    occurrences_done: int = 0
    ended_by: Override | None = None
    absorbed: set[int] = field(default_factory=set)
    warnings: Sequence[RowWarning] = ()


class _Days(NamedTuple):
    """The dates of a series that differ from its rule, by their days in the zone of its start."""

    done: dict[date, Override]
    left_out: dict[date, Property]
    moved: dict[date, Override]


def read_series(
    first: Mapping[str, Property],
    properties: Sequence[Property],
    dates: TodoDates,
    moments: MomentReader,
    overrides: Sequence[Override] = (),
    *,
    text: int = 0,
    completed: bool = False,
) -> SeriesState:
    """Returns the state of a to-do with an RRULE. Its warnings are in the notes of ``moments``.

    ``text`` is that of ``Override``. A completed series stays on its date.
    """
    notes = moments.notes
    rules = [found for found in properties if found.name == "RRULE"]
    for other in rules[1:]:
        notes.add("recurrence", "A second rule was left out.", other.value)
    start = dates.start or dates.due
    state = SeriesState(dates, rules[0].value)
    if start is None or dates.due is None:
        return state
    try:
        rule = parse_rule(normalize_rule(rules[0].value, start))
    except InvalidRecurrence:
        return state  # refused by name where rows are validated
    dates, moved = due_dates_of_rule(rule, TodoDates(start, dates.due), moments)
    state.dates, state.recurrence = dates, str(moved)
    days = _different_days(properties, start, moments, overrides, closed=completed)
    if not any(days):
        return state
    if completed:
        if (here := days.done.get(local_day(start))) is not None and here.text == text:
            state.anchor = dates.due
            _absorb(state, here, moments)
        return state
    try:
        _advance(state, rule, days, moments, text)
    except OverflowError:
        notes.add("recurrence", "The dates of the series are out of range.", rules[0].value)
    return state


def due_dates_of_rule(rule: Rule, dates: TodoDates, moments: MomentReader) -> tuple[TodoDates, Rule]:
    """Returns the dates, and the rule of the due dates: a rule's days are those of starts, in the zone of the file."""
    start, due = dates
    assert start is not None
    assert due is not None
    for wanted in (due, start):
        days = (_day_here(wanted, moments) - local_day(start)).days
        if (moved := shifted(_end_with(rule, start, wanted, moments), days)) is not None:
            if wanted is not due:
                message = "A series has one date: it is due at its start."
                moments.notes.add("due_date", message, spelled_day(due), Deviation.CHANGED)
            return TodoDates(start, wanted), moved
    message = f"The days of the rule are another day in {moments.zone}: they were kept as they are."
    moments.notes.add("recurrence", message, str(rule), Deviation.GUESSED)
    return dates, rule


def _end_with(rule: Rule, start: Due, due: Due, moments: MomentReader) -> Rule:
    """Returns the rule with an UNTIL for due dates; that of a file is for starts."""
    if not isinstance(rule.until, datetime) or due == start:
        return rule
    return replace(rule, until=rule.until + (to_instant(due, moments.zone) - to_instant(start, moments.zone)))


def _day_here(moment: Due, moments: MomentReader) -> date:
    return local_day(moment.astimezone(moments.zone) if isinstance(moment, datetime) else moment)


def _different_days(
    properties: Sequence[Property],
    start: Due,
    moments: MomentReader,
    overrides: Sequence[Override],
    *,
    closed: bool,
) -> _Days:
    """Returns the dates that differ. Of a series that is closed, a cancelled date is its own and not left out."""
    days = _Days({}, {}, {})
    for found in properties:
        if found.name == "EXDATE":
            for value in split(found.value):
                moment = moments.read_value(value, found.parameters.get("TZID", ""), "EXDATE")
                if moment is None:
                    moments.notes.add("EXDATE", "The excluded date is no date: it was left out.", value)
                else:
                    days.left_out[_day_of(moment, start)] = found._replace(value=value)
    for override in overrides:
        moment = moments.of_calendar(override.calendar).read(override.occurrence, "RECURRENCE-ID")
        if moment is None:
            continue
        day = _day_of(moment, start)
        if override.cancelled and not closed:
            days.left_out[day] = override.occurrence
        elif override.done:
            days.done.setdefault(day, override)
        else:
            days.moved.setdefault(day, override)
    return days


def _day_of(moment: Due, start: Due) -> date:
    """Returns the day of an occurrence, in the zone of the series."""
    if isinstance(moment, datetime) and isinstance(start, datetime):
        return moment.astimezone(start.tzinfo).date()
    return local_day(moment)


def _advance(state: SeriesState, rule: Rule, days: _Days, moments: MomentReader, text: int) -> None:
    """Moves the series to its open date."""
    start, due = state.dates
    assert start is not None
    assert due is not None
    first = local_day(start)
    last_done = max((day for day in days.done if day >= first), default=None)
    for number, day in _open_days(rule, start, first, last_done):
        if day in days.left_out:
            continue
        moved = days.moved.get(day)
        if moved is not None and moved.text != text:
            continue  # a task of its own
        state.dates = _at_day(day, start, due)
        state.anchor, state.occurrences_done = due, number
        if moved is not None:
            _absorb(state, moved, moments)
        break
    else:
        if last_done is not None:
            _end_series(state, rule, days, last_done)
        day = first - timedelta(days=1) if last_done is None else date.max
    _note_others(rule, days, moments, first, day, last_done)


def _open_days(rule: Rule, start: Due, first: date, last_done: date | None) -> Iterator[tuple[int, date]]:
    """Yields the dates after the last completed one, until COUNT or UNTIL, with the number of those before each.

    Without COUNT the number is not needed, and is 0 for the first date.
    """
    until = rule.until
    days_of = _days(rule, first, last_done)
    if isinstance(until, datetime) and isinstance(start, datetime):
        clock, zone = start.time(), start.tzinfo
        days_of = takewhile(lambda day: day == first or datetime.combine(day, clock, zone) <= until, days_of)
    elif until is not None:
        end = max(first, local_day(until))
        days_of = takewhile(lambda day: day <= end, days_of)
    if rule.count is None:
        yield from ((0 if last_done is None else 1, day) for day in days_of)
        return
    for number, day in enumerate(islice(days_of, rule.count)):
        if last_done is None or day > last_done:
            yield number, day


def _days(rule: Rule, first: date, last_done: date | None) -> Iterator[date]:
    if rule.count is not None or last_done is None:
        return chain([first], matching_days(rule, first, first))
    return matching_days(rule, first, last_done)


def _at_day(day: date, start: Due, due: Due) -> TodoDates:
    """Returns start and due date of the occurrence that starts on ``day``: as far apart as those of the series."""
    moved = timedelta(days=(day - local_day(start)).days)
    return TodoDates(start + moved, due + moved)  # of instants with a zone: on the wall clock


def _absorb(state: SeriesState, moved: Override, moments: MomentReader) -> None:
    dates = read_dates(moved.dates, moments.of_calendar(moved.calendar))
    if dates.due is not None:
        state.dates = dates
    state.absorbed.add(moved.number)


def _end_series(state: SeriesState, rule: Rule, days: _Days, last_done: date) -> None:
    """Completes a series without an open date: it stays on its last completed one, which is not imported again."""
    start, due = state.dates
    assert start is not None
    assert due is not None
    state.dates = _at_day(last_done, start, due)
    state.anchor, state.occurrences_done = due, rule.count or 1
    state.ended_by = days.done[last_done]
    state.absorbed.add(state.ended_by.number)


def _note_others(
    rule: Rule, days: _Days, moments: MomentReader, first: date, day: date, last_done: date | None
) -> None:
    """Warns of dates that the series will not have, and of those after ``day`` that it will have against the file."""
    notes = moments.notes
    if last_done is not None:
        between = islice(chain([first], matching_days(rule, first, first)), DATES_COUNTED)
        known = days.done.keys() | days.left_out.keys() | days.moved.keys()
        if passed := sum(other not in known for other in takewhile(lambda other: other < last_done, between)):
            message = "Dates before the last completed one that are not completed were passed over."
            notes.add("recurrence", message, passed)
    for other in sorted(other for other in days.left_out if other > day):
        message = "A date of the series cannot be left out: it will be due then."
        notes.add(days.left_out[other].name, message, days.left_out[other].value)
    for other in sorted(days.moved):
        if other > day:
            message = "A date that was changed is a task of its own; the series will be due then, too."
            notes.add("RECURRENCE-ID", message, days.moved[other].occurrence.value, Deviation.CHANGED)


def series_fields(state: SeriesState) -> dict[str, Any]:
    """Returns the fields that only a series has. Raises OverflowError."""
    fields: dict[str, Any] = {"recurrence": state.recurrence}
    if state.anchor is not None:
        fields |= {"anchor_date": moment_text(state.anchor), "occurrences_done": state.occurrences_done}
    return fields
