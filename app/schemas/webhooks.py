"""Webhooks as clients send them, and the messages that they receive."""

from typing import Annotated, Any

from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from app.models.types import Instant, RequestModel, UpdateModel, cleaned, raw_items
from app.schemas.changes import CHANGE_EXAMPLE, EVENT_NAMES, ChangeRead

URL_MAX, EVENTS_MAX = 2000, 50
URL_PATTERN = "^[Hh][Tt][Tt][Pp][Ss]?://"  # http only where the operator allows private addresses


def _event(name: str) -> str:
    if name not in EVENT_NAMES:
        raise PydanticCustomError("event", "Expected an entity and an action, such as task.created or view.deleted.")
    return name


Url = Annotated[
    StrictStr,
    cleaned(URL_MAX),
    Field(
        min_length=1,
        max_length=URL_MAX,
        json_schema_extra={"format": "uri", "pattern": URL_PATTERN},
        examples=["https://example.com/hooks/todo"],
    ),
]
WebhookEvent = TypeAliasType(
    "WebhookEvent",
    Annotated[StrictStr, AfterValidator(_event), Field(json_schema_extra={"enum": [*EVENT_NAMES]})],
)
Events = Annotated[
    list[WebhookEvent],
    raw_items(EVENTS_MAX),
    AfterValidator(lambda names: list(dict.fromkeys(names))),
    Field(max_length=EVENTS_MAX, examples=[["task.created", "task.completed"]], description="Empty: every event."),
]


class WebhookCreate(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks/todo", "events": ["task.completed"]}]}
    )

    url: Url
    events: Events = []


class WebhookUpdate(UpdateModel):
    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"active": True}]})

    url: Url | MISSING = MISSING
    events: Events | MISSING = MISSING
    active: StrictBool | MISSING = Field(MISSING, description="true: resume deliveries after it was disabled.")


MESSAGE_EXAMPLE: Any = {"type": "task.completed", "timestamp": CHANGE_EXAMPLE["at"], "data": CHANGE_EXAMPLE}


class WebhookMessage(BaseModel):
    """The body of a delivery. Only documents the shape: ``app.services.webhooks.deliveries`` makes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [MESSAGE_EXAMPLE]})

    type: WebhookEvent
    timestamp: Instant
    data: ChangeRead
