"""Types that request models share, and the cleaning of text before it is stored."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple, Self, get_args

from pydantic import (
    MISSING,
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError
from typing_extensions import TypeAliasType

MIN_YEAR, MAX_YEAR = 1900, 2199  # asyncpg turns instants near year 1 into -infinity
INVISIBLE_CATEGORIES = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Letters and marks that are invisible: Hangul fillers, the empty Braille pattern, and characters of Unicode's
# Default_Ignorable_Code_Point (grapheme joiner, Khmer inherent vowels, variation selectors).
BLANK_CHARACTERS = set("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f")
BLANK_CHARACTERS |= {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}
MAX_ID = 2**63 - 1
RAW_FACTOR = 8  # for what cleaning removes: outer spaces, marks that compose with their letter, duplicates
MARKS_MAX = 30  # on one letter (UAX #15, Stream-Safe Text Format): normalizing costs the square of a run's length
# Three characters that decompose into two marks each: their own combining class is 0.
PAIRED_MARKS = {0x0F73: "\u0f71\u0f72", 0x0F75: "\u0f71\u0f74", 0x0F81: "\u0f71\u0f80"}
_PAIRED_MARKS = re.compile(f"[{''.join(map(chr, PAIRED_MARKS))}]")
_MARKS_RUN = re.compile(rb"[^\0]{%d}" % (MARKS_MAX + 1))
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DATE_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT_TEXT = re.compile(
    _DATE_TEXT.pattern + r"[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
DATE_HELP = "A date is text such as 2026-12-01 or 2026-12-01T09:00:00Z."


class UidTwin(NamedTuple):
    """The meaning of a field that holds a uid: the row of ``entity`` whose id could stand in ``id_field`` instead."""

    id_field: str
    entity: str


class RequestModel(BaseModel):
    """A request body or query. An unknown field is an error that names it.

    Clients that send every field send null for what they leave out: where null is no value of an optional field, it
    means the default. With KEEPS_NULL it stays, and is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    KEEPS_NULL: ClassVar[bool] = False
    null_is_default: ClassVar[frozenset[str]] = frozenset()
    TWINS: ClassVar[Mapping[str, UidTwin]] = {}

    @property
    def sent_fields(self) -> set[str]:
        """Returns the names of the fields sent; of a uid that of the id in whose place it stands."""
        return {self.TWINS[name].id_field if name in self.TWINS else name for name in self.model_fields_set}

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        cls.null_is_default = frozenset(
            () if cls.KEEPS_NULL else {name for name in optional if not _has_null(cls.model_fields[name].annotation)}
        )

    @model_validator(mode="before")
    @classmethod
    def _read_null_as_default(cls, data: Any) -> Any:
        if not isinstance(data, dict) or None not in data.values():
            return data
        return {name: value for name, value in data.items() if value is not None or name not in cls.null_is_default}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name in cls.null_is_default & properties.keys():
            properties[name] = _or_null(properties[name])
        return schema


