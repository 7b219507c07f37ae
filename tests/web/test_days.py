"""Today with what is overdue apart, which moves at once, and Upcoming by day."""

import json
from datetime import date, timedelta

import pytest

from tests.web.looks import ZONES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

SHOWN_TEXTS = "JSON.stringify([...document.querySelectorAll('.group h2, .row .title')].map((one) => one.textContent))"


def shows(window: Window, *texts: str) -> None:
    """Waits for these headings and titles, in this order."""
    window.page.wait(f"{SHOWN_TEXTS} == JSON.stringify({json.dumps(texts)})")


def local_day(window: Window) -> date:
    return date.fromisoformat(window.page.run("new Date().toLocaleDateString('sv-SE')"))


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_overdue_is_apart_and_moves_to_today_at_once(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    window.open("?zone")
    today = local_day(window)
    days = {"Late": -1, "Later": -30, "Now": 0, "Soon": 1}
    with window.api() as api:
        ids = {
            title: api.post("/tasks", json={"title": title, "due_date": str(today + timedelta(days=by))}).json()["id"]
            for title, by in days.items()
        }
        window.go("#/today")
        shows(window, "Overdue", "Later", "Late", "Today", "Now")
        window.page.click("#reschedule")
        shows(window, "Late", "Later", "Now")
        window.page.wait("document.querySelector('#toast').innerText.includes('Moved 2 tasks to today')")
        window.in_step()
        assert {api.get(f"/tasks/{ids[title]}").json()["due_date"] for title in ("Late", "Later")} == {str(today)}
        before = api.get("/changes?since=0").json()["next"]
        window.page.click("#undo")
        shows(window, "Overdue", "Later", "Late", "Today", "Now")
        window.in_step()
        assert api.get("/changes?since=0").json()["next"] == before + 1  # one write, and one undo of it
    assert window.complaints() == []


def test_many_are_rescheduled_offline_and_arrive_once(window: Window) -> None:
    today = local_day(window)
    for title in ("one", "two"):
        with window.api() as api:
            api.post("/tasks", json={"title": title, "due_date": str(today - timedelta(days=2))})
    window.go("#/today")
    shows(window, "Overdue", "one", "two")
    window.page.call("Network.setBlockedURLs", urls=["*/api/*"])
    window.page.click("#reschedule")
    shows(window, "one", "two")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")
    window.in_step()
    shows(window, "one", "two")
    with window.api() as api:
        assert {row["due_date"] for row in api.get("/tasks").json()} == {str(today)}


def test_upcoming_is_by_day(window: Window) -> None:
    today = local_day(window)
    with window.api() as api:
        for title, by in {"a": 1, "b": 1, "c": 2, "d": 40}.items():
            api.post("/tasks", json={"title": title, "due_date": str(today + timedelta(days=by))})
    window.go("#/upcoming")
    later = today + timedelta(days=2)
    window.page.wait("document.querySelectorAll('.group').length == 3")
    shown = json.loads(window.page.run(SHOWN_TEXTS))
    assert shown[:5] == ["Tomorrow", "a", "b", later.strftime("%A"), "c"]
    assert shown[6:] == ["d"]
    window.go("#/upcoming?sort=title")
    window.page.wait("!document.querySelector('.group')")
