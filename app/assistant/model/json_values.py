"""JSON as models and their servers write it: with line breaks in texts, and of any depth."""

import json
from typing import Any

# Far more than any reply or tool needs, and less than Python's limit for functions that call themselves.
NESTING_MAX = 50


def parse_json_value(text: str) -> Any:
    """Parses ``text``. Raises ValueError."""
    try:
        value = json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    require_shallow(value)
    return value


def require_shallow(value: Any) -> None:
    """Raises ValueError for a value of more than NESTING_MAX levels."""
    level = [value]
    for _ in range(NESTING_MAX):
        objects = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [child for children in objects for child in children]
        if not level:
            return
    raise ValueError("nested too deeply")
