"""Comments and saved views: changed, deleted and renamed, with undo and without losing words."""

import pytest

from tests.web.window import Window

pytestmark = pytest.mark.slow

EDIT = "[...document.querySelectorAll('.comment .link')].find((one) => one.innerText.startsWith('Edit')).click()"


@pytest.fixture
def commented(window: Window) -> Window:
    """Opens a task with a comment."""
    with window.api() as api:
        task = api.post("/tasks", json={"title": "Buy milk"}).json()
        assert api.post(f"/tasks/{task['id']}/comments", json={"body": "two litres"}).status_code == 201
    window.shows("Buy milk")
    window.open_details("Buy milk")
    window.page.wait("document.querySelector('.comment').innerText.includes('two litres')")
    return window


def bodies(window: Window) -> list[str]:
    with window.api() as api:
        (task,) = api.get("/tasks").json()
        return [one["body"] for one in api.get(f"/tasks/{task['id']}/comments").json()]


def change(window: Window, text: str) -> None:
    window.page.wait(f"({EDIT}, true)")
    window.page.wait("document.activeElement.matches('.comment textarea')")
    window.page.run("document.activeElement.select()")
    window.page.call("Input.insertText", text=text)
    window.page.press("Escape")


def test_a_comment_is_changed_deleted_and_restored(commented: Window) -> None:
    change(commented, "three litres")
    commented.page.wait("document.querySelector('.comment .meta')?.innerText.includes('changed')")
    commented.in_step()
    assert bodies(commented) == ["three litres"]
    for _ in range(2):  # asked once
        commented.page.wait("(document.querySelector('[id^=delete-comment]').click(), true)")
    commented.page.wait("!document.querySelector('.comment')")
    commented.in_step()
    assert bodies(commented) == []
    commented.page.click("#undo")
    commented.page.wait("document.querySelector('.comment').innerText.includes('three litres')")
    assert commented.complaints() == []


def test_two_changes_of_a_comment_are_decided_by_the_user(commented: Window) -> None:
    commented.page.call("Network.setBlockedURLs", urls=["*/api/me/*"])
    change(commented, "mine")
    with commented.api() as api:
        (task,) = api.get("/tasks").json()
        (comment,) = api.get(f"/tasks/{task['id']}/comments").json()
        path = f"/tasks/{task['id']}/comments/{comment['id']}"
        assert api.patch(path, json={"body": "theirs"}).status_code == 200
    commented.page.call("Network.setBlockedURLs", urls=[])
    commented.page.run("dispatchEvent(new Event('online'))")
    commented.page.shows("dialog[open] table.conflict")
    commented.page.click("#keep-mine")
    commented.in_step()
    assert bodies(commented) == ["mine"]


def test_a_view_is_renamed(window: Window) -> None:
    with window.api() as api:
        assert api.post("/views", json={"name": "“milk”", "parameters": {"search": "milk"}}).status_code == 201
        window.page.click("[aria-label^='Rename the view']")
        window.page.wait("document.activeElement.matches('.sidebar input') && document.activeElement.value == '“milk”'")
        window.page.call("Input.insertText", text="Everything about milk")
        window.page.press("Enter")
        window.page.wait("document.querySelector('.sidebar').innerText.includes('Everything about milk')")
        window.in_step()
        assert [one["name"] for one in api.get("/views").json()] == ["Everything about milk"]
    assert window.complaints() == []
