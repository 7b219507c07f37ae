"""Bodies of the requests that do more to a task than change its fields: complete, move, snooze."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import MISSING, BeforeValidator, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.models.task_fields import PLACE_TWINS, SubtasksOnCompletion
from app.models.tasks import TaskBody
from app.models.types import RequestModel, RowId, Uid, UidTwin, parse_date_or_instant


class TaskComplete(TaskBody):
    """No body toggles; ``completed`` sets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"completed": True}]})

    READ_ONLY: ClassVar[frozenset[str]] = TaskBody.READ_ONLY | {"uid", "status"}

    completed: StrictBool
    subtasks: SubtasksOnCompletion = Field(
        SubtasksOnCompletion.COMPLETE, description="keep: those below that are open stay open."
    )


def require_one_place(names: set[str]) -> None:
    """Raises PydanticCustomError unless ``names``, the fields sent, give one place."""
    if not names or {"before", "after"} <= names:
        raise PydanticCustomError("one_place", "Send before or after, or where to: project_id, parent_id.")


ONE_SIDE: list[Any] = [
    {"not": {"required": [before, after]}} for before in ("before", "before_uid") for after in ("after", "after_uid")
]


class TaskMove(RequestModel):
    """Directly before or after another task; without either, after all others."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "allOf": ONE_SIDE,
            "examples": [{"project_id": None}],
        }
    )

    TWINS: ClassVar[Mapping[str, UidTwin]] = {
        **PLACE_TWINS,
        "before_uid": UidTwin("before", "task"),
        "after_uid": UidTwin("after", "task"),
    }

    before: RowId | MISSING = MISSING
    before_uid: Uid | MISSING = MISSING
    after: RowId | MISSING = MISSING
    after_uid: Uid | MISSING = MISSING
    project_id: RowId | MISSING | None = MISSING
    project_uid: Uid | MISSING | None = MISSING
    parent_id: RowId | MISSING | None = MISSING
    parent_uid: Uid | MISSING | None = MISSING

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        require_one_place(self.sent_fields)
        return self


def _instant(value: Any) -> datetime:
    if not isinstance(value := parse_date_or_instant(value), datetime):
        raise PydanticCustomError("instant", "Until when is an instant such as 2026-12-01T09:00:00Z.")
    return value


def _number(value: Any) -> Any:
    # Neither true nor "5"; 5.0 is a whole number to JSON Schema.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticKnownError("int_type")
    return value


class Snooze(RequestModel):
    """Until when, or for how many minutes from now."""

    model_config = {"json_schema_extra": {"minProperties": 1, "maxProperties": 1, "examples": [{"minutes": 10}]}}

    KEEPS_NULL: ClassVar[bool] = True  # alone it is refused, as the schema says: a body has one property

    until: Annotated[datetime, BeforeValidator(_instant)] | MISSING = MISSING
    minutes: Annotated[int, Field(ge=1, le=60 * 24 * 366), BeforeValidator(_number)] | MISSING = MISSING

    @model_validator(mode="before")
    @classmethod
    def _drop_null_beside_the_other(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values() and any(data.values()):
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError("snooze", "Send either until or minutes.")
        return self
