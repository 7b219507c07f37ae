"""The bell: what fired and was not seen, live and after an absence, with Snooze and Complete, online and offline."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import until
from tests.servers import Server, running
from tests.web.window import Window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process that fires reminders."""
    with running(postgres.dsn, WORKER="inside") as server:
        yield server


def remind(window: Window, *titles: str, **fields: object) -> list[int]:
    """Creates tasks whose reminders fire together: those in the past never would."""
    with window.api() as api:
        at = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        tasks = [{"title": title, "reminders": [at], **fields} for title in titles]
        made = api.post(
            "/batch", json={"operations": [{"operation": "create_task", "arguments": task} for task in tasks]}
        )
    assert [result["status"] for result in made.json()["results"]] == [201] * len(titles)
    return [result["body"]["id"] for result in made.json()["results"]]


def counts(window: Window, count: int) -> None:
    """Waits until the bell has that number."""
    badge = "(document.querySelector('#bell .badge')?.innerText ?? '0')"
    window.page.wait(f"document.querySelector('#bell') && {badge} == '{count}'")


def open_bell(window: Window, *titles: str) -> None:
    window.page.click("#bell")
    shown = "[...document.querySelectorAll('.fired .title')].map((one) => one.innerText).sort().join()"
    window.page.wait(f"document.querySelector('dialog[open]') && {shown} == '{','.join(sorted(titles))}'")


def reminders_of(window: Window, task_id: int) -> list[timedelta]:
    """Returns how far ahead the reminders of a task are."""
    with window.api() as api:
        found = api.get(f"/tasks/{task_id}").json()["reminders"]
    return [datetime.fromisoformat(each) - datetime.now(UTC) for each in found]


def test_the_bell_shows_what_fires_and_deals_with_it(window: Window) -> None:
    call, milk, plants, read = remind(window, "Call mum", "Buy milk", "Water the plants", "Read")
    counts(window, 4)
    window.page.press("b")
    open_bell(window, "Buy milk", "Call mum", "Read", "Water the plants")
    window.page.click(f".fired [data-task='{call}'] .complete")
    window.page.click(f".fired [data-task='{milk}'] .snooze")
    window.page.click(f".fired [data-task='{plants}'] .seen")
    counts(window, 1)
    window.page.wait("document.activeElement.closest('.fired') !== null")
    window.page.click(f".fired [data-task='{read}'] .title")
    window.page.wait("document.querySelector('.details .big').value == 'Read'")
    counts(window, 0)
    window.in_step()
    with window.api() as api:
        done = {task_id: api.get(f"/tasks/{task_id}").json()["completed"] for task_id in (call, milk, plants, read)}
    assert done == {call: True, milk: False, plants: False, read: False}
    (ahead,) = reminders_of(window, milk)
    assert timedelta(minutes=9) < ahead <= timedelta(minutes=10)
    window.open("?again")
    counts(window, 0)
    assert window.complaints() == []


def test_what_fired_while_no_window_was_open_is_shown(window: Window, service: Server) -> None:
    window.in_step()
    window.page.open(f"{service.url}/health")
    remind(window, "Call mum", "Buy milk")
    with window.api() as api:
        until(lambda: [one["action"] for one in api.get("/changes?since=0").json()["changes"]].count("reminded") == 2)
    window.open()
    counts(window, 2)
    window.open("?again")
    counts(window, 2)
    open_bell(window, "Buy milk", "Call mum")
    window.page.click("#all-seen")
    counts(window, 0)
    window.open()
    window.in_step()
    counts(window, 0)


def test_windows_of_one_browser_share_what_was_seen_and_other_clients_end_it(window: Window) -> None:
    other = window.another()
    first, second, third = remind(window, "Call mum", "Buy milk", "Read")
    counts(window, 3)
    counts(other, 3)
    open_bell(other, "Buy milk", "Call mum", "Read")
    other.page.click(f".fired [data-task='{first}'] .seen")
    counts(window, 2)
    with window.api() as api:
        assert api.post(f"/tasks/{second}/snooze", json={"minutes": 30}).status_code == 200
        counts(window, 1)
        assert api.patch(f"/tasks/{third}/complete", json={"completed": True}).status_code == 200
    counts(window, 0)
    counts(other, 0)


def test_windows_of_one_browser_lose_nothing_when_many_fire_at_once(window: Window) -> None:
    others = [window.another() for _ in range(2)]
    remind(window, *(f"Call {number}" for number in range(60)))
    for each in (window, *others):
        counts(each, 60)


def test_offline_actions_wait_in_the_outbox(window: Window, service: Server) -> None:
    first, second = remind(window, "Call mum", "Buy milk")
    counts(window, 2)
    window.in_step()
    service.stop()
    try:
        open_bell(window, "Buy milk", "Call mum")
        window.page.click(f".fired [data-task='{first}'] .complete")
        window.page.wait("document.querySelectorAll('.fired li').length == 1")
        window.page.run(f"document.querySelectorAll('.fired [data-task=\"{second}\"] .snooze')[1].click()")
        counts(window, 0)
        window.page.wait("document.querySelector('#state').innerText.includes('Offline, 2 to send')")
    finally:
        service.start()
    window.page.run("dispatchEvent(new Event('online'))")
    window.in_step()
    counts(window, 0)
    with window.api() as api:
        assert api.get(f"/tasks/{first}").json()["completed"] is True
    (ahead,) = reminders_of(window, second)
    assert timedelta(minutes=58) < ahead <= timedelta(minutes=60)


def test_a_recurring_task_leaves_the_bell_when_it_moves_on(window: Window) -> None:
    with window.api() as api:
        due = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        body = {"title": "Water the plants", "due_date": due, "recurrence": "FREQ=DAILY", "reminders": ["PT0S"]}
        assert api.post("/tasks", json=body).status_code == 201
    counts(window, 1)
    open_bell(window, "Water the plants")
    window.page.click(".fired .complete")
    counts(window, 0)
    window.in_step()
    counts(window, 0)
    window.shows("Water the plants")
