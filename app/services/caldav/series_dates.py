"""Changed dates of a to-do: of a series, an app may have completed the current occurrence by them."""

from dataclasses import replace
from typing import Any

from app.db.session import Session
from app.domain.recurrence import Due, parse_rule
from app.errors import CalendarDataRefused, InvalidRecurrence
from app.models.task_fields import RecurrenceFrom
from app.models.task_rows import due_of
from app.services.caldav.calendar_blocks import meaning_of
from app.services.caldav.done_copies import is_occurrence_done
from app.services.caldav.kept_lines import split_text
from app.services.caldav.todo_reader import SentObject, SeriesDates
from app.services.caldav.todo_writer import TodoWriter
from app.services.tasks.due_dates import NO_SERIES, due_columns
from app.services.tasks.series import here_and_now, step_of
from app.services.tasks.statements import is_closed
from app.services.transfer.formats.ics.components import parse_property

Row = dict[str, Any]


async def read_date_change(session: Session, owner: str, sent: SentObject, lines: list[str], row: Row) -> Row:
    """Returns the columns of changed dates: those of a completion if they are the next ones of the series."""
    dates = sent.fields.dates
    if row["recurrence"] is not None and not is_closed(row):
        if sent.overrides and _was_sent_before(lines, row):
            return {}
        if await _is_next_occurrence(session, owner, dates, row):
            return {"completed": True, "state": row["state"]}
    values = {**due_columns(dates.due), **due_columns(dates.start, "start")}
    if dates.recurrence is None:
        return values | (NO_SERIES if row["recurrence"] is not None else {})
    values |= {"recurrence": dates.recurrence, "occurrences_done": 0, **due_columns(dates.due, "anchor")}
    if dates.from_completion:
        values["recurrence_from"] = RecurrenceFrom.COMPLETION
    return values


def _was_sent_before(lines: list[str], row: Row) -> bool:
    """Returns whether an app that has not read the series since repeats the dates with which it began."""
    if row["ical"] is None:
        return False
    try:
        before = split_text(row["ical"]["text"]).groups["dates"]
    except CalendarDataRefused:
        return False
    return meaning_of(before) == meaning_of(lines)


async def read_past_occurrence(session: Session, owner: str, sent: SentObject, lines: list[str], row: Row) -> Row:
    """Returns the columns as an app has sent them that are about an occurrence which is over; empty if they are not.

    The app has not read the series since: it sends a completion again, or one that was made here also, or it has
    changed something else. An open occurrence is over only if the app has not changed its dates.
    """
    fields, dates = sent.fields, sent.fields.dates
    if row["recurrence"] is None or is_closed(row) or sent.overrides or dates.recurrence is None or dates.due is None:
        return {}
    if not (fields.completed or _was_sent_before(lines, row)):
        return {}
    due = due_columns(dates.due)
    if due == {name: row[name] for name in due} or not await is_occurrence_done(session, owner, row["id"], due):
        return {}
    start = due_columns(dates.start, "start")
    return {"completed": fields.completed, "state": fields.state, "recurrence": dates.recurrence, **due, **start}


async def _is_next_occurrence(session: Session, owner: str, dates: SeriesDates, row: Row) -> bool:
    if dates.recurrence is None or dates.due is None:
        return False
    zone, moment = await here_and_now(session, owner)
    if not _is_same_rule(dates.recurrence, row, str(zone)):
        return False
    step = step_of(row, zone, moment)
    return step.due is not None and _equal(step.due, dates.due) and not _equal(due_of(row), dates.due)


def _equal(one: Due | None, other: Due) -> bool:
    return type(one) is type(other) and one == other


def _is_same_rule(recurrence: str, row: Row, zone: str) -> bool:
    """Returns whether the rule is that of the series, whatever its COUNT: some apps count down."""
    given = (found for line in TodoWriter(zone).groups(row)["dates"] if (found := parse_property(line)))
    known = [row["recurrence"], *(found.value for found in given if found.name == "RRULE")]
    try:
        wanted = replace(parse_rule(recurrence), count=None)
        return any(replace(parse_rule(text), count=None) == wanted for text in known)
    except InvalidRecurrence:
        return False
