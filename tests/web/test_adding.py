"""A task that is added in the web client is where it was added, or a message says where it is."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.web.window import Window

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("place", "days", "word"), [("#/today", 0, "Today"), ("#/upcoming", 1, "Tomorrow")])
def test_a_task_added_to_a_list_of_days_is_due_there(window: Window, place: str, days: int, word: str) -> None:
    window.page.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    window.open(f"?days{place}")
    window.page.type("#add", "Buy stamps")
    window.page.wait(f"document.querySelector('#usual-day').innerText.startsWith('{word}')")
    window.page.press("Enter")
    window.shows("Buy stamps")
    window.in_step()
    window.shows("Buy stamps")
    with window.api() as api:
        (task,) = api.get("/tasks").json()
    assert task["due_date"] == (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_the_day_of_the_list_can_be_left_out_and_gives_way_to_one_in_the_text(window: Window) -> None:
    window.go("#/today")
    window.page.type("#add", "Buy stamps")
    window.page.click("#usual-day")
    window.page.wait("!document.querySelector('#usual-day')")
    window.page.press("Enter")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Added “Buy stamps” to Inbox')")
    window.page.type("#add", "Call Bob 2030-05-06")
    window.page.wait("document.querySelector('.understood .due_date') && !document.querySelector('#usual-day')")
    window.page.press("Enter")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Added “Call Bob” to Inbox')")
    with window.api() as api:
        due = [task["due_date"] for task in api.get("/tasks", params={"order": "asc"}).json()]
    assert due == [None, "2030-05-06"]


HIDING = ["#/all?priority=urgent", "#/all?search=milk", "#/all?due=overdue", "#/inbox?status=completed"]


@pytest.mark.parametrize("place", HIDING)
def test_a_task_that_the_filter_hides_can_be_shown(window: Window, place: str) -> None:
    window.go(place)
    window.page.shows(".empty")
    window.add("Buy stamps")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Added “Buy stamps” to Inbox')")
    window.page.click("#show")
    window.page.wait("document.querySelector('.details #title').value == 'Buy stamps'")
    window.shows("Buy stamps")


def test_names_that_exist_are_matched_to_their_end(window: Window) -> None:
    with window.api() as api:
        for name in ("Home", "Home Improvements"):
            assert api.post("/projects", json={"name": name}).status_code == 201
        api.post("/tasks", json={"title": "tagged", "tags": ["far away", "far"]})
        window.page.wait("document.querySelector('.sidebar').innerText.includes('far away')")
        for text in (
            "Paint fence #home improvements @far away tomorrow",
            "Sweep #Home @far",
            "Mend #Home Improvementsx",
        ):
            window.add(text)
        window.in_step()
        names = {project["id"]: project["name"] for project in api.get("/projects").json()}
        rows = {row["title"]: row for row in api.get("/tasks").json()}
    assert sorted(names.values()) == ["Home", "Home Improvements"]
    assert names[rows["Paint fence"]["project_id"]] == "Home Improvements"
    assert rows["Paint fence"]["tags"] == ["far away"]
    assert names[rows["Sweep"]["project_id"]] == names[rows["Mend Improvementsx"]["project_id"]] == "Home"
