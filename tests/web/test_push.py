"""Web Push in the web client: asked for by a click, shown and dealt with when no window is open, ended by a logout."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import PATIENCE, Browser, until
from tests.channels.conftest import VAPID_KEY
from tests.channels.push_service import Browser as Subscriber
from tests.receivers import Receiver, receiving
from tests.servers import Server, running
from tests.web.pushing import (
    allow_notifications,
    change_subscription,
    click,
    fake_push_service,
    is_subscribed,
    push,
    shown,
    worker_of,
)
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

RECORD = """new Promise((done, fail) => {
    const opening = indexedDB.open("todo.push");
    opening.onerror = fail;
    opening.onsuccess = () => {
        const reading = opening.result.transaction("records").objectStore("records").get("browser");
        reading.onsuccess = () => (opening.result.close(), done(reading.result));
    };
})"""


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process that fires reminders and may call the loopback, on which the push service is."""
    settings = {"WEBHOOKS_ALLOW_PRIVATE": "true", "VAPID_PRIVATE_KEY": VAPID_KEY, "WORKER": "inside"}
    with running(postgres.dsn, **settings) as server:
        yield server


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
def push_service() -> Iterator[Receiver]:
    with receiving(lambda _: 201) as receiver:
        yield receiver


@pytest.fixture
def subscribed(window: Window, subscriber: Subscriber, push_service: Receiver) -> Window:
    """Adds the browser on the page of channels."""
    allow_notifications(window)
    fake_push_service(window, subscriber, push_service.server_url)
    window.go("#/channels")
    window.page.click("#add-webpush")
    window.page.wait("document.querySelector('.channel[data-id]').innerText.includes('this browser')")
    return window


def make_task(window: Window, title: str, **fields: Any) -> int:
    with window.api() as api:
        answer = api.post("/tasks", json={"title": title, **fields})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])


def remind(window: Window, title: str = "Ring the dentist") -> int:
    """Creates a task whose reminder fires soon."""
    window.api().close()  # so that the time does not include a login
    at = datetime.now(UTC) + timedelta(seconds=4)
    return make_task(window, title, reminders=[at.isoformat()])


def pushed(subscriber: Subscriber, push_service: Receiver, number: int = 0) -> dict[str, Any]:
    """Returns a message as the browser decrypts it."""
    deadline = time.monotonic() + PATIENCE
    while len(push_service.calls) <= number:
        assert time.monotonic() < deadline, "nothing was pushed"
        time.sleep(0.05)
    return dict(subscriber.read(push_service.calls[number]))


def task_of(window: Window, task_id: int) -> dict[str, Any]:
    with window.api() as api:
        return dict(api.get(f"/tasks/{task_id}").json())


def leave_client(window: Window) -> None:
    """Closes the client: its window shows another page of the same origin, by which the test speaks to the browser."""
    window.in_step()
    window.page.open(f"{window.service.url}/health")


def message_of(task_id: int, title: str = "Buy milk") -> dict[str, Any]:
    message = {"id": f"1-2-{task_id}", "kind": "reminder", "title": title, "text": "Due today.", "url": ""}
    return {**message, "task_id": task_id, "due_at": "2026-11-29T09:00:00+00:00", "late": False}


