"""Confirmation of destructive calls by the user.

Decided here and not by the model: a title like "delete everything" can make a model call a tool, and cannot confirm
it in the user's place.
"""

import re
from typing import Any

from app.assistant.deletion_requests import find_numbers_to_delete
from app.assistant.tools.tool import Tool

NEEDS_CONFIRMATION = "needs_confirmation"
# For other words and languages clients send "confirm": true.
YES_WORDS = {
    "yes",
    "y",
    "yes please",
    "yes do it",
    "yeah",
    "ok",
    "okay",
    "sure",
    "confirm",
    "do it",
    "go ahead",
    "ja",
    "oui",
}
_SEPARATORS_PATTERN = re.compile(r"[\s.,!]+")


def is_yes(message: str) -> bool:
    return _SEPARATORS_PATTERN.sub(" ", message).strip().casefold() in YES_WORDS


def must_wait(tool: Tool, arguments: Any, message: str) -> bool:
    """Returns whether a call waits for the user's confirmation.

    A deletion does, unless the message itself asks to delete that task or project by its number. Renaming a tag may
    merge two, which no later rename parts again: it does unless the message has both names.
    """
    if tool.name == "rename_tag":
        return not all(name.casefold() in message.casefold() for name in (arguments.tag, arguments.name))
    if not tool.destructive:
        return False
    for kind in ("task_id", "project_id"):
        if (number := getattr(arguments, kind, None)) is not None:
            return number not in find_numbers_to_delete(message, kind)
    return True


def waiting_calls(earlier: list[Any]) -> list[dict[str, Any]]:
    """Returns the calls that the last message of the assistant left unconfirmed."""
    if not earlier or earlier[-1].role != "assistant":
        return []
    return [call for call in earlier[-1].tool_calls if call["result"].get("status") == NEEDS_CONFIRMATION]
