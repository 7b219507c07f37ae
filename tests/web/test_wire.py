"""The requests of the web client: rows named by itself, one snapshot, one batch."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.db.connection_options import ConnectOptions
from app.schemas.batch import OPERATION_SHAPES
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
        if (answer.ok && window.losing > 0 && path.startsWith(window.fragile ?? "/") && window.losing--)
            throw new TypeError("the line is dead");
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
    uids = set(re.findall(r'"uid": "([^"]+)"', json.dumps(sent(window))))
    assert len(uids) == 5
    with window.api() as api:
        tasks = api.get("/tasks").json()
        parent = next(task for task in tasks if task["title"] == "Move house")
        rows = [
            *tasks,
            *api.get("/projects").json(),
            *api.get("/views").json(),
            *api.get(f"/tasks/{parent['id']}/comments").json(),
        ]
    assert {row["uid"] for row in rows} == uids
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
    window.page.wait("document.querySelector('.tally').innerText == '200 of 2,000 tasks'")
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


BLOCKED = ["*/api/me/events*", "*/api/me/changes*", "*/api/me/tasks*", "*/api/me/batch*"]


def block(window: Window) -> None:
    window.page.call("Network.setBlockedURLs", urls=BLOCKED)


def unblock(window: Window, *, waiting: int) -> None:
    """Connects the client again, once that many writes wait."""
    window.page.wait(f"document.querySelector('#state').innerText.includes('{waiting} to send')")
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("window.sent.length = 0; dispatchEvent(new Event('online'))")
    window.in_step()


def write_offline(window: Window) -> None:
    """Writes about rows that the service does not know yet."""
    window.add("first", "Move house")
    window.open_details("Move house")
    for selector, text in (("#add-subtask", "Pack"), ("#add-comment", "by Friday")):
        window.page.type(selector, text)
        window.page.press("Enter")
    window.close_details()
    window.shows("first", "Move house", "Pack")
    window.page.wait(f"{window.row('Pack')}.dataset.depth == '1'")  # below a parent without an id
    window.complete("Pack")


def test_what_was_written_offline_is_sent_as_one_batch(window: Window) -> None:
    record(window)
    block(window)
    write_offline(window)
    unblock(window, waiting=5)
    first, batch = sent(window)
    assert (first["path"], first["body"]["text"]) == ("/tasks/quick", "first")
    assert (batch["path"], batch["body"]["atomic"]) == ("/batch", False)
    names = [one["operation"] for one in batch["body"]["operations"]]
    assert names == ["quick_add_task", "create_task", "create_comment", "complete_task"]
    house, pack, comment, complete = [one["arguments"] for one in batch["body"]["operations"]]
    assert pack["parent_uid"] == comment["task_uid"] == house["uid"]
    assert complete["task_uid"] == pack["uid"]
    assert "parent_id" not in pack
    assert batch["key"]
    with window.api() as api:
        rows = {task["title"]: task for task in api.get("/tasks").json()}
        assert rows["Pack"]["parent_id"] == rows["Move house"]["id"]
        assert rows["Pack"]["completed"]
        comments = api.get(f"/tasks/{rows['Move house']['id']}/comments").json()
        assert [one["body"] for one in comments] == ["by Friday"]
    window.shows("first", "Move house")
    window.page.click("#undo")
    window.shows("first", "Move house", "Pack")
    window.in_step()


def test_a_batch_without_a_response_is_repeated_unchanged(window: Window) -> None:
    record(window)
    block(window)
    write_offline(window)
    window.page.run("Object.assign(window, {losing: 1, fragile: '/batch'}); 0")
    unblock(window, waiting=5)
    window.page.wait("window.sent.filter((one) => one.path == '/batch').length == 2")
    _, lost, repeated = sent(window)
    assert lost == repeated
    window.shows("first", "Move house")
    assert sorted(window.kept()) == ["Move house", "Pack", "first"]
    assert window.page.run("document.querySelector('#toast.failed')") is None


def test_a_lost_batch_is_repeated_unchanged_after_a_reload(window: Window) -> None:
    """What is written meanwhile does not join it, and undo takes nothing out of it."""
    record(window)
    block(window)
    write_offline(window)
    window.page.run("Object.assign(window, {losing: 9, fragile: '/batch'}); 0")
    window.page.wait("document.querySelector('#state').innerText.includes('5 to send')")
    window.page.call("Network.setBlockedURLs", urls=["*/api/me/events*", "*/api/me/changes*"])
    window.page.run("dispatchEvent(new Event('online'))")
    window.page.wait("window.losing < 9")
    window.page.press("u")
    window.page.wait("document.querySelector('#toast').innerText.includes('Not yet')")
    window.add("later")
    batches = [one for one in sent(window) if one["path"] == "/batch"]
    window.page.call("Network.setBlockedURLs", urls=[])
    window.open("?again")
    window.shows("first", "Move house", "later")
    window.in_step()
    assert {len(one["body"]["operations"]) for one in batches} == {4}
    assert sorted(window.kept()) == ["Move house", "Pack", "first", "later"]
    assert window.kept(status="completed") == ["Pack"]


def test_a_batch_keeps_concurrent_changes_of_other_fields(window: Window) -> None:
    window.add("Buy milk")
    window.in_step()
    record(window)
    block(window)
    window.add("first", "last")
    window.edit("Buy milk", "Buy oat milk")
    with window.api() as api:
        task = api.get("/tasks").json()[0]
        assert api.patch(f"/tasks/{task['id']}", json={"description": "two litres"}).status_code == 200
    unblock(window, waiting=3)
    _, batch, again = sent(window)
    stale = batch["body"]["operations"][1]
    assert stale["operation"] == "update_task"
    assert stale["if_match"] == task["version"]
    assert (again["method"], again["path"]) == ("PATCH", f"/tasks/{task['id']}")
    with window.api() as api:
        rows = {one["title"]: one["description"] for one in api.get("/tasks").json()}
    assert rows == {"Buy oat milk": "two litres", "first": None, "last": None}


def test_a_refused_write_of_a_batch_leaves_the_others(window: Window) -> None:
    with window.api() as api:
        task = api.post("/tasks", json={"title": "goes"}).json()
        window.shows("goes")
        record(window)
        block(window)
        window.add("first", "last")
        window.edit("goes", "renamed")
        api.delete(f"/tasks/{task['id']}")
    unblock(window, waiting=3)
    window.page.shows("#toast.failed")
    window.shows("first", "last")
    assert window.kept() == ["first", "last"]


def test_the_outbox_of_an_older_version_is_sent(window: Window) -> None:
    """It has no names of operations and no uids, and each write may have arrived under its key."""
    draft = {"completed": False, "tags": [], "reminders": [], "priority": "medium", "version": 0}
    draft |= dict.fromkeys(["description", "completed_at", "due_date", "project_id", "recurrence", "series_id"])
    house = {"entity": "task", "id": -5, "create": {**draft, "title": "Move house", "parent_id": None, "position": "~"}}
    ops: list[dict[str, Any]] = [
        {"method": "POST", "path": "/tasks/quick", "body": {"text": "Move house"}, "creates": -5, "overlay": [house]},
        {"method": "POST", "path": "/tasks", "body": {"title": "Pack", "parent_id": -5}, "creates": -6},
        {
            "method": "PATCH",
            "path": "/tasks/{id}",
            "id": -5,
            "body": {"priority": "high"},
            "before": {"priority": None},
        },
        {"method": "POST", "path": "/tasks/{id}/comments", "id": -5, "body": {"body": "by Friday"}, "creates": -7},
    ]
    for number, op in enumerate(ops):
        entity = "comment" if op["path"].endswith("comments") else "task"
        op.update({"key": f"old-{number}-{window.email[:8]}", "tries": 0, "entity": entity, "label": "Added"})
    with window.api() as api:  # this one arrived
        body, key = ops[0]["body"], ops[0]["key"]
        assert api.post("/tasks/quick", json=body, headers={"Idempotency-Key": key}).status_code == 201
    owner = window.page.run("JSON.parse(localStorage.getItem('todo.user')).id")
    window.page.run(f"localStorage.setItem('todo.queue.{owner}.old', {json.dumps(json.dumps(ops))})")
    window.open("?again")
    window.shows("Move house", "Pack")
    window.in_step()
    with window.api() as api:
        pack, house = api.get("/tasks").json()
        assert (pack["title"], pack["parent_id"]) == ("Pack", house["id"])
        assert (house["title"], house["priority"]) == ("Move house", "high")
        assert len(api.get(f"/tasks/{house['id']}/comments").json()) == 1
    assert window.page.run("Object.keys(localStorage).filter((key) => key.startsWith('todo.queue.')).length") == 0


def test_every_operation_that_the_client_names_exists() -> None:
    source = Path("app/static/app/batch.js").read_text()
    named = dict(re.findall(r'"([A-Z]+ /\S*)": "(\w+)"', source))
    assert len(named) == source.count(': "')
    assert set(named.values()) <= set(OPERATION_SHAPES)
    routes = json.loads(Path("docs/openapi.json").read_text())["paths"]
    for route, operation in named.items():
        method, path = route.split()
        shape = re.sub(r"\{\w+\}", "{}", f"/api/{{user_id}}{path}")
        found = [each for name, each in routes.items() if re.sub(r"\{\w+\}", "{}", name) == shape]
        assert [each[method.lower()]["operationId"] for each in found] == [operation]
