"""The page of what happened: in words, by day, with the undo of every write, as far back as changes are kept."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from app.db.connection_options import ConnectOptions
from tests.web.looks import FAULTS, SIZES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

ENTRIES = (
    "[...document.querySelectorAll('.activity li[data-revision] .words > p:first-child')].map((one) => one.innerText)"
)
MACHINE_WORDS = re.compile(r"\w_\w|\d{4}-\d\d-\d\dT|[{}\[\]]|\bnull\b|\bapi\b|\bmcp\b")


def shows(window: Window, *entries: str) -> None:
    """Waits until exactly these writes are listed, newest first."""
    window.page.wait(f"JSON.stringify({ENTRIES}) == JSON.stringify({json.dumps(entries)})")


def undo(window: Window, entry: str) -> None:
    row = f"[...document.querySelectorAll('.activity li')].find((one) => one.innerText.includes({json.dumps(entry)}))"
    window.page.wait(f"({row}.querySelector('.undo').click(), true)")


def prune(postgres: ConnectOptions, user: str, revision: int) -> None:
    """Keeps the changes after this revision only."""

    async def delete() -> None:
        connection = await asyncpg.connect(**postgres.arguments())
        try:
            await connection.execute("delete from changes where user_id = $1 and revision <= $2", user, revision)
            await connection.execute("update users set pruned_revision = $2 where id = $1", user, revision)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, delete()).result()


def test_every_write_is_told_and_can_be_undone(window: Window) -> None:
    with window.api() as api:
        project = api.post("/projects", json={"name": "Home"}).json()["id"]
        ids = [api.post("/tasks", json={"title": title}).json()["id"] for title in ("Alpha", "Beta", "Gamma")]
        body = {"due_date": "2031-05-01T09:00:00Z", "priority": "high", "project_id": project, "estimate_minutes": 90}
        api.patch(f"/tasks/{ids[0]}", json=body)
        api.post(f"/tasks/{ids[1]}/comments", json={"body": "why"})
        api.post("/tasks/bulk", json={"ids": ids, "action": "complete"})
        api.post(f"/tasks/{ids[2]}/move", json={"before": ids[0]})
    window.go("#/activity")
    told = ["Changed “Gamma”", "Completed “Alpha” and 2 more", "Added a comment", "Changed “Alpha”"]
    made = ["Added “Gamma”", "Added “Beta”", "Added “Alpha”", "Added the project “Home”"]
    shows(window, *told, *made)
    assert window.page.run("document.querySelector('.activity h2').innerText") == "Today"
    window.page.wait("document.querySelector('#activity-end').innerText == 'This is where it began.'")
    window.page.run("for (const one of document.querySelectorAll('.activity summary')) one.click()")
    window.page.wait("document.querySelector('main').innerText.includes('estimate: nothing → 1 h 30 min')")
    window.page.wait("document.querySelector('main').innerText.includes('Its place in the list')")
    text = window.page.run("document.querySelector('main').innerText")
    assert "project: Inbox → Home" in text
    assert MACHINE_WORDS.findall(text) == []
    undo(window, "Completed “Alpha”")
    shows(window, "Reopened “Alpha” and 2 more", *told, *made)
    window.page.wait("document.querySelectorAll('.activity li[data-revision]')[2].innerText.includes('Undone')")
    window.in_step()
    assert len(window.kept(status="pending")) == 3
    undo(window, "Added a comment")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone: Added a comment')")
    undo(window, "Added “Beta”")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone: Added “Beta”')")
    window.in_step()
    assert window.kept() == ["Alpha", "Gamma"]
    assert window.complaints() == []


def test_it_pages_back_as_far_as_changes_are_kept(window: Window, postgres: ConnectOptions) -> None:
    with window.api() as api:
        user = api.post("/tasks", json={"title": "First"}).json()["user_id"]
        many = [{"operation": "create_task", "arguments": {"title": f"Task {number}"}} for number in range(60)]
        answer = api.post("/batch", json={"atomic": False, "operations": many})
        assert answer.status_code == 200, answer.text

    prune(postgres, user, 7)
    window.go("#/activity")
    window.page.wait(f"{ENTRIES}.length == 54")
    window.page.wait("document.querySelector('#activity-end').innerText == 'Earlier changes are not kept.'")
    assert window.page.run(f"{ENTRIES}.at(-1)") == "Added “Task 6”"


def test_it_begins_anew_when_what_it_goes_on_from_is_no_longer_kept(window: Window, postgres: ConnectOptions) -> None:
    with window.api() as api:
        user = api.post("/tasks", json={"title": "First"}).json()["user_id"]
        window.go("#/activity")
        shows(window, "Added “First”")
        prune(postgres, user, 2)
        for title in ("Second", "Third"):
            api.post("/tasks", json={"title": title})
    shows(window, "Added “Third”")
    window.page.wait("document.querySelector('#activity-end').innerText == 'Earlier changes are not kept.'")


def test_without_the_service_it_says_so(window: Window) -> None:
    window.add("Alpha")
    window.go("#/activity")
    shows(window, "Added “Alpha”")
    window.page.call(
        "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
    )
    window.page.run("import(document.querySelector('script[type=module]').src.replace('main.js', 'store.js'))"
                    ".then(({store, redraw}) => { store.online = false; redraw(); return true; })")  # fmt: skip
    window.page.wait("document.querySelector('main').innerText.includes('which cannot be reached now')")
    shows(window, "Added “Alpha”")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits(window: Window, width: int, height: int) -> None:
    with window.api() as api:
        task = api.post("/tasks", json={"title": "A task with quite a long title that goes over several lines"}).json()
        api.patch(f"/tasks/{task['id']}", json={"title": "Another title of about the same length, for this task"})
    Look(width, height).apply(window)
    window.go("#/activity")
    window.page.wait(f"{ENTRIES}.length == 2")
    window.page.click(".activity summary")
    window.page.shows(".activity ins")
    assert json.loads(window.page.run(FAULTS)) == []
