"""Drafts in the web client: text is kept until the service has it, for its user alone."""

import json

import pytest

from tests.browser import Browser
from tests.servers import Server
from tests.web.window import Window

pytestmark = pytest.mark.slow

ADDING = ("#add", "#add-subtask", "#add-comment", "#new-project")
CHANGING = ("#title", "#notes", "#tags")
REFUSE = """(() => {
    const real = window.fetch;
    window.stopRefusing = () => (window.fetch = real);
    const errors = [{ loc: ["body"], msg: "Not today.", type: "x" }];
    const problem = { code: "validation_error", detail: "No.", errors };
    window.fetch = async (url, init) =>
        /api.me/.test(url) && init.method !== "GET" && !init.body?.includes("dry_run")
            ? Promise.resolve(window.held).then(() => new Response(JSON.stringify(problem), { status: 422 }))
            : real(url, init);
})()"""


def open_task(window: Window) -> None:
    """Loads the page with the details of the only task."""
    with window.api() as api:
        (task,) = api.get("/tasks").json()
    window.reload(f"#/all?task={task['id']}")
    window.page.shows("#notes")


def write(window: Window, field: str, text: str) -> None:
    if field == "#new-project":
        window.page.wait("!!document.querySelector('#new-project') || document.querySelector('.add-project').click()")
    window.page.wait(f"(document.querySelector('{field}').focus(), document.querySelector('{field}').select(), true)")
    window.page.call("Input.insertText", text=text)


def has(window: Window, field: str, text: str) -> None:
    window.page.wait(f"document.querySelector('{field}').value == {json.dumps(text)}")


def test_what_is_typed_survives_a_reload_a_logout_and_another_user(window: Window, service: Server) -> None:
    window.add("Buy milk")
    window.in_step()
    for field in (*ADDING, *CHANGING):
        open_task(window)
        write(window, field, f"typed in {field[1:]}")
        open_task(window)
        has(window, field, f"typed in {field[1:]}")
    mine = window.email
    window.log_out()
    window.register()
    window.add("Buy milk")
    open_task(window)
    fields = "JSON.stringify([...document.querySelectorAll('input, textarea')].map((one) => one.value))"
    assert "typed in" not in window.page.run(fields)
    window.log_out()
    window.email = mine
    window.log_in()
    open_task(window)
    for field in (*ADDING, *CHANGING):
        has(window, field, f"typed in {field[1:]}")
    assert window.kept() == ["Buy milk"]
    for _ in CHANGING:
        window.page.wait("(document.querySelector('.details .note .link').click(), true)")
    window.in_step()
    with window.api() as api:
        (task,) = api.get("/tasks").json()
    assert (task["title"], task["description"], task["tags"]) == tuple(
        text if field != "#tags" else [text] for field in CHANGING for text in [f"typed in {field[1:]}"]
    )
    # A refresh that is under way at the logout is refused.
    assert [one for one in window.complaints() if "401" not in one or "/auth/refresh" not in one] == []


