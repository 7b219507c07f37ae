"""The command palette: what it finds, in which order, by keyboard, by touch and without the service."""

import json
from collections.abc import Callable

import pytest

from tests.web.looks import FAULTS, SIZES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

CTRL = 2  # of the modifiers in the DevTools protocol
ESCAPE = {"windowsVirtualKeyCode": 27}
OPENED_WITHIN = 250  # milliseconds with 10,000 tasks; five times the target, for slower machines
LABELS = "[...document.querySelectorAll('#palette-list .name')].map((one) => one.textContent)"
ABOUTS = "[...document.querySelectorAll('#palette-list .about')].map((one) => one.textContent)"


def open_palette(window: Window) -> None:
    window.page.press("k", modifiers=CTRL, code="KeyK")
    window.page.wait("document.activeElement.id == 'palette'")


def find(window: Window, text: str, first: str) -> list[str]:
    """Types a text in place of the one before, and returns what is listed once ``first`` is the first entry."""
    window.page.run("document.querySelector('#palette').select()")
    window.page.call("Input.insertText", text=text)
    window.page.wait(f"document.querySelector('#palette-list [aria-selected=true] .name').textContent == {first!r}")
    return list(window.page.run(LABELS))


def test_the_palette_goes_to_lists_projects_tags_views_settings_and_tasks(window: Window) -> None:
    with window.api() as api:
        garden = api.post("/projects", json={"name": "Gärten am See"}).json()["id"]
        task = api.post("/tasks", json={"title": "Água for the plants", "tags": ["straße"]}).json()["id"]
        api.post("/views", json={"name": "Urgent things", "parameters": {"priority": ["urgent"]}})
    window.page.wait("document.querySelector('.sidebar').innerText.includes('Urgent things')")
    places = {
        "upc": ("Upcoming", "#/upcoming"),
        "GARTEN": ("Gärten am See", f"#/project/{garden}"),
        "strasse": ("@straße", "#/tag/stra%C3%9Fe"),
        "urg thi": ("Urgent things", "#/all?status=all&priority=urgent"),
        "passkey": ("Security", "#/settings/security"),
        "agua": ("Água for the plants", f"#/settings/security?task={task}"),
    }
    for typed, (label, href) in places.items():
        open_palette(window)
        find(window, typed, label)
        window.page.press("Enter")
        window.page.wait(f"location.hash == {json.dumps(href)}")
        window.page.wait("!document.querySelector('dialog')")
    assert window.complaints() == []


def test_the_better_match_comes_first(window: Window) -> None:
    window.add("Bring a tray", "Todays news", "Read for today", "The tidy old day", "Retoday")
    window.in_step()
    open_palette(window)
    found = find(window, "today", "Today")
    tasks = [one for one in found if one in {"Todays news", "Read for today", "The tidy old day", "Retoday"}]
    assert tasks == ["Todays news", "Read for today", "Retoday", "The tidy old day"]
    assert "Bring a tray" not in found
    assert found[-1] == "Search all tasks for “today”"
    window.page.press("End")
    window.page.press("ArrowUp")  # from the first to the last
    window.page.press("Enter")
    window.page.wait("location.hash == '#/all?search=today&status=all'")


def test_commands_are_about_the_task_that_has_the_focus_or_is_open(window: Window) -> None:
    with window.api() as api:
        home = api.post("/projects", json={"name": "Home"}).json()["id"]
    window.add("Alpha", "Beta")
    window.in_step()
    focus = f"({window.row('Alpha')}.querySelector('.title').focus(), true)"
    window.page.wait(focus)
    open_palette(window)
    find(window, "due tom", "Due tomorrow")
    assert "“Alpha”" in window.page.run(ABOUTS)
    window.page.press("Enter")
    window.page.wait(f"{window.row('Alpha')}.innerText.includes('Tomorrow')")
    assert window.page.run("document.activeElement.textContent") == "Alpha"
    window.open_details("Beta")
    open_palette(window)
    find(window, "move to ho", "Move to Home")
    window.page.press("Enter")
    window.page.wait(f"document.querySelector('.details select option[value=\"{home}\"]').selected")
    open_palette(window)
    find(window, "complete", "Complete the task")
    window.page.press("Enter")
    window.page.wait("document.querySelector('.details .check').ariaChecked == 'true'")
    window.in_step()
    assert window.kept(status="completed") == ["Beta"]
    open_palette(window)
    find(window, "undo", "Undo the latest change")
    window.page.press("Enter")
    window.page.wait("document.querySelector('.details .check').ariaChecked == 'false'")


