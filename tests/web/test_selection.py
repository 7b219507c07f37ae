"""Several tasks at once: selected by keys, mouse and fingers, changed by one write that one undo reverts."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from tests.web.looks import FAULTS, SIZES, Look
from tests.web.test_phone import touch
from tests.web.window import Window

pytestmark = pytest.mark.slow

SELECTED = "JSON.stringify([...document.querySelectorAll('.row.selected .title')].map((one) => one.textContent))"
SHIFT, CTRL = 8, 2  # modifiers of keys and clicks


def selects(window: Window, *titles: str) -> None:
    """Waits until exactly these tasks are selected."""
    window.page.wait(f"{SELECTED} == JSON.stringify({json.dumps(titles)})")
    if titles:
        count = "document.querySelector('#selected-count').textContent"
        window.page.wait(f"{count} == '{len(titles)} selected'")
    else:
        window.page.wait("!document.querySelector('#selection')")


def create(window: Window, *titles: str, **fields: object) -> dict[str, int]:
    with window.api() as api:
        made = {title: api.post("/tasks", json={"title": title, **fields}) for title in titles}
        assert {answer.status_code for answer in made.values()} == {201}
        for title in titles:
            window.page.wait(f"!!{window.row(title)}")
        return {title: answer.json()["id"] for title, answer in made.items()}


def focus(window: Window, title: str) -> None:
    window.page.wait(f"({window.row(title)}.querySelector('.title').focus(), true)")


def click(window: Window, title: str, modifiers: int = 0) -> None:
    box = f"{window.row(title)}.querySelector('.title').getBoundingClientRect()"
    window.page.wait(f"!!{window.row(title)}")
    window.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    x, y = json.loads(
        window.page.run(f"(({{left, top, height}}) => JSON.stringify([left + 20, top + height / 2]))({box})")
    )
    mouse = {"x": x, "y": y, "button": "left", "clickCount": 1, "modifiers": modifiers}
    for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
        window.page.call("Input.dispatchMouseEvent", type=kind, buttons=buttons, **mouse)


def choose(window: Window, menu: str, item: str) -> None:
    """Opens a menu of the bar and clicks on an item."""
    window.page.click(menu)
    items = "[...document.querySelectorAll('[role=menuitem]')]"
    window.page.wait(f"({items}.find((one) => one.textContent.trim() == {json.dumps(item)}).click(), true)")


def tasks(window: Window, status: str = "all") -> dict[str, dict[str, Any]]:
    window.page.wait("document.querySelector('#state').textContent.includes('Synced')")
    with window.api() as api:
        return {row["title"]: row for row in api.get("/tasks", params={"limit": 1000, "status": status}).json()}


def revision(window: Window) -> int:
    with window.api() as api:
        return int(api.get("/changes?since=0&limit=1000").json()["next"])


def test_keys_select_one_several_and_all(window: Window) -> None:
    create(window, "a", "b", "c", "d", "e")
    focus(window, "b")
    window.page.press("x")
    selects(window, "b")
    assert window.page.run(f"{window.row('b')}.querySelector('.title').getAttribute('aria-pressed')") == "true"
    for _ in range(2):
        window.page.press("ArrowDown", modifiers=SHIFT)
    selects(window, "b", "c", "d")
    window.page.press("K", modifiers=SHIFT)
    selects(window, "b", "c")  # the range becomes shorter again
    window.page.press("x")
    selects(window, "b")
    window.page.press("a", modifiers=CTRL)
    selects(window, "a", "b", "c", "d", "e")
    window.page.press("Escape")
    selects(window)
    assert window.complaints() == []


def test_keys_reach_the_actions(window: Window) -> None:
    create(window, "a", "b", "c", "d")
    focus(window, "a")
    window.page.press("x")
    window.page.press("J", modifiers=SHIFT)
    selects(window, "a", "b")
    window.page.press("c")
    window.shows("c", "d")
    focus(window, "c")
    window.page.press("a", modifiers=CTRL)
    selects(window, "c", "d")
    window.page.press(".")
    window.page.wait("document.activeElement.id == 'bulk-complete'")
    window.page.press("Tab", windowsVirtualKeyCode=9)
    window.page.press("Enter")
    window.page.wait("document.activeElement.textContent == 'Today'")
    window.page.press("n")  # the first letter of an item, and no key of the page
    window.page.wait("document.activeElement.textContent == 'Next week'")
    window.page.press("ArrowUp")
    window.page.wait("document.activeElement.textContent == 'Tomorrow'")
    window.page.press("Enter")
    selects(window)
    tomorrow = window.page.run(
        "(() => { const day = new Date(); day.setDate(day.getDate() + 1); return day.toLocaleDateString('sv-SE'); })()"
    )
    assert [tasks(window)[title]["due_date"] for title in ("c", "d")] == [tomorrow, tomorrow]
    assert window.complaints() == []


def test_clicks_select_one_and_ranges(window: Window) -> None:
    create(window, "a", "b", "c", "d", "e")
    click(window, "b", CTRL)
    selects(window, "b")
    click(window, "d", SHIFT)
    selects(window, "b", "c", "d")
    click(window, "c")  # while there is a selection
    selects(window, "b", "d")
    assert window.page.run("document.querySelector('.details')") is None
    click(window, "b")
    click(window, "d")
    selects(window)
    click(window, "d")
    window.page.shows(".details")


def test_one_write_for_each_action_and_one_undo(window: Window) -> None:
    today = date.fromisoformat(window.page.run("new Date().toLocaleDateString('sv-SE')"))
    monday = today + timedelta(days=7 - today.weekday())
    create(window, "a", "b", "c", tags=["old"])
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garden"}).json()["id"]
    window.page.wait("document.querySelector('.sidebar').textContent.includes('Garden')")
    for menu, item, field, expected in (
        ("#bulk-date", "Next week", "due_date", str(monday)),
        ("#bulk-date", "No date", "due_date", None),
        ("#bulk-priority", "urgent", "priority", "urgent"),
        ("#bulk-status", "waiting", "status", "waiting"),
        ("#bulk-project", "Garden", "project_id", project),
        ("#bulk-tags", "Remove @old", "tags", []),
    ):
        focus(window, "a")
        window.page.press("x")
        window.page.press("ArrowDown", modifiers=SHIFT)
        selects(window, "a", "b")
        before = tasks(window)
        number = revision(window)
        choose(window, menu, item)
        selects(window)
        if before["a"][field] == expected:
            window.page.wait("document.querySelector('#toast').innerText.startsWith('Nothing changed.')")
            assert (window.page.run("document.querySelector('#undo')"), revision(window)) == (None, number)
            continue
        window.page.shows("#undo")
        after = tasks(window)
        assert [after[title][field] for title in ("a", "b")] == [expected, expected], item
        assert after["c"] == before["c"]
        assert revision(window) == number + 1
        window.page.click("#undo")
        window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone')")
        assert {title: row[field] for title, row in tasks(window).items()} == {
            title: row[field] for title, row in before.items()
        }
    assert window.complaints() == []


def test_a_day_and_a_tag_are_typed(window: Window) -> None:
    create(window, "a", "b")
    typed: list[tuple[str, str, str, str, Any]] = [
        ("#bulk-date", "Choose a day…", "2031-05-04", "due_date", "2031-05-04"),
        ("#bulk-tags", "New tag…", "late", "tags", ["late"]),
    ]
    for menu, item, text, field, expected in typed:
        focus(window, "a")
        window.page.press("a", modifiers=CTRL)
        selects(window, "a", "b")
        choose(window, menu, item)
        window.page.wait("document.activeElement.name == 'given'")
        window.page.run(f"(document.activeElement.value = {json.dumps(text)}, 0)")
        window.page.click("#bulk-give")
        selects(window)
        assert [row[field] for row in tasks(window).values()] == [expected, expected]


def test_completing_and_deleting_keep_what_belongs_together(window: Window) -> None:
    ids = create(window, "parent", "other")
    create(window, "child", parent_id=ids["parent"])
    create(window, "series", due_date="2030-01-01", recurrence="FREQ=DAILY")
    window.shows("parent", "child", "other", "series")
    focus(window, "parent")
    window.page.press("x")
    click(window, "series")
    selects(window, "parent", "series")
    window.page.click("#bulk-complete")
    window.shows("other", "series")
    window.page.shows("#undo")
    after = tasks(window, status="pending")
    assert after.keys() == {"other", "series"}
    assert after["series"]["due_date"] == "2030-01-02"
    window.page.click("#undo")
    window.shows("parent", "child", "other", "series")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone')")
    assert {row["completed"] for row in tasks(window).values()} == {False}
    focus(window, "parent")
    window.page.press("x")
    window.page.press("Delete")
    window.shows("other", "series")
    window.page.click("#undo")
    window.shows("parent", "child", "other", "series")


def test_many_are_changed_offline_and_arrive_once(window: Window) -> None:
    create(window, "a", "b", "c")
    focus(window, "a")
    window.page.press("a", modifiers=CTRL)
    selects(window, "a", "b", "c")
    window.page.call("Network.setBlockedURLs", urls=["*/api/*"])
    choose(window, "#bulk-priority", "high")
    window.page.wait("document.querySelectorAll('.check.high').length == 3")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")
    assert {row["priority"] for row in tasks(window).values()} == {"high"}
    assert [one for one in window.complaints() if "ERR_BLOCKED" not in one] == []


def test_what_is_gone_is_not_selected_any_more(window: Window) -> None:
    ids = create(window, "a", "b", "c")
    focus(window, "a")
    window.page.press("a", modifiers=CTRL)
    selects(window, "a", "b", "c")
    with window.api() as api:
        api.patch(f"/tasks/{ids['c']}", json={"title": "c, changed"})
        selects(window, "a", "b", "c, changed")
        api.delete(f"/tasks/{ids['b']}")
    selects(window, "a", "c, changed")
    window.go("#/today")
    selects(window)
    window.go("#/all")
    window.shows("a", "c, changed")
    selects(window)


def test_a_finger_that_rests_selects_and_taps_add(window: Window) -> None:
    Look(390, 844).apply(window)
    window.page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    create(window, "a", "b", "c")
    window.shows("a", "b", "c")

    def point(title: str) -> tuple[float, float]:
        box = f"{window.row(title)}.querySelector('.title').getBoundingClientRect()"
        window.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        x, y = json.loads(window.page.run(f"JSON.stringify([{box}.left + 30, {box}.top + 12])"))
        return x, y

    touch(window, "touchStart", point("b"))
    window.page.shows(".row.selected")
    touch(window, "touchEnd")
    selects(window, "b")
    touch(window, "touchStart", point("c"))
    touch(window, "touchEnd")
    selects(window, "b", "c")
    window.page.click("#end-selection")
    selects(window)
    window.page.click("#select")
    window.page.shows("#selection")
    window.page.wait("document.querySelector('#bulk-complete').disabled")
    touch(window, "touchStart", point("a"))
    touch(window, "touchEnd")
    selects(window, "a")
    assert window.complaints() == []


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_bar_fits(window: Window, width: int, height: int) -> None:
    Look(width, height).apply(window)
    create(window, "a", "b", tags=["a tag that is rather long, for a tag"])
    window.page.click("#select")
    window.page.shows("#selection")
    window.page.click("#select-all")
    selects(window, "a", "b")
    for menu in ("#bulk-date", "#bulk-tags"):
        window.page.click(menu)
        window.page.shows("[role=menu]")
        box = "document.querySelector('[role=menu]').getBoundingClientRect()"
        sides = window.page.run(f"(({{left, top, right}}) => left >= 0 && top >= 0 && right <= innerWidth)({box})")
        assert sides
        assert json.loads(window.page.run(FAULTS)) == []
        window.page.press("Escape", windowsVirtualKeyCode=27)
        window.page.wait("!document.querySelector('[role=menu]')")
    assert window.page.run("document.activeElement.id") == "bulk-tags"
    selects(window, "a", "b")


def test_more_than_a_write_takes_are_not_cut_silently(window: Window) -> None:
    rows = "title\n" + "".join(f"Task {number:04}\n" for number in range(1001))
    with window.api() as api:
        api.post("/import", content=rows, headers={"Content-Type": "text/csv"}, timeout=60)
    window.reload()
    window.page.wait("document.querySelector('.tally').innerText == '1,001 tasks'")
    focus(window, "Task 0000")
    window.page.press("a", modifiers=CTRL)
    window.page.wait("document.querySelector('#selection .failed').innerText.includes('At most 1,000')")
    assert window.page.run("document.querySelector('#bulk-complete').disabled") is True
    window.page.press("Delete")
    window.page.wait("document.querySelector('#toast').innerText.includes('At most 1,000')")
    window.page.click("#select-fewer")
    window.page.wait("document.querySelector('#selected-count').textContent == '1,000 selected'")
    window.page.click("#bulk-delete")
    window.shows("Task 1000")
    window.page.click("#undo")
    window.page.wait("document.querySelector('.tally').innerText == '1,001 tasks'")
    assert len(window.kept()) >= 1000
