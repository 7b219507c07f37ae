"""A browser that is subscribed without a push service, and what its service worker does with a push."""

import json
import time
from typing import Any

from tests.browser import PATIENCE, Connection, Page, until
from tests.channels.push_service import Browser as Subscriber
from tests.web.window import Window

# The push services of browsers cannot be reached from here, so the page gets a subscription whose keys the test has.
SUBSCRIBED = """(() => {
    const given = %s;
    const kept = () => JSON.parse(localStorage.getItem("test.subscribed") ?? "null");
    const made = (one) => one && Object.assign(Object.create(PushSubscription.prototype), {
        toJSON: () => one,
        unsubscribe: async () => (localStorage.removeItem("test.subscribed"), true),
    });
    Object.defineProperty(PushSubscription.prototype, "endpoint", { get() { return this.toJSON().endpoint; } });
    PushManager.prototype.getSubscription = async () => made(kept());
    PushManager.prototype.subscribe = async (options) => {
        localStorage.setItem("test.subscribed", JSON.stringify(given));
        localStorage.setItem("test.subscribe.options", JSON.stringify(options));
        return made(given);
    };
})()"""


def allow_notifications(window: Window) -> None:
    window.browser.grant("notifications", window.service.url, window.context)


def fake_push_service(window: Window, subscriber: Subscriber, server_url: str) -> None:
    """Has the window subscribe with the keys of ``subscriber``, also after it is opened again."""
    source = SUBSCRIBED % json.dumps(subscriber.subscription(server_url))
    window.page.call("Page.addScriptToEvaluateOnNewDocument", source=source)
    window.page.run(source)


def is_subscribed(window: Window) -> bool:
    return bool(window.page.run("localStorage.getItem('test.subscribed') !== null"))


def push(page: Page, origin: str, message: dict[str, Any]) -> None:
    """Has the browser dispatch a push, as when it arrives from its push service."""
    page.call("ServiceWorker.enable")
    scope = f"{origin}/app"

    def find_registrations() -> list[str]:
        page.run("new Promise((done) => setTimeout(done, 200))")
        seen = [one for each in page.seen("ServiceWorker.workerRegistrationUpdated") for one in each["registrations"]]
        return [one["registrationId"] for one in seen if one["scopeURL"] == scope and not one["isDeleted"]]

    registration = until(find_registrations)[-1]
    data = json.dumps(message)
    page.call("ServiceWorker.deliverPushMessage", origin=origin, registrationId=registration, data=data)


def worker_of(window: Window) -> Connection:
    """Opens the service worker itself, which also keeps it running; what it opens is noted instead."""
    worker = window.browser.worker(f"{window.service.url}/app/")
    worker.run("self.opened = []; clients.openWindow = async (url) => (self.opened.push(url), null); null")
    return worker


SHOWN = "registration.getNotifications().then((all) => JSON.stringify(all.map({})))"
FIELDS = "(one) => ({title: one.title, body: one.body, task: one.data.task, actions: one.actions.map((a) => a.action)})"

SETTLED = f"new Promise((done) => setTimeout(done, 400)).then(() => {SHOWN}).then((all) => JSON.parse(all).length)"


def shown(worker: Connection, count: int) -> list[dict[str, Any]]:
    """Returns the notifications on the screen, once there are ``count`` and no more come."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = list(json.loads(worker.run(SHOWN.format(FIELDS))))
        if len(found) == count and worker.run(SETTLED.format("(one) => 1")) == count:
            return found
    raise AssertionError(f"not {count} notifications: {found}")


DISPATCH = """(async () => {
    %s
    let work; // an event of a script cannot wait
    Object.defineProperty(event, "waitUntil", {value: (promise) => (work = promise)});
    dispatchEvent(event);
    await work;
})()"""
# A list of notifications drops those that are just being shown, so it is not read all the time.
CLICK = """let notification;
    for (; !notification; [notification] = await registration.getNotifications())
        await new Promise((done) => setTimeout(done, 200));
    const event = new NotificationEvent("notificationclick", {notification, action: %s});"""
CHANGE = """const made = %s;
    const newSubscription = {endpoint: made.endpoint, toJSON: () => made};
    const event = Object.assign(new Event("pushsubscriptionchange"), {newSubscription});"""


def click(worker: Connection, action: str = "") -> None:
    """Clicks on the notification that is shown, or on one of its actions, and waits for what comes of it."""
    dispatch = CLICK % json.dumps(action)
    worker.run(DISPATCH % dispatch)


def change_subscription(worker: Connection, made: dict[str, Any]) -> None:
    """Replaces the browser's subscription, as its push service may at any time."""
    dispatch = CHANGE % json.dumps(made)
    worker.run(DISPATCH % dispatch)
