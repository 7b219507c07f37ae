"""Real calendar programs against the service as deployed, beside the API that the web client uses."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.dav.apps import new_uid
from tests.dav.programs import CALDAV_CLIENTS, NEEDS_CLIENTS, Desktop, run
from tests.servers import Server, running
from tests.support import make_token

pytestmark = [pytest.mark.slow, NEEDS_CLIENTS]
NOTHING_NEW = re.compile(r"(Syncing todo/\S+\s*)*")


@pytest.fixture(scope="module")
def server(postgres: ConnectOptions, migrated: str) -> Iterator[Server]:
    with running(postgres.dsn) as started:
        yield started


class Web:
    """The API, as the web client of the same user calls it."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.headers = {"Authorization": f"Bearer {make_token(f'user-{new_uid()}')}"}
        self.token = self.call("POST", "/api/auth/tokens", name="desktop", scope="write")["token"]

    def call(self, method: str, path: str, **body: Any) -> Any:
        where = path if path.startswith("/api") else f"/api/me{path}"
        answer = httpx.request(method, self.url + where, json=body or None, headers=self.headers, trust_env=False)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def titles(self, query: str = "") -> list[str]:
        return sorted(task["title"] for task in self.call("GET", f"/tasks?limit=200{query}"))

    def task(self, title: str, query: str = "") -> Any:
        found = [task for task in self.call("GET", f"/tasks?limit=200{query}") if task["title"] == title]
        assert len(found) == 1, found
        return found[0]


@pytest.fixture
def web(server: Server) -> Web:
    return Web(server)


@pytest.fixture
def desktop(web: Web, tmp_path: Path) -> Desktop:
    return Desktop(tmp_path / "desktop", web.url, web.token)


def test_a_week_of_use_on_both_sides(web: Web, desktop: Desktop, tmp_path: Path) -> None:
    home = web.call("POST", "/projects", name="Home", color="#ff0000")
    web.call(
        "POST", "/tasks", title="Buy milk", due_date="2027-01-05", tags=["errands"], description="two\nlitres; fat"
    )
    web.call("POST", "/tasks", title="Keep the keys", project_id=home["id"])
    parent = web.call("POST", "/tasks", title="Move house", project_id=home["id"])
    web.call("POST", "/tasks", title="Pack boxes", parent_id=parent["id"])
    web.call("POST", "/tasks", title="Water plants", due_date="2027-01-04", recurrence="FREQ=WEEKLY")
    desktop.discover()
    assert (desktop.lists / home["uid"] / "displayname").read_text() == "Home"
    assert (desktop.lists / home["uid"] / "color").read_text().lower().startswith("#ff0000")
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert desktop.rows() == [
        "[ ] 2027-01-04 ⟳Water plants @Inbox",
        "[ ] 2027-01-05 Buy milk @Inbox [errands]",
        "[ ] Keep the keys @Home",
        "[ ] Move house @Home",
        "[ ] Pack boxes @Home",
    ]
    # Monday: new ones on both sides, offline
    desktop.todo("new", "-l", "Inbox", "--due", "2027-02-03", "--priority", "high", "Call Bob")
    desktop.todo("new", "-l", "Home", "Paint the fence")
    web.call("POST", "/tasks", title="Pay rent", due_date="2027-02-01T09:00:00Z", reminders=["-PT1H"])
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert web.task("Call Bob")["due_date"] == "2027-02-03"
    assert web.task("Paint the fence")["project_id"] == home["id"]
    assert "[ ] 2027-02-01 09:00 Pay rent @Inbox" in desktop.rows()
    # Twice in a row, with one sync in between: the second edit is no conflict with the first
    desktop.todo("edit", "--due", "2027-02-04", desktop.number_of("Call Bob"))
    desktop.vdirsyncer("sync")
    desktop.todo("edit", "--due", "2027-02-05", desktop.number_of("Call Bob"))
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert web.task("Call Bob")["due_date"] == "2027-02-05"
    # Tuesday: done here, edited there, deleted on both sides
    desktop.todo("done", desktop.number_of("Call Bob"))
    web.call("PATCH", f"/tasks/{web.task('Buy milk')['id']}", title="Buy oat milk", due_date="2027-01-06")
    desktop.todo("delete", "--yes", desktop.number_of("Paint the fence"))
    web.call("DELETE", f"/tasks/{web.task('Pay rent')['id']}")
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert web.task("Call Bob")["completed"] is True
    assert web.titles() == ["Buy oat milk", "Call Bob", "Keep the keys", "Move house", "Pack boxes", "Water plants"]
    assert "[ ] 2027-01-06 Buy oat milk @Inbox [errands]" in desktop.rows()
    assert not [row for row in desktop.rows() if "rent" in row or "fence" in row]
    assert web.task("Buy oat milk")["description"] == "two\nlitres; fat"
    assert web.titles("&status=completed") == ["Call Bob"]
    # Wednesday: the series, once on each side
    desktop.todo("done", desktop.number_of("Water plants"))
    assert NOTHING_NEW.fullmatch(desktop.sync())
    series = [task for task in web.call("GET", "/tasks") if task["title"] == "Water plants"]
    assert sorted((task["due_date"], task["completed"]) for task in series) == [
        ("2027-01-04", True),
        ("2027-01-11", False),
    ]
    current = next(task for task in series if not task["completed"])
    assert current["recurrence"].startswith("FREQ=WEEKLY")
    web.call("PATCH", f"/tasks/{current['id']}/complete", completed=True)
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert [row for row in desktop.rows() if "Water" in row] == [
        "[ ] 2027-01-18 ⟳Water plants @Inbox",
        "[X] 2027-01-04 Water plants @Inbox (100%)",
        "[X] 2027-01-11 Water plants @Inbox (100%)",
    ]
    # Thursday: moves, with a subtask below its parent
    desktop.todo("move", "-l", "Home", desktop.number_of("Buy oat milk"))
    web.call("PATCH", f"/tasks/{web.task('Move house')['id']}", project_id=None)
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert web.task("Buy oat milk")["project_id"] == home["id"]
    assert {row for row in desktop.rows() if "[ ]" in row and "⟳" not in row} == {
        "[ ] 2027-01-06 Buy oat milk @Home [errands]",
        "[ ] Keep the keys @Home",
        "[ ] Move house @Inbox",
        "[ ] Pack boxes @Inbox",
    }
    boxes, house = web.task("Pack boxes"), web.task("Move house")
    assert boxes["parent_id"] == house["id"]
    # Friday: one task on both sides, offline; this service wins here, as vdirsyncer is told
    desktop.todo("edit", "--due", "2027-03-01", desktop.number_of("Buy oat milk"))
    web.call("PATCH", f"/tasks/{web.task('Buy oat milk')['id']}", title="Buy soy milk")
    assert NOTHING_NEW.fullmatch(desktop.sync())
    assert (web.titles("&search=milk"), web.task("Buy soy milk")["due_date"]) == (["Buy soy milk"], "2027-01-06")
    # Saturday: another computer
    laptop = Desktop(tmp_path / "laptop", web.url, web.token)
    laptop.discover()
    assert NOTHING_NEW.fullmatch(laptop.sync())
    assert laptop.rows() == desktop.rows()
    # Sunday: nothing was lost, nothing is there twice
    uids = [task["uid"] for task in web.call("GET", "/tasks?limit=200")]
    assert sorted(path.stem for path in desktop.files()) == sorted(uids)
    assert len(web.titles()) == 8


