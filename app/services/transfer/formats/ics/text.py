"""The content lines and TEXT values of iCalendar (RFC 5545, 3.1 and 3.3.11), in both directions."""

import re
from collections.abc import Iterable, Iterator

CONTENT_LINE_MAX = 100_000  # characters of one unfolded line
_CONTROL_PATTERN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPED_CHARACTERS = (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n"))  # in this order
_ESCAPE_PATTERN = re.compile(r"\\(.)", re.DOTALL)
_LIST_PATTERN = re.compile(r"(?:[^\\,]|\\.)+", re.DOTALL)


def escape(text: str) -> str:
    """Returns the TEXT, without the control characters that it may not hold."""
    text = _CONTROL_PATTERN.sub("", text)
    for character, escaped in _ESCAPED_CHARACTERS:
        text = text.replace(character, escaped)
    return text


def unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPE_PATTERN.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def split(value: str) -> Iterator[str]:
    """Yields the TEXTs of a list, whose commas may be escaped."""
    return (unescape(found[0]) for found in _LIST_PATTERN.finditer(value))


def fold(line: str) -> bytes:
    """Folds a content line into pieces of at most 75 octets, without cutting a character."""
    raw = line.encode("utf-8", "replace")
    if len(raw) <= 75:
        return raw + b"\r\n"
    pieces, start, room = [], 0, 75
    while start < len(raw):
        end = min(start + room, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(raw[start:end])
        start, room = end, 74
    return b"\r\n ".join(pieces) + b"\r\n"


def unfold(lines: Iterable[str]) -> Iterator[str]:
    """Yields unfolded content lines, each cut after ``CONTENT_LINE_MAX`` characters."""
    line = ""  # the first piece of a content line, and the others with the room that is left
    pieces: list[str] = []
    room = 0
    for raw in lines:
        following = raw.rstrip("\r\n")
        if following[:1] not in {" ", "\t"}:
            if line or pieces:
                yield "".join([line, *pieces]) if pieces else line
            line, pieces, room = following[:CONTENT_LINE_MAX], [], CONTENT_LINE_MAX - len(following)
        elif room > 0 and len(following) > 1:
            pieces.append(following[1 : room + 1])
            room -= len(pieces[-1])
    if line or pieces:
        yield "".join([line, *pieces])
