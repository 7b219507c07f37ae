"""The pages of the web client at all sizes and colours, with long texts and texts from right to left."""

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.web.looks import ARABIC, COLOURS, FAULTS, LONG, OVERRIDE, SIZES, ZONES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow


@pytest.fixture
def filled(window: Window) -> dict[str, int]:
    """Creates a project and tasks with long texts; returns their ids by a short name."""
    with window.api() as api:
        project = api.post("/projects", json={"name": LONG}).json()["id"]
        body = {
            "project_id": project,
            "tags": ["errands", "a tag that is rather long, for a tag"],
            "priority": "urgent",
        }
        body |= {"title": "Write the report " * 8, "description": "A line of notes.\n" * 30, "due_date": "2026-12-01"}
        body |= {"recurrence": "FREQ=MONTHLY;BYDAY=1MO;COUNT=5"}
        task = api.post("/tasks", json=body).json()["id"]
        for number in range(6):
            api.post("/tasks", json={"title": f"Step number {number}", "parent_id": task})
        api.post(f"/tasks/{task}/comments", json={"body": "A comment that goes on for a while. " * 6})
        for title in (ARABIC, OVERRIDE):
            api.post("/tasks", json={"title": title, "tags": [ARABIC]})
        gone = api.post("/tasks", json={"title": "Thrown away " * 10}).json()["id"]
        api.delete(f"/tasks/{gone}")
    return {"project": project, "task": task}


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_cut_or_broken(
    window: Window, filled: dict[str, int], width: int, height: int, colours: str
) -> None:
    Look(width, height, colours).apply(window)
    faults: dict[str, list[str]] = {}
    project = f"#/project/{filled['project']}"
    for place in (
        "#/all",
        project,
        f"{project}?task={filled['task']}",
        "#/trash",
        "#/done",
        "#/channels",
        "#/nonsense",
    ):
        window.go(place)
        window.page.wait(
            "document.querySelector('main h1') && !document.querySelector('.empty')?.innerText.includes('moment')"
        )
        if "task=" in place:
            window.page.shows("#notes")
        faults[place] = json.loads(window.page.run(FAULTS))
    window.go(project)
    window.page.wait("document.querySelectorAll('.row').length >= 7")
    window.page.click(".row .check")
    window.page.shows("#undo")
    faults["toast"] = json.loads(window.page.run(FAULTS))
    if width < 500:
        window.page.click(".menu")
        faults["lists"] = json.loads(window.page.run(FAULTS))
    assert {place: found for place, found in faults.items() if found} == {}
    assert window.complaints() == []


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_notes_can_be_read_below_a_task_with_many_subtasks(
    window: Window, filled: dict[str, int], width: int, height: int
) -> None:
    Look(width, height).apply(window)
    window.go(f"#/all?task={filled['task']}")
    window.page.shows("#notes")
    window.page.wait("document.querySelectorAll('.subtasks li').length == 6")
    assert window.page.run("document.querySelector('#notes').clientHeight") > 300


def test_forced_colours_tell_what_is_done_and_where_one_is(window: Window) -> None:
    Look(colours="forced").apply(window)
    with window.api() as api:
        for title, completed in (("Open", False), ("Closed", True)):
            api.post("/tasks", json={"title": title, "completed": completed})
    window.go("#/all?status=all")
    window.shows("Open", "Closed")
    style = "getComputedStyle(%s).%s"
    icon = "{}.querySelector('.check .icon')"
    assert window.page.run(style % (icon.format(window.row("Open")), "visibility")) == "hidden"
    assert window.page.run(style % (icon.format(window.row("Closed")), "visibility")) == "visible"
    assert window.page.run(style % ("document.querySelector('.sidebar [aria-current]')", "outlineStyle")) == "solid"
    line = window.page.run("getComputedStyle(document.querySelector('.row'), '::after').borderBottomStyle")
    assert line == "solid"
    window.complete("Open")
    window.page.shows("#toast")
    assert window.page.run(style % ("document.querySelector('#toast')", "borderTopStyle")) == "solid"
    ink = window.page.run(style % ("document.querySelector('.lamp')", "backgroundColor"))
    assert ink == window.page.run(style % ("document.body", "color"))


def test_texts_from_right_to_left_stand_right_and_turn_nothing_else_around(
    window: Window, filled: dict[str, int]
) -> None:
    window.page.wait(f"!!{window.row(ARABIC)}")
    title = f"{window.row(ARABIC)}.querySelector('.title')"
    assert window.page.run(f"getComputedStyle({title}).direction") == "rtl"
    window.complete(OVERRIDE)
    window.page.wait("document.querySelector('#toast').innerText.includes('live')")
    # what follows the title stands to the right of it
    assert window.page.run("""(() => {
        const node = document.querySelector("#toast span").firstChild;
        const range = document.createRange();
        const left = (at) => (range.setStart(node, at), range.setEnd(node, at + 1), range.getBoundingClientRect().left);
        return left(node.data.lastIndexOf("\u201d")) > left(node.data.indexOf("look"));
    })()""")


@pytest.mark.parametrize("zone", ZONES)
def test_within_a_week_means_seven_days_from_the_local_day(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    here = datetime.now(ZoneInfo(zone)).date()
    with window.api() as api:
        for days in (0, 6, 7, 8):
            api.post("/tasks", json={"title": f"in {days}", "due_date": (here + timedelta(days=days)).isoformat()})
    window.reload("#/all?due=week")
    window.shows("in 0", "in 6", "in 7")


@pytest.mark.parametrize("zone", ZONES)
def test_a_task_added_today_is_due_on_the_local_day(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    window.reload("#/today")
    window.add("Buy stamps")
    window.shows("Buy stamps")
    window.in_step()
    with window.api() as api:
        due = api.get("/tasks").json()[0]["due_date"]
    assert due == datetime.now(ZoneInfo(zone)).date().isoformat()
