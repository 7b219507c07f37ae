"""The chat from the user's view: messages, tool calls and stored conversations."""

import json
from datetime import UTC, datetime
from typing import Any

from app.assistant.prompt import build_prompt
from app.models.conversations import MessageRow
from app.services.accounts.erasure import erase_owner
from tests.assistant.conftest import Talking
from tests.assistant.scripted import Says, helpful, in_turn
from tests.support import Person, assert_problem


async def test_a_conversation_adds_lists_completes_and_undoes_tasks(talk: Talking) -> None:
    alice = talk(helpful)
    said = await alice.say("add buy milk tomorrow, high priority")
    (call,) = said["tool_calls"]
    task_id = call["result"]["task_id"]
    assert call["tool"] == "add_task"
    assert call["result"] == {
        "task_id": task_id,
        "uid": call["result"]["uid"],
        "status": "created",
        "title": "buy milk",
    }
    assert json.loads(said["response"]) == call["result"]
    task = (await alice.person.get(f"/tasks/{task_id}")).json()
    assert (task["priority"], task["due_date"]) == ("high", "2030-12-01")

    said = await alice.say("what is open?")
    assert [line["id"] for line in said["tool_calls"][0]["result"]["tasks"]] == [task_id]
    said = await alice.say(f"done with {task_id}")
    assert said["tool_calls"][0]["result"]["status"] == "completed"
    said = await alice.say("undo that")
    assert said["tool_calls"][0]["result"]["changes"][0]["status"] == "reopened"
    assert (await alice.person.get(f"/tasks/{task_id}")).json()["completed"] is False

    history = (await alice.person.get(f"/tasks/{task_id}/history")).json()
    assert {entry["through"] for entry in history} == {"chat"}
    messages = await alice.messages()
    assert [message["role"] for message in messages] == ["user", "assistant"] * 4
    assert messages[0]["content"] == "add buy milk tomorrow, high priority"
    assert [message["id"] for message in messages] == sorted(message["id"] for message in messages)


async def test_undo_in_a_chat_reverts_writes_of_its_conversation(talk: Talking) -> None:
    first = talk(helpful)
    await first.say("add one tomorrow")
    second = first.as_other(first.person)
    await second.say("add two tomorrow")
    await first.person.add("three")
    await first.say("undo that")
    assert await first.person.titles() == ["three", "two"]
    said = await first.say("undo that")
    assert said["tool_calls"][0]["result"]["error"] == "nothing_to_undo"
    await second.say("undo that")
    assert await first.person.titles() == ["three"]


async def test_the_model_receives_the_conversation_and_the_date(talk: Talking) -> None:
    alice = talk(helpful, llm_api_key=None)
    await alice.say("add one tomorrow")
    await alice.say("what is open?")
    system, asked, calling, result, answer, question, *_ = alice.model.asked[-1]["messages"]
    assert system["role"] == "system"
    assert f"{datetime.now(UTC):%A, %Y-%m-%d}" in system["content"]
    assert "UTC" in system["content"]
    assert (asked["content"], question["content"]) == ("add one tomorrow", "what is open?")
    assert calling["tool_calls"][0]["function"]["name"] == "add_task"
    assert result["tool_call_id"] == calling["tool_calls"][0]["id"]
    assert json.loads(result["content"])["status"] == "created"
    assert answer["role"] == "assistant"
    names = {tool["function"]["name"] for tool in alice.model.asked[0]["tools"]}
    assert names >= {"add_task", "list_tasks", "undo_last"}
    assert alice.model.asked[0]["model"] == "m"
    assert alice.model.asked[0]["max_tokens"] == 1000


async def test_the_model_receives_the_users_time_zone(talk: Talking, sql: Any) -> None:
    alice = talk(helpful)
    await alice.person.add()
    await sql.execute("update users set timezone = 'Pacific/Kiritimati' where id = $1", alice.person.subject)
    await alice.say("hello")
    assert "Pacific/Kiritimati" in alice.model.asked[0]["messages"][0]["content"]


async def test_a_chat_names_the_revision_of_its_last_message(talk: Talking) -> None:
    alice = talk(helpful)
    for message in ("add buy milk tomorrow", "what is open?"):
        named = (await alice.send(message)).headers["x-revision"]
        assert named == (await alice.person.get("/tasks")).headers["x-revision"]
    alice = talk(in_turn(Says(status=401, body=b"{}")))
    alice.conversation_id = None
    failed = await alice.send("hello")
    assert_problem(failed, 502)
    assert failed.headers["x-revision"] == (await alice.person.get("/tasks")).headers["x-revision"]


