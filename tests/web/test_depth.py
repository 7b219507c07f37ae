"""Order, subtasks, projects, quick add and comments in the web client."""

import pytest

from tests.web.window import Window

pytestmark = pytest.mark.slow


def test_a_task_is_moved_by_dragging_and_by_keyboard(window: Window) -> None:
    window.add("one", "two", "three")
    window.in_step()
    window.drag("three", "one", above=True)
    window.shows("three", "one", "two")
    window.drag("three", "two", above=False)
    window.shows("one", "two", "three")
    window.page.wait(f"({window.row('two')}.querySelector('.title').focus(), true)")
    window.page.press("ArrowUp", modifiers=1)
    window.shows("two", "one", "three")
    window.in_step()
    with window.api() as api:
        rows = api.get("/tasks", params={"sort": "position", "order": "asc"}).json()
    assert [row["title"] for row in rows] == ["two", "one", "three"]
    window.page.click("#undo")
    window.shows("one", "two", "three")
    assert window.complaints() == []


def test_a_drop_next_to_a_concurrently_deleted_task_moves_nothing(window: Window) -> None:
    window.add("one", "two", "three")
    window.in_step()

    def delete_target() -> None:
        with window.api() as api:
            ids = {row["title"]: row["id"] for row in api.get("/tasks").json()}
            assert api.delete(f"/tasks/{ids['one']}").status_code == 204
        window.shows("two", "three")

    window.drag("three", "one", above=True, before_drop=delete_target)
    window.in_step()
    window.shows("two", "three")
    assert window.complaints() == []


def test_subtasks_are_shown_below_their_parent_and_completed_with_it(window: Window) -> None:
    window.add("Move house", "Buy milk")
    window.open_details("Move house")
    for step in ("Pack", "Clean"):
        window.page.type("#add-subtask", step)
        window.page.press("Enter")
    window.shows("Move house", "Pack", "Clean", "Buy milk")
    window.page.wait(f"{window.row('Pack')}.dataset.depth == '1'")
    window.complete("Pack")
    window.page.wait(f"{window.row('Move house')}.querySelector('.meta').innerText.includes('1/2')")
    window.complete("Move house")
    window.shows("Buy milk")
    window.in_step()
    window.page.click("#undo")
    window.shows("Move house", "Clean", "Buy milk")


def test_a_project_lists_its_tasks_and_is_deleted_with_them(window: Window) -> None:
    page = window.page
    page.click(".add-project")
    page.type(".new-project input", "Home office")
    page.press("Enter")
    page.wait("[...document.querySelectorAll('.sidebar .name')].some((one) => one.innerText == 'Home office')")
    window.in_step()
    page.wait(
        "([...document.querySelectorAll('.sidebar a')].find((one) => one.innerText.includes('Home')).click(), true)"
    )
    page.wait("document.querySelector('h1').innerText == 'Home office'")
    window.add("Buy a chair")
    window.shows("Buy a chair")
    window.in_step()
    with window.api() as api:
        (project,) = api.get("/projects").json()
        assert api.get("/tasks").json()[0]["project_id"] == project["id"]
    page.click("#delete-project")
    page.click("#delete-project")
    window.shows()
    window.in_step()
    page.click("#undo")
    window.shows("Buy a chair")
    window.page.wait(f"{window.row('Buy a chair')}.querySelector('.meta').innerText.includes('Home office')")


def test_a_project_is_archived_and_restored(window: Window) -> None:
    page = window.page
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garden"}).json()
        api.post("/tasks", json={"title": "Buy bulbs", "project_id": project["id"]})
    window.go(f"#/project/{project['id']}")
    window.shows("Buy bulbs")
    page.click("#archive-project")
    page.wait("document.querySelector('.archive a').innerText.includes('Garden')")
    window.in_step()
    window.open(f"?again#/project/{project['id']}")
    window.shows("Buy bulbs")
    with window.api() as api:
        assert api.get("/projects").json() == []
    page.wait("document.querySelector('#archive-project').innerText == 'Bring back'")
    page.click("#archive-project")
    page.wait("document.querySelector('.archive') === null")
    window.in_step()
    with window.api() as api:
        assert [one["name"] for one in api.get("/projects").json()] == ["Garden"]
    assert window.complaints() == []


def test_a_tag_is_renamed_merged_and_deleted(window: Window) -> None:
    page = window.page
    with window.api() as api:
        for title, tag in (("Buy bulbs", "garden/bed"), ("Water the roses", "plants")):
            api.post("/tasks", json={"title": title, "tags": [tag]})
        done = api.post("/tasks", json={"title": "Dig", "tags": ["digging"]}).json()
        api.patch(f"/tasks/{done['id']}/complete", json={"completed": True})
    window.go("#/tag/garden%2Fbed")
    window.shows("Buy bulbs")
    for new in ("flowers", "digging"):
        page.click("#rename-tag")
        page.shows("form.tools input")
        page.run("document.querySelector('form.tools input').select()")
        page.call("Input.insertText", text=new)
        page.press("Enter")
        window.in_step()
    page.click("#merge-tag")
    page.wait("document.querySelector('h1').innerText == '@digging'")
    window.shows("Buy bulbs")
    window.in_step()
    with window.api() as api:
        assert [(tag["name"], tag["count"]) for tag in api.get("/tags").json()] == [("digging", 2), ("plants", 1)]
    assert "elsewhere" not in page.run("document.querySelector('#announcements').textContent")
    page.click("#delete-tag")
    page.click("#delete-tag")
    window.shows("Buy bulbs", "Water the roses")
    window.in_step()
    with window.api() as api:
        assert [tag["name"] for tag in api.get("/tags").json()] == ["plants"]
    assert window.complaints() == []


def test_quick_add_shows_the_parsed_fields_while_typing(window: Window) -> None:
    window.page.type("#add", "Pay rent every month on the 1st #flat p:high @bank")
    window.page.wait("document.querySelectorAll('.understood .span').length >= 4")
    assert "every month on day 1" in window.page.run("document.querySelector('.understood').innerText")
    window.page.press("Enter")
    window.shows("Pay rent")
    window.in_step()
    for word in ("high", "@bank", "flat"):
        window.page.wait(f"document.querySelector('.row .meta').innerText.includes('{word}')")


def test_comments_are_saved_and_shown_in_other_windows(window: Window) -> None:
    other = window.another()
    window.add("Buy milk")
    window.open_details("Buy milk")
    other.open_details("Buy milk")
    window.page.type("#add-comment", "<b>two</b> litres")
    window.page.press("Enter")
    other.page.wait("document.querySelector('.comment p').innerText == '<b>two</b> litres'")
