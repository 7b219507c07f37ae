"""How large a JSON-RPC message may be: the MCP SDK validates it without bounds, and repeats what it does not know."""

import json
from typing import Any

from app.errors import ENVELOPE_MAX, MessageTooLarge


def check_message(body: bytes, message: Any) -> None:
    """Raises MessageTooLarge."""
    if len(body) <= ENVELOPE_MAX:
        return
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(params, dict) or message.get("method") != "tools/call":
        raise MessageTooLarge
    envelope = message | {"params": {name: value for name, value in params.items() if name != "arguments"}}
    if len(json.dumps(envelope)) > ENVELOPE_MAX:
        raise MessageTooLarge
