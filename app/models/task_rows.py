"""Tasks on their way out: what a service returns and what is encoded."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Date, DateTime

from app.models.tasks import TASKS, TaskRead

# What a service returns and what is encoded: TaskRead without validation, 3 microseconds a row less than Pydantic.
TaskRow: Any = msgspec.defstruct("TaskRow", list(TaskRead.model_fields), frozen=True, gc=False)

# The columns behind TaskRow: its fields in their order, ``due_on`` in the place of ``due_date``, and ``due_at`` last.
READ_COLUMNS = (*tuple("due_on" if name == "due_date" else name for name in TaskRead.model_fields), "due_at")
_DUE, _DUE_AT = READ_COLUMNS.index("due_on"), len(READ_COLUMNS) - 1


# Columns whose JSON is text, and how it is read back. fromisoformat also reads "+00:00" and cut-off fractions.
FROM_JSON: dict[str, Callable[[str], Any]] = {
    column.name: datetime.fromisoformat if isinstance(column.type, DateTime) else date.fromisoformat
    for column in TASKS.c
    if isinstance(column.type, DateTime | Date)
}


def due_of(row: Any, prefix: str = "due") -> date | datetime | None:
    """Returns the day or the instant of a row of columns, whichever is set; ``prefix`` anchor: of its series."""
    due: date | datetime | None = row[f"{prefix}_at"] if row[f"{prefix}_on"] is None else row[f"{prefix}_on"]
    return due


def task_of_change(data: dict[str, Any]) -> Any:
    """A TaskRow of ``changes.data``: the same bytes that a GET answers for that row.

    A column that is younger than the change is null.
    """
    values = [(data.get(name), FROM_JSON.get(name)) for name in READ_COLUMNS]
    return task_row([value if read is None or value is None else read(value) for value, read in values])


def task_row(record: Any) -> Any:
    """A TaskRow of a record that begins with READ_COLUMNS; ``due_date`` is whichever of the two is set."""
    due_at = record[_DUE_AT]
    if due_at is None:
        return TaskRow(*record[:_DUE_AT])
    return TaskRow(*record[:_DUE], due_at, *record[_DUE + 1 : _DUE_AT])
