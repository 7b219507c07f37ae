"""The month: tasks by local day, drag between days, keys, and a compact one on a phone."""

import json
from datetime import date, timedelta

import pytest

from tests.web.looks import COLOURS, FAULTS, SIZES, Look
from tests.web.test_selection import create, tasks
from tests.web.window import Window

pytestmark = pytest.mark.slow

DAY = date(2031, 5, 14)  # a Wednesday


def cell(day: date) -> str:
    return f"document.querySelector('.month [data-day=\"{day}\"]')"


def chip(title: str) -> str:
    return f"[...document.querySelectorAll('.chip')].find((one) => one.textContent.includes({json.dumps(title)}))"


def has(window: Window, day: date, *titles: str) -> None:
    """Waits until the day shows exactly these titles, in this order."""
    names = f"[...{cell(day)}.querySelectorAll('.chip .name')].map((one) => one.textContent)"
    window.page.wait(f"JSON.stringify({names}) == JSON.stringify({json.dumps(titles)})")


def is_chosen(window: Window, day: date, *, focused: bool = True) -> None:
    window.page.wait(f"{cell(day)}.getAttribute('aria-selected') == 'true'")
    if focused:
        window.page.wait(f"document.activeElement == {cell(day)}")
    assert window.page.run("document.querySelectorAll('.month [tabindex=\"0\"]').length") == 1


def drag_chip(window: Window, title: str, day: date) -> None:
    window.page.wait(f"!!{chip(title)}")
    window.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = (
        "{const box = %s.getBoundingClientRect(); JSON.stringify([box.left + box.width / 2, box.top + box.height / 2])}"
    )
    (x, y), (end_x, end_y) = (json.loads(window.page.run(box % one)) for one in (chip(title), cell(day)))
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    window.page.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
    window.page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 12, y=y + 4, **mouse)
    window.page.shows(".chip.dragged")
    window.page.call("Input.dispatchMouseEvent", type="mouseMoved", x=end_x, y=end_y, **mouse)
    window.page.shows("td.drop-into")
    window.page.call("Input.dispatchMouseEvent", type="mouseReleased", x=end_x, y=end_y, **mouse)


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_tasks_are_on_their_local_day_and_move_to_another_with_their_time(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    window.open("?zone")
    at = window.page.run(f"new Date('{DAY}T09:30').toISOString().replace('.000', '')")
    create(window, "timed", due_date=at)
    create(window, "whole", due_date=str(DAY))
    with window.api() as api:
        api.post("/tasks", json={"title": "done", "due_date": str(DAY), "completed": True})
    window.go(f"#/calendar/{DAY}")
    has(window, DAY, "timed", "whole")
    window.shows("timed", "whole")  # the list of the day
    other = DAY + timedelta(days=8)
    drag_chip(window, "timed", other)
    has(window, other, "timed")
    has(window, DAY, "whole")
    moved = tasks(window)["timed"]["due_date"]
    assert window.page.run(f"new Date('{moved}').toString()").startswith(other.strftime("%a %b %d %Y 09:30"))
    window.page.click("#undo")
    has(window, DAY, "timed", "whole")
    window.drag_to("whole", cell(other))  # from the list below
    has(window, other, "whole")
    window.page.run(f"({chip('timed')}.click(), 0)")
    window.page.wait("document.querySelector('.details .big').value == 'timed'")
    assert window.complaints() == []


def test_a_day_with_many_tasks_opens_its_list(window: Window) -> None:
    create(window, *(f"Task {number}" for number in range(5)), due_date=str(DAY))
    window.go(f"#/calendar/{DAY + timedelta(days=1)}")
    has(window, DAY, "Task 0", "Task 1")
    others = f"{cell(DAY)}.querySelector('.others')"
    assert window.page.run(f"{others}.textContent") == "+3 more"
    window.page.run(f"({others}.click(), 0)")
    window.shows(*(f"Task {number}" for number in range(5)))
    window.page.wait("document.activeElement.textContent == 'Task 0'")


def test_the_keyboard_walks_through_days_and_adds(window: Window) -> None:
    window.go(f"#/calendar/{DAY}")
    window.page.wait(f"({cell(DAY)}.focus(), true)")
    for key, by in (("ArrowRight", 1), ("ArrowDown", 8), ("ArrowLeft", 7), ("ArrowUp", 0)):
        window.page.press(key)
        is_chosen(window, DAY + timedelta(days=by))
    window.page.press("PageDown")
    is_chosen(window, date(2031, 6, 14))
    window.page.press("PageUp", modifiers=8)
    is_chosen(window, date(2030, 6, 14))
    window.go("#/calendar/2031-05-31")
    window.page.wait(f"({cell(date(2031, 5, 31))}.focus(), true)")
    window.page.press("PageDown")
    is_chosen(window, date(2031, 6, 30))  # June has no 31st
    window.page.press("Enter")
    window.page.wait("document.activeElement.id == 'add'")
    window.add("Plant beans")
    window.shows("Plant beans")
    has(window, date(2031, 6, 30), "Plant beans")
    assert tasks(window)["Plant beans"]["due_date"] == "2031-06-30"
    window.page.run(f"({cell(date(2031, 6, 30))}.focus(), 0)")
    window.page.press("Enter")
    window.page.wait("document.activeElement.textContent == 'Plant beans'")
    window.page.click("#next-month")
    is_chosen(window, date(2031, 7, 30), focused=False)
    window.page.click("#this-month")
    window.page.wait("document.querySelector('[aria-current=date]').getAttribute('aria-selected') == 'true'")
    window.go("#/calendar/no-day")
    window.page.wait("document.querySelector('[aria-current=date]').getAttribute('aria-selected') == 'true'")
    assert window.complaints() == []


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_the_week_begins_as_in_the_country(window: Window, locale: str) -> None:
    window.page.call("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage=locale)
    window.open("?locale")
    window.page.wait(f"document.documentElement.lang == '{locale[:2]}'")
    window.go(f"#/calendar/{DAY}")
    window.page.wait(f"!!{cell(DAY)}")
    column = window.page.run(f"[...{cell(DAY)}.parentElement.children].indexOf({cell(DAY)})")
    assert column == {"en-US": 3, "de-DE": 2}[locale]
    assert (
        window.page.run("document.querySelector('h1').textContent")
        == {"en-US": "May 2031", "de-DE": "Mai 2031"}[locale]
    )


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_month_fits(window: Window, width: int, height: int, colours: str) -> None:
    Look(width, height, colours).apply(window)
    create(window, *(f"Task {number} with a title that is long" for number in range(4)), due_date=str(DAY))
    window.go(f"#/calendar/{DAY}")
    window.page.wait(f"!!{cell(DAY)} && document.querySelectorAll('.row').length == 4")
    assert json.loads(window.page.run(FAULTS)) == []
    is_phone = width < 500
    chips, dots = (f"{cell(DAY)}.querySelector('{one}').checkVisibility()" for one in (".chip", ".dots"))
    assert [window.page.run(chips), window.page.run(dots)] == [not is_phone, is_phone]
    if is_phone:
        window.page.run(f"({cell(DAY + timedelta(days=1))}.click(), 0)")
        window.page.wait("document.querySelector('#day .empty') !== null")
