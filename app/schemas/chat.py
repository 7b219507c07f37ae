"""Talking to the assistant: what is asked and what is answered."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from app.models.conversations import CALL, ToolCallRead
from app.models.types import MAX_ID, Int64, Shape, visible
from app.schemas.queries import Limit, Whole

MESSAGE_MAX = 4000


class ChatRequest(Shape):
    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "add buy milk tomorrow, high priority"}]})

    conversation_id: Annotated[StrictInt, Field(ge=1, le=MAX_ID)] | None = Field(
        None, description="Go on with this conversation. Default: a new one."
    )
    message: Annotated[StrictStr, visible(MESSAGE_MAX), Field(min_length=1, max_length=MESSAGE_MAX)]
    confirm: StrictBool | None = Field(
        None, description="Do, or drop, what waits for a yes. The message `yes` does it, too; any other drops it."
    )


class ChatAnswer(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"conversation_id": 3, "response": 'I added "Buy milk" for tomorrow.', "tool_calls": [CALL]}]
        }
    )

    conversation_id: Int64
    response: str
    tool_calls: list[ToolCallRead] = Field(
        description="What was done. `result.status` is `needs_confirmation` for what waits for a yes."
    )


class BeforeQuery(Shape):
    limit: Limit = 100
    before: Annotated[int, Field(ge=1, le=MAX_ID), Whole] | None = Field(
        None, description="Only what came before this id: the first one of the page before."
    )
