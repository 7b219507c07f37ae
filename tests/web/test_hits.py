"""Searching in the web client: where the words were found, in what, and with or without the service."""

import json
from typing import Any

import pytest

from tests.web.looks import FAULTS, SIZES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

OFFLINE = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
LONG = "Nothing of it matters much before this place. " * 3 + "Then the chímney is swept. " + "And so on it goes. " * 9


def marks(window: Window, title: str, *expected: str) -> None:
    """Waits until exactly these texts are marked in the row of that title."""
    found = f"[...{window.row(title)}.querySelectorAll('mark')].map((one) => one.textContent.normalize())"
    window.page.wait(f"JSON.stringify({found}) == JSON.stringify({json.dumps(expected)})")


def lines(window: Window, title: str) -> list[str]:
    return list(window.page.run(f"[...{window.row(title)}.querySelectorAll('.hit')].map((one) => one.textContent)"))


def search(window: Window, text: str) -> None:
    window.page.wait("(document.querySelector('#search').select(), true)")
    window.page.call("Input.insertText", text=text)


def test_the_place_of_the_hit_is_marked(window: Window) -> None:
    with window.api() as api:
        ids = {}
        rows: dict[str, dict[str, Any]] = {
            "CAFÉ at the Cafe\u0301, decaffeinated": {},
            "Straße": {"tags": ["Große Runde"]},
            "House": {"description": LONG},
            "Roof": {},
            "Done long ago": {"completed": True, "description": "the chimney"},
        }
        for title, more in rows.items():
            ids[title] = api.post("/tasks", json={"title": title, **more}).json()["id"]
        api.post(f"/tasks/{ids['Roof']}/comments", json={"body": "Ask about the <b>chimney</b>"})
    window.page.wait("document.querySelectorAll('.row').length == 4")
    search(window, "cafe")
    marks(window, "CAFÉ", "CAFÉ", "Café")
    search(window, "STRASSE gross")
    marks(window, "Straße", "Straße", "Groß")
    assert lines(window, "Straße") == []
    search(window, "chimney")
    window.page.wait(
        "document.querySelectorAll('.row').length == 2 && document.querySelectorAll('.hit mark').length == 2"
    )
    marks(window, "House", "chímney")
    [line] = lines(window, "House")
    assert line.startswith("In the notes: … ")
    assert line.endswith(" …")
    assert len(line) < 130
    assert lines(window, "Roof") == ["In a comment: Ask about the <b>chimney</b>"]
    search(window, "house swept")
    marks(window, "House", "House", "swept")
    search(window, "chimney")
    window.page.click("#everywhere")
    window.page.wait("document.querySelectorAll('.row').length == 3")
    marks(window, "Done long ago", "chimney")
    assert window.page.run("document.querySelector('#everywhere')") is None
    search(window, "title:house")  # a filter: nothing is marked
    window.page.wait("document.querySelectorAll('.row').length == 1 && !document.querySelector('mark')")
    assert window.complaints() == []


def test_without_the_service_the_same_is_found(window: Window) -> None:
    with window.api() as api:
        api.post("/tasks", json={"title": "Gärtnern"})
        task = api.post("/tasks", json={"title": "Roof"}).json()["id"]
        api.post(f"/tasks/{task}/comments", json={"body": "Über den Schornstein"})
        api.post("/tasks", json={"title": "Other"})
    window.page.wait("document.querySelectorAll('.row').length == 3")
    hits = "document.querySelector('script[type=module]').src.replace('main.js', 'views/hits.js')"
    window.page.run(f"import({hits}).then(() => true)")
    window.page.call("Network.emulateNetworkConditions", offline=True, **OFFLINE)
    for text, title, mark in (("gartn", "Gärtnern", "Gärtn"), ("uber roof", "Roof", "Roof")):
        search(window, text)
        window.shows(title)
        window.page.wait(f"document.querySelector('.row mark').textContent == {json.dumps(mark)}")
    assert lines(window, "Roof") == ["In a comment: Über den Schornstein"]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_hits_fit(window: Window, width: int, height: int) -> None:
    with window.api() as api:
        api.post("/tasks", json={"title": "House", "description": LONG + "x" * 300})
    window.page.wait("document.querySelectorAll('.row').length == 1")
    Look(width, height).apply(window)
    search(window, "chimney")
    marks(window, "House", "chímney")
    assert json.loads(window.page.run(FAULTS)) == []
