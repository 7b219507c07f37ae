"""Places in the web client: focus, scroll position, unknown ones, and lists of done tasks."""

import asyncio

import pytest

from tests.servers import Server
from tests.web.looks import Look
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

FOCUSED = "document.activeElement.closest('.row')?.querySelector('.title').textContent == '%s'"


def focus_title(window: Window, title: str) -> None:
    window.page.wait(f"({window.row(title)}.querySelector('.title').focus(), true)")


def test_the_focus_comes_back_to_the_row_on_every_way(window: Window) -> None:
    page = window.page
    window.add("one", "two", "three", "four")
    window.in_step()
    focus_title(window, "two")
    page.press("Enter")
    page.shows("#notes")
    page.wait("document.activeElement.matches('.details')")
    page.press("Escape")
    page.wait("!document.querySelector('.details')")
    page.wait(FOCUSED % "two")
    page.press("ArrowDown")
    page.wait(FOCUSED % "three")
    page.press("ArrowUp")
    page.wait(FOCUSED % "two")
    page.wait(f"({window.row('two')}.querySelector('.check').focus(), true)")
    page.press(" ")
    window.shows("one", "three", "four")
    page.wait(FOCUSED % "three")
    page.wait("(document.querySelector('#undo').focus(), true)")
    page.press("Enter")
    window.shows("one", "two", "three", "four")
    page.wait("!!document.activeElement.closest('.row')")
    focus_title(window, "three")
    page.press("Enter")
    page.wait("document.activeElement.matches('.details')")
    page.wait("(document.querySelector('#delete-task').focus(), true)")
    page.press("Enter")
    window.shows("one", "two", "four")
    page.wait(FOCUSED % "four")


@pytest.mark.parametrize("field", ["#title", "#notes"])
def test_the_focus_stays_in_the_details_after_a_text(window: Window, field: str) -> None:
    window.add("one")
    window.open_details("one")
    window.page.type(field, "more")
    window.page.press("Escape")
    window.page.wait("document.activeElement.matches('.details')")
    window.page.press("Escape")
    window.page.wait(FOCUSED % ("onemore" if field == "#title" else "one"))


def test_each_list_keeps_its_scroll_position(window: Window) -> None:
    Look(390, 844).apply(window)
    with window.api() as api:
        for number in range(40):
            api.post("/tasks", json={"title": f"Task {number}"})
    window.page.wait("document.querySelectorAll('.row').length == 40")
    window.page.run("scrollTo(0, 600)")
    window.page.wait("scrollY == 600")
    window.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    window.go("#/done")
    window.page.wait("document.querySelector('h1').innerText == 'Done' && scrollY == 0")
    window.page.run("history.back()")
    window.page.wait("document.querySelector('h1').innerText == 'All tasks' && scrollY == 600")


def test_the_first_tab_skips_to_the_tasks(window: Window) -> None:
    window.reload()
    window.in_step()
    window.page.press("Tab", windowsVirtualKeyCode=9)
    window.page.wait("document.activeElement.matches('.skip')")
    window.page.press("Enter")
    window.page.wait("document.activeElement.matches('#main')")


@pytest.mark.parametrize("place", ["#/project/987654321", "#/nonsense"])
def test_a_place_that_does_not_exist_says_so(window: Window, place: str) -> None:
    window.go(place)
    window.page.wait("document.querySelector('h1').innerText == 'Not found'")
    assert window.page.run("document.querySelector('#add') === null")


def test_a_task_that_does_not_exist_says_so(window: Window) -> None:
    window.go("#/all?task=987654321")
    window.page.wait("document.querySelector('#toast').innerText.includes('does not exist')")
    window.page.wait("location.hash == '#/all'")


