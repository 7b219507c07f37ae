"""The dates of a series that have a to-do of their own, or are excluded: an app says by them what became of a date.

The current occurrence of a series is completed, skipped or moved as its to-do says. That of an earlier date is over
already, however often it is sent. That of a later date is kept, and given back, until the series comes to it.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, bindparam, select

from app.db.changes import OWNER
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.date_shift import day_in
from app.domain.recurrence import Due
from app.models.task_rows import due_of
from app.models.tasks import TASKS
from app.services.caldav.calendar_blocks import TODO_BLOCK, ZONE_BLOCK, read_blocks
from app.services.caldav.todo_reader import OverrideFields, SentObject, read_object
from app.services.caldav.todo_writer import fold_text
from app.services.tasks.completion import complete_task, skip_task
from app.services.tasks.due_dates import due_columns
from app.services.tasks.series import here_and_now
from app.services.tasks.statements import NOT_DELETED, is_closed, select_for_write, write_task

OVERRIDES_APPLIED_MAX = 200  # of one object at once
FIND_KEPT_OCCURRENCE = CompiledStatement(
    select(TASKS.c.id)
    .where(TASKS.c.user_id == OWNER, TASKS.c.series_id == bindparam("series_id", type_=BigInteger), NOT_DELETED)
    .order_by(TASKS.c.id.desc())
    .limit(1)
)


def complete_object(sent: SentObject, given: str, zone: ZoneInfo, description_max: int) -> SentObject:
    """Returns what an app has sent, with the series of ``given`` where it sends only dates of it."""
    if not sent.master.values("RECURRENCE-ID"):
        return sent
    calendar = read_blocks(given)
    series = [part for part in calendar.parts if not part.values("RECURRENCE-ID")]
    if not any(part.name == TODO_BLOCK and part.values("RRULE") for part in series):
        return sent
    known = {part.first("TZID") for part in series if part.name == ZONE_BLOCK}
    zones = [zone_block for zone_block in sent.zones if zone_block.first("TZID") not in known]
    calendar.parts = [*zones, *series, sent.master, *sent.overrides]
    return read_object("".join(map(fold_text, calendar.all_lines())).encode(), zone, description_max)


async def apply_overrides(session: Session, owner: str, task_id: int, sent: SentObject) -> None:
    """Applies the dates of a series that its object says more about. The owner must be locked."""
    excluded = [*sent.fields.excluded_dates()] if sent.fields.dates.recurrence is not None else []
    if not sent.overrides and not excluded:
        return
    overrides = [found for block in sent.overrides if (found := sent.fields.read_override(block)) is not None]
    zone, _ = await here_and_now(session, owner)
    row = await select_for_write(session, owner, task_id, None)
    for _ in range(OVERRIDES_APPLIED_MAX):
        if row["recurrence"] is None or is_closed(row):
            break
        here = current_date(row)
        override = next((each for each in overrides if is_same_date(each.occurrence, here, zone)), None)
        if override is not None and override.completed:
            await complete_task(session, owner, task_id, True, completed_at=override.completed_at)
            await _write_texts(session, owner, row, override)
        elif (override is not None and override.cancelled) or any(is_same_date(each, here, zone) for each in excluded):
            await skip_task(session, owner, task_id)
        else:
            await _move(session, owner, row, override)
            break
        row = await select_for_write(session, owner, task_id, None)


def current_date(row: dict[str, Any]) -> Due:
    """Returns the date that the current occurrence of a series has in RECURRENCE-ID: its start, if it has one."""
    found = due_of(row, "start") or due_of(row)
    assert found is not None, "a constraint of the table"
    return found


def is_same_date(one: Due, other: Due, zone: ZoneInfo) -> bool:
    """Returns whether two dates name one occurrence; of a day and an instant the days in ``zone`` count."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one == other
    return day_in(one, zone) == day_in(other, zone)


async def _write_texts(session: Session, owner: str, series: dict[str, Any], override: OverrideFields) -> None:
    """Gives the occurrence that was kept the title and the description of its own to-do."""
    texts = {name: text for name, text in override.texts.items() if text != series[name]}
    if not texts:
        return
    kept: int | None = (await session.exec(FIND_KEPT_OCCURRENCE, {"owner": owner, "series_id": series["id"]})).first()
    if kept is not None:
        await write_task(session, owner, kept, texts)


async def _move(session: Session, owner: str, row: dict[str, Any], override: OverrideFields | None) -> None:
    """Moves the current occurrence; the others keep their days."""
    due = due_of(row)
    if override is not None and override.due is not None and override.due != due:
        await write_task(session, owner, row["id"], due_columns(override.due))
