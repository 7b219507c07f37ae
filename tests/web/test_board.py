"""A project as columns: by status, priority or tag, with mouse and keys, on a phone, and with many tasks."""

import json
from typing import Any

import pytest

from tests.web.looks import COLOURS, FAULTS, LONG, SIZES, Look
from tests.web.test_selection import focus, selects, tasks
from tests.web.window import Window

pytestmark = pytest.mark.slow

COLUMNS = """JSON.stringify(Object.fromEntries([...document.querySelectorAll('.column')].map((one) =>
    [one.dataset.column, [...one.querySelectorAll('.row .title')].map((title) => title.textContent)])))"""


def column(key: str) -> str:
    return f"document.querySelector('.column[data-column=\"{key}\"]')"


def shows(window: Window, **columns: list[str]) -> None:
    """Waits until these columns have exactly these tasks."""
    window.page.wait(
        " && ".join(f"JSON.stringify(JSON.parse({COLUMNS})[{json.dumps(key)}]) == JSON.stringify({json.dumps(titles)})"
                    for key, titles in columns.items())
    )  # fmt: skip


@pytest.fixture
def project(window: Window) -> int:
    rows: list[dict[str, Any]] = [
        {"title": "kiwi", "tags": ["red", "big"], "priority": "high"},
        {"title": "plum", "status": "waiting", "tags": ["red"]},
        {"title": "fig", "completed": True},
    ]
    with window.api() as api:
        made = int(api.post("/projects", json={"name": "Garden"}).json()["id"])
        for row in rows:
            assert api.post("/tasks", json={**row, "project_id": made}).status_code == 201
    window.page.wait("document.querySelectorAll('.row').length >= 2")
    return made


def undo(window: Window) -> None:
    window.page.shows("#undo")
    window.page.wait("document.querySelector('#state').textContent.includes('Synced')")
    window.page.click("#undo")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone')")


def test_columns_by_status(window: Window, project: int) -> None:
    window.go(f"#/project/{project}?layout=board")
    shows(window, pending=["kiwi"], in_progress=[], waiting=["plum"], completed=["fig"])
    window.drag_to("kiwi", column("in_progress"), before_drop=lambda: window.page.shows(".column.drop-into"))
    shows(window, pending=[], in_progress=["kiwi"])
    assert tasks(window)["kiwi"]["status"] == "in_progress"
    undo(window)
    shows(window, pending=["kiwi"], in_progress=[])
    window.drag_to("plum", column("completed"))
    shows(window, waiting=[], completed=["plum", "fig"])
    assert tasks(window)["plum"]["completed"] is True
    undo(window)
    shows(window, waiting=["plum"], completed=["fig"])
    window.drag_to("fig", column("pending"))
    window.page.wait(f"JSON.parse({COLUMNS}).pending.length == 2")
    assert tasks(window)["fig"]["completed"] is False
    assert window.complaints() == []


def test_cards_are_ordered_within_a_column(window: Window, project: int) -> None:
    with window.api() as api:
        for title in ("pear", "lime"):
            api.post("/tasks", json={"title": title, "project_id": project})
    window.go(f"#/project/{project}?layout=board")
    shows(window, pending=["kiwi", "pear", "lime"])
    window.drag("lime", "kiwi", above=True)
    shows(window, pending=["lime", "kiwi", "pear"])
    window.drag_to("pear", window.row("lime"), sideways=False)  # onto the middle: no card is shown below another
    shows(window, pending=["lime", "pear", "kiwi"])
    assert tasks(window)["pear"]["parent_id"] is None


def test_columns_by_priority_and_by_tag(window: Window, project: int) -> None:
    window.go(f"#/project/{project}?layout=board&by=priority")
    shows(window, urgent=[], high=["kiwi"], medium=["plum"])
    window.drag_to("plum", column("urgent"))
    shows(window, urgent=["plum"], medium=[])
    assert tasks(window)["plum"]["priority"] == "urgent"
    window.go(f"#/project/{project}?layout=board&by=tag")
    shows(window, big=["kiwi"], red=["kiwi", "plum"])
    window.drag_to("plum", column("big"))
    shows(window, big=["kiwi", "plum"], red=["kiwi"])
    assert tasks(window)["plum"]["tags"] == ["big"]
    window.drag_to("plum", column(""))
    shows(window, big=["kiwi"])
    assert tasks(window)["plum"]["tags"] == []
    window.drag_to("plum", column("red"))
    shows(window, red=["kiwi", "plum"])
    assert tasks(window)["plum"]["tags"] == ["red"]
    field = "document.querySelector('.column[data-column=big] form input')"
    window.page.wait(f"({field}.focus(), true)")
    window.page.call("Input.insertText", text="peach")
    window.drag_to("kiwi", column(""))
    shows(window, big=[])  # the column stays with what is typed in it
    assert window.page.run(f"{field}.value") == "peach"
    assert window.complaints() == []


