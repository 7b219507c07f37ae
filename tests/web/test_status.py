"""The status of a task in the web client."""

import json

from tests.web.window import Window


def choose(window: Window, status: str) -> None:
    window.page.run(
        f"(() => {{ const field = document.querySelector('#status'); field.value = {json.dumps(status)};"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_a_task_waits_is_cancelled_and_comes_back(window: Window) -> None:
    page = window.page
    with window.api() as api:
        parent = api.post("/tasks", json={"title": "Move house"}).json()["id"]
        below = api.post("/tasks", json={"title": "Book a van", "parent_id": parent}).json()["id"]

        def statuses() -> list[str]:
            window.in_step()
            return [api.get(f"/tasks/{task_id}").json()["status"] for task_id in (parent, below)]

        window.open_details("Move house")
        choose(window, "waiting")
        page.wait(f"{window.row('Move house')}.innerText.includes('waiting')")
        assert statuses() == ["waiting", "pending"]
        choose(window, "cancelled")
        window.shows()
        assert statuses() == ["cancelled", "cancelled"]
        page.wait("document.querySelector('.toast').innerText.includes('cancelled')")
        page.wait(
            "[...document.querySelectorAll('.toast button')].find((each) => each.innerText == 'Undo').click() ?? true"
        )
        window.shows("Move house", "Book a van")
        assert statuses() == ["waiting", "pending"]
        choose(window, "completed")
        window.shows()
        assert statuses() == ["completed", "completed"]
        choose(window, "in_progress")
        page.wait(f"{window.row('Move house')}.innerText.includes('in progress')")
        assert statuses() == ["in_progress", "completed"]
        window.go("#/all?status=in_progress")
        window.shows("Move house")
    assert window.complaints() == []
