"""Every test that docs/security.md names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/security.md").read_text()
ROWS = re.findall(r"^\| (API\d+) \|.*$", DOCUMENT, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT)))


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_all_ten_risks_have_a_row_that_names_tests() -> None:
    assert [f"API{number}" for number in range(1, 11)] == ROWS
    for line in re.findall(r"^\| API\d+ .*$", DOCUMENT, re.MULTILINE):
        assert "`tests/" in line, line


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    assert name in names_in(file)


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", DOCUMENT))))
def test_a_named_file_exists(file: str) -> None:
    assert names_in(file)


@pytest.mark.parametrize("document", ["SECURITY.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))])
def test_links_between_documents_resolve(document: str) -> None:
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
        assert (folder / target).exists(), target
