"""Duplicating tasks and projects in the web client, with undo."""

from tests.web.window import Window


def press(window: Window, selector: str) -> None:
    window.page.shows(selector)
    window.page.wait(f"document.querySelector('{selector}').click() ?? true")


def undo(window: Window, words: str) -> None:
    window.page.wait(f"document.querySelector('.toast')?.innerText.includes('{words}')")
    press(window, "#undo")


def test_a_task_is_duplicated_with_its_subtasks(window: Window) -> None:
    with window.api() as api:
        root = api.post("/tasks", json={"title": "Pack", "tags": ["trip"]}).json()["id"]
        api.post("/tasks", json={"title": "Socks", "parent_id": root})
        api.post("/tasks", json={"title": "Fly"})
        window.open_details("Pack")
        press(window, "#duplicate-task")
        window.shows("Pack", "Socks", "Pack", "Socks", "Fly")
        undo(window, "Duplicated")
        window.shows("Pack", "Socks", "Fly")
        window.in_step()
        assert len(api.get("/tasks").json()) == 3
    assert window.complaints() == []


def test_a_project_is_duplicated_and_shown(window: Window) -> None:
    page = window.page
    with window.api() as api:
        project = api.post("/projects", json={"name": "Trip", "color": "#b4552d"}).json()["id"]
        api.post("/tasks", json={"title": "Pack", "project_id": project})
        window.go(f"#/project/{project}")
        press(window, "#duplicate-project")
        page.wait("document.querySelector('h1').innerText == 'Trip (copy)'")
        window.shows("Pack")
        window.in_step()
        assert [row["name"] for row in api.get("/projects").json()] == ["Trip", "Trip (copy)"]
        undo(window, "Duplicated the project")
        page.wait("document.querySelectorAll(\".sidebar a[href*='project/']\").length == 1")
        window.in_step()
        assert [row["name"] for row in api.get("/projects").json()] == ["Trip"]
    assert window.complaints() == []
