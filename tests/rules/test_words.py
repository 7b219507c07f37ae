"""Phrases that the style of this project replaced stay out of the code and the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
TEXT_SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".sql", ".txt"}


def readable_files() -> list[Path]:
    """Returns the sources and documents of the project, without vendored files and lists of data."""
    folders = [path for folder in ("app", "docs", "examples") for path in sorted((ROOT / folder).rglob("*"))]
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    vendored = {"data", "node_modules", "swagger", "vendor"}
    return [
        path
        for path in (*folders, *pages)
        if path.suffix in TEXT_SUFFIXES and path.is_file() and not vendored & set(path.parts)
    ]


def test_replaced_phrases_do_not_return() -> None:
    found = []
    for path in readable_files():
        text = path.read_text()
        for match in BANNED.finditer(text):
            found.append(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}")
    assert found == []
