"""Constants, classes and files that docstrings, comments and documents mention exist."""

import builtins
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from tests.rules.prose import ROOT, project_files, read_module, text_files

CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
CAPITALS = re.compile(r"\b[A-Z]{3,}\b")
CLASS = re.compile(r"``([A-Z][a-z]+[A-Za-z]*)(?:\.\w+)*(?:\([^`]*\))?``")
RAISED = re.compile(r"\bRaises ((?:[A-Z][a-z]+[A-Za-z]*(?:, and |, | and | or )?)+)")
FILE = re.compile(r"(?<![\w./<{*-])((?:\w+/)*\w+\.py|(?:\w+/)+\w+\.(?:js|mjs|md|sql|html|css))\b")
CODE = re.compile(r"`([^`\n]+)`")
KNOWN_ELSEWHERE = {"BaseHTTPMiddleware", "Accept"}  # Starlette's, and a header
# Words of SQL and PostgreSQL, then of networks, security and standards, that no code or document has.
ABBREVIATIONS = {"HOT", "INTO", "TIES", "WAL"} | {"CDN", "CJK", "CVE", "FIFO", "GCRA", "ITU", "JDBC", "NIST", "RPC"}
ABBREVIATIONS |= {"SDK", "SSRF", "TCP", "UAX", "WCAG"}


class Code(NamedTuple):
    """The names that code defines or uses, and all words of the project's code and documents."""

    names: set[str]
    words: set[str]
    documented: set[str]


@cache
def code() -> Code:
    names, words, documented = set(dir(builtins)) | KNOWN_ELSEWHERE, set[str](), set[str]()
    for name in project_files():
        if name.endswith(".py"):
            module = read_module(name)
            names |= module.names
            words |= set(re.findall(r"\w+", " ".join(module.strings)))
        elif name in text_files() and name != "CHANGELOG.md":
            (documented if name.endswith(".md") else words).update(re.findall(r"\w+", (ROOT / name).read_text()))
    names |= {name.upper() for name in names}  # a setting's environment variable
    return Code(names, words | names, documented | words | names)


@cache
def endings() -> set[str]:
    """Returns every way to name a file: its name with none, some or all of its folders."""
    parts = [name.split("/") for name in project_files()]
    return {"/".join(names[start:]) for names in parts for start in range(len(names))}


def prose(name: str) -> Iterable[tuple[int, str]]:
    """Returns the lines of a document, or the docstrings and comments of a module, with their line numbers."""
    if name.endswith(".md"):
        return enumerate((ROOT / name).read_text().split("\n"), 1)
    return read_module(name).prose


def unknown_constants(name: str, text: str) -> Iterator[str]:
    if name.endswith(".md"):
        text = " ".join(CODE.findall(text))
    else:
        yield from set(CAPITALS.findall(text)) - code().documented - ABBREVIATIONS
    yield from set(CONSTANT.findall(text)) - code().words


def unknown_classes(name: str, text: str) -> Iterator[str]:
    if name.endswith(".py"):
        raised = {word for words in RAISED.findall(text) for word in re.findall(r"\w+", words)} - {"and", "or"}
        yield from (set(CLASS.findall(text)) | raised) - code().names


def unknown_files(name: str, text: str) -> Iterator[str]:
    yield from set(FILE.findall(text)) - endings()


def offences(name: str) -> Iterator[str]:
    for line, text in prose(name):
        for rule in (unknown_constants, unknown_classes, unknown_files):
            yield from (f"{name}:{line}: {word}" for word in rule(name, text))


def test_mentioned_names_exist() -> None:
    names = [name for name in project_files() if name.endswith((".py", ".md")) and name != "CHANGELOG.md"]
    found = [offence for name in names for offence in offences(name)]
    assert found == [], "\n".join(found)


def test_a_name_that_nothing_has_is_found() -> None:
    absent, no_class, no_file = "_".join(("NOT", "A", "NAME")), "No" + "SuchError", "no/such." + "py"
    assert list(unknown_constants("x.py", f"At most {absent} rows.")) == [absent]
    assert list(unknown_constants("x.md", f"At most `{absent}` rows.")) == [absent]
    assert list(unknown_classes("x.py", f"Raises {no_class}.")) == [no_class]
    assert list(unknown_files("x.md", f"See `{no_file}`.")) == [no_file]
