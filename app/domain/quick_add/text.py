"""Splitting a text into tokens, and joining a title from it without the understood spans."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.models.types import BLANK_CHARACTERS, INVISIBLE_CATEGORIES

# A project or tag with spaces in its name: #"Home office".
_QUOTED_NAME = re.compile(r'[#@](?:"[^"]+"|“[^”]+”)')
# Quoted text is never read. A quote opens only where a word could begin: 12" is inches, don't has no quote.
_QUOTED_TEXT = re.compile(r""""[^"]+"|“[^”]+”|‘[^’]+’(?!\w)|'[^']+'(?!\w)|`[^`]+`""")  # noqa: RUF001
_AM_OR_PM = re.compile(r"(?:[0-9]{1,2}(?::[0-9]{2})?)?[ap]\.m\.(?![^\s,;!?)])", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"""[^\s,;…—]*[^\s,;…—.:!?)\]}>"”]""")
_OPENING_MARKS = "([{<\"“‘'`"  # noqa: RUF001
_CLOSING_MARKS = ",.;:!?)]}"
_SEPARATOR_MARKS = ",;:"
_DASH_MARKS = "-–—"  # noqa: RUF001 (people type all three)


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` is lower case; it is empty when the token must not be read (quotations, URLs)."""

    text: str
    start: int
    end: int


def tokenize(source: str) -> list[Token]:
    """Splits the text into words and single punctuation marks."""
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        if source[position].isspace():
            position += 1
            continue
        token = _read_token(source, position)
        tokens.append(token)
        position = token.end
    return tokens


def _read_token(source: str, start: int) -> Token:
    if match := _QUOTED_NAME.match(source, start):
        return _plain(source, start, match.end())
    if match := _QUOTED_TEXT.match(source, start):
        return Token("", start, _word_end(source, match.end()))
    if source[start] in _OPENING_MARKS:
        return Token(source[start], start, start + 1)
    if "://" in (chunk := _chunk(source, start)) or chunk[:4].lower() == "www.":
        return Token("", start, start + len(chunk))
    if match := _AM_OR_PM.match(source, start) or _PLAIN_WORD.match(source, start):
        return _plain(source, start, match.end())
    return Token(source[start], start, start + 1)


def _plain(source: str, start: int, end: int) -> Token:
    return Token(source[start:end].lower().replace("\u2019", "'"), start, end)


def _chunk(source: str, start: int) -> str:
    """Returns the text up to the next white space."""
    return source[start:].split(maxsplit=1)[0]


def _word_end(source: str, end: int) -> int:
    """Returns the end of the letters that follow a closing quote directly; they belong to it."""
    while end < len(source) and source[end].isalnum():
        end += 1
    return end


def is_mark(token: Token) -> bool:
    """Returns whether the token is punctuation, which ends a phrase."""
    return bool(token.text) and not any(c.isalnum() or ord(c) > 0x2FFF for c in token.text)


def without(source: str, spans: Iterable[tuple[int, int]]) -> str:
    """Returns the text without ``spans``, joined with single spaces, without empty brackets and unused separators."""
    pieces: list[str] = []
    position = 0
    for start, end in _regions(source, spans):
        pieces.append(source[position:start].strip())
        position = end
    pieces.append(source[position:].strip())
    return _join_pieces(pieces)


def _regions(source: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merges spans with only white space between them, and extends them by brackets directly around them."""
    regions: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if regions and not source[regions[-1][1] : start].strip():
            start = regions.pop()[0]
        regions.append((start, end))
    return [(s - 1, e + 1) if source[s - 1 : s] + source[e : e + 1] in {"()", "[]"} else (s, e) for s, e in regions]


def _join_pieces(pieces: Sequence[str]) -> str:
    """Joins the pieces that are left. An empty first or last piece means that the text was cut there."""
    if len(pieces) == 1:
        return pieces[0]
    first, *middle, last = pieces
    words = [first, *middle, last]
    if not first:
        words = _from_first_word(words)
    if not last:
        words = _to_last_word(words)
    title = ""
    for word in filter(None, words):
        if title[-1:] in _SEPARATOR_MARKS and word[0] in _CLOSING_MARKS:
            title = title.rstrip(_SEPARATOR_MARKS)
        title += word if not title or word[:1] in _CLOSING_MARKS else f" {word}"
    return title.strip()


def _from_first_word(words: list[str]) -> list[str]:
    while words and not (trimmed := words[0].lstrip(_CLOSING_MARKS + _DASH_MARKS + " ")):
        words = words[1:]
    return [trimmed, *words[1:]] if words else []


def _to_last_word(words: list[str]) -> list[str]:
    while words and not (trimmed := _without_separators(words[-1])):
        words = words[:-1]
    return [*words[:-1], trimmed] if words else []


def _without_separators(piece: str) -> str:
    """Removes separators at the end; a dash only when it is a word of its own: the mark C- keeps its."""
    while piece and (
        piece[-1] in _SEPARATOR_MARKS or (piece[-1] in _DASH_MARKS and (len(piece) == 1 or piece[-2].isspace()))
    ):
        piece = piece[:-1].rstrip()
    return piece


def has_visible_text(title: str, *, was_cut: bool) -> bool:
    """Returns whether a title has visible text; punctuation alone does not count when the title ``was_cut``."""
    ignored = (*INVISIBLE_CATEGORIES, "P") if was_cut else tuple(INVISIBLE_CATEGORIES)
    return any(c not in BLANK_CHARACTERS and not unicodedata.category(c).startswith(ignored) for c in title)
