"""No process keeps state of a conversation: two servers serve it in turn."""

from typing import Any

import pytest

from app.db.connection_options import ConnectOptions
from tests.assistant.scripted import helpful, scripted
from tests.servers import running
from tests.support import Person, assert_problem

pytestmark = pytest.mark.slow


async def test_two_processes_serve_two_conversations_in_turn(
    postgres: ConnectOptions, migrated: str, alice: Person, bob: Person
) -> None:
    with scripted(helpful) as model:
        llm = {"LLM_MODEL": "m", "LLM_BASE_URL": model.url, "LLM_API_KEY": "secret-key"}
        with running(postgres.dsn, **llm) as one, running(postgres.dsn, **llm) as two:
            async with one.person(alice.subject) as first, two.person(alice.subject) as second:
                turns = {"a": 0, "b": 1}
                open_now: dict[str, int | None] = {"a": None, "b": None}

                async def say(name: str, message: str) -> list[dict[str, Any]]:
                    turns[name] += 1
                    person = (first, second)[turns[name] % 2]
                    body = {"message": message} | ({"conversation_id": open_now[name]} if open_now[name] else {})
                    answer = await person.post("/chat", body)
                    assert answer.status_code == 200, answer.text
                    open_now[name] = answer.json()["conversation_id"]
                    return [call["result"] for call in answer.json()["tool_calls"]]

                (milk,) = await say("a", "add buy milk tomorrow, high priority")
                (bank,) = await say("b", "add call the bank tomorrow")
                (listed,) = await say("a", "what is open?")
                assert [task["title"] for task in listed["tasks"]] == ["call the bank", "buy milk"]
                (done,) = await say("b", f"done with {bank['task_id']}")
                assert done["status"] == "completed"
                await say("a", f"done with {milk['task_id']}")
                (undone,) = await say("b", "undo that")
                assert undone["changes"] == [
                    {"task_id": bank["task_id"], "uid": bank["uid"], "status": "reopened", "title": "call the bank"}
                ]
                (listed,) = await say("a", "what is open?")
                assert [task["id"] for task in listed["tasks"]] == [bank["task_id"]]
                await say("a", "undo that")
                (listed,) = await say("b", "what is open?")
                assert {task["id"] for task in listed["tasks"]} == {milk["task_id"], bank["task_id"]}

                paths = [f"/conversations/{open_now[name]}/messages" for name in "ab"]
                for path, sentences in zip(paths, (5, 4), strict=True):
                    told = [(await person.get(path)).json() for person in (first, second)]
                    assert told[0] == told[1]
                    assert [message["role"] for message in told[0]] == ["user", "assistant"] * sentences
            async with two.person(bob.subject) as stranger:
                body = {"message": "undo that", "conversation_id": open_now["a"]}
                assert_problem(await stranger.post("/chat", body), 404, "conversation_not_found")
                assert_problem(await stranger.get(paths[0]), 404, "conversation_not_found")
    assert set(model.keys) == {"Bearer secret-key"}
    assert any(m["role"] == "tool" for m in model.asked[-1]["messages"])
