"""The assistant in the web client: answers as they come and as they are meant, and a word before a deletion."""

from collections.abc import Iterator

import pytest

from app.db.connection_options import ConnectOptions
from tests.assistant.scripted import Json, Says, Scripted, last_user, scripted
from tests.browser import Browser
from tests.servers import running
from tests.web.looks import FAULTS, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

ANSWER = """**Two** things:

1. Buy *milk*
2. [Read](https://example.com/book) `now`

| day | task |
|---|---|
| Mon | <img src=x onerror=alert(1)> |

[no](javascript:alert(1)) ![far](https://example.com/a.png)
"""
LATEST_ANSWER = "[...document.querySelectorAll('.bubble.assistant')].at(-1)"


def respond(request: Json) -> Says:
    if request["messages"][-1]["role"] == "tool":
        return Says("Nothing was deleted." if "needs" in request["messages"][-1]["content"] else "It is done.")
    message = last_user(request)
    if message.startswith("delete"):
        return Says(calls=[("delete_task", {"task_id": int(message.split()[-1])})])
    if message.startswith("slowly"):
        return Says("At last.", delay=2)
    if message.startswith("add"):
        return Says(calls=[("add_task", {"title": "Buy milk"})])
    return Says(ANSWER)


@pytest.fixture(scope="module")
def model() -> Iterator[Scripted]:
    with scripted(respond) as started:
        yield started


@pytest.fixture
def window(browser: Browser, postgres: ConnectOptions, model: Scripted) -> Iterator[Window]:
    """Opens a window of a new user with the assistant open."""
    with running(postgres.dsn, LLM_MODEL="m", LLM_BASE_URL=model.url, LLM_API_KEY="x") as service:
        opened = Window(browser, service)
        opened.register()
        opened.page.click("[aria-label=Assistant]")
        yield opened
        opened.close()


def say(window: Window, message: str) -> None:
    window.page.type(".chat input", message)
    window.page.press("Enter")


def test_an_answer_is_shown_as_it_is_meant_and_kept_over_a_reload(window: Window) -> None:
    page = window.page
    say(window, "what is there?")
    page.wait(f"{LATEST_ANSWER}.querySelectorAll('ol li').length == 2")
    assert page.run(f"{LATEST_ANSWER}.querySelector('strong').textContent") == "Two"
    assert page.run(f"[...{LATEST_ANSWER}.querySelectorAll('a')].map((one) => one.href).join()") == (
        "https://example.com/book,https://example.com/a.png"
    )
    assert "<img src=x onerror=alert(1)>" in page.run(f"{LATEST_ANSWER}.querySelector('td:last-child').textContent")
    assert page.run(f"{LATEST_ANSWER}.querySelector('img')") is None
    assert "[no](javascript:alert(1))" in page.run(f"{LATEST_ANSWER}.textContent")
    for size in ((1440, 900), (320, 640)):
        Look(*size).apply(window)
        assert page.run(FAULTS) == "[]"
    window.reload()
    Look().apply(window)
    page.click("[aria-label=Assistant]")
    page.wait(f"{LATEST_ANSWER}.querySelectorAll('ol li').length == 2")
    page.click("#new-talk")
    page.wait("!document.querySelector('.bubble')")
    assert window.complaints() == []


def test_a_deletion_waits_for_a_word(window: Window) -> None:
    page = window.page
    say(window, "add it")
    page.wait(f"{LATEST_ANSWER}.innerText.includes('Done: add task')")
    window.shows("Buy milk")
    with window.api() as api:
        task = api.get("/tasks").json()[0]["id"]
    for button, left in (("#drop-calls", ["Buy milk"]), ("#confirm-calls", [])):
        say(window, f"delete all that is like {task}")
        page.click(button)
        page.wait("!document.querySelector('#confirm-calls') && !document.querySelector('.chat .said > .quiet')")
        page.wait(f"{LATEST_ANSWER}.innerText.length > 0")
        window.shows(*left)
        assert window.kept() == left
    assert window.complaints() == []


def test_earlier_conversations_go_on_or_are_deleted(window: Window) -> None:
    page = window.page
    for number, message in enumerate(("what is there?", "and what else?")):
        say(window, message)
        page.wait(f"{LATEST_ANSWER}.querySelectorAll('ol li').length == 2")
        page.click("#new-talk")
        page.wait("document.querySelectorAll('.bubble').length == 0")
        page.click("#talks")
        page.wait(f"document.querySelectorAll('.talks li').length == {number + 1}")
        page.click("#talks")
    page.click("#talks")
    page.wait("document.querySelectorAll('.talks li').length == 2")
    assert page.run(FAULTS) == "[]"
    page.click(".talks li:last-child .title")
    page.wait("document.querySelector('.bubble.user').innerText == 'what is there?'")
    say(window, "go on")
    page.wait("document.querySelectorAll('.bubble.assistant').length == 2")
    page.click("#talks")
    page.wait("document.querySelectorAll('.talks li').length == 2")  # it went on: there is no third one
    page.click(".talks li:last-child .meta button")
    page.click(".talks li:last-child .meta .danger")
    page.wait("document.querySelectorAll('.talks li').length == 1")
    page.click("#talks")
    page.wait("document.querySelectorAll('.bubble').length == 0")
    with window.api() as api:
        assert [one["title"] for one in api.get("/conversations").json()] == ["and what else?"]
    assert window.complaints() == []


def test_without_the_service_it_says_so_and_goes_on(window: Window) -> None:
    page = window.page
    say(window, "what is there?")
    page.wait(f"{LATEST_ANSWER}.querySelectorAll('ol li').length == 2")
    set_online = (
        "import(document.querySelector('script[type=module]').src.replace('main.js', 'store.js'))"
        ".then(({store, redraw}) => { store.online = %s; redraw(); return true; })"
    )
    page.run(set_online % "false")
    page.click("#talks")
    page.wait("document.querySelector('.chat .said').innerText.includes('This needs the service')")
    page.run(set_online % "true")
    page.wait("document.querySelectorAll('.talks li').length == 1")
    assert window.complaints() == []


def test_an_answer_comes_while_another_panel_is_open(window: Window) -> None:
    page = window.page
    say(window, "slowly")
    page.wait("document.querySelector('.chat .said').innerText.includes('Thinking')")
    page.click("#find")
    page.wait("!document.querySelector('.chat')")
    page.press("Escape")
    page.click("[aria-label=Assistant]")
    page.wait("document.querySelectorAll('.bubble').length == 2")
    assert page.run("[...document.querySelectorAll('.bubble')].map((one) => one.innerText).join()") == "slowly,At last."
    assert page.run("document.querySelector('.chat .said').innerText.includes('Thinking')") is False
    assert window.complaints() == []
