"""Saved views as clients send them."""

from typing import Annotated, Any, ClassVar

from pydantic import MISSING, ConfigDict, Field, StrictStr

from app.models.types import UID_HELP, IgnoresReadOnlyFields, MergedUpdate, Uid, UpdateModel, visible
from app.models.views import VIEW_NAME_MAX, ViewRead
from app.schemas.queries import PageQuery
from app.schemas.task_query import TaskFilter

ViewName = Annotated[
    StrictStr, visible(VIEW_NAME_MAX), Field(min_length=1, max_length=VIEW_NAME_MAX, examples=["Urgent at home"])
]
VIEW_EXAMPLE: Any = {
    "name": "Urgent at home",
    "parameters": {"status": "pending", "priority": ["urgent"], "tag": ["home"]},
}


class ViewBody(IgnoresReadOnlyFields):
    """Read-only fields of a response may be sent back; they are ignored."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(ViewRead.model_fields) - {"uid", "name", "parameters"}


class ViewCreate(ViewBody):
    model_config = ConfigDict(json_schema_extra={"examples": [VIEW_EXAMPLE]})

    uid: Uid | None = Field(None, description=UID_HELP)
    name: ViewName
    parameters: TaskFilter = Field(description="The parameters of a task list, without those of a page.")


class ViewUpdate(ViewBody, MergedUpdate, UpdateModel):
    """``parameters`` replaces all parameters."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"name": "At home"}]})

    uid: Uid | MISSING = Field(MISSING, description="That of the view: it never changes.")
    name: ViewName | MISSING = MISSING
    parameters: TaskFilter | MISSING = MISSING


class ViewTasksQuery(PageQuery):
    """Only a page: the view determines the tasks and their order."""
