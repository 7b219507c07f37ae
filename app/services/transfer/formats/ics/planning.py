"""Due date, start, deadline and estimate of a to-do as fields of a task."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from app.domain.recurrence import Due
from app.models.task_fields import ESTIMATE_MAX
from app.services.transfer.formats.ics.components import Property
from app.services.transfer.formats.ics.dates import MomentReader, Notes, TodoDates, spelled_day
from app.services.transfer.formats.ics.rules import local_day
from app.services.transfer.formats.ics.values import moment_text, parse_duration
from app.services.transfer.import_row import Deviation


def read_planning(
    first: Mapping[str, Property], dates: TodoDates, moments: MomentReader, *, recurs: bool
) -> dict[str, Any]:
    """Returns the fields of a to-do with ``dates``: those of its series where it ``recurs``.

    X-TODO-START is what this service writes: DTSTART cannot say every start, and alone it is a due date.
    """
    texts = {name: found.value.strip() for name, found in first.items()}
    fields: dict[str, Any] = {"due_date": _due_text(first, dates.due), "start_date": _start_text(dates, moments.notes)}
    if texts.get("X-TODO-START"):
        fields["start_date"] = _own_date(first["X-TODO-START"], "start_date", moments)
        if "DUE" not in first and not recurs:
            fields["due_date"] = None
    if texts.get("X-TODO-DEADLINE"):
        fields["deadline"] = _own_date(first["X-TODO-DEADLINE"], "deadline", moments)
    if texts.get("X-TODO-FAVORITE"):
        fields["favorite"] = texts["X-TODO-FAVORITE"]
    return fields | {"estimate_minutes": _estimate(texts.get("ESTIMATED-DURATION", ""), moments.notes)}


def _due_text(first: Mapping[str, Property], due: Due | None) -> str | None:
    if due is not None:
        try:
            return moment_text(due)
        except OverflowError:
            pass
    raw = first.get("DUE") or first.get("DTSTART")
    return raw.value if raw is not None and raw.value.strip() else None


def _start_text(dates: TodoDates, notes: Notes) -> str | None:
    """Returns the start, unless it says no more than the due date."""
    start, due = dates
    if start is None or due is None or start == due:
        return None
    midnight = not isinstance(start, datetime) or start.time() == time()
    if midnight and local_day(start) == local_day(due):
        return None
    try:
        return moment_text(start)
    except OverflowError:
        notes.add("start_date", "The start is out of range: it was left out.", spelled_day(start))
        return None


def _own_date(found: Property, field: str, moments: MomentReader) -> str:
    """Returns a date as text; what is none is refused by name where rows are validated."""
    moment = moments.read(found, field)
    try:
        return found.value if moment is None else moment_text(moment)
    except OverflowError:
        return found.value


def _estimate(text: str, notes: Notes) -> int | None:
    if not text:
        return None
    span = parse_duration(text)
    minutes = 0 if span is None else span.days * 1440 + span.seconds // 60
    if span is None or not 1 <= minutes <= ESTIMATE_MAX:
        notes.add("estimate_minutes", "It is no duration that can be kept: it was left out.", text)
        return None
    if span.seconds % 60:
        notes.add("estimate_minutes", "Seconds were left out.", text, Deviation.CHANGED)
    return minutes
