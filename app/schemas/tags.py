"""Tags: words on tasks, and the colours of some."""

from typing import Self

from pydantic import MISSING, BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.models.projects import Color
from app.models.task_fields import Tag
from app.models.types import RequestModel


class TagRead(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "errands", "count": 12, "open": 5, "color": "#b4552d"}]}
    )

    name: str
    count: int = Field(description="Tasks with this tag, except those in the trash.")
    open: int = Field(description="Those that are not completed.")
    color: str | None


class TagUpdate(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "shopping"}, {"color": "#b4552d"}]})

    name: Tag | None = Field(None, description="The new name; the colour is carried over.")
    merge: StrictBool = Field(
        False,
        description="true: the new name may already be in use; the tags are merged, and the colour of that one stays.",
    )
    color: Color | MISSING | None = Field(MISSING, description="null: none.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.name is None and self.color is MISSING:
            raise PydanticCustomError("empty_update", "Send at least one field to change.")
        return self
