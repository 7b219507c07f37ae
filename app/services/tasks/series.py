"""Series: setting a rule, and the step from one due date to the next. The arithmetic is ``domain.recurrence``'s."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from app.db.changes import OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.date_shift import day_in, shift_by_days
from app.domain.recurrence import Due, Step, advance, parse_rule
from app.domain.recurrence.days import matching_days
from app.errors import InvalidRecurrence
from app.models.task_rows import due_of
from app.models.types import MAX_YEAR, MIN_YEAR
from app.services.tasks.due_dates import due_columns

SELECT_ZONE_AND_NOW = CompiledStatement(select(OWNER_TIMEZONE.label("timezone"), func.now().label("now")))


async def schedule(session: Session, owner: str, recurrence: str, due: Due | None) -> dict[str, Any]:
    """Returns the columns of a series that begins with ``due``, else with the rule's first day from today on.

    Raises InvalidRecurrence.
    """
    rule = parse_rule(recurrence)
    if due is None:
        zone, moment = await here_and_now(session, owner)
        today = moment.astimezone(zone).date()
        due = next(matching_days(rule, today, today - timedelta(days=1)), None)
        until = None if rule.until is None else day_in(rule.until, zone)
        if due is None or (until is not None and due > until):
            raise InvalidRecurrence("RRULE", "has no day from today on; send a due_date")
    series: dict[str, Any] = {"recurrence": str(rule), "occurrences_done": 0}
    return {**series, **due_columns(due), **due_columns(due, "anchor")}


async def here_and_now(session: Session, owner: str) -> tuple[ZoneInfo, datetime]:
    """Returns the owner's time zone, and when the transaction began."""
    row = (await session.exec(SELECT_ZONE_AND_NOW, {"owner": owner})).one()
    return ZoneInfo(row.timezone), row.now


def step_of(series: dict[str, Any], zone: ZoneInfo, moment: datetime) -> Step:
    """Returns where a series moves from its due date, completed or skipped at ``moment``."""
    due = due_of(series)
    assert due is not None, "a constraint of the table"
    return advance(
        parse_rule(series["recurrence"]),
        due,
        timezone=zone,
        completed_at=moment,
        recurrence_from=series["recurrence_from"],
        occurrences_done=series["occurrences_done"],
        anchor=due_of(series, "anchor"),
    )


def next_start_of(series: dict[str, Any], due: Due, zone: ZoneInfo) -> Due | None:
    """Returns the start of the occurrence that is due at ``due``: as many days before it, at its own time.

    Where the years end that a date can have, it stays where it is.
    """
    start, old_due = due_of(series, "start"), due_of(series)
    if start is None or old_due is None:
        return start
    days = (day_in(due, zone) - day_in(old_due, zone)).days
    try:
        moved = shift_by_days(days, zone).apply(start)
    except OverflowError:
        return start
    return moved if MIN_YEAR <= moved.year <= MAX_YEAR else start
