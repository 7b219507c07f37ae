"""Marks: ``#project``, ``@tag``, ``p:high`` and ``p1`` to ``p4``, which mean the same anywhere in the text.

A name is letters, digits, ``-``, ``_`` and emoji, not digits alone: ``#42`` is an issue, ``@9`` may be a time. With any
other character, or when it could be a colour (#ff0000), the word is an ordinary one: @types/node, me@example.com. Other
names have to be quoted. ``P1`` in capitals names an incident or a parking deck and is not read.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from app.domain.quick_add.grammar import Reading
from app.models.task_fields import TAG_MAX, Priority
from app.models.types import visible_text

PROJECT_MAX = 100
PRIORITY_MARKS = {"p1": Priority.URGENT, "p2": Priority.HIGH, "p3": Priority.MEDIUM, "p4": Priority.LOW}
_COLOUR_TEXT = re.compile(r"(?=.*[0-9]|(.)\1+$)(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_PICTURE_PARTS = {"\u200d", "\ufe0f"}  # parts of emoji: joiner, variation selector


@dataclass(frozen=True, slots=True)
class Mark:
    """``value`` is a project's name, a tag or a priority."""

    field: Literal["project", "tags", "priority"]
    value: str


def find_mark(reading: Reading, index: int) -> Mark | None:
    word, raw = reading.word(index), reading.raw(index)
    if word.startswith("#") and (name := _mark_name(raw[1:], PROJECT_MAX)):
        return None if _COLOUR_TEXT.fullmatch(name) else Mark("project", name)
    if word.startswith("@") and (name := _mark_name(raw[1:], TAG_MAX)):
        return Mark("tags", name)
    priority = PRIORITY_MARKS.get(raw)
    if priority is None and word.startswith("p:") and word[2:] in set(Priority):
        priority = Priority(word[2:])
    return Mark("priority", priority.value) if priority else None


def _mark_name(written: str, longest: int) -> str | None:
    is_quoted = written[:1] + written[-1:] in {'""', "“”"}
    if not is_quoted and (written.isdigit() or not all(map(_is_in_name, written))):
        return None
    try:
        name = visible_text(written[1:-1] if is_quoted else written, longest)
    except ValueError:  # of Pydantic: too long, or with characters that no name may have
        return None
    has_letter = any(c.isalnum() or ord(c) > 127 for c in name)
    return name if len(name) <= longest and has_letter else None


def _is_in_name(character: str) -> bool:
    if character.isalnum() or character in "-_" or character in _PICTURE_PARTS:
        return True
    return unicodedata.category(character) in {"Mn", "Mc", "So", "Sk"}
