"""Validation errors as responses list them: without the input, and of bounded size."""

from collections.abc import Mapping
from typing import Any

FINDING_NAME_MAX = 100  # characters of a name in ``loc``, which a client may have made up
FINDING_MESSAGE_MAX = 300


def make_finding(error: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``loc``, ``msg`` and ``type`` of one of Pydantic's errors."""
    loc = [part[:FINDING_NAME_MAX] if isinstance(part, str) else part for part in error["loc"]]
    return {"loc": loc, "msg": error["msg"][:FINDING_MESSAGE_MAX], "type": error["type"]}
