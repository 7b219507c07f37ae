"""What can be done with a task beside changing its fields."""

from pydantic import MISSING, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.models.task_fields import Subtasks
from app.models.tasks import TaskBody
from app.models.types import RowId, Shape


class TaskComplete(TaskBody):
    """No body toggles; ``completed`` sets."""

    completed: StrictBool
    subtasks: Subtasks = Field(Subtasks.COMPLETE, description="keep: those below that are open stay open.")


def one_place(names: set[str]) -> None:
    """``names`` are those that were sent. Raises PydanticCustomError."""
    if not names or {"before", "after"} <= names:
        raise PydanticCustomError("one_place", "Send before or after, or where to: project_id, parent_id")


class TaskMove(Shape):
    """Directly before or after another task; without either, behind all."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"project_id": None}]})

    before: RowId | MISSING = MISSING
    after: RowId | MISSING = MISSING
    project_id: RowId | MISSING | None = MISSING
    parent_id: RowId | MISSING | None = MISSING

    @model_validator(mode="after")
    def _one_place(self) -> "TaskMove":
        one_place(self.model_fields_set)
        return self