CALDAV_SCRIPT = """
import sys
from datetime import date, datetime, timezone
import caldav
client = caldav.DAVClient(url=sys.argv[1] + "/dav/", username="anybody", password=sys.argv[2])
principal = client.principal()
calendars = principal.calendars()
assert [each.name for each in calendars] == ["Inbox"], calendars
inbox = calendars[0]
assert "VTODO" in inbox.get_supported_components()
todo = inbox.save_todo(summary="Water plants", due=date(2026, 12, 24), description="two litres")
assert [str(each.icalendar_component["summary"]) for each in inbox.todos()] == ["Water plants"]
found = inbox.todo_by_uid(str(todo.icalendar_component["uid"]))
found.icalendar_component["STATUS"] = "COMPLETED"
found.save()
assert inbox.todos() == []
assert len(inbox.todos(include_completed=True)) == 1
token = inbox.objects_by_sync_token()
assert len(list(token)) == 1
inbox.save_todo(summary="Another")
news = list(inbox.objects_by_sync_token(token.sync_token))
assert len(news) == 1, news
garden = principal.make_calendar(name="Garden", cal_id="garden", supported_calendar_component_set=["VTODO"])
garden.save_todo(summary="Prune", rrule={"FREQ": "WEEKLY"}, due=datetime(2026, 12, 1, 9, tzinfo=timezone.utc))
(prune,) = garden.todos()
prune.complete(handle_rrule=True)
(left,) = garden.todos()
assert left.icalendar_component["due"].dt > datetime(2026, 12, 1, 9, tzinfo=timezone.utc), left.data
assert [each.name for each in principal.calendars()] == ["Inbox", "Garden"]
garden.delete()
assert [each.name for each in principal.calendars()] == ["Inbox"]
found.delete()
print("done")
"""


def test_pythons_caldav_as_home_assistant_uses_it(web: Web, tmp_path: Path) -> None:
    assert CALDAV_CLIENTS
    assert run(tmp_path, "python", "-c", CALDAV_SCRIPT, web.url, web.token).startswith("done")
    assert web.titles() == ["Another"]
