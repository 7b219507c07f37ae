"""The arguments of a tool call: one JSON object, in any of the spellings that models and servers use for it."""

import json
import re
from typing import Any

from app.assistant.model.json_values import require_shallow
from app.json_codec import unique_names

# Not strict: models write line breaks into texts.
_OBJECT_DECODER = json.JSONDecoder(object_pairs_hook=unique_names, strict=False)
_CODE_FENCE = re.compile(r"\A\s*```(?:json)?\s*|\s*```\s*\Z")
# What follows the object of a model that does not stop in time: closing brackets, and tokens such as </tool_call>.
_IGNORED_REMAINDER = re.compile(r"(?:[\s}\]);,`]|</?[\w|-]+/?>|<\|[\w|-]*\|?>)*")


def read_tool_arguments(value: Any) -> dict[str, Any] | None:
    """Returns the object; None if ``value`` is not exactly one. Nothing counts as an object without members."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        return None
    text = _CODE_FENCE.sub("", value).strip()
    if not text:
        return {}
    try:
        found, rest = _decode_first(text)
        if found == {} and rest.startswith("{"):  # an empty object before the real one
            found, rest = _decode_first(rest)
        while rest.startswith("{"):  # sent again in full at the end
            again, rest = _decode_first(rest)
            if again != found:
                return None
        require_shallow(found)
    except (ValueError, RecursionError):
        return None
    if not _IGNORED_REMAINDER.fullmatch(rest):
        return None
    if isinstance(found, str):  # encoded twice
        return read_tool_arguments(found) if len(found) < len(text) else None
    return {} if found is None else found if isinstance(found, dict) else None


def is_whole_object(text: str) -> bool:
    """Returns whether ``text`` is an object by itself: arguments that a cut reply cannot have left incomplete."""
    return text.lstrip().startswith(("{", '"')) and read_tool_arguments(text) is not None


def _decode_first(text: str) -> tuple[Any, str]:
    value, end = _OBJECT_DECODER.raw_decode(text)
    return value, text[end:].lstrip()
