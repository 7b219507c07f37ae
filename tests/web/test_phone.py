"""Fingers: dragging after a rest, scrolling without one, targets that are large enough; a toolbar that stays."""

import json

import pytest

from tests.web.looks import Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

TARGET = 44  # pixels
# Where a finger hits each control of a row, in pixels of width and height.
TARGETS = """(() => {
    const hit = (element) => {
        const {left, right, top, bottom} = element.getBoundingClientRect();
        const [x, y] = [(left + right) / 2, (top + bottom) / 2];
        const is = (x, y) => element.contains(document.elementFromPoint(x, y));
        let [up, down] = [0, 0];
        while (is(x, y - up - 1)) up += 1;
        while (is(x, y + down + 1)) down += 1;
        return up + down + 1;
    };
    return JSON.stringify(Object.fromEntries(%s.map((name) => [name, hit(document.querySelector(name))])));
})()"""


def touch(window: Window, kind: str, *points: tuple[float, float]) -> None:
    window.page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])


def grip(window: Window, title: str) -> tuple[float, float]:
    box = f"(({window.row(title)}).querySelector('.grip').getBoundingClientRect())"
    window.page.wait(f"{box}.height > 0")
    left, top = json.loads(window.page.run(f"JSON.stringify([{box}.left + 12, {box}.top + 12])"))
    return left, top


@pytest.fixture
def phone(window: Window) -> Window:
    Look(390, 844).apply(window)
    window.page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    titles = [f"Task {number}" for number in range(30)]
    with window.api() as api:
        for title in titles:
            assert api.post("/tasks", json={"title": title, "tags": ["home"]}).status_code == 201
    window.shows(*titles)
    return window


def test_a_swipe_on_a_grip_scrolls(phone: Window) -> None:
    before = phone.titles()
    x, y = grip(phone, "Task 6")
    touch(phone, "touchStart", (x, y))
    for step in range(1, 11):
        touch(phone, "touchMove", (x, y - 25 * step))
    touch(phone, "touchEnd")
    phone.page.wait("scrollY > 100")
    assert phone.titles() == before
    assert phone.page.run("document.querySelector('.row.dragged')") is None


def test_a_finger_that_rests_on_a_grip_drags(phone: Window) -> None:
    x, y = grip(phone, "Task 3")
    _, end = grip(phone, "Task 1")
    touch(phone, "touchStart", (x, y))
    phone.page.shows(".row.dragged")
    for step in range(1, 11):
        touch(phone, "touchMove", (x, y + (end - 20 - y) * step / 10))
    touch(phone, "touchEnd")
    phone.page.wait("document.querySelectorAll('.row .title')[1].textContent == 'Task 3'")
    assert phone.page.run("scrollY") == 0
    phone.page.wait("document.querySelector('#state').textContent.includes('Synced')")  # in the closed sidebar
    assert phone.complaints() == []


def test_fingers_hit_the_controls_of_a_row(phone: Window) -> None:
    names = [".check", ".grip", ".row .tag", ".menu", "#bell", ".toolbar select"]
    sizes = json.loads(phone.page.run(TARGETS % json.dumps(names)))
    assert {name: size for name, size in sizes.items() if size < TARGET - 1} == {}


def test_the_filters_stay_where_they_are_while_one_searches(window: Window) -> None:
    for width, height in ((1440, 900), (390, 844)):
        Look(width, height).apply(window)
        places = "JSON.stringify([...document.querySelectorAll('.toolbar select')].map((one) => one.offsetLeft))"
        before = window.page.run(places)
        assert (
            window.page.run("document.querySelector('.toolbar .idle').checkVisibility({visibilityProperty: true})")
            is False
        )
        window.go("#/all?search=milk")
        window.page.wait("!document.querySelector('.toolbar .idle')")
        assert window.page.run(places) == before
        window.go("#/all")
        window.page.shows(".toolbar .idle")


def test_a_phone_shows_that_it_is_offline(phone: Window) -> None:
    mark = "getComputedStyle(document.querySelector('.menu'), '::after').content"
    assert phone.page.run(mark) == "none"
    phone.page.call("Network.setBlockedURLs", urls=["*/api/*"])
    phone.page.click(".row .check")
    phone.page.wait(f"{mark} == '\"\"'")
    phone.page.call("Network.setBlockedURLs", urls=[])
    phone.page.run("dispatchEvent(new Event('online'))")
    phone.page.wait(f"{mark} == 'none'")
