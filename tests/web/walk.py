"""The pages of the web client and what opens on them: a table for tests that look at all of it.

A new page or dialog is a line of ``STATES``.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.assistant.scripted import Json, Says, last_user
from tests.web.window import Window

Step = Callable[[Window], object]
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
FORGET_DRAFTS = """sessionStorage.clear();
for (const key of Object.keys(localStorage)) if (key.startsWith("todo.draft")) localStorage.removeItem(key)"""


class State(NamedTuple):
    """A screen: ``place``, which may name ids of ``fill``, after ``steps``, once ``shows`` is there."""

    name: str
    place: str
    shows: str
    steps: tuple[Step, ...] = ()


def click(selector: str) -> Step:
    return lambda window: window.page.click(selector)


def enter(selector: str, text: str) -> Step:
    return lambda window: window.page.type(selector, text)


def press(key: str) -> Step:
    return lambda window: window.page.press(key)


def focus(selector: str) -> Step:
    return lambda window: window.page.wait(f"(document.querySelector({json.dumps(selector)}).focus(), true)")


def await_service(window: Window) -> None:
    window.page.wait("document.querySelector('#state').textContent.includes('Synced')")


def await_reminder(window: Window) -> None:
    window.page.shows("#bell .badge")


def change_elsewhere(window: Window) -> None:
    """Renames a task while another client does so too."""
    with window.api() as api:
        task = api.post("/tasks", json={"title": "Renamed twice", "tags": ["twice"]}).json()["id"]
        window.shows("Renamed twice")
        blocked = ["*/api/me/events*", "*/api/me/changes*", "*/api/me/tasks/*", "*/api/me/batch*"]
        window.page.call("Network.setBlockedURLs", urls=blocked)
        window.edit("Renamed twice", "Mine")
        api.patch(f"/tasks/{task}", json={"title": "Theirs"})
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")


def offer_update(window: Window) -> None:
    """Shows that a new version of the page waits."""
    window.page.run(
        "import(document.querySelector('script[src]').src.replace('main.js', 'ui.js')).then(({ show }) =>"
        " show({ update: true }))"
    )


ALL_TASKS = "#/all?status=all"
ONE_TASK = "#/all?task={task}"
STATES = (
    State("all", ALL_TASKS, ".row .tag"),
    State("today", "#/today", ".row .due.overdue"),
    State("upcoming", "#/upcoming", ".group h2"),
    State("project", "#/project/{project}", "#delete-project"),
    State("project: rename", "#/project/{project}", ".tools [name=name]", (click("#rename-project"),)),
    State("project: delete", "#/project/{project}", "#delete-whole", (click("#delete-project"),)),
    State("project: board", "#/project/{project}?layout=board&by=priority", ".column .row"),
    State("calendar", "#/calendar", ".month"),
    State("calendar: a day", "#/calendar/2026-01-05", ".chip"),
    State("activity", "#/activity", ".activity li"),
    State("palette", ALL_TASKS, "#palette-list li", (click("#find"), enter("#palette", "a"))),
    State("selection", "#/starred", "#bulk-date:not([disabled])",
          (await_service, click("#select"), click("#select-all"))),
    State("hits", "#/all?search=the&status=all", ".row mark"),
    State("inbox", "#/inbox", ".row"),
    State("tag", "#/tag/errands", "#delete-tag"),
    State("starred", "#/starred", ".row .starred"),
    State("done", "#/done", ".row.completed"),
    State("trash", "#/trash", ".trashed"),
    State("trash: empty", "#/trash", "#empty-trash.danger", (click("#empty-trash"),)),
    State("unknown", "#/nonsense", ".empty"),
    State("empty list", "#/tag/nothing", ".empty"),
    State("a filter", "#/all?search=tag%3Aerrands", ".row"),
    State("a wrong filter", "#/all?search=tag%3A", "#unreadable"),
    State("quick add", ALL_TASKS, "#understood .span", (enter("#add", "Buy milk tomorrow at 9 #Home @errands"),)),
    State("quick add: too long", ALL_TASKS, "#add-note .failed", (enter("#add", "milk " * 120),)),
    State("edit a title", ALL_TASKS, ".row .edit", (focus(".row .title"), press("e"))),
    State("new project", ALL_TASKS, "#new-project", (click(".add-project"),)),
    State("message", ALL_TASKS, "#toast #undo", (click("[aria-label='Complete Waits for an answer']"),)),
    State("new version", ALL_TASKS, "#update", (offer_update,)),
    State("reminders", ALL_TASKS, ".fired .complete", (await_reminder, press("b"))),
    State("lists", ALL_TASKS, ".row", (press("g"),)),
    State("details", ONE_TASK, "#send-to"),
    State("details: history", ONE_TASK, ".history li", (click(".history summary"),)),
    State("details: comment", ONE_TASK, ".comment textarea", (click(".comment .meta .link"),)),
    State("details: too long", ONE_TASK, "#title-note .failed", (enter("#title", "x" * 300),)),
    State("help", ALL_TASKS, ".keys kbd", (press("?"),)),
    State("conflict", "#/tag/twice", "dialog .conflict", (change_elsewhere,)),
    State("assistant", ALL_TASKS, ".chat form", (click("[aria-label=Assistant]"),)),
    State("assistant: question", ALL_TASKS, "#confirm-calls",
          (click("[aria-label=Assistant]"), enter(".chat input", "delete it"), press("Enter"))),
    State("channels", "#/channels", ".channel[data-id]"),
    State("channels: new", "#/channels", ".channel-form [type=time]", (click("#add-ntfy"),)),
    State("settings", "#/settings/account", "#zone-form"),
    State("settings: e-mail", "#/settings/account", "#email-form", (click("#change-email"),)),
    State("settings: deletion", "#/settings/account", "#deletion-form", (click("#delete-account"),)),
    State("display", "#/settings/display", "select"),
    State("security", "#/settings/security", "#sessions-title"),
    State("security: authenticator", "#/settings/security", "[aria-labelledby=totp-title] input", (click("#totp-on"),)),
    State("connections", "#/settings/connections", "[id^=rotate-]"),
    State("connections: token", "#/settings/connections", "#token-form", (click("#add-token"),)),
    State("connections: feed", "#/settings/connections", "#feed-form", (click("#add-feed"),)),
    State("connections: webhook", "#/settings/connections", "#webhook-form", (click("#add-webhook"),)),
    State("your data", "#/settings/data", ".bars"),
)  # fmt: skip
VISITOR_STATES = (
    State("log in", "", "#switch"),
    State("log in: refused", "", ".said.failed",
          (enter("[name=email]", "no@example.com"), enter("[name=password]", "wrong password"), click(".primary"))),
    State("register", "", "#password-rule", (click("#switch"),)),
    State("forgotten password", "", "#remembered", (click("#forgot"),)),
    State("mailed link", "#/reset?token=x", "#mailed-form"),
)  # fmt: skip


def respond(request: Json) -> Says:
    """Answers as the model of the assistant."""
    if last_user(request).startswith("delete"):
        return Says(calls=[("delete_task", {"task_id": 1})])
    return Says("**Two** things:\n\n1. Buy *milk*\n2. [Read](https://example.com/book)\n\n> and `that`")


def fill(window: Window) -> dict[str, int]:
    """Creates something of everything; returns ids by the names that places use."""
    ids: dict[str, int] = {}

    def make(path: str, body: dict[str, Any]) -> int:
        made = api.post(path, json=body)
        assert made.status_code == 201, made.text
        return int(made.json()["id"])

    with window.api() as api:
        ids["project"] = make("/projects", {"name": "Home", "color": "#1d6b5a", "favorite": True})
        make("/projects", {"name": "Garden", "parent_id": ids["project"]})
        make("/channels", {"kind": "gotify", "name": "Desk", "url": "http://127.0.0.1:9", "token": "secret"})
        make("/views", {"name": "Urgent ones", "parameters": {"priority": ["urgent"]}})
        make("/calendar", {"name": "My calendar"})
        make("/webhooks", {"url": "http://127.0.0.1:9/hook", "events": ["task.created"]})
        task = {
            "title": "Write the report",
            "project_id": ids["project"],
            "tags": ["errands", "desk"],
            "favorite": True,
        }
        task |= {
            "priority": "urgent",
            "due_date": "2026-01-05",
            "recurrence": "FREQ=WEEKLY",
            "reminders": [(datetime.now(UTC) + timedelta(seconds=4)).isoformat()],
        }
        task |= {"description": "A line of notes.\n" * 5, "estimate_minutes": 90, "deadline": "2090-01-05"}
        ids["task"] = make("/tasks", task)
        api.patch("/tags/errands", json={"color": "#8a4f7d"})
        make("/tasks", {"title": "Describe the survey", "parent_id": ids["task"]})
        make("/tasks", {"title": "Redraw figure 4", "parent_id": ids["task"], "completed": True})
        make(f"/tasks/{ids['task']}/comments", {"body": "See [the page](https://example.com), *soon*."})
        for priority in ("high", "medium", "low", "none"):
            make("/tasks", {"title": f"Of {priority} priority", "priority": priority, "due_date": "2090-02-03"})
        make("/tasks", {"title": "Waits for an answer", "status": "waiting"})
        make("/tasks", {"title": "Done already", "completed": True})
        api.delete(f"/tasks/{make('/tasks', {'title': 'Thrown away'})}")
        api.patch(f"/projects/{make('/projects', {'name': 'Old'})}", json={"archived": True})
    return ids


def walk(window: Window, ids: dict[str, int], states: tuple[State, ...] = STATES) -> Iterator[State]:
    """Brings the window to each state in turn, always from a new load of the page."""
    for state in states:
        window.page.run(FORGET_DRAFTS)
        window.open("#/help").go(state.place.format(**ids))
        window.reload()
        for step in state.steps:
            step(window)
        window.page.shows(state.shows)
        window.page.run(f"document.fonts.ready.then(() => {TWO_FRAMES})")
        yield state