def test_commands_of_the_page(window: Window) -> None:
    window.go("#/trash")
    for typed, label, then in (
        ("dark", "Dark colours", "document.documentElement.dataset.theme == 'dark'"),
        ("shortcuts", "Keyboard", "document.querySelector('.keys').innerText.includes('Find or do')"),
        ("reminders", "Reminders", "document.querySelector('#close-bell') !== null"),
        ("new ta", "New task", "document.activeElement.id == 'add' && location.hash == '#/inbox'"),
        ("log out", "Log out", "document.querySelector('input[name=password]') !== null"),
    ):
        open_palette(window)
        find(window, typed, label)
        window.page.press("Enter")
        window.page.wait(then)
        if window.page.run("document.querySelector('dialog') !== null"):
            window.page.press("Escape", **ESCAPE)
            window.page.wait("!document.querySelector('dialog')")


def test_the_focus_returns_and_a_field_keeps_its_text(window: Window) -> None:
    window.page.type("#add", "half a th")
    ways: list[Callable[[], None]] = [
        lambda: window.page.press("Escape", **ESCAPE),
        lambda: window.page.press("k", modifiers=CTRL, code="KeyK"),
        lambda: window.page.click(".palette .quiet-button"),
    ]
    for leave in ways:
        open_palette(window)
        leave()
        window.page.wait("!document.querySelector('dialog') && document.activeElement.id == 'add'")
    assert window.page.run("document.querySelector('#add').value") == "half a th"
    # What is typed while an input method composes is not chosen by its Enter.
    open_palette(window)
    composing = "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })"
    window.page.run(f"document.activeElement.dispatchEvent({composing})")
    assert window.page.run("document.activeElement.id") == "palette"


def test_it_works_offline_and_online_finds_what_only_the_service_has(window: Window) -> None:
    with window.api() as api:
        made = [api.post("/tasks", json={"title": f"Old {n}", "completed": True}).json()["id"] for n in range(120)]
        task = api.post("/tasks", json={"title": "Ring up"}).json()["id"]
        api.post(f"/tasks/{task}/comments", json={"body": "about the chimney"})
    window.reload()
    window.in_step()
    open_palette(window)
    find(window, "chimn", "Ring up")
    find(window, "Old 0", "Old 0")
    assert "Inbox, done" in window.page.run(ABOUTS)
    window.page.press("Enter")
    window.page.wait(f"document.querySelector('.details').dataset.id == '{made[0]}'")
    window.page.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    open_palette(window)
    find(window, "ring", "Ring up")
    window.page.press("Enter")
    window.page.wait(f"document.querySelector('.details').dataset.id == '{task}'")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_and_can_be_touched(window: Window, width: int, height: int) -> None:
    window.add("A task with a title that is far longer than the line in which the palette shows it, so it is cut")
    window.in_step()
    Look(width, height).apply(window)
    if width < 500:
        window.page.click(".menu")
    window.page.click("#find")
    window.page.wait("document.activeElement.id == 'palette'")
    window.page.call("Input.insertText", text="a")
    window.page.wait("document.querySelectorAll('#palette-list li').length > 5")
    assert json.loads(window.page.run(FAULTS)) == []
    sizes = "[...document.querySelectorAll('#palette-list li')].map((one) => one.getBoundingClientRect().height)"
    assert min(window.page.run(sizes)) >= (44 if width < 500 else 30)
    window.page.click("#palette-list li:last-child")
    window.page.wait("location.hash == '#/all?search=a&status=all'")
