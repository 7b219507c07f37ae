"""Channels as clients send them."""

from typing import Annotated, Any, ClassVar

from pydantic import MISSING, AfterValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictStr

from app.models.channels import CHANNEL_NAME_MAX, DIGEST_WEEKDAYS, ChannelKind
from app.models.types import IgnoresReadOnlyFields, RequestModel, UpdateModel, cleaned, raw_items, visible
from app.schemas.webhooks import URL_MAX, URL_PATTERN, Url

TOKEN_MAX, SERVICE_URL_MAX, SERVICE_URLS_MAX = 500, 1000, 20
TOPIC_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
LOCAL_TIME_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
# RFC 8291, 5.
P256DH_EXAMPLE = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
WRITE_ONLY: Any = {"writeOnly": True}

ChannelName = Annotated[
    StrictStr, visible(CHANNEL_NAME_MAX), Field(min_length=1, max_length=CHANNEL_NAME_MAX, examples=["Phone"])
]
Topic = Annotated[StrictStr, Field(pattern=TOPIC_PATTERN, examples=["alice-8f3a1c"])]
# Sent in a header: no space, no line break.
Token = Annotated[
    StrictStr,
    Field(pattern="^[!-~]+$", max_length=TOKEN_MAX, json_schema_extra=WRITE_ONLY, examples=["tk_..."]),
]
ServiceUrl = Annotated[StrictStr, Field(pattern="^[A-Za-z][A-Za-z0-9+.-]*://[!-~]+$", max_length=SERVICE_URL_MAX)]
ServiceUrls = Annotated[
    list[ServiceUrl],
    Field(min_length=1, max_length=SERVICE_URLS_MAX, json_schema_extra=WRITE_ONLY, examples=[["tgram://.../..."]]),
]
LocalTime = Annotated[StrictStr, Field(pattern=LOCAL_TIME_PATTERN, examples=["08:00"])]
Weekday = Annotated[
    StrictStr, Field(json_schema_extra={"enum": [*DIGEST_WEEKDAYS]}, pattern=f"^({'|'.join(DIGEST_WEEKDAYS)})$")
]
Weekdays = Annotated[
    list[Weekday],
    raw_items(len(DIGEST_WEEKDAYS)),
    AfterValidator(lambda days: [day for day in DIGEST_WEEKDAYS if day in days]),
    Field(min_length=1, max_length=len(DIGEST_WEEKDAYS), examples=[["mon", "tue", "wed", "thu", "fri"]]),
]


Endpoint = Annotated[
    StrictStr,
    cleaned(URL_MAX),
    Field(max_length=URL_MAX, pattern=URL_PATTERN, examples=["https://push.example.com/send/f8c2..."]),
]


class SubscriptionKeys(RequestModel):
    """``p256dh`` is the browser's public key, ``auth`` its secret: base64url, as the browser gives them."""

    p256dh: Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{87}=?$", examples=[P256DH_EXAMPLE])]
    auth: Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{22}={0,2}$", examples=["BTBZMqHH6r4Tts7J_aSIgg"])]


class PushSubscription(RequestModel):
    """A browser's subscription, as its ``PushSubscription.toJSON()`` returns it."""

    endpoint: Endpoint
    expirationTime: StrictFloat | None = None  # noqa: N815 - the browser's name
    keys: SubscriptionKeys


class ChannelBody(IgnoresReadOnlyFields):
    """Read-only fields of a response may be sent back; they are ignored."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"id", "user_id", "secrets", "disabled_reason", "version", "created_at", "updated_at"}
    )


URL_HELP = (
    "Of the server of ntfy (default: https://ntfy.sh), Gotify or Apprise API, "
    "there as it is posted to, such as https://apprise.example.com/notify/my-key."
)
TOPIC_HELP = "Of ntfy. Who knows it can read and send there."
TOKEN_HELP = "Of Gotify the application's, of ntfy an access token."
URLS_HELP = "Of Apprise: where it sends, for a server without a stored configuration."
QUIET_HELP = "The beginning of quiet hours, in the user's zone: reminders wait for their end, `quiet_to`."
DIGEST_HELP = (
    "When the daily digest is sent, in the user's zone: overdue, due today, done yesterday. Once a day, "
    "and not when there is nothing to tell; null: never."
)


class ChannelCreate(ChannelBody):
    """A new channel. Each kind has fields of its own: ntfy needs ``topic``, mail none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "ntfy", "topic": "alice-8f3a1c", "name": "Phone"}]}
    )

    kind: ChannelKind
    name: ChannelName | None = Field(None, description="Default: the kind, with a number where it is taken.")
    url: Url | None = Field(None, description=URL_HELP)
    topic: Topic | None = Field(None, description=TOPIC_HELP)
    token: Token | None = Field(None, description=TOKEN_HELP)
    urls: ServiceUrls | None = Field(None, description=URLS_HELP)
    subscription: PushSubscription | None = Field(None, json_schema_extra=WRITE_ONLY)
    active: StrictBool = True
    all_reminders: StrictBool = True
    quiet_from: LocalTime | None = Field(None, description=QUIET_HELP)
    quiet_to: LocalTime | None = None
    digest_time: LocalTime | None = Field(None, description=DIGEST_HELP)
    digest_days: Weekdays = list(DIGEST_WEEKDAYS)


class ChannelUpdate(ChannelBody, UpdateModel):
    """Only the fields sent change; null clears one. A secret that is not sent stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"digest_time": "08:00"}]})
    READ_ONLY: ClassVar[frozenset[str]] = ChannelBody.READ_ONLY | {"kind"}

    name: ChannelName | MISSING = MISSING
    url: Url | MISSING | None = MISSING
    topic: Topic | MISSING | None = MISSING
    token: Token | MISSING | None = MISSING
    urls: ServiceUrls | MISSING | None = MISSING
    subscription: PushSubscription | MISSING = Field(MISSING, json_schema_extra=WRITE_ONLY)
    active: StrictBool | MISSING = Field(MISSING, description="true: send again after it was disabled.")
    all_reminders: StrictBool | MISSING = MISSING
    quiet_from: LocalTime | MISSING | None = MISSING
    quiet_to: LocalTime | MISSING | None = MISSING
    digest_time: LocalTime | MISSING | None = MISSING
    digest_days: Weekdays | MISSING | None = MISSING
