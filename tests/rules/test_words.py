"""Phrases that the style of this project replaced stay out of the code and the documents."""

import re
from pathlib import Path

from tests.rules.prose import ROOT, text_files

# Only phrases that are wrong everywhere; docs/glossary.md has the words to use instead.
BANNED_PHRASES = (
    "a key that is none",
    "as one moment saw it",
    "behind your back",
    "comes of age",
    "for good",
    "for who begins",
    "good to know",
    "keep somebody out",
    "leads on",
    "let go of",
    "lets go of",
    "nobody was faster",
    "somebody else",
    "the way past",
    "three nets",
    "to who brings",
    "what came of it",
    "what recurs",
    "what repeats",
    "whoever",
)
BANNED = re.compile(r"\b(?:" + "|".join(BANNED_PHRASES).replace(" ", r"[\s#*/]+") + r")\b", re.IGNORECASE)


def test_replaced_phrases_do_not_return() -> None:
    found = []
    own = Path(__file__).relative_to(ROOT).as_posix()
    for name in text_files():
        text = (ROOT / name).read_text()
        for match in BANNED.finditer(text) if name != own else ():
            found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}")
    assert found == []
