"""Completing many tasks: what is below goes along, and series go on to their next dates."""

import asyncio
from typing import Any

from app.db.session import Session
from app.models.task_rows import due_of
from app.services.tasks.bulk_statements import BELOW, COMPLETE, REOPEN_BELOW, update_all
from app.services.tasks.series import here_and_now, keep_occurrences, moved_on, plain, step_of

Row = dict[str, Any]


async def complete_all(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """Complete open tasks. The owner must be locked, and the number taken."""
    tree = (await session.exec(BELOW, {"owner": owner, "ids": list(targets)})).all()
    roots = targets.keys() - {row.id for row in tree if row.id != row.root}
    series = [row for task_id, row in targets.items() if task_id in roots and row["recurrence"] is not None]
    over, going_on = await _steps(session, owner, series)
    done = roots - {row["id"] for row in going_on}
    # The trees of two roots have nothing in common.
    below = {row.id for row in tree if row.root in done} - {row["id"] for row in over}
    reopened = {row.id for row in tree if row.root in roots - done} - roots
    if below:
        await session.exec(COMPLETE, {"owner": owner, "ids": list(below)})
    if over:
        statement = update_all(frozenset({"completed"}), frozenset({"occurrences_done"}), "completed")
        await session.exec(statement, {"owner": owner, "rows": over, "completed": True})
    if going_on:
        statement = update_all(frozenset(), frozenset({"due_on", "due_at", "occurrences_done"}), "completed")
        await session.exec(statement, {"owner": owner, "rows": going_on})
        await keep_occurrences(session, owner, {row["id"]: due_of(targets[row["id"]]) for row in going_on})
    if reopened:
        await session.exec(REOPEN_BELOW, {"owner": owner, "ids": list(reopened)})


async def _steps(session: Session, owner: str, series: list[Row]) -> tuple[list[Row], list[Row]]:
    """What is written to the series that are over, and to those that go on."""
    over: list[Row] = []
    going_on: list[Row] = []
    if not series:
        return over, going_on
    zone, moment = await here_and_now(session, owner)
    for row in series:
        step = step_of(row, zone, moment)
        if step.due is None:
            over.append({"id": row["id"], "occurrences_done": step.occurrences_done})
        else:
            going_on.append({"id": row["id"], **plain(moved_on(step.due, step.occurrences_done))})
        await asyncio.sleep(0)  # a step can take milliseconds, and others wait
    return over, going_on
