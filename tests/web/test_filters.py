"""Filters in the search field of the web client, and in the views that it keeps."""

import json
import shutil
import subprocess

import pytest

from app.domain.filters.fields import FIELD_ALIASES, FILTER_FIELDS
from app.routers.web_client import CLIENT_FOLDER
from tests.web.window import Window

pytestmark = pytest.mark.slow

FILTER_TEXT = "(tag:home OR title:bread) AND NOT priority:low"


def test_the_search_field_takes_a_filter(window: Window) -> None:
    with window.api() as api:
        for task in (
            {"title": "Milk", "tags": ["home"]},
            {"title": "Bread", "priority": "high"},
            {"title": "Socks", "tags": ["home"], "priority": "low"},
            {"title": "Done", "tags": ["home"], "completed": True},
        ):
            assert api.post("/tasks", json=task).status_code == 201
    window.in_step()
    page = window.page
    page.type("#search", FILTER_TEXT)
    window.shows("Milk", "Bread")
    page.wait("!document.querySelector('#unreadable')")
    window.complete("Milk")
    window.shows("Bread")
    with window.api() as api:  # another client's change is found as well
        assert api.post("/tasks", json={"title": "Rolls", "tags": ["home"]}).status_code == 201
    window.shows("Bread", "Rolls")


def test_a_wrong_filter_says_where_and_what_is_expected(window: Window) -> None:
    window.add("Milk")
    window.in_step()
    page = window.page
    page.type("#search", "title:milk AND status:soon")
    page.shows("#unreadable")
    said = "document.querySelector('#unreadable').textContent"
    page.wait(f"{said}.includes('Column 23: found \"soon\", expected pending')")
    page.wait("document.querySelector('#search').getAttribute('aria-invalid') == 'true'")
    page.shows(".toolbar .link.idle")  # nothing to keep as a view
    window.go("#/all?search=title%3Amilk")
    window.shows("Milk")
    page.wait("!document.querySelector('#unreadable')")


def test_a_filter_that_names_a_status_is_not_only_about_open_tasks(window: Window) -> None:
    with window.api() as api:
        api.post("/tasks", json={"title": "Milk", "completed": True})
        api.post("/tasks", json={"title": "Bread"})
    window.go("#/all?search=completed_at%20%3E%20today-2d")
    window.shows("Milk")


def test_a_view_keeps_the_filter(window: Window) -> None:
    window.add("Milk", "Bread")
    window.in_step()
    window.page.type("#search", "title:milk OR tag:x")
    window.shows("Milk")
    keep = "[...document.querySelectorAll('.toolbar button')].find((one) => one.textContent == 'Keep as view')"
    window.page.wait(f"({keep}.click(), true)")
    window.page.shows(".sidebar a[href*='search=']")
    window.in_step()
    with window.api() as api:
        (view,) = api.get("/views").json()
        assert view["parameters"]["filter"] == "title:milk OR tag:x"
        assert [task["title"] for task in api.get(f"/views/{view['id']}/tasks").json()] == ["Milk"]
    window.go("#/all")
    window.shows("Milk", "Bread")
    window.page.wait("(document.querySelector(\".sidebar a[href*='search=']\").click(), true)")
    window.shows("Milk")


WORDS = ["milk", "bread and butter", "to be or not", "it's", "10:30", "C#", "a=b", "http://example.com", "50% (half)"]
FILTERS = [
    "tag:home",
    "x OR y",
    "@home",
    "#Garden",
    'NOT "a b"',
    "due<today",
    "(a) && b",
    "-title:x",
    "Priority >= high",
]


def test_words_are_told_from_filters() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    module = (CLIENT_FOLDER / "filter.js").as_uri()
    named = [f"{name}:x" for name in (*FILTER_FIELDS, *FIELD_ALIASES)]
    for texts, expected in ((WORDS, False), (FILTERS, True), (named, True)):
        told = f"JSON.stringify({json.dumps(texts)}.map(f.isFilter))"
        program = f"import({json.dumps(module)}).then((f) => console.log({told}))"
        done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True)
        assert dict(zip(texts, json.loads(done.stdout), strict=True)) == dict.fromkeys(texts, expected)