async def test_a_streamed_response_equals_the_whole_response(talk: Talking) -> None:
    alice = talk(helpful)
    events = await alice.stream("add buy milk tomorrow")
    assert events[0][0] == "tool_call"
    assert {name for name, _ in events[1:-1]} == {"delta"}
    name, done = events[-1]
    assert name == "done"
    assert done["conversation_id"] == alice.conversation_id
    assert "".join(data["text"] for name, data in events if name == "delta") == done["response"]
    assert done["tool_calls"] == [events[0][1]]
    assert len([name for name, _ in events if name == "delta"]) > 3
    assert (await alice.messages())[-1]["content"] == done["response"]


async def test_several_tool_calls_of_one_response_are_run(talk: Talking) -> None:
    both = [("add_task", {"title": "one"}), ("add_task", {"title": "two"}), ("list_tasks", {})]
    for number, streamed in enumerate((False, True)):
        alice = talk(in_turn(Says("On it.", both), Says("Both added.")))
        said = (await alice.stream("add both"))[-1][1] if streamed else await alice.say("add both")
        assert [call["tool"] for call in said["tool_calls"]] == ["add_task", "add_task", "list_tasks"]
        assert len(said["tool_calls"][2]["result"]["tasks"]) == 2 * (number + 1)
        assert said["response"] == "Both added."
        _, _, calling, *results = alice.model.asked[1]["messages"]
        assert calling["content"] == "On it."
        assert [r["tool_call_id"] for r in results] == [c["id"] for c in calling["tool_calls"]]


async def test_invalid_tool_calls_are_reported_to_the_model(talk: Talking) -> None:
    wrong: list[tuple[str, Any]] = [
        ("add_task", "{"), ("add_task", "[1]"), ("add_task", '"x"'), ("add_task", {"title": ""}),
        ("add_task", '{"title": "a", "title": "b"}'), ("add_task", {"title": "a\0b"}), ("add_task", {"text": "\ud800"}),
        ("get_task", {"task_id": "5"}), ("get_task", {"task_id": 2**62}), ("update_task", {"task_id": 5}),
        ("drop_tables", {}), ("x" * 500 + "\0", {}),
    ]  # fmt: skip
    for streamed in (False, True):
        alice = talk(in_turn(Says(calls=wrong), Says("I could not.")), chat_tool_calls=50)
        said = (await alice.stream("try"))[-1][1] if streamed else await alice.say("try")
        errors = [call["result"]["error"] for call in said["tool_calls"]]
        assert errors == ["bad_arguments"] * 8 + ["task_not_found", "bad_arguments"] + ["unknown_tool"] * 2
        assert said["response"] == "I could not."
        assert (await alice.messages())[-1]["tool_calls"] == said["tool_calls"]


async def test_characters_that_cannot_be_stored_are_replaced(talk: Talking) -> None:
    for streamed in (False, True):
        alice = talk(in_turn(Says("a\0b\ud800c")))
        said = (await alice.stream("hi"))[-1][1] if streamed else await alice.say("hi")
        assert said["response"] == "a\ufffdb\ufffdc"


async def test_conversations_are_listed_read_and_deleted(talk: Talking, sql: Any) -> None:
    alice = talk(helpful)
    ids: list[int | None] = []
    for number in range(3):
        alice.conversation_id = None
        await alice.say(f"add  number {number} tomorrow")
        ids.insert(0, alice.conversation_id)
    listed = (await alice.person.get("/conversations")).json()
    assert [each["id"] for each in listed] == ids
    assert listed[0]["title"] == "add number 2 tomorrow"
    assert (await alice.person.get(f"/conversations/{ids[0]}")).json() == listed[0]
    assert [each["id"] for each in (await alice.person.get(f"/conversations?limit=1&before={ids[0]}")).json()] == [
        ids[1]
    ]
    messages = await alice.messages()
    path = f"/conversations/{ids[0]}/messages"
    assert (await alice.person.get(f"{path}?limit=1")).json() == messages[1:]
    assert (await alice.person.get(f"{path}?before={messages[1]['id']}")).json() == messages[:1]
    assert_problem(await alice.person.get(f"{path}?limit=0"), 422)

    assert (await alice.person.delete(f"/conversations/{ids[0]}")).status_code == 204
    assert_problem(await alice.person.delete(f"/conversations/{ids[0]}"), 404, "conversation_not_found")
    assert_problem(await alice.person.get(path), 404, "conversation_not_found")
    assert_problem(await alice.send("hello"), 404, "conversation_not_found")
    assert await sql.fetchval("select count(*) from messages where conversation_id = $1", ids[0]) == 0
    assert await alice.person.titles() == ["number 2", "number 1", "number 0"]