def _has_null(annotation: Any) -> bool:
    return annotation is None or annotation is type(None) or any(map(_has_null, get_args(annotation)[:9]))


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a value or null; what describes the field stays outside."""
    about = {key: each for key, each in schema.items() if key in ("default", "description", "title", "examples")}
    value = {key: each for key, each in schema.items() if key not in about}
    branches = value["anyOf"] if value.keys() == {"anyOf"} else [value]
    return {"anyOf": [*branches, {"type": "null"}], **about}


class IgnoresReadOnlyFields(RequestModel):
    """A body in which clients may send back the fields in READ_ONLY of a response; they are ignored."""

    READ_ONLY: ClassVar[frozenset[str]]

    @model_validator(mode="before")
    @classmethod
    def _drop_read_only(cls, data: Any) -> Any:
        if not isinstance(data, dict) or cls.READ_ONLY.isdisjoint(data):
            return data
        return {name: value for name, value in data.items() if name not in cls.READ_ONLY}


class UpdateModel(RequestModel):
    """Only the fields sent change; at least one is required that is not in ABOUT, which only qualify the request."""

    ABOUT: ClassVar[frozenset[str]] = frozenset()
    KEEPS_NULL: ClassVar[bool] = True

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.model_fields_set <= self.ABOUT:
            raise PydanticCustomError("empty_update", "Send at least one field to change.")
        return self


def field_error(field: str, type_: str, message: str, **context: Any) -> PydanticCustomError:
    """Returns an error of one field, for validators of a whole model, whose errors otherwise have no name."""
    return PydanticCustomError(type_, message, {**context, "field": field})


def too_long(limit: int) -> PydanticKnownError:
    return PydanticKnownError("string_too_long", {"max_length": limit})


def clean_text(value: str, limit: int) -> str:
    """Returns the text in NFC, of at most RAW_FACTOR x ``limit`` characters; ``limit`` itself is checked afterwards.

    Refuses NUL and lone surrogates, which PostgreSQL cannot store and Pydantic accepts.
    """
    if len(value) > RAW_FACTOR * limit:  # before any work that grows with the length
        raise too_long(limit)
    if "\0" in value:
        raise PydanticCustomError("nul_character", "Text must not contain the NUL character.")
    if value.isascii():
        return value
    if _LONE_SURROGATE.search(value):
        raise PydanticCustomError("lone_surrogate", "Text must not contain half of a surrogate pair.")
    if _PAIRED_MARKS.search(value):
        value = value.translate(PAIRED_MARKS)
    if _MARKS_RUN.search(bytes(map(unicodedata.combining, value))):
        raise PydanticCustomError("too_many_marks", "A letter has at most {marks} marks.", {"marks": MARKS_MAX})
    return unicodedata.normalize("NFC", value)


def visible_text(value: str, limit: int) -> str:
    """Returns the text, trimmed and cleaned by ``clean_text``. Refuses text without a visible character."""
    value = clean_text(value, limit).strip()
    if not any(c not in BLANK_CHARACTERS and unicodedata.category(c) not in INVISIBLE_CATEGORIES for c in value):
        raise PydanticCustomError("blank_text", "Text must have at least one visible character.")
    return value


def parse_date_or_instant(value: Any) -> Any:
    """Parses a day (``2026-12-01``) or an instant (RFC 3339, seconds optional).

    An instant without an offset stays naive: the service reads it in the owner's time zone. Numbers, which Pydantic
    would read as Unix time, are refused.
    """
    if isinstance(value, str) and _DATE_TEXT.fullmatch(value):
        value = _from_iso(date, value)
    elif isinstance(value, str) and _INSTANT_TEXT.fullmatch(value):
        value = _from_iso(datetime, value.upper())
    if not isinstance(value, date):  # a datetime is also a date
        raise PydanticCustomError("date_text", DATE_HELP)
    if isinstance(value, datetime) and value.tzinfo is not None and MIN_YEAR <= value.year <= MAX_YEAR:
        value = value.astimezone(UTC)
    if not MIN_YEAR <= value.year <= MAX_YEAR:
        raise PydanticCustomError("date_range", f"A date is in the years {MIN_YEAR} to {MAX_YEAR}.")
    return value


def parse_day(value: Any) -> Any:
    """Parses a day; an instant is refused, since which day it is depends on the time zone."""
    if isinstance(value, datetime) or (isinstance(value, str) and not _DATE_TEXT.fullmatch(value)):
        raise PydanticCustomError("day_text", "Expected a day, such as 2026-12-01.")
    return parse_date_or_instant(value)


def _from_iso(kind: Any, text: str) -> Any:
    try:
        return kind.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("date_text", DATE_HELP) from None


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def integral(value: Any) -> Any:
    """Converts 7.0 to 7, since JSON has one kind of number. Text and booleans stay, and are refused later."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


