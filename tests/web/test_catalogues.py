"""The catalogues of the web client: every text is looked up, and every catalogue has exactly these texts."""

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import app.errors as errors
from app.errors.kinds import AppError
from tests.web.client_texts import CLIENT, looked_up, modules, unquote, untranslated

CATALOGUES = sorted((CLIENT / "languages").glob("*.js"))
ENTRY = re.compile(
    r"""^  ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\w$]+):\s+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'),$""", re.MULTILINE
)
PLACE = re.compile(r"\{\w+\}")
# Texts that no catalogue has: names of products, an example of a URL, and errors that no person is shown.
UNTRANSLATED = (
    "Todo",
    "https://",
    'label: "ntfy"',
    'label: "Gotify"',
    'label: "Apprise"',
    'new Error("The page is of another',
    'new Error("no style sheet',
)
# Modules of errors, and what only programs meet: of tokens, versions, cursors, keys, and details in many words.
MET = (
    "kinds",
    "accounts",
    "oidc",
    "tasks",
    "tags",
    "views",
    "channels",
    "comments",
    "quick_add",
    "changes",
    "operations",
)
NOT_MET = {
    "accounts_unavailable", "changes_gone", "conflict", "field_conflict", "id_token_invalid", "invalid",
    "keys_unavailable", "login_required", "next_url_refused", "origin_refused", "refresh_in_progress",
    "refresh_token_invalid", "refresh_token_missing", "schema_mismatch", "status_conflict", "subscription_invalid",
    "temporary_files_refused", "token_expired", "token_invalid", "token_missing", "token_not_bearer",
}  # fmt: skip


def codes_of(module: ModuleType) -> set[str]:
    return {
        one.code
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, AppError) and hasattr(one, "code")
    }


def entries(catalogue: Path, table: str = "TEXTS") -> list[tuple[str, str]]:
    """Returns the texts of a table of the catalogue, with what they stand for."""
    _, _, rest = catalogue.read_text().partition(f"export const {table} = {{")
    found = ENTRY.findall(rest.partition("\n};")[0])
    return [(unquote(key) if key[0] in "\"'" else key, unquote(text)) for key, text in found]


def test_the_reader_finds_texts() -> None:
    source = """
        const one = html`<p class="quiet" title="Some words">Words of a page <b>${name}</b></p>`;
        html`<i aria-label=${open ? "Close it" : t("Open it")}>${isOpen && "Shown here"}${t("Known")}</i>`;
        html`<code>not words</code><${Part} name="no words" label="A label" on=${() => go({ list: "all" })} />`;
        toast("Said to a person"); const op = { label: `Added ${title}` };
    """
    found = list(untranslated(source))
    assert found[:3] == ["Some words", "Words of a page", '"Close it"']
    assert found[3:5] == ['"Shown here"', "A label"]
    assert [text.split()[0] for text in found[5:]] == ['toast("Said', "label:"]
    assert list(looked_up('t("One") tn("{count} a", "{count} b", n) at("x") tt(text, {})')) == [
        ("t", "One"),
        ("tn", "{count} a"),
        ("tn", "{count} b"),
        ("tt", None),
    ]


def test_every_text_is_looked_up() -> None:
    found = {
        name: texts
        for name, source in modules()
        if (texts := [one for one in untranslated(source) if not one.startswith(UNTRANSLATED)])
    }
    assert found == {}


def test_only_literals_are_looked_up() -> None:
    calls = [(name, call) for name, source in modules() for call in looked_up(source) if name != "language.js"]
    assert [one for one in calls if one[1][1] is None] == []


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_has_exactly_the_texts_of_the_page(catalogue: Path) -> None:
    used = {text for name, source in modules() if name != "language.js" for _, text in looked_up(source) if text}
    known = dict(entries(catalogue))
    forms = {key for key in known if re.fullmatch(r".*\|(zero|one|two|few|many|other)", key, re.DOTALL)}
    assert sorted(used - known.keys()) == []
    assert sorted(known.keys() - used - forms) == []
    assert {key.rpartition("|")[0] for key in forms} <= used
    assert len(entries(catalogue)) == len(known), "a text stands there twice"


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_translations_have_the_places_of_their_texts(catalogue: Path) -> None:
    wrong = {
        key: text
        for key, text in entries(catalogue)
        if sorted(PLACE.findall(key)) != sorted(PLACE.findall(text)) or not text.strip()
    }
    assert wrong == {}


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_has_what_the_service_refuses(catalogue: Path) -> None:
    """Errors that a person can meet in the client; what has no code is a sentence of the service itself."""
    known = dict(entries(catalogue, "PROBLEMS"))
    codes = {code for name in MET for code in codes_of(importlib.import_module(f"app.errors.{name}"))}
    assert sorted(codes - NOT_MET - known.keys()) == []
    every = {one.name for one in pkgutil.iter_modules(errors.__path__)}
    defined = {code for name in every for code in codes_of(importlib.import_module(f"app.errors.{name}"))}
    sentences = {key for key in known if key not in defined and key != "unreachable"}
    sources = "".join(path.read_text() for path in Path(errors.__path__[0]).parent.rglob("*.py"))
    assert [one for one in sorted(sentences) if one not in sources] == []


def test_each_language_has_a_catalogue() -> None:
    declared = re.search(r"LANGUAGES = \{([^}]*)\}", (CLIENT / "language.js").read_text())
    assert declared is not None
    languages = re.findall(r"(\w+):", declared[1])
    assert sorted(languages) == sorted(["en", *(path.stem for path in CATALOGUES)])
