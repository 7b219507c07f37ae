"""Counting the rows of a JSON document before any is parsed: a parsed row takes more memory than its text."""

import re
from collections.abc import Iterator
from typing import Any

from app.errors import TooManyRows

JSON_CHUNK = 1_048_576
# Matches whole strings, because brackets and commas inside them do not count. A string that does not end in its chunk
# matches up to there without its quote: if each quote in it were tried as a beginning, 1 MB would take half an hour.
_STRING_END = rb'[^"\\]*+(?:\\.[^"\\]*+)*+(?:(?P<quote>")|(?=\\?\Z))'
_STRING_REST = re.compile(_STRING_END, re.DOTALL)
_JSON_TOKEN = re.compile(rb'"%b|[\[\]{},]' % _STRING_END, re.DOTALL)
ROWS_DEPTH = 2  # {"tasks": [here]}


def check_rows(text: Any, rows_max: int, depth: int = ROWS_DEPTH) -> None:
    """Counts the rows of ``text``, anything with a buffer: what is ``depth`` brackets deep. Raises TooManyRows."""
    with memoryview(text) as view:
        commas = sum(bytes(view[start : start + JSON_CHUNK]).count(b",") for start in range(0, len(view), JSON_CHUNK))
    if commas < rows_max:  # as in most files: no need to count tokens
        return
    level, rows = 0, 1
    for token in _tokens(text):
        if token in {b"[", b"{"}:
            level += 1
        elif token in {b"]", b"}"}:
            level -= 1
        elif token == b"," and level == depth:
            rows += 1
            if rows > rows_max:
                raise TooManyRows


def _tokens(text: Any) -> Iterator[bytes]:
    """Yields brackets, commas and pieces of strings, a chunk at a time: no other thread runs while one is searched."""
    position, end, in_string = 0, 0, False
    while end < len(text):
        end = min(position + JSON_CHUNK, len(text))
        found = _STRING_REST.match(text, position, end) if in_string else None
        if found is not None:
            position, in_string = found.end(), found["quote"] is None
        if in_string:
            continue
        found = None
        for found in _JSON_TOKEN.finditer(text, position, end):
            yield found[0]
        in_string = found is not None and found[0][:1] == b'"' and found["quote"] is None
        position = found.end() if in_string and found is not None else end