async def test_messages_appear_in_the_change_feed(talk: Talking) -> None:
    alice = talk(helpful)
    await alice.say("hello")
    changes = (await alice.person.get("/changes")).json()["changes"]
    assert [(change["entity"], change["action"]) for change in changes] == [
        ("conversation", "created"), ("message", "created"), ("message", "created"),
    ]  # fmt: skip
    assert changes[0]["revision"] == changes[1]["revision"]
    assert [change["data"] for change in changes[1:]] == await alice.messages()
    assert changes[0]["data"] == (await alice.person.get("/conversations")).json()[0]
    assert {change["through"] for change in changes} == {"chat"}
    answer = await alice.person.post(f"/changes/{changes[0]['revision']}/undo")
    assert_problem(answer, 409, "undo_conflict")


async def test_deleting_an_account_deletes_its_conversations(talk: Talking, sql: Any) -> None:
    alice = talk(helpful)
    await alice.say("add secret tomorrow")

    async def rows() -> list[int]:
        tables = ("conversations", "messages", "agent_writes", "token_use")
        count = "select count(*) from {} where user_id = $1"
        return [await sql.fetchval(count.format(table), alice.person.subject) for table in tables]

    assert await rows() == [1, 2, 1, 1]
    await erase_owner(alice.app.state.database, alice.person.subject)
    assert await rows() == [0, 0, 0, 0]


async def test_a_conversation_of_another_user_is_404(talk: Talking, bob: Person) -> None:
    alice = talk(helpful)
    await alice.say("add secret tomorrow")
    eve = alice.as_other(bob)
    eve.conversation_id = alice.conversation_id
    before = await alice.messages()
    assert_problem(await eve.send("what is open?"), 404, "conversation_not_found")
    for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", "")):
        answer = await bob.call(method, f"/conversations/{alice.conversation_id}{path}")
        assert_problem(answer, 404, "conversation_not_found")
    assert (await bob.get("/conversations")).json() == []
    assert (await bob.get("/changes")).json()["changes"] == []
    assert await alice.messages() == before
    eve.conversation_id = None
    assert (await eve.say("what is open?"))["tool_calls"][0]["result"]["tasks"] == []


async def test_the_prompt_contains_as_many_messages_as_the_budget_allows() -> None:
    said = [MessageRow(n, 1, "user", f"{n} " + "x" * 400, datetime.now(UTC), []) for n in range(50)]
    shown = build_prompt(said, "now", "UTC", tokens=2000)
    assert 5 < len(shown) < 20
    assert shown[-1] == {"role": "user", "content": "now"}
    assert shown[-2]["content"].startswith("49 ")
    assert shown[1]["content"].startswith(f"{52 - len(shown)} ")
    assert len(build_prompt(said, "x" * 4000, "no/such zone", tokens=500)) == 2


async def test_invalid_chat_requests_are_422(talk: Talking) -> None:
    alice = talk(helpful)
    for body in (
        {}, {"message": ""}, {"message": " "}, {"message": "x" * 4001}, {"message": "a\0"}, {"message": 1},
        {"message": "x", "conversation_id": "1"}, {"message": "x", "conversation_id": 0},
        {"message": "x", "conversation_id": 2**63}, {"message": "x", "confirm": "yes"},
        {"message": "x", "user_id": "y"},
    ):  # fmt: skip
        assert_problem(await alice.person.post("/chat", body), 422)
    assert_problem(await alice.person.post("/chat", {"message": "x", "conversation_id": 2**63 - 1}), 404)
    assert alice.model.asked == []


async def test_a_chat_is_503_without_a_configured_model(alice: Person) -> None:
    problem = assert_problem(await alice.post("/chat", {"message": "hello"}), 503, "chat_not_configured")
    assert "LLM_MODEL" in problem["detail"]
    assert (await alice.get("/conversations")).json() == []
