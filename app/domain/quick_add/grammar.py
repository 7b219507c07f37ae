"""Tables of phrases: a line of words on the left, the builder of its meaning on the right.

``in {count} {unit}``: braces name a slot, which reads some words and passes their value to the line's builder;
``on|by``: one of these words; ``[of the month]``: optional. A builder gets the moment and the values of the slots and
returns None when the words mean nothing (30 February). All lines of a table share one tree of words, so that the time
of reading a text does not depend on the number of lines.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from itertools import product
from typing import Any, TypeAlias

from app.domain.quick_add.text import Token


@dataclass(frozen=True, slots=True)
class Moment:
    """The time and place of writing: ``now`` is aware, ``zone`` the writer's."""

    now: datetime
    zone: tzinfo
    today: date

    @classmethod
    def of(cls, now: datetime, zone: tzinfo) -> "Moment":
        return cls(now.astimezone(UTC), zone, now.astimezone(zone).date())


@dataclass(frozen=True, slots=True)
class Reading:
    """A text being read. ``word`` outside of it is empty, which matches no phrase."""

    source: str
    tokens: Sequence[Token]
    moment: Moment

    def word(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def raw(self, index: int) -> str:
        token = self.tokens[index]
        return self.source[token.start : token.end]


Found: TypeAlias = tuple[int, Any]
"""The index after the last word of a phrase, and its value."""
Slot: TypeAlias = Callable[[Reading, int], Found | None]
Build: TypeAlias = Callable[..., Any]

_LINE_PARTS = re.compile(r"\[[^\]]*\]|\S+")


@dataclass(slots=True)
class _Node:
    words: dict[str, "_Node"] = field(default_factory=dict)
    slots: dict[str, "_Node"] = field(default_factory=dict)
    build: Build | None = None


class Grammar:
    """A table of phrases."""

    def __init__(self, slots: Mapping[str, Slot], lines: Sequence[tuple[str, Build]]) -> None:
        self._slots = slots
        self._root = _Node()
        for line, build in lines:
            for words in _spelt_out(line):
                self._add(words, build)

    def _add(self, words: Sequence[str], build: Build) -> None:
        nodes = [self._root]
        for word in words:
            if word.startswith("{"):
                nodes = [node.slots.setdefault(word[1:-1], _Node()) for node in nodes]
            else:
                nodes = [node.words.setdefault(choice, _Node()) for node in nodes for choice in word.split("|")]
        for node in nodes:
            assert node.build is None, f"two lines have {words}"
            node.build = build

    def find(self, reading: Reading, index: int) -> list[Found]:
        """Returns the phrases that begin at ``index``, the longest first."""
        return sorted(self._walk(self._root, reading, index, ()), key=lambda found: -found[0])

    def slot(self, reading: Reading, index: int) -> Found | None:
        """Reads the longest phrase, so that this table can be a slot of another one."""
        return next(iter(self.find(reading, index)), None)

    def _walk(self, node: _Node, reading: Reading, index: int, values: tuple[Any, ...]) -> Iterator[Found]:
        if node.build is not None and (value := node.build(reading.moment, *values)) is not None:
            yield index, value
        if index >= len(reading.tokens):
            return
        if (step := node.words.get(reading.word(index))) is not None:
            yield from self._walk(step, reading, index + 1, values)
        for name, step in node.slots.items():
            if (found := self._slots[name](reading, index)) is not None:
                yield from self._walk(step, reading, found[0], (*values, found[1]))


def _spelt_out(line: str) -> Iterator[list[str]]:
    """Yields the line with and without each of its optional parts."""
    choices = [
        ([], part[1:-1].split()) if part.startswith("[") else (part.split(),) for part in _LINE_PARTS.findall(line)
    ]
    for choice in product(*choices):
        yield [word for part in choice for word in part]
