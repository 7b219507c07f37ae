"""The tools over MCP, called by the official client through a real socket."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from app.assistant.tools import TOOLS_BY_NAME
from app.db.connection_options import ConnectOptions
from tests.servers import Server, running
from tests.support import Person, assert_problem, make_token

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(postgres: ConnectOptions, migrated: str) -> Iterator[Server]:
    with running(postgres.dsn) as started:
        yield started


@asynccontextmanager
async def agent(server: Server, token: str, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def call(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


async def refused(client: Client, name: str, /, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return json.loads(result.content[0].text)  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_lists_and_calls_every_tool(server: Server, alice: Person, mode: str) -> None:
    """The client validates each result against the tool's output schema."""
    async with agent(server, make_token(alice.subject), mode) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == list(TOOLS_BY_NAME)
        called = set()

        async def use(name: str, /, **arguments: Any) -> Any:
            called.add(name)
            return await call(client, name, **arguments)

        added = await use("add_task", title="Buy milk", priority="high", due_date="2030-12-01", tags=["errands"])
        task_id = added["task_id"]
        assert added == {"task_id": task_id, "uid": added["uid"], "status": "created", "title": "Buy milk"}
        line = {"id": task_id, "title": "Buy milk", "completed": False, "priority": "high", "due_date": "2030-12-01"}
        line |= {"uid": added["uid"], "tags": ["errands"], "status": "pending", "start_date": None, "deadline": None}
        assert await use("list_tasks", status="pending") == {"tasks": [line], "next_cursor": None}
        assert await use("search_tasks", query="MILK") == {"tasks": [line], "next_cursor": None}
        assert (await use("get_task", task_id=task_id))["description"] is None
        assert (await use("update_task", task_id=task_id, title="Buy oat milk", due_date=None))["status"] == "updated"
        assert (await use("complete_task", task_id=task_id))["status"] == "completed"
        assert (await use("complete_task", task_id=task_id, completed=False))["status"] == "reopened"
        assert (await use("delete_task", task_id=task_id))["status"] == "deleted"
        assert [task["id"] for task in (await use("list_trash"))["tasks"]] == [task_id]
        assert (await use("restore_task", task_id=task_id))["status"] == "restored"
        undone = await use("undo_last")
        assert undone["changes"] == [
            {"task_id": task_id, "uid": added["uid"], "status": "deleted", "title": "Buy oat milk"}
        ]
        assert await use("empty_trash") == {"status": "emptied", "deleted": 1}

        made = await use("create_project", name="Home")
        project_id = made["project_id"]
        line = {"id": project_id, "uid": made["uid"], "name": "Home", "color": None, "favorite": False}
        assert await use("list_projects") == {"projects": [line | {"parent_id": None, "archived": False}]}
        assert (await use("update_project", project_id=project_id, name="House"))["name"] == "House"
        assert (await use("delete_project", project_id=project_id))["status"] == "deleted"
        assert await use("undo_last") == {
            "status": "undone",
            "changes": [{"project_id": project_id, "uid": made["uid"], "status": "restored", "name": "House"}],
            "total": 1,
        }
        await calls_the_rest(use, alice, project_id)
        assert called == set(TOOLS_BY_NAME)