# The bounds come before the validator: after it the OpenAPI document would have "ge" and "le".
RowId = Annotated[
    int, Field(strict=True, ge=1, le=MAX_ID, json_schema_extra={"format": "int64"}), BeforeValidator(integral)
]


class OnConflict(StrEnum):
    """The side whose value is written to a field that both have changed; refuse: neither, and nothing else."""

    REFUSE = "refuse"
    MINE = "mine"
    THEIRS = "theirs"


def _require_base(value: OnConflict, info: ValidationInfo) -> OnConflict:
    if info.data.get("base_version") is MISSING:
        raise PydanticCustomError("base_version_needed", "Nothing conflicts without base_version: send it as well.")
    return value


class MergedUpdate(RequestModel):
    """A change of a row that may be made from an older version of it: ``app.services.merge``."""

    ABOUT: ClassVar[frozenset[str]] = frozenset({"uid", "base_version", "on_conflict"})

    base_version: RowId | MISSING = Field(
        MISSING,
        description="The version of the row from which you made the change. Fields that other writes have not changed "
        "since then are merged; for others see on_conflict.",
    )
    on_conflict: Annotated[OnConflict, AfterValidator(_require_base)] = Field(
        OnConflict.REFUSE,
        description="What happens to a field that another write has changed since base_version: refuse (409, nothing "
        "is written), mine (your value is written) or theirs (it is left as it is).",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        if "on_conflict" in cls.model_fields:  # the tools leave it out
            handler.resolve_ref_schema(schema)["dependentRequired"] = {"on_conflict": ["base_version"]}
        return schema


UID_EXAMPLE = "01a9f3a4-5f20-7d52-b1f4-5d2c8e7a9b10"
UID_PATTERN = r"[A-Za-z0-9._~:@+=,;()!*$&{}-]{1,255}"
_UID_TEXT = re.compile(UID_PATTERN)


def is_uid(value: str) -> bool:
    return _UID_TEXT.fullmatch(value) is not None


def parse_uid(value: str) -> str:
    if not is_uid(value):
        raise PydanticCustomError("uid", "A uid has 1 to 255 letters, digits or characters of ._~:@+=,;()!*$&{}-.")
    return value


# An id that a client chooses. Text, also where it looks like a number.
Uid = Annotated[
    StrictStr,
    AfterValidator(parse_uid),
    WithJsonSchema({"type": "string", "pattern": f"^{UID_PATTERN}$", "examples": [UID_EXAMPLE]}),
]
# In place of an id: in a path, and of an operation in a batch.
UID_PREFIX = "uid:"
UidText = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{UID_PREFIX}{UID_PATTERN}$"})]
IdOrUid = TypeAliasType("IdOrUid", RowId | UidText)
UID_HELP = "An id that you choose, unique among yours, the trash included. Default: a UUID."
LocationPart = TypeAliasType("LocationPart", str | int)  # of the ``loc`` of an error: a name or an index
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
DateOrInstant = Annotated[date | datetime, BeforeValidator(parse_date_or_instant)]
Day = Annotated[date, BeforeValidator(parse_day)]


def cleaned(limit: int) -> AfterValidator:
    """Returns ``clean_text`` for ``Annotated``, to be used before ``Field(max_length=limit)``."""
    return AfterValidator(partial(clean_text, limit=limit))


def visible(limit: int) -> AfterValidator:
    """Returns ``visible_text`` for ``Annotated``, to be used before ``Field(max_length=limit)``."""
    return AfterValidator(partial(visible_text, limit=limit))


def raw_items(limit: int) -> BeforeValidator:
    """Refuses a list of more than RAW_FACTOR x ``limit`` items before any of them is validated.

    For a list whose own limit is checked after duplicates are dropped; others have ``Field(max_length=limit)`` alone,
    which is checked first where it comes before every validator.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > RAW_FACTOR * limit:
            raise PydanticKnownError(
                "too_long", {"field_type": "List", "max_length": limit, "actual_length": len(value)}
            )
        return value

    return BeforeValidator(check)
