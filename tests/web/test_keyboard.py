"""Use of the web client by keys alone: what Tab reaches, where the focus is after each key, and what is announced."""

import json

import pytest

from tests.browser import until
from tests.web.accessibility import HELPERS
from tests.web.looks import Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

CODES = {"Tab": 9, "Escape": 27, "Enter": 13, "Delete": 46, "ArrowDown": 40, "ArrowUp": 38, " ": 32}
FOCUSED = "document.activeElement"
# All that can be used, in the order of the page.
STOPS = f"""(() => {{ {HELPERS}
    window.stops = usable.filter((one) => one.tabIndex >= 0);
    return window.stops.length;
}})()"""


def press(window: Window, *keys: str) -> None:
    for key in keys:
        window.page.press(key, code=key, windowsVirtualKeyCode=CODES[key]) if key in CODES else window.page.press(key)


def announces(window: Window, text: str) -> None:
    window.page.wait(f"document.querySelector('#announcements').textContent.includes({json.dumps(text)})")


def has_focus(window: Window, selector: str, text: str = "") -> None:
    """Waits until the focus is on what the selector finds, with that text."""
    window.page.wait(f"{FOCUSED}.matches({json.dumps(selector)}) && {FOCUSED}.textContent.includes({json.dumps(text)})")


@pytest.fixture
def window(window: Window) -> Window:
    """Has three tasks."""
    with window.api() as api:
        for title in ("Buy milk", "Read", "Water the plants"):
            assert api.post("/tasks", json={"title": title, "tags": ["home"]}).status_code == 201
    window.shows("Buy milk", "Read", "Water the plants")
    return window


@pytest.mark.parametrize("place", ["#/all", "#/all?task={task}", "#/settings/account", "#/channels", "#/trash"])
def test_tab_reaches_everything_in_the_order_of_the_page_and_is_never_caught(window: Window, place: str) -> None:
    with window.api() as api:
        task = api.get("/tasks").json()[0]["id"]
    window.reload(place.format(task=task))
    shown = {"task=": "#notes", "settings": "#zone-form", "channels": "#add-ntfy", "trash": ".empty"}
    for part, selector in shown.items():
        if part in place:
            window.page.shows(selector)
    window.page.wait(
        "document.querySelector('main h1') && !document.querySelector('.empty')?.innerText.includes('moment')"
    )
    window.in_step()
    count = window.page.run(f"({FOCUSED}.blur(), {STOPS})")
    assert count > 10
    window.page.run("document.querySelector('.skip').focus()")
    reached = [0]
    for _ in range(count * 4):  # a date has several stops of its own
        press(window, "Tab")
        at = window.page.run(f"window.stops.indexOf({FOCUSED})")
        if at < 0 or at < reached[-1]:
            break
        if at != reached[-1]:
            reached.append(at)
    assert reached == list(range(count)), window.page.run(
        f"window.stops[{len(reached)}]?.outerHTML ?? {FOCUSED}.outerHTML"
    )


def test_a_day_is_played_by_keys_alone(window: Window) -> None:
    window.reload()
    window.shows("Buy milk", "Read", "Water the plants")
    press(window, "Tab")
    has_focus(window, ".skip")
    press(window, "Enter")
    has_focus(window, "main")
    press(window, "n")
    has_focus(window, "#add")
    window.page.call("Input.insertText", text="Call mum")
    press(window, "Enter")
    window.shows("Buy milk", "Read", "Water the plants", "Call mum")
    has_focus(window, "#add")
    press(window, "Escape", "j", "ArrowDown")
    has_focus(window, ".row .title", "Read")
    press(window, "e")
    has_focus(window, ".row .edit")
    window.page.call("Input.insertText", text="Read the book")
    press(window, "Enter")
    has_focus(window, ".row .title", "Read the book")
    press(window, "c")
    window.shows("Buy milk", "Water the plants", "Call mum")
    announces(window, "Completed “Read the book”")
    has_focus(window, ".row .title", "Water the plants")
    press(window, "u")
    window.shows("Buy milk", "Read the book", "Water the plants", "Call mum")
    press(window, "Delete")
    window.shows("Buy milk", "Read the book", "Call mum")
    has_focus(window, ".row .title", "Call mum")
    window.in_step()
    assert sorted(window.kept()) == ["Buy milk", "Call mum", "Read the book"]


def test_what_was_opened_is_closed_by_escape_and_gives_the_focus_back(window: Window) -> None:
    press(window, "j", "j")
    has_focus(window, ".row .title", "Read")
    press(window, "Enter")
    has_focus(window, ".details")
    press(window, "Tab", "Tab", "Tab")
    has_focus(window, "#star")
    press(window, "Escape")
    window.page.wait("!document.querySelector('.details')")
    has_focus(window, ".row .title", "Read")
    for key, dialog in (("?", ".keys"), ("b", "#close-bell")):
        press(window, key)
        window.page.shows(f"dialog[open] {dialog}")
        window.page.wait(f"{FOCUSED}.closest('dialog') !== null")
        press(window, "Escape")
        window.page.wait("!document.querySelector('dialog')")
        has_focus(window, ".row .title", "Read")
    press(window, "/")
    has_focus(window, "#search")
    press(window, "Escape")
    has_focus(window, "main")


def test_the_lists_of_a_phone_take_the_focus_and_give_it_back(window: Window) -> None:
    Look(390, 844, calm=True).apply(window)
    window.page.wait("(document.querySelector('.menu').focus(), document.activeElement.matches('.menu'))")
    press(window, "Enter")
    has_focus(window, ".sidebar a", "Today")
    window.page.wait("document.querySelector('main').inert")
    press(window, "Escape")
    has_focus(window, ".menu")
    press(window, "g")
    has_focus(window, ".sidebar a", "Today")
    press(window, "Enter")
    window.page.wait("document.querySelector('h1').innerText == 'Today'")
    has_focus(window, ".menu")


def test_a_page_names_its_parts(window: Window) -> None:
    """Landmarks, headings and the window's title are all that a screen reader has for a way around."""
    parts = window.page.run("""JSON.stringify([...document.querySelectorAll("nav, main, aside, [role=search]")].map(
        (one) => [one.localName, one.getAttribute("aria-label")]))""")
    assert json.loads(parts) == [["nav", "Lists"], ["main", None], ["div", None]]
    window.open_details("Read")
    until(lambda: window.page.run("document.querySelector('aside').ariaLabel") == "Details")
    assert window.page.run("document.querySelectorAll('h1').length") == 1
    assert window.page.run("document.title") == "All tasks · Todo"
    assert window.page.run("document.documentElement.lang") == "en"
