"""Requests on projects other than their fields."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.models.types import RequestModel, RowId, Uid, UidTwin, field_error
from app.schemas.queries import IdOrInbox


class ArchivedFilter(StrEnum):
    FALSE = "false"
    TRUE = "true"
    ALL = "all"


class ProjectTasksAction(StrEnum):
    TRASH = "trash"
    MOVE = "move"


class SubprojectsAction(StrEnum):
    MOVE_UP = "move_up"
    TRASH = "trash"


class ProjectQuery(RequestModel):
    archived: ArchivedFilter = ArchivedFilter.FALSE


class ProjectDeletion(RequestModel):
    """``to`` or ``to_uid`` is required with ``tasks=move`` and refused without it.

    ``subprojects=trash`` means the tasks of those as well.
    """

    TWINS: ClassVar[Mapping[str, UidTwin]] = {"to_uid": UidTwin("to", "project")}

    tasks: ProjectTasksAction = Field(
        ProjectTasksAction.TRASH, description="What happens to its tasks; move needs `to` or `to_uid`."
    )
    subprojects: SubprojectsAction = Field(
        SubprojectsAction.MOVE_UP,
        description="What happens to the projects inside of it: move_up puts them where it was; trash deletes them "
        "with their tasks, or with tasks=move moves these too.",
    )
    to: IdOrInbox | None = Field(None, description="With tasks=move: a project's id, or inbox.")
    to_uid: Uid | None = Field(None, description="With tasks=move: a project's uid.")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "ProjectDeletion":
        if (self.tasks is ProjectTasksAction.MOVE) == (self.to is None and self.to_uid is None):
            raise field_error(
                "to" if self.to_uid is None else "to_uid",
                "move_where",
                "With tasks=move send to, a project's id or inbox, or to_uid; else leave them out.",
            )
        return self


# null is the same as left out.
ONE_NEIGHBOUR: list[Any] = [
    {"required": [name], "properties": {name: {"type": "string" if name.endswith("_uid") else "integer"}}}
    for name in ("before", "before_uid", "after", "after_uid")
]


class ProjectMove(RequestModel):
    """Directly before or after another one."""

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_NEIGHBOUR, "examples": [{"before": 3}]})

    TWINS: ClassVar[Mapping[str, UidTwin]] = {
        "before_uid": UidTwin("before", "project"),
        "after_uid": UidTwin("after", "project"),
    }

    before: RowId | None = None
    before_uid: Uid | None = None
    after: RowId | None = None
    after_uid: Uid | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "ProjectMove":
        sent = {self.TWINS.get(name, (name,))[0] for name, value in self if value is not None}
        if len(sent) != 1:
            raise PydanticCustomError("one_place", "Send either before or after.")
        return self
