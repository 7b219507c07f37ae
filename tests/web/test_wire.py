"""What the web client sends: rows named by itself, one snapshot, one batch."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from app.db.connection_options import ConnectOptions
from tests.servers import Server
from tests.web.window import Window

pytestmark = pytest.mark.slow

# Records each write, and lets the test lose responses.
RECORD = """(() => {
    const real = window.fetch;
    window.sent = [];
    window.losing = 0;
    window.fetch = async (url, init) => {
        const path = new URL(url).pathname.replace(/^.*api\\/me/, "");
        if (init?.method === "GET" || init?.body?.includes("dry_run")) return real(url, init);
        const body = init.body ? JSON.parse(init.body) : null;
        window.sent.push({method: init.method, path, body, key: init.headers["Idempotency-Key"]});
        const answer = await real(url, init);
        if (window.losing-- > 0) throw new TypeError("the line is dead");
        return answer;
    };
})()"""


def record(window: Window) -> None:
    window.page.run(RECORD)


def sent(window: Window) -> list[Any]:
    return list(json.loads(window.page.run("JSON.stringify(window.sent)")))


def test_each_new_row_has_a_uid_of_the_client(window: Window) -> None:
    record(window)
    window.add("Move house")
    window.open_details("Move house")
    for selector, text in (("#add-subtask", "Pack"), ("#add-comment", "by Friday")):
        window.page.type(selector, text)
        window.page.press("Enter")
    window.page.click(".add-project")
    window.page.type(".new-project input", "Garden")
    window.page.press("Enter")
    window.go("#/all?search=house")
    button = "[...document.querySelectorAll('button.link')].find((one) => one.innerText == 'Keep as view')"
    window.page.wait(f"({button}.click(), true)")
    window.in_step()
    created = [one for one in sent(window) if one["method"] == "POST" and "uid" in (one["body"] or {})]
    assert len({one["body"]["uid"] for one in created}) == 5
    with window.api() as api:
        tasks = api.get("/tasks").json()
        parent = next(task for task in tasks if task["title"] == "Move house")
        rows = [
            *tasks,
            *api.get("/projects").json(),
            *api.get("/views").json(),
            *api.get(f"/tasks/{parent['id']}/comments").json(),
        ]
    assert {row["uid"] for row in rows} == {one["body"]["uid"] for one in created}
    assert window.complaints() == []


def test_a_creation_repeated_without_its_key_takes_the_row_that_is_there(window: Window) -> None:
    record(window)
    window.page.run("""(() => {
        const counted = window.fetch;
        window.fetch = (url, init) => {
            if (init?.headers?.["Idempotency-Key"]) init.headers["Idempotency-Key"] += window.sent.length; // expired
            return counted(url, init);
        };
        window.losing = 1;
    })()""")
    window.add("only once")
    window.page.wait("window.sent.length >= 2")
    window.in_step()
    first, second = sent(window)[:2]
    assert first["body"] == second["body"]
    assert first["key"] != second["key"]
    window.shows("only once")
    assert window.kept() == ["only once"]
    assert window.page.run("document.querySelector('#toast.failed')") is None
    window.complete("only once")  # its id is known
    window.in_step()
    assert window.kept(status="completed") == ["only once"]


def fill(window: Window, *, done: int, opened: int, comments: int) -> None:
    """Creates tasks, with comments on the first one that is open."""
    titles = [f"done {number}" for number in range(done)] + [f"open {number}" for number in range(opened)]
    operations: list[Any] = [
        {
            "operation": "create_task",
            "arguments": {"title": title, "uid": title.replace(" ", "-"), "completed": at < done},
        }
        for at, title in enumerate(titles)
    ]
    operations += [
        {"operation": "create_comment", "arguments": {"task_uid": "open-0", "body": f"by Friday {number}"}}
        for number in range(comments)
    ]
    with window.api() as api:
        for first in range(0, len(operations), 500):
            body = {"atomic": False, "operations": operations[first : first + 500]}
            results = api.post("/batch", json=body, timeout=60).json()["results"]
            assert {result["status"] for result in results} == {201}


def reads(window: Window, since: int) -> list[str]:
    urls = [one["request"]["url"] for one in window.page.seen("Network.requestWillBeSent")[since:]]
    return [url.partition("/api/me")[2] for url in urls if "/api/me" in url]


def test_the_first_load_is_a_snapshot_without_the_done_tasks(window: Window, address: str) -> None:
    window.page.open(f"{address}/health")
    fill(window, done=2000, opened=20, comments=10)
    asked = len(window.page.seen("Network.requestWillBeSent"))
    loaded = len(window.page.seen("Network.loadingFinished"))
    window.open()
    window.in_step()
    lists = [path for path in reads(window, asked) if not path.startswith("/events")]
    snapshot, done, later = lists
    assert snapshot == "/changes?snapshot=true&completed=false&limit=1000"
    assert done == "/tasks?status=completed&sort=completed_at&order=desc&limit=100"
    assert later.startswith("/changes?since=")
    fetched = {
        one["requestId"]: one["encodedDataLength"] for one in window.page.seen("Network.loadingFinished")[loaded:]
    }
    requests = window.page.seen("Network.requestWillBeSent")[asked:]
    api = [fetched.get(one["requestId"], 0) for one in requests if "/api/me" in one["request"]["url"]]
    assert sum(api) < 100_000  # 130 rows of 500 bytes, and 30 as changes
    window.open_details("open 0")
    window.page.wait("document.querySelectorAll('.comment').length == 10")
    window.go("#/done")
    window.page.wait("document.querySelectorAll('.row').length == 100")
    window.page.click(".more")
    window.page.wait("document.querySelectorAll('.row').length == 200")
    assert window.complaints() == []


def test_a_snapshot_of_several_pages_is_read_to_its_end(window: Window, address: str) -> None:
    window.page.open(f"{address}/health")
    fill(window, done=0, opened=1, comments=1000)
    with window.api() as api:
        assert api.post("/views", json={"name": "the last row", "parameters": {"search": "x"}}).status_code == 201
    asked = len(window.page.seen("Network.requestWillBeSent"))
    window.open()
    window.in_step()
    first, second = [path for path in reads(window, asked) if "snapshot=true" in path]
    assert second.startswith(f"{first}&cursor=")
    window.page.wait("document.querySelector('.sidebar').innerText.includes('the last row')")


def test_a_client_that_was_away_for_too_long_begins_again_with_a_snapshot(
    window: Window, service: Server, postgres: ConnectOptions
) -> None:
    """Deletions among the changes that were pruned are seen by what the snapshot lacks."""
    window.add("stays", "goes")
    window.shows("stays", "goes")
    window.in_step()
    with window.api() as api:
        ids = {task["title"]: task["id"] for task in api.get("/tasks").json()}
    service.stop()
    try:
        asyncio.run(forget(postgres.dsn, ids["goes"]))
    finally:
        service.start()
    asked = len(window.page.seen("Network.requestWillBeSent"))
    window.page.run("dispatchEvent(new Event('online'))")
    window.shows("stays")
    window.in_step()
    window.add("after")
    window.shows("stays", "after")
    assert any(path.startswith("/changes?snapshot=true") for path in reads(window, asked))


async def forget(dsn: str, task_id: int) -> None:
    """Deletes a task permanently, and prunes the change that this is."""
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        owner = await connection.fetchval("delete from tasks where id = $1 returning user_id", task_id)
        await connection.execute("delete from changes where user_id = $1", owner)
        await connection.execute(
            "update users set revision = revision + 1, pruned_revision = revision + 1 where id = $1", owner
        )
    await connection.close()