def test_what_is_typed_survives_a_refusal_and_can_be_sent_again(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    open_task(window)
    window.page.run(REFUSE)
    for field in (*ADDING, *CHANGING):
        write(window, field, f"refused in {field[1:]}")
        window.page.press("Enter", modifiers=2) if field == "#notes" else window.page.press("Enter")
        window.page.wait(f"document.querySelector('{field}-note').innerText.includes('Not today.')")
        has(window, field, f"refused in {field[1:]}")
        assert window.page.run(f"document.querySelector('{field}').getAttribute('aria-invalid')") == "true"
    window.page.run("stopRefusing()")
    open_task(window)
    for field in ADDING:
        has(window, field, f"refused in {field[1:]}")
        window.page.wait(f"(document.querySelector('{field}').focus(), true)")
        window.page.press("Enter")
        window.page.wait(f"!document.querySelector('{field}')?.value")
    for field in CHANGING:
        write(window, field, f"taken in {field[1:]}")
        window.page.press("Enter", modifiers=2) if field == "#notes" else window.page.press("Enter")
    window.in_step()
    assert window.kept() == ["taken in title", "refused in add", "refused in add-subtask"]
    with window.api() as api:
        tasks = api.get("/tasks", params={"order": "asc"}).json()
        assert (tasks[0]["description"], tasks[0]["tags"]) == ("taken in notes", ["taken in tags"])
        comments = api.get(f"/tasks/{tasks[0]['id']}/comments").json()
        assert [one["body"] for one in comments] == ["refused in add-comment"]
        assert [one["name"] for one in api.get("/projects").json()] == ["refused in new-project"]
    assert window.page.run("Object.keys(localStorage).filter((key) => key.startsWith('todo.draft')).length") == 0


def test_a_refused_text_waits_while_its_field_holds_a_newer_one(window: Window) -> None:
    window.page.run(REFUSE)
    window.page.run("(window.held = new Promise((done) => (window.release = done)), 0)")
    window.page.type("#add", "first")
    window.page.press("Enter")
    window.page.type("#add", "second")
    window.page.run("release()")
    window.page.wait("document.querySelector('.quick-add .waits').innerText.includes('first')")
    has(window, "#add", "second")
    window.page.run("stopRefusing()")
    window.page.press("Enter")
    window.page.click(".quick-add .waits .link")
    has(window, "#add", "first")
    window.page.wait("(document.querySelector('#add').focus(), true)")
    window.page.press("Enter")
    window.shows("second", "first")
    window.in_step()
    assert window.kept() == ["second", "first"]


def test_a_comment_on_a_task_that_is_gone_comes_back_to_the_line_for_new_tasks(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    open_task(window)
    window.page.call("Network.setBlockedURLs", urls=["*/api/me/*"])
    write(window, "#add-comment", "with oats")
    window.page.press("Enter")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    with window.api() as api:
        (task,) = api.get("/tasks").json()
        assert api.delete(f"/tasks/{task['id']}").status_code == 204
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")
    has(window, "#add", "with oats")
    window.page.wait("document.querySelector('#add-note').innerText.trim() != ''")


LONGEST = [("#title", 200), ("#notes", 16_384), ("#add", 500), ("#add-comment", 5000)]


@pytest.mark.parametrize(("field", "most"), LONGEST)
def test_a_text_that_is_too_long_is_counted_and_kept(window: Window, field: str, most: int) -> None:
    window.add("Buy milk")
    window.in_step()
    open_task(window)
    long = ("word " * most)[:most] + "x"
    write(window, field, long[: most - 1])
    note = f"document.querySelector('{field}-note').innerText"
    window.page.wait(f"{note}.includes('{most - 1:,} of {most:,} characters')")
    window.page.call("Input.insertText", text=long[most - 1 :])
    window.page.wait(f"{note}.includes('1 too many')")
    window.page.press("Enter", modifiers=2) if field == "#notes" else window.page.press("Enter")
    has(window, field, long)
    window.page.wait("document.querySelector('#close-details')?.click() ?? true")
    assert window.kept() == ["Buy milk"]
    open_task(window)
    has(window, field, long)


def test_long_notes_are_kept(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    open_task(window)
    text = "\n".join("word " * 30 for _ in range(100))[:16_000].strip()
    write(window, "#notes", text)
    window.page.press("Enter", modifiers=2)
    window.in_step()
    with window.api() as api:
        assert api.get("/tasks").json()[0]["description"] == text


def test_typed_text_is_compared_with_what_stood_there_when_typing_began(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    open_task(window)
    write(window, "#notes", "mine")
    with window.api() as api:
        (task,) = api.get("/tasks").json()
        assert api.patch(f"/tasks/{task['id']}", json={"description": "theirs"}).status_code == 200
        window.page.wait("!document.querySelector('#toast') && document.querySelector('#announcements').innerText")
        window.page.press("Enter", modifiers=2)
        window.page.shows("dialog[open] table.conflict")
        assert "theirs" in window.page.text()
        assert api.get("/tasks").json()[0]["description"] == "theirs"
    open_task(window)
    has(window, "#notes", "mine")


def test_two_conflicts_are_decided_one_after_the_other(window: Window) -> None:
    window.add("one", "two")
    window.in_step()
    window.page.call("Network.setBlockedURLs", urls=["*/api/me/*"])
    window.edit("one", "my one")
    window.edit("two", "my two")
    with window.api() as api:
        for task in api.get("/tasks").json():
            assert api.patch(f"/tasks/{task['id']}", json={"title": f"their {task['title']}"}).status_code == 200
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")
    for _ in range(2):
        window.page.wait("(document.querySelector('#keep-mine').click(), true)")
    window.in_step()
    window.shows("my one", "my two")
    assert window.kept() == ["my one", "my two"]


def test_an_occurrence_that_was_completed_elsewhere_is_not_completed_twice(window: Window) -> None:
    with window.api() as api:
        body = {"title": "Water", "due_date": "2026-12-01", "recurrence": "FREQ=WEEKLY"}
        task = api.post("/tasks", json=body).json()
        window.shows("Water")
        window.page.call("Network.setBlockedURLs", urls=["*/api/me/*"])
        window.complete("Water")
        assert api.patch(f"/tasks/{task['id']}/complete", json={"completed": True}).status_code == 200
        window.page.call("Network.setBlockedURLs", urls=[])
        window.page.run("dispatchEvent(new Event('online'))")
        window.page.wait("document.querySelector('#toast').innerText.includes('next date elsewhere')")
        window.in_step()
        assert api.get(f"/tasks/{task['id']}").json()["due_date"] == "2026-12-08"


def test_what_is_typed_in_another_window_survives_the_logout_here(window: Window, browser: Browser) -> None:
    window.add("Buy milk")
    other = window.another()
    open_task(other)
    write(other, "#add-comment", "half a com")
    window.log_out()
    other.page.shows("input[name=password]")
    other.log_in()
    open_task(other)
    has(other, "#add-comment", "half a com")


def test_a_line_whose_title_is_too_long_is_kept_with_the_reason(window: Window) -> None:
    line = "x" * 201
    window.page.type("#add", line)
    window.page.wait("document.querySelector('#add-note').innerText == 'The title can have at most 200 characters.'")
    window.page.press("Enter")
    has(window, "#add", line)
    assert window.kept() == []
