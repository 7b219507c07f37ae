"""The reply of the model, as plain values."""

import re
from dataclasses import dataclass
from typing import Any

# PostgreSQL cannot store them, and a model may return any character.
UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True)
class ToolCallRequest:
    """A call that the model requests; ``arguments`` should be JSON, and is not checked yet."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Reply:
    """One reply. ``tokens`` is the usage of the call, if the endpoint reports it."""

    text: str
    calls: list[ToolCallRequest]
    tokens: int | None


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
