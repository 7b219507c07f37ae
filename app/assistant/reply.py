"""The reply of the model, as plain values."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# PostgreSQL cannot store them, and a model may return any character.
UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")


class Finish(StrEnum):
    """The reason for which the model stopped: by itself, at its limit of tokens, or by a filter of its provider."""

    STOP = "stop"
    LENGTH = "length"
    FILTER = "filter"


@dataclass(slots=True)
class ToolCallRequest:
    """A call that the model requests. ``arguments`` are not validated; None if they are not one JSON object.

    ``incomplete``: the reply ended within this call. ``extra`` are fields that the endpoint expects back.
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    incomplete: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """One reply. ``tokens`` is the usage of the call, if the endpoint reports it; ``extra`` as in ToolCallRequest."""

    text: str = ""
    calls: list[ToolCallRequest] = field(default_factory=list)
    tokens: int | None = None
    finish: Finish = Finish.STOP
    refusal: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def plain_text(text: str) -> str:
    """Replaces characters that cannot be stored."""
    return UNSTORABLE_CHARACTERS.sub("\ufffd", text)


def plain_value(value: Any) -> Any:
    """Replaces characters that cannot be stored, in a JSON value."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [plain_value(each) for each in value]
    if isinstance(value, dict):
        return {plain_text(key): plain_value(each) for key, each in value.items()}
    return value
