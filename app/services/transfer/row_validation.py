"""Rows of a file as rows of a table: validated like the bodies of requests."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from app.domain.recurrence import parse_rule
from app.errors import AppError, Invalid
from app.errors.findings import locate_errors, make_findings
from app.models.task_aliases import SENT_NAMES
from app.models.task_fields import state_of
from app.models.task_reminders import spell_instant
from app.models.tasks import TASKS
from app.schemas.user_settings import PreferencesUpdate
from app.services.changes.entities import IMPORTED_ENTITIES
from app.services.channels.channel_fields import (
    KIND_FIELDS,
    NO_SECRETS,
    SECRET_FIELDS,
    SWITCHED_OFF,
    require_known_fields,
    require_quiet_hours,
)
from app.services.transfer.import_row import LoadedRow, RowRefused, ValidRow
from app.services.transfer.row_repair import RowRepair, TableFields

# Columns that a file holds as the table does. References are looked up when the row is written.
TASK_FIELDS = set(TASKS.c.keys()) - {"project_id", "parent_id"}
LISTED_ERRORS = 20  # errors of one row
ROW_SHAPES = {name: entity.imported for name, entity in IMPORTED_ENTITIES.items() if entity.imported}
TABLE_FIELDS = {
    name: TableFields(
        known=frozenset(shape.model_fields),
        read_only=shape.READ_ONLY,
        required=frozenset(field for field, info in shape.model_fields.items() if info.is_required()),
    )
    for name, shape in ROW_SHAPES.items()
}


class RowReader:
    """Validates rows, given the maximum length of a description, the time zone of local times, and the time."""

    def __init__(self, *, description_max: int, timezone: ZoneInfo, now: datetime) -> None:
        self._context = {"description_max": description_max}
        self._zone, self._now = timezone, now

    def use_timezone(self, timezone: str) -> None:
        """Reads local times from now on as times in ``timezone``."""
        self._zone = ZoneInfo(timezone)

    def read_timezone(self, fields: dict[str, Any]) -> str:
        """Returns the time zone in the settings of a file. Raises RowRefused."""
        return str(self._validated(PreferencesUpdate, {"timezone": fields.get("timezone")}).timezone)

    def read_loaded(self, name: str, loaded: LoadedRow) -> ValidRow:
        """Returns the columns of a row of a file and its warnings. Raises RowRefused."""
        repair = RowRepair(loaded, TABLE_FIELDS[name], now=self._now, zone=self._zone, **self._context)
        return repair.run(partial(self.read, name))

    def read(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Returns the columns of a row of table ``name``, as JSON values. Raises RowRefused."""
        shape = self._validated(ROW_SHAPES[name], fields)
        try:
            values: dict[str, Any] = getattr(self, f"_{name}", _same_fields)(shape)
        except Invalid as error:
            raise RowRefused([{"loc": list(error.loc[1:]), "msg": error.detail, "type": error.code}]) from None
        except AppError as error:
            raise RowRefused([{"loc": [], "msg": error.detail, "type": error.code}]) from None
        created = shape.created_at or self._now
        times = {"created_at": created, "updated_at": shape.updated_at or created, "deleted_at": shape.deleted_at}
        return {key: self._json_value(value) for key, value in (values | times).items()}

    def _validated(self, shape: type[BaseModel], fields: dict[str, Any]) -> Any:
        try:
            return shape.model_validate(fields, context=self._context)
        except ValidationError as error:
            raise RowRefused(make_findings(locate_errors(error, fields), SENT_NAMES)[:LISTED_ERRORS]) from None

    def _tasks(self, task: Any) -> dict[str, Any]:
        due_on, due_at = self._day_or_instant(task.due_date)
        start_on, start_at = self._day_or_instant(task.start_date)
        values: dict[str, Any] = task.model_dump(include=TASK_FIELDS)
        values |= {"due_on": due_on, "due_at": due_at, "start_on": start_on, "start_at": start_at}
        values |= {"state": state_of(task.status)}
        values |= {"recurrence": None, "anchor_on": None, "anchor_at": None}
        values["reminders"] = [self._reminder(reminder) for reminder in task.reminders]
        values["completed_at"] = (task.completed_at or task.updated_at or self._now) if task.completed else None
        if task.recurrence:
            if task.due_date is None:
                raise Invalid("A recurring task needs a due date.", loc=("body", "recurrence"))
            values["recurrence"] = str(parse_rule(task.recurrence))
            anchor = task.due_date if task.anchor_date is None else task.anchor_date
            values["anchor_on"], values["anchor_at"] = self._day_or_instant(anchor)
        return values

    def _views(self, view: Any) -> dict[str, Any]:
        return {
            "name": view.name,
            "parameters": view.parameters.model_dump(mode="json", exclude_unset=True),
            "uid": view.uid,
        }

    def _channels(self, channel: Any) -> dict[str, Any]:
        values: dict[str, Any] = dict(channel)
        known = KIND_FIELDS[channel.kind]
        require_known_fields(channel.kind, values, known.needed.difference(SECRET_FIELDS))
        require_quiet_hours(values)
        had = known.needed | known.optional.intersection(channel.secrets)
        missing = [name for name in SECRET_FIELDS if name in had]
        reason = None if channel.active else channel.disabled_reason or SWITCHED_OFF
        reason = NO_SECRETS if missing else reason
        return values | {"secrets": missing, "active": reason is None, "disabled_reason": reason}

    @staticmethod
    def _day_or_instant(due: date | datetime | None) -> tuple[date | None, datetime | None]:
        return (None, due) if isinstance(due, datetime) else (due, None)

    def _json_value(self, value: Any) -> Any:
        """Returns a date as text; a local time is one in the owner's zone."""
        if not isinstance(value, date):
            return value
        if isinstance(value, datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=self._zone).astimezone(UTC)
        return value.isoformat()

    def _reminder(self, reminder: str) -> str:
        if reminder.endswith("Z") or "P" in reminder:
            return reminder
        return spell_instant(datetime.fromisoformat(reminder).replace(tzinfo=self._zone))


def _same_fields(shape: BaseModel) -> dict[str, Any]:
    """Returns the columns of a table whose fields in a file have their names."""
    return dict(shape)