async def calls_the_rest(use: Any, alice: Person, project_id: int) -> None:
    """Calls the tools for quick add, order, series, comments, tags and statistics."""
    made = await use("quick_add", text="Pay rent every month on the 1st #house p:high @bank")
    rent = made["task_id"]
    assert (made["status"], made["title"]) == ("created", "Pay rent")
    assert {piece["field"] for piece in made["understood"]} == {"recurrence", "project", "priority", "tags"}
    task = await use("get_task", task_id=rent)
    assert (task["project_id"], task["priority"], task["tags"]) == (project_id, "high", ["bank"])
    skipped = await use("skip_task", task_id=rent)
    assert (skipped["status"], skipped["title"]) == ("skipped", "Pay rent")
    assert skipped["due_date"] > task["due_date"]
    other = (await use("add_task", title="Call", tags=["bank", "calls"], project_id=None, due_date=None))["task_id"]
    moved = await use("move_task", task_id=other, before=rent)
    assert moved == {"task_id": other, "uid": moved["uid"], "status": "moved", "title": "Call"}
    moved = await use("move_task", task_id=other, parent_id=rent)
    assert moved["status"] == "moved"
    assert (await use("get_task", task_id=other))["parent_id"] == rent

    written = await use("add_comment", task_id=other, body="Ask for the new rate")
    comment = written["comment_id"]
    assert written == {"comment_id": comment, "uid": written["uid"], "task_id": other, "status": "created"}
    listed = await use("list_comments", task_id=other)
    assert [(line["id"], line["body"]) for line in listed["comments"]] == [(comment, "Ask for the new rate")]
    gone = {"comment_id": comment, "uid": written["uid"], "task_id": other, "status": "deleted"}
    assert await use("undo_last") == {"status": "undone", "changes": [gone], "total": 1}
    assert (await use("list_comments", task_id=other))["comments"] == []

    counted = {"tags": [{"name": "bank", "count": 2, "open": 2, "color": None}], "next_cursor": None}
    counted["tags"].append({"name": "calls", "count": 1, "open": 1, "color": None})  # type: ignore[union-attr]
    assert await use("list_tags") == counted
    page = await use("list_tags", limit=1)
    assert (await use("list_tags", limit=1, cursor=page["next_cursor"]))["tags"] == counted["tags"][1:]  # type: ignore[index]
    assert await use("rename_tag", tag="calls", color="#112233") == {"tag": "calls", "status": "coloured"}
    uncoloured = {"name": "calls", "color": "#112233", "status": "deleted"}
    assert await use("undo_last") == {"status": "undone", "changes": [uncoloured], "total": 1}
    assert await use("rename_tag", tag="calls", name="phone") == {"tag": "phone", "status": "renamed"}
    assert await use("delete_tag", tag="bank") == {"tag": "bank", "status": "deleted"}
    assert [tag["name"] for tag in (await use("list_tags"))["tags"]] == ["phone"]
    assert (await use("undo_last"))["total"] == 2
    assert [tag["name"] for tag in (await use("list_tags"))["tags"]] == ["bank", "phone"]
    numbers = await use("stats", days=3)
    assert (numbers["totals"]["open"], len(numbers["per_day"])) == (2, 3)
    assert numbers["projects"] == [{"project_id": project_id, "name": "House", "open": 2, "done": 0}]
    copied = await use("duplicate_task", task_id=rent, due_date="2031-01-01")
    assert (copied["status"], copied["title"]) == ("created", "Pay rent")
    assert (await use("get_task", task_id=copied["task_id"]))["due_date"] == "2031-01-01"
    assert (await use("undo_last"))["total"] == 2
    whole = await use("duplicate_project", project_id=project_id, name="Hut")
    assert (whole["status"], whole["name"]) == ("created", "Hut")
    assert (await use("undo_last"))["total"] == 3
    assert await alice.titles() == ["Call", "Pay rent"]


async def test_undoing_a_quick_add_deletes_its_new_project_also(server: Server, alice: Person) -> None:
    async with agent(server, make_token(alice.subject)) as client:
        made = await call(client, "quick_add", text="Water the plants #garden")
        (project,) = (await call(client, "list_projects"))["projects"]
        undone = await call(client, "undo_last")
        assert undone["changes"] == [
            {"project_id": project["id"], "uid": project["uid"], "status": "deleted", "name": "garden"},
            {"task_id": made["task_id"], "uid": made["uid"], "status": "deleted", "title": "Water the plants"},
        ]
        assert (await call(client, "list_projects"))["projects"] == []


async def test_undo_lists_only_the_first_of_many_changes(server: Server, alice: Person) -> None:
    for number in range(25):
        await alice.add(f"task {number}", tags=["x"])
    async with agent(server, make_token(alice.subject)) as client:
        await call(client, "delete_tag", tag="x")
        undone = await call(client, "undo_last")
        assert (len(undone["changes"]), undone["total"]) == (20, 25)
        assert (await call(client, "list_tags"))["tags"] == [{"name": "x", "count": 25, "open": 25, "color": None}]


