"""A reminder as clients send it: an instant, or how long before or after the due date; and where it is sent."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from app.models.types import RowId, parse_date_or_instant, raw_items

REMINDERS_MAX, REMIND_CHANNELS_MAX = 10, 20
LONGEST_REMINDER = timedelta(days=366)
REMINDER_HELP = (
    "A reminder is an instant such as 2026-12-01T09:00:00Z, or a duration from the due date such as -PT30M or -P1D."
)
# RFC 5545, 3.3.6: weeks are not combined with other units. The digits are bounded so that int() stays cheap.
_DURATION_TEXT = re.compile(
    r"([+-])?P(?:(\d{1,3})W|(?=\d|T\d)(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?)",
    re.ASCII,
)


def _duration(text: str) -> str | None:
    """Returns the canonical spelling of a duration, e.g. -P1DT2H; None when ``text`` is not a duration.

    Days stay days: one day before is the same time of day on the previous day, which is not always 24 hours.
    """
    if (found := _DURATION_TEXT.fullmatch(text)) is None:
        return None
    sign, weeks, days, hours, minutes, seconds = found.groups()
    whole = int(weeks or 0) * 7 + int(days or 0)
    left = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    if timedelta(days=whole, seconds=left) > LONGEST_REMINDER:
        raise PydanticCustomError("reminder_range", "A reminder is at most 366 days from the due date.")
    clock = "".join(f"{number}{unit}" for number, unit in zip(_split_seconds(left), "HMS", strict=True) if number)
    text = f"P{f'{whole}D' if whole else ''}{f'T{clock}' if clock else ''}"
    return "PT0S" if text == "P" else ("-" if sign == "-" else "") + text


def _split_seconds(seconds: int) -> tuple[int, int, int]:
    return seconds // 3600, seconds // 60 % 60, seconds % 60


def _reminder(text: str) -> str:
    """Returns the canonical spelling. An instant without offset stays so: the service reads it in the owner's zone."""
    if (duration := _duration(text.upper())) is not None:
        return duration
    try:
        instant = parse_date_or_instant(text)
    except PydanticCustomError as error:
        if error.type == "date_range":
            raise
        raise PydanticCustomError("reminder", REMINDER_HELP) from None
    if not isinstance(instant, datetime):
        raise PydanticCustomError("reminder", REMINDER_HELP)
    return spell_instant(instant) if instant.tzinfo else instant.isoformat()


def spell_instant(instant: datetime) -> str:
    """Returns the spelling in which reminders are stored."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _unique_items(items: list[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


REMINDER_FORMS: list[Any] = [
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": f"^({_DURATION_TEXT.pattern})$"},
]
Reminder = TypeAliasType(
    "Reminder",
    Annotated[
        StrictStr,
        Field(max_length=64),
        AfterValidator(_reminder),
        WithJsonSchema(
            {
                "anyOf": [{**form, "maxLength": 64} for form in REMINDER_FORMS],
                "description": "An instant, or a duration from the due date as in iCalendar.",
                "examples": ["-PT30M", "2026-12-01T09:00:00Z"],
            }
        ),
    ],
)
ReminderList = Annotated[
    list[Reminder],
    raw_items(REMINDERS_MAX),
    AfterValidator(_unique_items),
    Field(
        max_length=REMINDERS_MAX,
        description="Instants, or durations from the due date as in iCalendar; of a day, from its local midnight.",
        examples=[["-PT30M", "2026-12-01T09:00:00Z"]],
    ),
]
RemindChannels = Annotated[
    list[RowId],
    raw_items(REMIND_CHANNELS_MAX),
    AfterValidator(_unique_items),
    Field(
        max_length=REMIND_CHANNELS_MAX,
        description="Ids of the channels that its reminders are sent to; null: all that take them, empty: none.",
        examples=[[4]],
    ),
]
