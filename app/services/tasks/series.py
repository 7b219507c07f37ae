"""Tasks that repeat: setting a rule, and the step to the next date. The arithmetic is ``recurrence``'s."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, true

from app.db.changes import OWNER, TAKEN
from app.db.compiled import Prepared
from app.db.session import Session
from app.domain.recurrence import Due, Step, advance, parse_rule
from app.domain.recurrence.days import matching_days
from app.errors import InvalidRecurrence
from app.models.task_rows import due_of
from app.models.tasks import TASKS
from app.services.tasks.statements import numbered_task, rows_of
from app.services.users import TIMEZONE

HERE_AND_NOW = Prepared(select(TIMEZONE.label("timezone"), func.now().label("now")))
# What was done stays as a completed task of its own, beside its series.
COPIED = ("user_id", "title", "description", "priority", "tags", "project_id", "parent_id")
_done = rows_of(frozenset({"due_on", "due_at"}))
KEEP_OCCURRENCES = numbered_task(
    insert(TASKS).from_select(
        [*COPIED, "completed", "completed_at", "due_on", "due_at", "series_id", "version"],
        select(
            *(TASKS.c[name] for name in COPIED), true(), func.now(), _done.c.due_on, _done.c.due_at, TASKS.c.id, TAKEN
        ).where(TASKS.c.user_id == OWNER, TASKS.c.id == _done.c.id),
        include_defaults=False,
    ),
    "created",
    answer=["id"],
    revision=TAKEN,
)


def due_columns(due: Due | None, prefix: str = "due") -> dict[str, Any]:
    """A day and an instant are different columns."""
    is_instant = isinstance(due, datetime)
    return {f"{prefix}_on": None if is_instant else due, f"{prefix}_at": due if is_instant else None}


async def schedule(session: Session, owner: str, recurrence: str, due: Due | None) -> dict[str, Any]:
    """The columns of a series that begins with ``due``, else with the rule's first day from today on.

    Raises InvalidRecurrence.
    """
    rule = parse_rule(recurrence)
    if due is None:
        zone, moment = await here_and_now(session, owner)
        today = moment.astimezone(zone).date()
        due = next(matching_days(rule, today, today - timedelta(days=1)), None)
        until = rule.until.astimezone(zone).date() if isinstance(rule.until, datetime) else rule.until
        if due is None or (until is not None and due > until):
            raise InvalidRecurrence("RRULE", "has no day from today on; send a due_date")
    series: dict[str, Any] = {"recurrence": str(rule), "occurrences_done": 0}
    return {**series, **due_columns(due), **due_columns(due, "anchor")}


async def here_and_now(session: Session, owner: str) -> tuple[ZoneInfo, datetime]:
    """The owner's time zone, and when the transaction began."""
    row = (await session.exec(HERE_AND_NOW, {"owner": owner})).one()
    return ZoneInfo(row.timezone), row.now


async def next_step(session: Session, owner: str, series: dict[str, Any]) -> Step:
    """Where a series goes from its due date, completed or skipped now."""
    zone, moment = await here_and_now(session, owner)
    return step_of(series, zone, moment)


def step_of(series: dict[str, Any], zone: ZoneInfo, moment: datetime) -> Step:
    """The same at ``moment``."""
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


async def keep_occurrences(session: Session, owner: str, due: dict[int, Due | None]) -> None:
    """Part of the write that moved series on, each from its ``due`` date."""
    rows = [{"id": task_id, **plain(due_columns(date))} for task_id, date in due.items()]
    await session.exec(KEEP_OCCURRENCES, {"owner": owner, "rows": rows})


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Days and instants as text, for JSON."""
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}


def moved_on(due: date | datetime, done: int) -> dict[str, Any]:
    """The columns of a series that is due next at ``due``."""
    return {**due_columns(due), "occurrences_done": done}
