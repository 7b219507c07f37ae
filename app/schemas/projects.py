"""Requests on projects other than their fields."""

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.models.types import RequestModel, RowId, field_error
from app.schemas.queries import IdOrInbox


class ArchivedFilter(StrEnum):
    FALSE = "false"
    TRUE = "true"
    ALL = "all"


class ProjectTasksAction(StrEnum):
    TRASH = "trash"
    MOVE = "move"


class ProjectQuery(RequestModel):
    archived: ArchivedFilter = ArchivedFilter.FALSE


class ProjectDeletion(RequestModel):
    """``to`` is required with ``tasks=move`` and refused without it."""

    tasks: ProjectTasksAction = Field(
        ProjectTasksAction.TRASH, description="What happens to its tasks; move needs `to`."
    )
    to: IdOrInbox | None = Field(None, description="With tasks=move: a project's id, or inbox.")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "ProjectDeletion":
        if (self.tasks is ProjectTasksAction.MOVE) != (self.to is not None):
            raise field_error(
                "to", "move_where", "With tasks=move send to, a project's id or inbox; else leave it out."
            )
        return self


# null is the same as left out.
ONE_NEIGHBOUR: list[Any] = [
    {"required": [name], "properties": {name: {"type": "integer"}}} for name in ("before", "after")
]


class ProjectMove(RequestModel):
    """Directly before or after another one."""

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_NEIGHBOUR, "examples": [{"before": 3}]})

    before: RowId | None = None
    after: RowId | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ProjectMove":
        if (self.before is None) == (self.after is None):
            raise PydanticCustomError("one_place", "Send either before or after.")
        return self
