"""Which calls wait for the user's yes, and what a yes is.

Decided here and not by the model: a title that says "delete everything" can talk a model into a call, and cannot say
yes in the user's place.
"""

import re
from typing import Any

from app.assistant.tools.tool import Tool

NEEDED = "needs_confirmation"
# In other words, and in other languages, clients send "confirm": true.
YES = {"yes", "y", "yes please", "yes do it", "yeah", "ok", "okay", "sure", "confirm", "do it", "go ahead", "ja", "oui"}
_WORD = re.compile(r"[\s.,!]+")


def is_yes(message: str) -> bool:
    return _WORD.sub(" ", message).strip().casefold() in YES


def must_wait(tool: Tool, arguments: Any, message: str) -> bool:
    """Whether ``tool`` takes something away that the user's message does not name by its number."""
    if not tool.destructive:
        return False
    task_id = getattr(arguments, "task_id", None)
    return task_id is None or re.search(rf"(?<!\d){task_id}(?!\d)", message) is None


def waiting_calls(earlier: list[Any]) -> list[dict[str, Any]]:
    """What the last message of the assistant left waiting."""
    if not earlier or earlier[-1].role != "assistant":
        return []
    return [call for call in earlier[-1].tool_calls if call["result"].get("status") == NEEDED]