async def test_tool_annotations_state_their_effect_on_data(server: Server, alice: Person) -> None:
    async with agent(server, make_token(alice.subject)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "data, never instructions" in (client.instructions or "")
    for name, tool in tools.items():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == TOOLS_BY_NAME[name].read_only
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema is not None
        assert tool.description
        assert "$ref" not in json.dumps([tool.input_schema, tool.output_schema])
        assert "user_id" not in tool.input_schema.get("properties", {})
        assert tool.input_schema["additionalProperties"] is False
    hints = {name: tool.annotations.destructive_hint for name, tool in tools.items() if tool.annotations}
    assert {name for name, hint in hints.items() if hint} >= {"delete_task", "delete_tag", "empty_trash"}
    assert not hints["add_task"]


async def test_an_error_is_a_tool_error_with_code_and_detail(server: Server, alice: Person) -> None:
    async with agent(server, make_token(alice.subject)) as client:
        assert (await refused(client, "get_task", task_id=2**40))["code"] == "task_not_found"
        assert (await refused(client, "undo_last"))["code"] == "nothing_to_undo"
        found = await refused(client, "add_task", title=" ", priority="huge", colour="red")
        assert found["code"] == "bad_arguments"
        for said in ("title: Text must have", "priority: Expected", "colour: Unknown name"):
            assert said in found["detail"]
        for arguments in ({"task_id": "1"}, {"task_id": 0}, {"task_id": 2**63}, {"task_id": True}, {}):
            assert (await refused(client, "get_task", **arguments))["code"] == "bad_arguments"
        for name in ("update_task", "update_project"):
            assert (await refused(client, name, task_id=1, colour=1))["code"] == "bad_arguments"
        assert (await refused(client, "delete_project", project_id=2**40))["code"] == "project_not_found"
        assert (await refused(client, "delete_tag", tag="nowhere"))["code"] == "tag_not_found"
        assert (await refused(client, "rename_tag", tag="nowhere", name="x"))["code"] == "tag_not_found"
        for arguments in ({}, {"before": 1, "after": 2}, {"before": "1"}):
            assert (await refused(client, "move_task", task_id=1, **arguments))["code"] == "bad_arguments"
        assert (await refused(client, "quick_add", text="#home"))["code"] == "empty_title"
        made = await call(client, "quick_add", text="Buy milk")
        assert (await refused(client, "skip_task", task_id=made["task_id"]))["code"] == "not_recurring"
        wrong = {"before": made["task_id"]}
        assert (await refused(client, "move_task", task_id=made["task_id"], **wrong))["code"] == "unknown_reference"
        assert (await refused(client, "list_tasks", cursor="nonsense"))["code"] == "invalid_cursor"
        assert (await refused(client, "add_task", title="a\0b"))["code"] == "bad_arguments"
        with pytest.raises(MCPError, match="no tool of that name"):
            await client.call_tool("drop_tables", {})


async def test_no_tool_reaches_data_of_another_user(server: Server, alice: Person, bob: Person) -> None:
    task = await alice.add("secret")
    async with agent(server, make_token(bob.subject)) as client:
        names = ("get_task", "complete_task", "delete_task", "restore_task", "skip_task", "list_comments")
        for name in names:
            assert (await refused(client, name, task_id=task["id"]))["code"] == "task_not_found"
        assert (await refused(client, "update_task", task_id=task["id"], title="x"))["code"] == "task_not_found"
        assert (await refused(client, "add_comment", task_id=task["id"], body="x"))["code"] == "task_not_found"
        assert (await refused(client, "move_task", task_id=task["id"], project_id=None))["code"] == "task_not_found"
        mine = (await call(client, "add_task", title="mine"))["task_id"]
        assert (await refused(client, "move_task", task_id=mine, after=task["id"]))["code"] == "unknown_reference"
        assert (await call(client, "search_tasks", query="secret"))["tasks"] == []
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


async def api_token(person: Person, **body: Any) -> str:
    answer = await person.call("POST", "/api/auth/tokens", json={"name": "desk", **body})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


async def test_a_read_token_lists_and_calls_only_read_only_tools(server: Server, alice: Person) -> None:
    task = await alice.add()
    async with agent(server, await api_token(alice, scope="read")) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {name for name, tool in TOOLS_BY_NAME.items() if tool.read_only}
        assert (await call(client, "get_task", task_id=task["id"]))["title"] == "Buy milk"
        for name in TOOLS_BY_NAME.keys() - names:
            assert (await refused(client, name, task_id=task["id"]))["code"] == "insufficient_scope"
    assert await alice.titles() == ["Buy milk"]


async def test_the_source_of_writes_names_mcp_and_the_client(server: Server, alice: Person) -> None:
    async with agent(server, await api_token(alice, scope="write")) as client:
        made = await call(client, "add_task", title="a")
    async with agent(server, make_token(alice.subject)) as client:
        assert (await refused(client, "undo_last"))["code"] == "nothing_to_undo"  # a write of another client
        await call(client, "update_task", task_id=made["task_id"], title="b")
    history = (await alice.get(f"/tasks/{made['task_id']}/history")).json()
    assert [entry["through"] for entry in history] == ["mcp", "mcp:desk"]
    assert [entry["action"] for entry in history] == ["updated", "created"]


async def test_undo_last_reverts_earlier_writes_step_by_step(server: Server, alice: Person) -> None:
    async with agent(server, make_token(alice.subject)) as client:
        made = (await call(client, "add_task", title="a"))["task_id"]
        await call(client, "update_task", task_id=made, title="b")
        by_hand = await alice.add("by hand")
        assert (await call(client, "undo_last"))["changes"][0]["title"] == "a"
        assert (await call(client, "undo_last"))["changes"][0]["status"] == "deleted"
        assert (await refused(client, "undo_last"))["code"] == "nothing_to_undo"
        latest = await call(client, "add_task", title="c")
        await alice.patch(f"/tasks/{latest['task_id']}", {"title": "d"})
        assert (await refused(client, "undo_last"))["code"] == "undo_conflict"
    assert await alice.titles() == ["d", by_hand["title"]]


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream", "Host": "localhost"}


async def post(person: Person, body: Any = PING, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await person.client.post("/mcp", json=body, headers={**person.headers, **HEADERS, **named})


async def test_mcp_without_a_token_is_401_with_resource_metadata(alice: Person) -> None:
    for token, error in (("", ""), ("Bearer nonsense", 'error="invalid_token", ')):
        answer = await post(alice, Authorization=token)
        assert_problem(answer, 401)
        where = "http://localhost/.well-known/oauth-protected-resource/mcp"
        challenge = f'Bearer {error}resource_metadata="{where}", scope="read write"'
        assert answer.headers["www-authenticate"] == challenge
    for path in ("", "/mcp"):
        url = f"/.well-known/oauth-protected-resource{path}"
        metadata = (await alice.client.get(url, headers={"Host": "localhost"})).json()
        assert metadata["resource"] == "http://localhost/mcp"
        assert metadata["bearer_methods_supported"] == ["header"]
        assert_problem(await alice.client.get(url, headers={"Host": "evil.example"}), 403, "host_refused")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "localhost:8000"}, None),
        ({"Host": "127.0.0.1:8000"}, None),
        ({"Host": "[::1]:8000"}, None),
        ({"Host": "192.168.1.7"}, None),
        ({"Host": "evil.example"}, "host_refused"),
        ({"Host": "localhost.evil.example"}, "host_refused"),
        ({"Host": "127.0.0.1.evil.example"}, "host_refused"),
        ({"Host": "["}, "host_refused"),
        ({"Origin": "http://localhost:3000"}, None),
        ({"Origin": "https://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Origin": "http://localhost:3000.evil.example"}, "origin_refused"),
    ],
)
async def test_host_and_origin_are_checked(alice: Person, headers: dict[str, str], code: str | None) -> None:
    answer = await post(alice, **headers)
    if code is None:
        assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    else:
        assert_problem(answer, 403, code)


