"""Due and start dates as columns: a day and an instant are different ones, of which at most one is set."""

from datetime import date, datetime
from typing import Any

from app.db.session import Session
from app.domain.recurrence import Due
from app.services.users import LOCAL_TO_INSTANT


def due_columns(due: Due | None, prefix: str = "due") -> dict[str, Any]:
    """Returns the columns of a due date; of ``start``, or with ``anchor`` of the date with which a series began."""
    is_instant = isinstance(due, datetime)
    return {f"{prefix}_on": None if is_instant else due, f"{prefix}_at": due if is_instant else None}


# The columns of a task that does not recur.
NO_SERIES = {"recurrence": None, "occurrences_done": 0, **due_columns(None, "anchor")}


async def resolve_due_date(
    session: Session, owner: str, due: date | datetime | None, prefix: str = "due"
) -> dict[str, Any]:
    """Returns the columns of a date as clients send it: a local time is read in the owner's time zone."""
    if isinstance(due, datetime) and due.tzinfo is None:
        due = (await session.exec(LOCAL_TO_INSTANT, {"owner": owner, "local": due})).one()
    return due_columns(due, prefix)
