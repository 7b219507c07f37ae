"""Tables in docs/ that are generated from the code.

``python -m tests.docs.test_generated_tables`` writes them.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app.commands
import app.main  # noqa: F401 - with both, every module that defines an error is imported
from app.errors import AppError
from app.errors.findings import EXPECTED_VALUES, OTHER_SENTENCES, UNEXPLAINED_ERROR
from app.http.problems import HTTP_ERROR_CODES, STATUS_BY_KIND, STATUS_TITLES
from app.models.task_aliases import BODY_ALIASES, PAGE_ALIASES, SORT_ALIASES
from tests.db.test_statement_budget import BUDGET
from tests.rules.test_architecture import module_of, sources

DOCS = Path(__file__).parents[2] / "docs"
# Errors without a class: the framework's refusals, validation errors, bugs.
OTHERS = [
    (404, HTTP_ERROR_CODES[404], "There is no such path."),
    (405, HTTP_ERROR_CODES[405], "The path does not take this method."),
    (422, "validation_error", "Names the first input that is not acceptable; `errors` has all of them."),
    (500, "internal_error", "Something went wrong on our side; the request id finds it in the log."),
]


def application_errors(base: type[AppError] = AppError) -> set[type[AppError]]:
    """Returns every application error that a module of the service defines."""
    found = {fact for fact in base.__subclasses__() if fact.__module__.startswith("app.")}
    return found.union(*(application_errors(fact) for fact in found))


def errors_table() -> str:
    rows: dict[tuple[int, str], set[str]] = {(status, code): {text} for status, code, text in OTHERS}
    for fact in application_errors():
        if "code" in vars(fact):
            rows.setdefault((STATUS_BY_KIND[fact.kind], fact.code), set()).add(fact.message)
    text = "| Status | Code | Says |\n|--:|---|---|\n"
    for (status, code), said in sorted(rows.items()):
        text += f"| {status} | `{code}` | {' Or: '.join(sorted(said))} |\n"
    return text


def findings_table() -> str:
    """Returns the types of validation errors: the library's as responses name them, and those of this service."""
    rows: dict[str, set[str]] = {}
    for type_, text in EXPECTED_VALUES.values():
        rows.setdefault(type_, set()).add(f"Expected {text}.".replace("{{}}", "{}").replace("{plural}", "s"))
    for type_, sentence in (*OTHER_SENTENCES.items(), UNEXPLAINED_ERROR, *own_findings()):
        rows.setdefault(type_, set()).add(sentence)
    text = "| Type | Says |\n|---|---|\n"
    for type_, said in sorted(rows.items()):
        words = re.sub(r"\{(\w+)\}", r"*\1*", " Or: ".join(sorted(said)))
        text += f"| `{type_}` | {words} |\n"
    return text


def own_findings() -> Iterator[tuple[str, str]]:
    """Yields the type and the sentence of each error that a validator of the service raises."""
    positions = {"PydanticCustomError": 0, "field_error": 1}  # of the type; the sentence is next
    for source in sources():
        for node in source.nodes:
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in positions:
                type_, sentence = node.args[positions[name] : positions[name] + 2]
                if isinstance(type_, ast.Constant):
                    names = vars(sys.modules[module_of(source)])
                    yield str(type_.value), eval(compile(ast.Expression(sentence), source.name, "eval"), names)


def aliases_table() -> str:
    tables = (
        ("field of a task", BODY_ALIASES),
        ("parameter of a list", PAGE_ALIASES),
        ("value of `sort`", SORT_ALIASES),
    )
    text = "| where | name | also |\n|---|---|---|\n"
    for where, aliases in tables:
        for name in dict.fromkeys(aliases.values()):
            others = ", ".join(f"`{alias}`" for alias, meant in aliases.items() if meant == name)
            text += f"| {where} | `{name}` | {others} |\n"
    return text


def round_trips_table() -> str:
    text = "| Request | Body | Round trips |\n|---|---|--:|\n"
    for (method, path, body), trips in BUDGET.items():
        below = path if path.startswith("/api/") else f"…{path}"
        text += f"| `{method} {below}` | {f'`{body}`' if body else ''} | {trips} |\n"
    return text


TABLES: list[Any] = [
    ("errors.md", "errors", errors_table),
    ("errors.md", "findings", findings_table),
    ("drop-in.md", "aliases", aliases_table),
    ("performance.md", "round trips", round_trips_table),
]


def parts(name: str, mark: str) -> tuple[str, str, str]:
    """Returns a document in three parts: the text before the table, the table, the text after it."""
    before, begin, rest = (DOCS / name).read_text().partition(f"<!-- {mark} -->\n")
    table, end, after = rest.partition(f"<!-- /{mark} -->\n")
    assert begin, name
    assert end, name
    return before + begin, table, end + after


@pytest.mark.parametrize(("name", "mark", "made"), TABLES)
def test_a_table_matches_the_code(name: str, mark: str, made: Any) -> None:
    assert parts(name, mark)[1] == made(), "run: python -m tests.docs.test_generated_tables"


def test_each_error_code_has_one_status_and_is_lower_case() -> None:
    codes: dict[str, set[int]] = {}
    for fact in application_errors():
        codes.setdefault(fact.code, set()).add(STATUS_BY_KIND[fact.kind])
        assert fact.code == fact.code.lower(), fact
        assert STATUS_BY_KIND[fact.kind] in STATUS_TITLES
    assert {code: found for code, found in codes.items() if len(found) > 1} == {}


if __name__ == "__main__":
    for name, mark, made in TABLES:
        before, _, after = parts(name, mark)
        (DOCS / name).write_text(before + made() + after)
