"""What the model says and asks for, in plain values."""

import re
from dataclasses import dataclass
from typing import Any

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL has no place for them, and a model may say anything


@dataclass(slots=True)
class Asked:
    """A call that the model asks for; ``arguments`` is JSON, or should be."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Reply:
    """``tokens`` is what the call used, if the endpoint says so."""

    text: str
    calls: list[Asked]
    tokens: int | None


def plain_text(text: str) -> str:
    """``text`` without what cannot be stored."""
    return UNSTORABLE.sub("\ufffd", text)


def plain_value(value: Any) -> Any:
    """A JSON value without what cannot be stored."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [plain_value(each) for each in value]
    if isinstance(value, dict):
        return {plain_text(key): plain_value(each) for key, each in value.items()}
    return value
