"""The reply of the model, as plain values."""

import re
from dataclasses import dataclass
from typing import Any

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL cannot store them, and a model may return any character


@dataclass(slots=True)
class Asked:
    """A call that the model requests; ``arguments`` should be JSON, and is not checked yet."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Reply:
    """One reply. ``tokens`` is the usage of the call, if the endpoint reports it."""

    text: str
    calls: list[Asked]
    tokens: int | None


def plain_text(text: str) -> str:
    """Replaces characters that cannot be stored."""
    return UNSTORABLE.sub("\ufffd", text)


def plain_value(value: Any) -> Any:
    """Replaces characters that cannot be stored, in a JSON value."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [plain_value(each) for each in value]
    if isinstance(value, dict):
        return {plain_text(key): plain_value(each) for key, each in value.items()}
    return value