def test_a_board_by_keys(window: Window, project: int) -> None:
    window.go(f"#/project/{project}?layout=board")
    shows(window, pending=["kiwi"], waiting=["plum"])
    focus(window, "kiwi")
    window.page.press("ArrowRight")  # over a column without tasks
    window.page.wait("document.activeElement.textContent == 'plum'")
    window.page.press("ArrowLeft")
    window.page.wait("document.activeElement.textContent == 'kiwi'")
    window.page.press("]")
    shows(window, pending=[], in_progress=["kiwi"])
    window.page.wait("document.activeElement.textContent == 'kiwi'")
    window.page.press("[")
    shows(window, pending=["kiwi"], in_progress=[])
    window.page.wait("document.activeElement.textContent == 'kiwi'")
    assert tasks(window)["kiwi"]["status"] == "pending"
    window.page.type("#add-2", "pear")
    window.page.press("Enter")
    shows(window, waiting=["plum", "pear"])
    made = tasks(window)["pear"]
    assert (made["status"], made["project_id"]) == ("waiting", project)
    focus(window, "kiwi")
    window.page.press("a", modifiers=2)
    selects(window, "kiwi", "plum", "pear", "fig")
    window.page.press("Escape")
    selects(window)


def test_the_board_is_remembered_and_in_the_url(window: Window, project: int) -> None:
    window.go(f"#/project/{project}")
    window.shows("kiwi", "plum")
    window.page.wait("(document.querySelector('#layout').value = 'priority', true)")
    window.page.run("(document.querySelector('#layout').dispatchEvent(new Event('change', {bubbles: true})), 0)")
    shows(window, high=["kiwi"], medium=["plum"])
    assert window.page.run("location.hash") == f"#/project/{project}?layout=board&by=priority"
    window.reload("#/all")
    window.shows("kiwi", "plum")
    window.go(f"#/project/{project}")
    shows(window, high=["kiwi"], medium=["plum"])
    window.go(f"#/project/{project}?layout=list")
    window.shows("kiwi", "plum")
    window.go(f"#/project/{project}")
    window.page.wait("(document.querySelector('#layout').value == 'priority')")
    window.page.run("(document.querySelector('#layout').value = '', 0)")
    window.page.run("(document.querySelector('#layout').dispatchEvent(new Event('change', {bubbles: true})), 0)")
    window.shows("kiwi", "plum")
    assert window.page.run("Object.keys(localStorage).filter((key) => key.startsWith('todo.board'))") == []


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_board_fits(window: Window, project: int, width: int, height: int, colours: str) -> None:
    Look(width, height, colours).apply(window)
    with window.api() as api:
        api.post("/tasks", json={"title": LONG, "project_id": project, "tags": ["a tag that is rather long"]})
    window.page.wait(f"!!{window.row(LONG)}")
    for by in ("status", "tag"):
        window.go(f"#/project/{project}?layout=board&by={by}")
        window.page.shows(".column .row")
        assert json.loads(window.page.run(FAULTS)) == []
        board = "document.querySelector('.board')"
        if width < 500:  # the columns scroll sideways, and the page does not
            assert window.page.run(f"{board}.scrollWidth > {board}.clientWidth")
            assert window.page.run(f"getComputedStyle({board}).scrollSnapType") == "x mandatory"


def test_a_long_column_has_only_rows_near_the_screen(window: Window, project: int) -> None:
    rows = "title,project\n" + "".join(f"Task {number:04},Garden\n" for number in range(600))
    with window.api() as api:
        api.post("/import", content=rows, headers={"Content-Type": "text/csv"}, timeout=60)
    window.reload(f"#/project/{project}?layout=board")
    window.page.wait(f"{column('pending')}.querySelector('.count').textContent == '601'")
    assert window.page.run("document.querySelectorAll('.column .row').length") < 150
    window.page.run("scrollTo(0, document.documentElement.scrollHeight / 2)")
    window.page.wait(
        "[...document.querySelectorAll('.row')].some((row) => row.getBoundingClientRect().top > 0 && "
        "/Task 0[2-4]/.test(row.textContent))"
    )
