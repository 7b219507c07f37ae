"""Saved views as clients send them."""

from typing import Annotated, Any, ClassVar

from pydantic import MISSING, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from app.models.base import Shape, VisibleText
from app.models.views import NAME_MAX, ViewRead
from app.schemas.task_query import PageQuery, TaskFilter

ViewName = Annotated[StrictStr, VisibleText, Field(min_length=1, max_length=NAME_MAX, examples=["Urgent at home"])]
EXAMPLE: Any = {"name": "Urgent at home", "parameters": {"status": "pending", "priority": ["urgent"], "tag": ["home"]}}


class ViewBody(Shape):
    """What clients got back from a read may be sent again: the read-only names are dropped, never applied."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(ViewRead.model_fields) - {"name", "parameters"}

    @model_validator(mode="before")
    @classmethod
    def _drop_read_only(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if k not in cls.READ_ONLY} if isinstance(data, dict) else data


class ViewCreate(ViewBody):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: ViewName
    parameters: TaskFilter = Field(description="The parameters of a task list, without those of a page.")


class ViewUpdate(ViewBody):
    """``parameters`` replaces all of them."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"name": "At home"}]})

    name: ViewName | MISSING = MISSING
    parameters: TaskFilter | MISSING = MISSING

    @model_validator(mode="after")
    def _not_empty(self) -> "ViewUpdate":
        if not self.model_fields_set:
            raise PydanticCustomError("empty_update", "Send at least one field to change")
        return self


class ViewTasksQuery(PageQuery):
    """Only a page: which tasks, and in which order, the view says."""
