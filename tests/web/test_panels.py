"""Panels next to the list of the web client, and the change of a day."""

import json

import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Browser
from tests.servers import running
from tests.web.looks import Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

NEXT_DAY = """(() => {
    const Real = Date;
    const now = () => Real.now() + 86_400_000;
    window.Date = class extends Real {
        constructor(...given) { given.length ? super(...given) : super(now()); }
        static now() { return now(); }
    };
    document.dispatchEvent(new Event("visibilitychange"));
})()"""


def test_the_assistant_gives_way_to_a_task_and_keeps_what_was_said(browser: Browser, postgres: ConnectOptions) -> None:
    model = {"LLM_MODEL": "some-model", "LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_API_KEY": "x"}
    with running(postgres.dsn, **model) as service:
        window = Window(browser, service)
        window.register()
        Look().apply(window)
        window.add("Buy milk")
        window.page.click("[aria-label=Assistant]")
        window.page.shows(".chat")
        window.page.type(".chat input", "What is due?")
        window.page.press("Enter")
        window.page.wait("document.querySelector('.chat .note').innerText.includes('It was not sent.')")
        assert window.page.run("document.querySelector('.chat input').value") == "What is due?"
        window.open_details("Buy milk")
        window.page.wait("!document.querySelector('.chat').checkVisibility()")
        box = json.loads(window.page.run("JSON.stringify(document.querySelector('.details').getBoundingClientRect())"))
        assert (box["top"], box["right"]) == (0, 1440)
        window.close_details()
        window.page.wait("document.querySelector('.chat').checkVisibility()")
        window.page.click("[aria-label='Close the assistant']")
        window.page.wait("!document.querySelector('.chat')")
        window.page.click("[aria-label=Assistant]")
        window.page.wait("document.querySelector('.bubble.user').innerText == 'What is due?'")
        window.close()


def test_yesterday_is_not_called_today_after_midnight(window: Window) -> None:
    window.page.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    window.go("#/today")
    window.add("Buy stamps")
    window.shows("Buy stamps")
    window.page.wait("document.querySelector('.row .due').innerText == 'Today'")
    window.page.run(NEXT_DAY)
    window.page.wait("document.querySelector('.row .due.overdue').innerText.includes('Yesterday')")


def test_the_trash_says_how_long_tasks_stay_and_what_is_removed(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    window.open_details("Buy milk")
    window.page.click("#delete-task")
    window.go("#/trash")
    window.page.wait("document.querySelector('.trashed .left')?.innerText == '30 days left'")
    window.page.click("#empty-trash")
    window.page.wait("document.querySelector('#empty-trash').innerText == 'Delete 1 task permanently?'")
    window.page.wait("document.querySelector('#empty-note').innerText.includes('projects')")
    window.page.click("#empty-trash")
    window.shows()
    window.in_step()
    with window.api() as api:
        assert api.get("/tasks/trash").json() == []
