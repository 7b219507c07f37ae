"""Size limits of JSON-RPC messages: the MCP SDK validates without limits, and echoes unknown values."""

import json
from typing import Any

from app.errors import ENVELOPE_MAX, MessageTooLarge


def check_message(body: bytes, message: Any) -> None:
    """Checks the size without a tool's arguments. Raises MessageTooLarge."""
    if len(body) <= ENVELOPE_MAX:
        return
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(params, dict) or message.get("method") != "tools/call":
        raise MessageTooLarge
    envelope = message | {"params": {name: value for name, value in params.items() if name != "arguments"}}
    if len(json.dumps(envelope)) > ENVELOPE_MAX:
        raise MessageTooLarge
