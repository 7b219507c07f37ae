"""Completion of projects and tags in the line for new tasks."""

import json
from typing import Any

import pytest

from tests.web.looks import FAULTS, SIZES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

NAMES = "[...document.querySelectorAll('.completion .name')].map((one) => one.textContent)"
FIELD = "document.querySelector('#add').value"
ESCAPE = {"windowsVirtualKeyCode": 27}
TAB = {"code": "Tab", "windowsVirtualKeyCode": 9}


def fill(window: Window) -> dict[str, int]:
    """Creates projects and tags; returns the ids of the projects."""
    names = ["Home", "Home office", "Gärten am See", "C++", "2026", 'The "old" house']
    with window.api() as api:
        ids = {name: api.post("/projects", json={"name": name}).json()["id"] for name in names}
        for _ in range(3):
            api.post("/tasks", json={"title": "One", "project_id": ids["Home office"], "tags": ["hobby", "house work"]})
        api.post("/tasks", json={"title": "Two", "tags": ["home"]})
    window.page.wait("document.querySelector('.sidebar').innerText.includes('house work')")
    return ids


def offers(window: Window, *names: str) -> None:
    window.page.wait(f"JSON.stringify({NAMES}) == JSON.stringify({json.dumps(names)})")


def write(window: Window, text: str) -> None:
    window.page.wait("(document.querySelector('#add').select(), true)")
    window.page.call("Input.insertText", text=text)


def test_what_is_used_most_comes_first_and_a_better_match_before_it(window: Window) -> None:
    fill(window)
    write(window, "Buy paint #")
    offers(window, "Home office", "2026", "C++", "Gärten am See", "Home", 'The "old" house')
    window.page.call("Input.insertText", text="home")
    offers(window, "Home", "Home office")
    write(window, "Buy paint #garten")
    offers(window, "Gärten am See")
    write(window, "@ho")
    offers(window, "hobby", "house work", "home")
    write(window, "me@ho")  # an address
    offers(window)
    write(window, "Buy #home tomorrow")
    offers(window)


def test_a_name_is_inserted_as_the_service_reads_it(window: Window) -> None:
    ids = fill(window)
    for typed, name in (
        ("#home o", "Home office"),
        ("#gar", "Gärten am See"),
        ("#c", "C++"),
        ("#20", "2026"),
        ("#the", 'The "old" house'),
    ):
        write(window, f"Thing {typed}")
        offers(window, name)
        window.page.press("ArrowDown")
        window.page.press("Tab", **TAB)
        window.page.wait(f"{FIELD}.endsWith(' ') && document.activeElement.id == 'add'")
        window.page.call("Input.insertText", text=f"for {ids[name]}")
        window.page.press("Enter")
        window.page.wait(f"{FIELD} == ''")
    write(window, "Clean @hou")
    offers(window, "house work")
    window.page.press("ArrowDown")
    window.page.press("Enter")
    window.page.wait(FIELD + " == 'Clean @\"house work\" '")
    window.page.press("Enter")
    window.page.wait(f"{FIELD} == ''")
    window.in_step()
    with window.api() as api:
        rows: list[dict[str, Any]] = api.get("/tasks", params={"limit": 100}).json()
    placed = {row["title"]: row["project_id"] for row in rows if row["title"].startswith("Thing")}
    assert placed == {f"Thing for {number}": number for name, number in ids.items() if name != "Home"}
    assert [row["tags"] for row in rows if row["title"] == "Clean"] == [["house work"]]


def test_enter_and_escape_are_the_fields_while_nothing_is_chosen(window: Window) -> None:
    fill(window)
    write(window, "Paint #home")
    offers(window, "Home", "Home office")
    window.page.press("ArrowDown")
    window.page.wait("document.querySelector('.completion [aria-selected=true]').textContent.startsWith('Home')")
    active = "document.querySelector('#add').getAttribute('aria-activedescendant')"
    assert window.page.run(f"document.getElementById({active}).role") == "option"
    assert window.page.run("document.querySelector('#add').role") == "combobox"
    window.page.press("ArrowUp")
    window.page.wait("!document.querySelector('.completion [aria-selected=true]')")
    window.page.press("Escape", **ESCAPE)
    offers(window)
    assert window.page.run("document.activeElement.id") == "add"
    window.page.call("Input.insertText", text=" o")  # it stays closed for this name
    offers(window)
    window.page.wait("(document.querySelector('#add').setRangeText('', 11, 13, 'end'), true)")
    window.page.call("Input.insertText", text=" @ho")
    offers(window, "hobby", "house work", "home")
    window.page.press("Enter")
    window.page.wait(f"{FIELD} == ''")
    window.in_step()
    assert "Paint" in window.kept()


def test_the_list_closes_when_the_caret_leaves_the_name(window: Window) -> None:
    fill(window)
    for caret in (2, 8, len("Paint #")):  # before the name, and within it
        write(window, "Paint #hom")
        offers(window, "Home office", "Home")
        window.page.run(f"document.querySelector('#add').setSelectionRange({caret}, {caret})")
        offers(window)
        assert window.page.run("document.querySelector('#add').role") is None
    write(window, "Paint #hom")
    offers(window, "Home office", "Home")
    window.page.press("Tab", **TAB)  # none is highlighted: to the next field
    window.page.wait(f"document.activeElement.id != 'add' && {FIELD} == 'Paint #hom'")
    offers(window)
    assert window.complaints() == []


def test_nothing_is_offered_while_an_input_method_composes(window: Window) -> None:
    fill(window)
    write(window, "Paint ")
    window.page.call("Input.imeSetComposition", text="#home", selectionStart=5, selectionEnd=5)
    window.page.wait(f"{FIELD} == 'Paint #home'")
    offers(window)
    window.page.call("Input.insertText", text="#home")
    offers(window, "Home", "Home office")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_finger_chooses(window: Window, width: int, height: int) -> None:
    fill(window)
    Look(width, height).apply(window)
    write(window, "Paint @h")
    offers(window, "hobby", "house work", "home")
    assert json.loads(window.page.run(FAULTS)) == []
    sizes = "[...document.querySelectorAll('.completion li')].map((one) => one.getBoundingClientRect().height)"
    assert min(window.page.run(sizes)) >= (44 if width < 500 else 30)
    window.page.click(".completion li:nth-child(2)")
    window.page.wait(FIELD + " == 'Paint @\"house work\" '")
    offers(window)
    assert window.complaints() == []
