"""How many rows a JSON document has, before any of them is read: each takes more memory than its text."""

import re
from typing import Any

from app.services.transfer.items import TooManyRows

CHUNK = 1_048_576
# Strings as a whole, so that what looks like JSON inside them is none. One without its end is left to the decoder.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*+"|[\[\]{},]', re.DOTALL)
ROWS_DEPTH = 2  # {"tasks": [here]}


def check_rows(text: Any, rows_max: int) -> None:
    """Raises TooManyRows. ``text`` is anything with a buffer."""
    with memoryview(text) as view:
        commas = sum(bytes(view[start : start + CHUNK]).count(b",") for start in range(0, len(view), CHUNK))
    if commas < rows_max:  # as in most files: a look at each of them is not needed
        return
    depth, rows = 0, 1
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in {b"[", b"{"}:
            depth += 1
        elif token in {b"]", b"}"}:
            depth -= 1
        elif token == b"," and depth == ROWS_DEPTH:
            rows += 1
            if rows > rows_max:
                raise TooManyRows
