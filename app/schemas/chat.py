"""Requests and responses of the chat."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from app.models.conversations import TOOL_CALL_EXAMPLE, ToolCallRead
from app.models.types import MAX_ID, Int64, RequestModel, visible
from app.schemas.queries import PageLimit, WholeNumber

CHAT_MESSAGE_MAX = 4000


class ChatRequest(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "add buy milk tomorrow, high priority"}]})

    conversation_id: Annotated[StrictInt, Field(ge=1, le=MAX_ID)] | None = Field(
        None, description="Continue this conversation. Default: a new one."
    )
    message: Annotated[StrictStr, visible(CHAT_MESSAGE_MAX), Field(min_length=1, max_length=CHAT_MESSAGE_MAX)]
    confirm: StrictBool | None = Field(
        None,
        description="Run or drop the calls that wait for confirmation. The message `yes` runs them, others drop them.",
    )


class ChatOutcome(StrEnum):
    """The way in which the answer to a message ended."""

    ANSWERED = "answered"
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    REFUSED = "refused"
    STEP_LIMIT = "step_limit"


class ChatAnswer(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "conversation_id": 3,
                    "response": 'I added "Buy milk" for tomorrow.',
                    "outcome": "answered",
                    "tool_calls": [TOOL_CALL_EXAMPLE],
                }
            ]
        }
    )

    conversation_id: Int64
    response: str = Field(description="The answer; never empty. It says so if the model gave none, or a part of one.")
    outcome: ChatOutcome = Field(
        description="answered: the model ended its answer. empty: it returned none. cut_off: it reached "
        "CHAT_ANSWER_TOKENS. refused: it, or a filter of its provider, refused. step_limit: it wanted more calls than "
        "one message may make. Whatever the outcome, `tool_calls` lists what was done."
    )
    tool_calls: list[ToolCallRead] = Field(
        description="The calls of tools. `result.status` is `needs_confirmation` for those that wait for confirmation."
    )


class BeforeQuery(RequestModel):
    limit: PageLimit = 100
    before: Annotated[int, Field(ge=1, le=MAX_ID), WholeNumber] | None = Field(
        None, description="Only items before this id: the first one of the previous page."
    )