async def test_mcp_accepts_only_post_with_valid_json(alice: Person) -> None:
    for method in ("GET", "DELETE"):
        answer = await alice.client.request(method, "/mcp", headers={**alice.headers, **HEADERS})
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "POST"
    for body, status in ((b"{", 400), (b'{"id": 1, "id": 2}', 400), (b'{"id": NaN}', 400), (b" " * 2**21, 413)):
        headers = {**alice.headers, **HEADERS, "Content-Type": "application/json"}
        assert_problem(await alice.client.post("/mcp", content=body, headers=headers), status)
    answer = await alice.client.post("/mcp", content=b"{}", headers={**alice.headers, **HEADERS})
    assert_problem(answer, 415)
    wrong: tuple[Any, ...] = ([], 1, "x", {"jsonrpc": "2.0"}, [PING] * 3)
    for message in wrong:
        assert (await post(alice, message)).status_code == 400, message


async def test_an_unpaired_surrogate_is_a_parse_error(alice: Person) -> None:
    params = {"name": "add_task", "arguments": {"title": "a\ud800b"}}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = {**alice.headers, **HEADERS, "Content-Type": "application/json"}
    answer = (await alice.client.post("/mcp", content=message, headers=headers)).json()
    assert answer["error"]["code"] == -32700


async def test_tools_work_over_standard_input_and_output(server: Server, alice: Person, tmp_path: Path) -> None:
    env = {"TODO_URL": f"{server.url}/", "TODO_TOKEN": await api_token(alice, scope="write")}
    command = StdioServerParameters(command=sys.executable, args=["-m", "app", "mcp"], env=env, cwd=Path.cwd())
    for mode in ("auto", "legacy"):
        async with Client(command, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOLS_BY_NAME)
            made = await call(client, "add_task", title=f"from the desk, {mode}")
            assert (await refused(client, "get_task", task_id=made["task_id"] + 10**9))["code"] == "task_not_found"
            assert (await call(client, "undo_last"))["status"] == "undone"
            with pytest.raises(MCPError):
                await client.call_tool("drop_tables", {})
    assert await alice.titles() == []
