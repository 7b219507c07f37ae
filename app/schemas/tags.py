"""Tags: words on tasks, with no table of their own."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from app.models.task_fields import Tag
from app.models.types import RequestModel


class TagRead(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "errands", "count": 12, "open": 5}]})

    name: str
    count: int = Field(description="Tasks with this tag, except those in the trash.")
    open: int = Field(description="Those that are not completed.")


class TagUpdate(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "shopping"}]})

    name: Tag
    merge: StrictBool = Field(False, description="true: the new name may already be in use; the tags are merged.")
