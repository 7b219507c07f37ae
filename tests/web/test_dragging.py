"""Rows that are dragged to days, into places of the sidebar and below other rows, each with one undo."""

import json
from datetime import date, timedelta

import pytest

from tests.web.looks import Look
from tests.web.test_days import SHOWN_TEXTS, local_day, shows
from tests.web.test_selection import create, focus, selects, tasks
from tests.web.window import Window

pytestmark = pytest.mark.slow


def head(day: date) -> str:
    return f"document.querySelector('.group[data-day=\"{day}\"]')"


def link(name: str) -> str:
    return f"[...document.querySelectorAll('.sidebar a')].find((one) => one.textContent.trim().startsWith('{name}'))"


def undo(window: Window) -> None:
    window.page.shows("#undo")
    window.page.wait("document.querySelector('#state').textContent.includes('Synced')")
    window.page.click("#undo")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone')")


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_a_row_goes_to_another_day_and_keeps_its_time(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    window.open("?zone")
    days = [local_day(window) + timedelta(days=by) for by in (1, 2, 3)]
    window.go("#/upcoming")
    at = window.page.run(f"new Date('{days[0]}T09:30').toISOString().replace('.000', '')")
    create(window, "timed", due_date=at)
    create(window, "b", due_date=str(days[1]))
    create(window, "c", due_date=str(days[2]))
    window.drag_to("timed", head(days[2]))
    names = [json.loads(window.page.run(f"JSON.stringify({head(day)}.textContent)")) for day in days[1:]]
    shows(window, names[0], "b", names[1], "timed", "c")
    moved = tasks(window)["timed"]["due_date"]
    assert window.page.run(f"new Date('{moved}').toString()").startswith(days[2].strftime("%a %b %d %Y 09:30"))
    undo(window)
    window.page.wait(f"!!{head(days[0])}")
    assert tasks(window)["timed"]["due_date"] == at
    window.drag_to("c", window.row("b"))  # a row of another day stands for the day
    shows(window, "Tomorrow", "timed", names[0], "b", "c")
    assert tasks(window)["c"]["due_date"] == str(days[1])
    assert tasks(window)["c"]["parent_id"] is None
    assert window.complaints() == []


def test_a_row_goes_into_places_of_the_sidebar(window: Window) -> None:
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garden"}).json()["id"]
    today = local_day(window)
    ids = create(window, "a", "b")
    create(window, "child", parent_id=ids["a"])
    create(window, "tagged", tags=["home"])
    window.page.wait(f"!!{link('Garden')} && !!{link('home')}")
    expected = [("Garden", "project_id", project), ("Today", "due_date", str(today)), ("home", "tags", ["home"])]
    for place, field, value in expected:
        window.drag_to("a", link(place), before_drop=lambda: window.page.shows(".sidebar .drop-into"))
        window.page.shows("#undo")
        after = tasks(window)
        assert after["a"][field] == value, place
        assert after["child"]["project_id"] == after["a"]["project_id"]
        undo(window)
        assert tasks(window)["a"][field] in (None, [])
    window.drag_to("a", link("Trash"))
    window.shows("b", "tagged")
    undo(window)
    window.shows("a", "child", "b", "tagged")
    assert window.complaints() == []


def test_the_middle_of_a_row_makes_a_subtask(window: Window) -> None:
    ids = create(window, "kiwi", "plum", "fig")
    window.drag_to("fig", window.row("kiwi"), sideways=False)
    window.page.wait(f"{window.row('fig')}.dataset.depth == '1'")
    window.shows("kiwi", "fig", "plum")
    assert tasks(window)["fig"]["parent_id"] == ids["kiwi"]
    window.drag_to("kiwi", window.row("fig"), sideways=False)  # not below itself
    undo(window)
    window.shows("kiwi", "plum", "fig")
    assert tasks(window)["fig"]["parent_id"] is None
    focus(window, "plum")
    window.page.press("]")
    window.page.wait(f"{window.row('plum')}.dataset.depth == '1'")
    assert tasks(window)["plum"]["parent_id"] == ids["kiwi"]
    focus(window, "plum")
    window.page.press("[")
    window.page.wait(f"{window.row('plum')}.dataset.depth == '0'")
    window.shows("kiwi", "plum", "fig")
    assert tasks(window)["plum"]["parent_id"] is None


def test_selected_rows_go_together(window: Window) -> None:
    create(window, "a", "b", "c")
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garden"}).json()["id"]
    window.page.wait(f"!!{link('Garden')}")
    focus(window, "a")
    window.page.press("x")
    window.page.press("ArrowDown", modifiers=8)
    selects(window, "a", "b")
    window.drag_to("b", link("Garden"), before_drop=lambda: window.page.shows(".dragged[data-count='2']"))
    selects(window)
    window.page.shows("#undo")
    assert [row["project_id"] for row in tasks(window).values()].count(project) == 2
    undo(window)
    assert [row["project_id"] for row in tasks(window).values()] == [None, None, None]


def test_escape_ends_a_drag_without_a_change(window: Window) -> None:
    create(window, "a", "b")
    before = tasks(window)
    window.drag_to("b", link("Today"), before_drop=lambda: window.page.press("Escape"))
    assert window.page.run("document.querySelector('.dragged, .drop-into')") is None
    assert tasks(window) == before
    assert "a" in window.page.run(SHOWN_TEXTS)