async def complete_many(service: Server, window: Window, count: int) -> int:
    """Creates done tasks, every fourth in a project; returns its id."""
    with window.api() as api:
        project = int(api.post("/projects", json={"name": "Old"}).json()["id"])
        for start in range(0, count, 500):
            rows = [
                {"title": f"Done {number}", "completed": True, **({} if number % 4 else {"project_id": project})}
                for number in range(start, min(start + 500, count))
            ]
            operations = [{"operation": "create_task", "arguments": row} for row in rows]
            answer = await asyncio.to_thread(api.post, "/batch", json={"operations": operations}, timeout=60)
            assert answer.status_code == 200, answer.text
    return project


async def test_done_tasks_are_counted_and_listed_by_the_service(window: Window, service: Server) -> None:
    project = await complete_many(service, window, 2000)
    window.log_out()  # with what this window has seen of it
    window.log_in()
    window.go("#/done")
    shown = "parseInt(document.querySelector('.tally').innerText)"
    window.page.wait(f"{shown} >= 100 && document.querySelector('.tally').innerText.endsWith(' of 2,000 tasks')")
    window.page.click(".more")
    window.page.wait(f"{shown} >= 200 && document.querySelector('.tally').innerText.endsWith(' of 2,000 tasks')")
    window.go(f"#/project/{project}?status=completed")
    window.page.wait("document.querySelector('.tally').innerText.endsWith(' of 500 tasks')")
    tally = window.page.run("document.querySelector('.tally').innerText")
    window.page.click(".more")
    window.page.wait(f"document.querySelector('.tally').innerText != '{tally}'")
    assert window.page.run("document.querySelector('.tally').innerText").endswith(" of 500 tasks")
    with window.api() as api:
        oldest = api.get("/tasks", params={"order": "asc", "limit": 1}).json()[0]
    window.go(f"#/all?task={oldest['id']}")
    window.page.wait(f"document.querySelector('#title').value == '{oldest['title']}'")
    assert window.complaints() == []


def test_a_session_that_ended_elsewhere_says_so_and_keeps_the_address(window: Window) -> None:
    window.add("one")
    window.in_step()
    window.page.type("#add", "half a ta")
    with window.api() as api:
        body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} 2"}
        answer = api.put(str(api.base_url.join("/api/auth/password")), json=body)
        assert answer.status_code in (200, 204), answer.text
    window.reload()
    window.page.wait("document.querySelector('#ended').innerText.includes('logged out')")
    assert window.page.run("document.querySelector('input[name=email]').value") == window.email
    window.page.type("input[name=password]", f"{PASSWORD} 2")
    window.page.click("form .primary")
    window.in_step()
    window.page.wait("document.querySelector('#add').value == 'half a ta'")


def test_the_history_and_conflicts_are_in_words(window: Window) -> None:
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garden"}).json()["id"]
        task = api.post("/tasks", json={"title": "Dig"}).json()["id"]
        body = {"project_id": project, "due_date": "2026-12-24T10:00:00Z", "recurrence": "FREQ=MONTHLY;BYDAY=1MO"}
        api.patch(f"/tasks/{task}", json=body)
    window.go(f"#/all?task={task}")
    window.page.click(".history summary")
    window.page.wait("document.querySelector('.history').innerText.includes('project: Inbox → Garden')")
    said = window.page.run("document.querySelector('.history').innerText")
    assert "every month on first Mon" in said
    assert "T10:00" not in said


def test_the_time_zone_is_asked_once_where_the_device_differs(window: Window) -> None:
    with window.api() as api:
        zone = api.get("/settings").json()["timezone"]
        assert window.page.run("document.querySelector('#zone-offer')") is None
        Look(zone="America/Los_Angeles").apply(window)
        window.reload()
        window.page.click("#keep-zone")
        window.reload()
        window.in_step()
        window.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert window.page.run("document.querySelector('#zone-offer')") is None
        assert api.get("/settings").json()["timezone"] == zone
        Look(zone="Pacific/Auckland").apply(window)
        window.reload()
        window.page.click("#use-zone")
        window.page.wait("document.querySelector('#toast').innerText.includes('Pacific/Auckland')")
        assert api.get("/settings").json()["timezone"] == "Pacific/Auckland"
