"""Use of the web client: add, complete, undo, two windows, offline, conflicts, drag, keyboard, hostile text."""

import json

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Browser
from tests.servers import Server, running
from tests.web.window import Window

pytestmark = pytest.mark.slow

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "javascript:document.title='owned'",
    "{{7*7}} ${7*7} </textarea><svg onload=document.title='owned'>",
    "مرحبا \u202egnorw\u202c 😀",
)


def test_a_user_adds_completes_and_undoes(window: Window) -> None:
    window.add("Buy milk", "Water the plants")
    window.shows("Buy milk", "Water the plants")
    window.complete("Buy milk")
    window.shows("Water the plants")
    window.page.click("#undo")
    window.shows("Buy milk", "Water the plants")
    window.in_step()
    assert window.kept(status="pending") == ["Buy milk", "Water the plants"]
    assert window.complaints() == []
    assert window.page.hosts() == {"127.0.0.1"}


def test_a_reload_keeps_the_login_without_a_token_readable_by_scripts(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    window.open("#/today").open()
    window.shows("Buy milk")
    readable = window.page.run("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert "token" not in readable
    assert "todo_refresh" not in readable
    assert window.complaints() == []
    window.page.click("#logout")
    window.page.shows("input[name=password]")
    window.open()
    window.page.shows("input[name=password]")


def test_an_expired_access_token_is_renewed(browser: Browser, postgres: ConnectOptions) -> None:
    with running(postgres.dsn, ACCESS_TTL="2") as service:
        window = Window(browser, service)
        window.register()
        window.add("one")
        window.page.run("new Promise((done) => setTimeout(done, 2500))")
        window.add("two")
        window.in_step()
        assert window.kept() == ["one", "two"]
        window.close()


def test_a_wrong_password_is_reported(window: Window) -> None:
    window.page.click("#logout")
    window.page.type("input[name=email]", window.email)
    window.page.type("input[name=password]", "something else entirely")
    window.page.click("form .primary")
    window.page.wait("document.querySelector('.failed[role=alert]').innerText.length > 10")


def test_two_windows_show_the_same_tasks(window: Window) -> None:
    other = window.another()
    window.add("Buy milk")
    other.shows("Buy milk")
    other.edit("Buy milk", "Buy oat milk")
    window.shows("Buy oat milk")
    window.complete("Buy oat milk")
    other.shows()
    other.go("#/done")
    other.shows("Buy oat milk")
    assert other.complaints() == window.complaints() == []


def test_offline_changes_are_sent_once_and_in_order(window: Window, service: Server) -> None:
    window.add("before")
    window.in_step()
    service.stop()
    try:
        window.add("one", "two")
        window.edit("one", "one and a half")
        window.complete("two")
        window.shows("before", "one and a half")
        window.page.wait("document.querySelector('#state').innerText.includes('Offline, 4 to send')")
    finally:
        service.start()
    # as the browser reports it, so that the test does not wait for a timer
    window.page.run("dispatchEvent(new Event('online'))")
    window.in_step()
    window.shows("before", "one and a half")
    assert window.kept() == ["before", "one and a half", "two"]
    assert window.kept(status="completed") == ["two"]


def test_a_lost_response_does_not_repeat_the_write(window: Window) -> None:
    window.page.run("""(() => {
        const real = window.fetch;
        window.lost = 0;
        window.fetch = async (url, init) => {
            const answer = await real(url, init);
            const creates = init?.method === "POST" && /tasks(\\/quick)?$/.test(url) && !init.body.includes("dry_run");
            if (creates && !window.lost++)
                throw new TypeError("the line is dead");
            return answer;
        };
    })()""")
    window.add("only once")
    window.page.wait("window.lost >= 2")
    window.in_step()
    window.shows("only once")
    assert window.kept() == ["only once"]


def test_changes_of_different_fields_are_both_kept(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    _behind(window, "Buy oat milk", {"description": "two litres"})
    window.page.wait("document.querySelector('#toast').innerText.includes('both changes are kept')")
    window.in_step()
    with window.api() as api:
        task = api.get("/tasks").json()[0]
    assert (task["title"], task["description"]) == ("Buy oat milk", "two litres")


@pytest.mark.parametrize(("choice", "title"), [("#keep-mine", "mine"), ("#keep-theirs", "theirs")])
def test_the_user_decides_about_conflicting_changes_of_a_field(window: Window, choice: str, title: str) -> None:
    window.add("Buy milk")
    window.in_step()
    _behind(window, "mine", {"title": "theirs"})
    window.page.shows("dialog[open] table.conflict")
    assert "theirs" in window.page.text()
    window.page.click(choice)
    window.in_step()
    window.shows(title)
    assert window.kept() == [title]


def _behind(window: Window, title: str, change: dict[str, str]) -> None:
    """Renames the only task before this window receives another client's change to it."""
    window.page.call("Network.setBlockedURLs", urls=["*/api/me/events*", "*/api/me/changes*", "*/api/me/tasks/*"])
    window.edit("Buy milk", title)
    with window.api() as api:
        task = api.get("/tasks").json()[0]
        assert api.patch(f"/tasks/{task['id']}", json=change).status_code == 200
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")


def test_a_hostile_title_is_shown_as_text(window: Window) -> None:
    with window.api() as api:
        for title in HOSTILE:
            task = api.post("/tasks", json={"title": title, "description": title, "tags": [title[:50]]})
            assert task.status_code == 201
    window.shows(*HOSTILE)
    for title in HOSTILE:
        window.open_details(title)
        window.page.wait(f"document.querySelector('.details textarea').value == {json.dumps(title)}")
        window.close_details()
    window.edit(HOSTILE[1], f"still {HOSTILE[1]}")
    window.go("#/tag/" + "%3Cimg%20src%3Dx%3E")
    window.page.wait("document.querySelector('h1').innerText == '@<img src=x>'")
    assert window.page.run("document.querySelector('main img, main script, aside img') === null")
    assert "owned" not in window.page.run("document.title")
    assert window.complaints() == []


def test_everything_can_be_done_by_keyboard(window: Window) -> None:
    page = window.page
    page.press("n")
    page.call("Input.insertText", text="one")
    page.press("Enter")
    window.add("two")
    window.shows("one", "two")
    page.press("Escape")
    page.press("j")
    page.wait("document.activeElement.textContent == 'one'")
    page.press("j")
    page.wait("document.activeElement.textContent == 'two'")
    page.press("c")
    window.shows("one")
    page.wait("document.activeElement.textContent == 'one'")
    page.press("u")
    window.shows("one", "two")
    page.press("?")
    page.shows("dialog[open] kbd")
    page.press("Escape", windowsVirtualKeyCode=27)
    page.wait("!document.querySelector('dialog')")
    page.press("/")
    page.call("Input.insertText", text="TWO")
    window.shows("two")


def test_a_deleted_task_is_restored_from_the_trash(window: Window) -> None:
    window.add("Buy milk")
    window.open_details("Buy milk")
    window.page.click("#delete-task")
    window.shows()
    window.go("#/trash")
    window.shows("Buy milk")
    window.page.wait("document.querySelector('.trashed .meta')?.innerText.startsWith('Deleted ')")
    window.page.click(".restore")
    window.shows()
    window.go("#/all")
    window.shows("Buy milk")
    window.open_details("Buy milk")
    window.page.click("#delete-task")
    window.page.wait("document.querySelector('#toast').innerText.includes('to the trash')")
    window.page.click("#undo")
    window.shows("Buy milk")


def test_the_history_lists_old_and_new_values(window: Window) -> None:
    window.add("Buy milk")
    window.edit("Buy milk", "Buy oat milk")
    window.in_step()
    window.open_details("Buy oat milk")
    window.page.click(".history summary")
    window.page.wait("document.querySelector('.history').innerText.includes('Buy milk → Buy oat milk')")


def test_a_refused_change_is_reported_and_reverted(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    window.open_details("Buy milk")
    window.page.type("#tags", "x" * 51)
    window.page.press("Enter")
    window.page.wait("document.querySelector('#toast.failed').innerText == 'A tag can have at most 50 characters.'")
    assert window.page.run("document.querySelector('.row .tag') === null")
    assert window.page.run("document.querySelector('#tags').value") == "x" * 51


def test_the_theme_can_be_chosen(window: Window) -> None:
    for theme in ("light", "dark"):
        window.page.click("#theme")
        window.page.wait(f"document.documentElement.dataset.theme == '{theme}'")
    assert window.page.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(23, 22, 19)"


def test_the_root_redirects_browsers_and_lists_urls_for_other_clients(service: Server) -> None:
    answer = httpx.get(f"{service.url}/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/app")
    pointer = httpx.get(f"{service.url}/").json()
    assert pointer == pointer | {"docs": "/docs", "openapi": "/openapi.json", "app": "/app", "health": "/health"}
    for path in ("docs", "openapi", "app", "health"):
        assert httpx.get(service.url + pointer[path]).status_code == 200


def test_unsent_changes_of_a_closed_window_are_sent_by_the_next(window: Window) -> None:
    other = window.another()
    other.page.call("Network.setBlockedURLs", urls=["*/api/*"])
    other.add("from the closed window")
    waiting = "document.querySelector('#state').innerText.includes('1 to send')"
    other.page.wait(waiting)
    other.open("?reloaded")
    other.page.wait(waiting)
    other.page.call("Page.close")
    window.open("?again")
    window.shows("from the closed window")
    window.in_step()
    assert window.kept() == ["from the closed window"]