def test_permission_is_asked_where_a_reminder_is_set(
    window: Window, subscriber: Subscriber, push_service: Receiver
) -> None:
    fake_push_service(window, subscriber, push_service.server_url)
    window.page.run("""(() => {
        window.asked = 0;
        window.permission = "default";
        Object.defineProperty(Notification, "permission", {get: () => window.permission});
        Notification.requestPermission = async () => (window.asked++, (window.permission = "granted"));
    })()""")
    allow_notifications(window)
    task_id = make_task(window, "Buy milk", due_date="2030-01-01T09:00:00Z")
    window.shows("Buy milk")
    window.open_details("Buy milk")
    window.page.shows(".details select")
    assert window.page.run("document.querySelector('#allow-push')") is None
    select = "[...document.querySelectorAll('.details label')].find((one) => one.innerText.startsWith('Remind me'))"
    window.page.run(
        f"(() => {{ const field = {select}.querySelector('select'); field.value = '-PT1H';"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    window.page.shows("#allow-push")
    assert window.page.run("window.asked") == 0
    window.page.click("#allow-push")
    window.page.wait("document.querySelector('#allow-push') === null")
    window.page.wait("document.querySelector('#toast').innerText.includes('This browser shows reminders')")
    assert window.page.run("window.asked") == 1
    with window.api() as api:
        (channel,) = api.get("/channels").json()
    assert (channel["kind"], channel["secrets"], channel["url"]) == (
        "webpush",
        ["subscription"],
        push_service.server_url,
    )
    options = json.loads(window.page.run("localStorage.getItem('test.subscribe.options')"))
    with window.api() as api:
        kinds = {kind["kind"]: kind for kind in api.get("/channels/kinds").json()}
    assert options == {"userVisibleOnly": True, "applicationServerKey": kinds["webpush"]["public_key"]}
    assert task_of(window, task_id)["reminders"] == ["-PT1H"]
    assert window.complaints() == []


def test_a_reminder_is_shown_and_completed_when_no_window_is_open(
    subscribed: Window, subscriber: Subscriber, push_service: Receiver
) -> None:
    task_id = remind(subscribed)
    message = pushed(subscriber, push_service)
    leave_client(subscribed)
    push(subscribed.page, subscribed.service.url, message)
    worker = worker_of(subscribed)
    push(subscribed.page, subscribed.service.url, message)  # a double
    (notification,) = shown(worker, 1)
    assert notification == {
        "title": "Ring the dentist", "body": message["text"], "task": task_id, "actions": ["snooze", "complete"]
    }  # fmt: skip
    click(worker, "complete")
    assert task_of(subscribed, task_id)["completed"] is True
    shown(worker, 0)
    assert worker.run("self.opened.length") == 0


def test_snooze_sets_another_reminder_and_a_click_opens_the_task(subscribed: Window) -> None:
    task_id = make_task(subscribed, "Buy milk")
    leave_client(subscribed)
    push(subscribed.page, subscribed.service.url, message_of(task_id))
    worker = worker_of(subscribed)
    click(worker, "snooze")
    (reminder,) = task_of(subscribed, task_id)["reminders"]
    ahead = datetime.fromisoformat(reminder) - datetime.now(UTC)
    assert timedelta(minutes=9) < ahead <= timedelta(minutes=10)
    push(subscribed.page, subscribed.service.url, message_of(task_id))
    click(worker)
    assert worker.run("self.opened[0]") == f"{subscribed.service.url}/app#/all?task={task_id}"
    subscribed.open(f"#/all?task={task_id}")
    subscribed.page.wait("document.querySelector('.details .big').value == 'Buy milk'")


def test_a_click_goes_to_the_task_in_the_window_that_is_open(subscribed: Window) -> None:
    task_id = make_task(subscribed, "Buy milk")
    push(subscribed.page, subscribed.service.url, message_of(task_id))
    worker = worker_of(subscribed)
    worker.run("WindowClient.prototype.focus = async function () { return this; }; null")  # needs a real click
    click(worker)
    subscribed.page.wait("document.querySelector('.details .big').value == 'Buy milk'")
    assert worker.run("self.opened.length") == 0


def test_an_action_without_the_service_is_shown_again(subscribed: Window, service: Server) -> None:
    task_id = make_task(subscribed, "Buy milk")
    leave_client(subscribed)
    push(subscribed.page, service.url, message_of(task_id))
    worker = worker_of(subscribed)
    service.stop()
    try:
        click(worker, "complete")
        (notification,) = shown(worker, 1)
    finally:
        service.start()
    assert notification["body"].startswith("Not saved: The service cannot be reached.")
    assert notification["actions"] == ["snooze", "complete"]
    click(worker, "complete")
    assert task_of(subscribed, task_id)["completed"] is True


def test_buttons_are_in_the_language_of_the_page(subscribed: Window) -> None:
    task_id = make_task(subscribed, "Buy milk")
    subscribed.page.run("localStorage.setItem('todo.language', 'de')")
    subscribed.reload()
    until(lambda: subscribed.page.run(f"{RECORD}.then((record) => record.texts.complete == 'Erledigen')"))
    subscribed.page.open(f"{subscribed.service.url}/health")
    push(subscribed.page, subscribed.service.url, message_of(task_id))
    worker = worker_of(subscribed)
    shown(worker, 1)
    titles = "registration.getNotifications().then(([one]) => one.actions.map(({title}) => title).join())"
    assert worker.run(titles) == "In 10 Min. wieder,Erledigen"


def test_a_double_of_a_reminder_completes_a_recurring_task_once(subscribed: Window) -> None:
    fields = {"due_date": "2030-01-01", "recurrence": "FREQ=DAILY"}
    task_id = make_task(subscribed, "Water the plants", **fields)
    leave_client(subscribed)
    for _ in range(2):
        push(subscribed.page, subscribed.service.url, message_of(task_id, "Water the plants"))
        worker = worker_of(subscribed)
        shown(worker, 1)
        click(worker, "complete")
        shown(worker, 0)
    assert task_of(subscribed, task_id)["due_date"] == "2030-01-02"


def test_a_second_window_does_not_add_the_browser_again(
    window: Window, subscriber: Subscriber, push_service: Receiver
) -> None:
    allow_notifications(window)
    second = window.another()
    for each in (window, second):
        fake_push_service(each, subscriber, push_service.server_url)
        each.go("#/channels")
        each.page.shows("#add-webpush")
    for each in (window, second):
        each.page.click("#add-webpush")
        each.page.wait("document.querySelector('#toast').innerText.includes('This browser shows reminders')")
        each.page.wait("document.querySelector('.channel[data-id]').innerText.includes('this browser')")
    with window.api() as api:
        assert len(api.get("/channels").json()) == 1
    assert second.page.run("document.querySelector('#add-webpush')") is None


def test_a_logout_ends_the_subscription_and_what_it_showed(subscribed: Window) -> None:
    task_id = make_task(subscribed, "A secret of the first user")
    push(subscribed.page, subscribed.service.url, message_of(task_id, "A secret of the first user"))
    worker = worker_of(subscribed)
    shown(worker, 1)
    with subscribed.api() as api:
        subscribed.page.click("#logout")
        subscribed.page.shows("input[name=password]")
        shown(worker, 0)
        assert not is_subscribed(subscribed)
        assert api.get("/channels").json() == []
        push(subscribed.page, subscribed.service.url, message_of(task_id))  # it was on its way
        shown(worker, 0)
        data = json.dumps({"user": "someone", "task": task_id, "kind": "reminder"})
        worker.run(f"registration.showNotification('left', {{data: {data}, actions: []}})")
        click(worker, "complete")
        assert worker.run("self.opened") is not None
        assert api.get(f"/tasks/{task_id}").json()["completed"] is False


def test_another_user_of_the_browser_gets_nothing_of_the_first(
    subscribed: Window, browser: Browser, service: Server
) -> None:
    """The login of the first ends without a logout: it is revoked elsewhere."""
    task_id = make_task(subscribed, "A secret of the first user")
    other = Window(browser, service)
    other.register()
    email = other.email
    other.close()
    with subscribed.api() as api:
        for session in api.get(f"{service.url}/api/auth/sessions").json():
            if not session["current"]:
                api.delete(f"{service.url}/api/auth/sessions/{session['id']}")
    subscribed.page.open(f"{service.url}/app?again")
    subscribed.page.wait("(document.querySelector('input[name=email]').select(), true)")  # that of the first
    subscribed.page.type("input[name=email]", email)
    subscribed.page.type("input[name=password]", PASSWORD)
    subscribed.page.click("form .primary")
    subscribed.in_step()
    subscribed.page.wait("localStorage.getItem('test.subscribed') === null")
    push(subscribed.page, service.url, message_of(task_id, "A secret of the first user"))
    shown(worker_of(subscribed), 0)


def test_a_new_subscription_of_the_browser_replaces_the_old_one(
    subscribed: Window, subscriber: Subscriber, push_service: Receiver
) -> None:
    leave_client(subscribed)
    push(subscribed.page, subscribed.service.url, message_of(1))
    worker = worker_of(subscribed)
    renewed = Subscriber().subscription(push_service.server_url, "/push/renewed")
    change_subscription(worker, renewed)
    with subscribed.api() as api:
        (channel,) = api.get("/channels").json()
        assert api.post(f"/channels/{channel['id']}/test").json()["outcome"] == "delivered"
    assert push_service.calls[-1].path == "/push/renewed"
