"""A model that fails, is slow, or never stops; a client that disconnects. Completed messages and writes are kept."""

import asyncio
import json
from typing import Any

import pytest

from app.db.connection_options import ConnectOptions
from tests.assistant.conftest import Talking, eventually
from tests.assistant.scripted import Json, Says, in_turn, results, scripted
from tests.servers import Server, running
from tests.support import Person, assert_problem

ADD = Says(calls=[("add_task", {"title": "Buy milk"})])
BROKEN = [
    Says(status=500),
    Says(status=401, body=b'{"error": {"message": "wrong key", "type": "invalid_request_error"}}'),
    Says(status=404, body=b"<html>no such page"),
    Says(body=b"not json"),
    Says(body=b"[]"),
    Says(body=b'{"choices": []}'),
    Says(body=b'{"choices": [{"message": null}]}'),
    Says(body=b'{"choices": [{"message": {"content": 5}}]}'),
    Says(body=b'{"choices": [{"message": {"content": null, "tool_calls": [{"id": "1"}]}}]}'),
    Says(body=b'{"error": {"message": "no"}}'),
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
async def test_a_failing_model_is_502_and_the_message_is_kept(talk: Talking, broken: Says) -> None:
    alice = talk(in_turn(broken))
    answer = await alice.send("add milk")
    problem = assert_problem(answer, 502, "model_failed")
    assert "wrong key" not in json.dumps(problem)
    assert [message["content"] for message in await alice.messages()] == ["add milk"]
    alice.model.script = in_turn(Says("Here I am."))
    assert (await alice.say("again"))["response"] == "Here I am."
    said = [message["content"] for message in alice.model.asked[-1]["messages"][1:]]
    assert said == ["add milk", "again"]


async def test_an_unreachable_model_is_502(talk: Talking) -> None:
    alice = talk(in_turn(Says()), llm_base_url="http://127.0.0.1:1/v1")
    assert_problem(await alice.send("hello"), 502, "model_failed")
    assert len(await alice.messages()) == 1


@pytest.mark.parametrize(
    "broken",
    [
        Says("a long text that is cut off in the middle", cut=True),
        Says(calls=[("add_task", {"title": "half a title that never ends"})], cut=True),
        Says(body=b'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: {"error": {"message": "no"}}\n\n'),
        Says(body=b"data: nonsense\n\n"),
        Says(body=b'data: {"choices": [{"delta": {"tool_calls": [{"index": 7}]}}]}\n\n'),
        Says(status=500),
    ],
    ids=range(6),
)
async def test_a_broken_model_stream_ends_with_an_error_event(talk: Talking, broken: Says) -> None:
    alice = talk(in_turn(broken))
    events = await alice.stream("add milk")
    name, problem = events[-1]
    assert (name, problem["status"], problem["code"]) == ("error", 502, "model_failed")
    assert {name for name, _ in events[:-1]} <= {"delta"}
    assert await alice.person.titles() == []
    assert [message["role"] for message in await alice.messages()] == ["user"]


async def test_writes_before_a_model_failure_are_kept_and_can_be_undone(talk: Talking) -> None:
    for streamed in (False, True):
        alice = talk(in_turn(ADD, Says(status=500)))
        if streamed:
            assert (await alice.stream("add milk"))[-1][1]["code"] == "model_failed"
        else:
            assert_problem(await alice.send("add milk"), 502)
        _, interrupted = await alice.messages()
        assert interrupted["role"] == "assistant"
        assert interrupted["tool_calls"][0]["result"]["status"] == "created"
        assert await alice.person.titles() == ["Buy milk"]
        alice.model.script = in_turn(Says(calls=[("undo_last", {})]), Says("Undone."))
        await alice.say("undo that")
        shown = alice.model.asked[-1]["messages"]
        assert [m["tool_calls"][0]["function"]["name"] for m in shown if m.get("tool_calls")] == [
            "add_task",
            "undo_last",
        ]
        assert await alice.person.titles() == []


async def test_a_busy_model_is_503_with_retry_after(talk: Talking) -> None:
    for header, seconds in (("17", "17"), ("100000", "300"), ("soon", "5"), ("", "5")):
        alice = talk(in_turn(Says(status=429, headers={"Retry-After": header})))
        answer = await alice.send("hello")
        assert_problem(answer, 503, "model_busy")
        assert answer.headers["retry-after"] == seconds
        assert len(alice.model.asked) == 1  # the service does not retry by itself
        assert len(await alice.messages()) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_slow_model_is_504(talk: Talking, streamed: bool) -> None:
    alice = talk(in_turn(ADD, Says(delay=3)), chat_seconds=0.7)
    began = asyncio.get_running_loop().time()
    if streamed:
        name, problem = (await alice.stream("add milk"))[-1]
        assert (name, problem["code"]) == ("error", "model_timeout")
    else:
        assert_problem(await alice.send("add milk"), 504, "model_timeout")
    assert asyncio.get_running_loop().time() - began < 2.5
    assert [message["role"] for message in await alice.messages()] == ["user", "assistant"]
    assert await alice.person.titles() == ["Buy milk"]


async def test_a_model_that_calls_tools_without_end_is_stopped(talk: Talking) -> None:
    alice = talk(in_turn(Says(calls=[("list_tasks", {})])))
    said = await alice.say("go on")
    assert len(alice.model.asked) == 8
    assert [request.get("tool_choice") for request in alice.model.asked] == [None] * 7 + ["none"]
    assert len(said["tool_calls"]) == 7
    assert said["response"].startswith("I stopped here")

    alice = talk(in_turn(Says(calls=[("add_task", {"title": "x"})] * 9)), chat_tool_calls=5)
    said = await alice.say("go on")
    assert [call["result"].get("error") for call in said["tool_calls"]] == [None] * 5 + ["too_many_calls"] * 4
    assert len(alice.model.asked) == 2
    assert len(await alice.person.titles()) == 5


async def test_a_model_that_generates_too_much_text_is_stopped(talk: Talking) -> None:
    for streamed in (False, True):
        alice = talk(in_turn(Says("x" * 100_000)), chat_answer_tokens=100)
        if streamed:
            events = await alice.stream("go on")
            assert events[-1][1]["code"] == "model_failed"
            assert sum(len(data["text"]) for name, data in events if name == "delta") < 2000
        else:
            assert len((await alice.say("go on"))["response"]) == 1600


async def test_a_long_tool_result_is_truncated_for_the_model(talk: Talking) -> None:
    alice = talk(in_turn(Says(calls=[("list_tasks", {"limit": 100})]), Says("Many.")))
    for number in range(60):
        await alice.person.add(f"{number} {'x' * 190}", tags=["y" * 50])
    said = await alice.say("what is open?")
    assert len(said["tool_calls"][0]["result"]["tasks"]) == 60
    shown = alice.model.asked[-1]["messages"][-1]["content"]
    assert len(shown) < 16_100
    assert shown.endswith("(cut off: ask for less)")


async def test_tokens_are_counted_by_user_and_day(talk: Talking, sql: Any, bob: Person) -> None:
    alice = talk(in_turn(ADD, Says("Added.", usage=300)), chat_daily_tokens=8000)

    async def used(person: Person) -> Any:
        return await sql.fetchval("select tokens from token_use where user_id = $1", person.subject)

    await alice.say("add milk")
    assert await used(alice.person) == 400
    alice.model.script = in_turn(Says("Hello.", usage=None))
    await alice.say("hello")
    assert 1000 < await used(alice.person) < 6000  # estimated, including the descriptions of the tools
    before = await used(alice.person)
    alice.model.script = in_turn(Says(status=500))
    await alice.send("hello")
    assert await used(alice.person) == before  # a failed call costs nothing
    await sql.execute("update token_use set tokens = 7500 where user_id = $1", alice.person.subject)
    count = len(await alice.messages())
    answer = await alice.send("hello")
    assert_problem(answer, 429, "chat_budget_spent")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert len(await alice.messages()) == count
    await sql.execute("update token_use set day = day - 1 where user_id = $1", alice.person.subject)
    alice.model.script = in_turn(Says("Hello.", usage=7))
    await alice.say("hello")
    other = alice.as_other(bob)
    await other.say("hello")
    assert await used(bob) == 7


async def test_the_token_budget_can_end_during_a_message(talk: Talking, sql: Any) -> None:
    alice = talk(in_turn(Says(calls=ADD.calls, usage=5900), Says("Added.")), chat_daily_tokens=6000)
    assert_problem(await alice.send("add milk"), 429, "chat_budget_spent")
    assert len(alice.model.asked) == 1
    assert await alice.person.titles() == ["Buy milk"]
    assert [message["role"] for message in await alice.messages()] == ["user", "assistant"]
    assert await sql.fetchval("select tokens from token_use where user_id = $1", alice.person.subject) == 5900


async def test_no_transaction_is_open_while_the_model_runs(talk: Talking, sql: Any) -> None:
    seen: list[int] = []
    count = """select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'"""
    alice = talk(in_turn(ADD, Says("Added.", delay=0.6)))
    talking = asyncio.create_task(alice.say("add milk"))
    while not talking.done():
        seen.append(await sql.fetchval(count) if alice.model.waiting else 0)
        await asyncio.sleep(0.05)
    await talking
    assert len(seen) > 5
    assert sum(seen) == 0


async def test_concurrent_messages_are_limited_per_user(talk: Talking) -> None:
    alice = talk(in_turn(Says("Hello.", delay=0.5)))
    others = [alice.as_other(alice.person) for _ in range(6)]
    answers = await asyncio.gather(*(other.send("hello") for other in others))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, 429, "too_many_chats")
    assert refused.headers["retry-after"] == "5"
    await alice.say("hello")
    events = await alice.stream("hello")
    assert events[-1][0] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_disconnect_stops_the_run(
    postgres: ConnectOptions, migrated: str, alice: Person, streamed: bool
) -> None:
    """Over a real socket: after the disconnect no further tool is called, and completed writes are kept."""

    def script(request: Json) -> Says:
        done = len(results(request))
        return Says(calls=[("add_task", {"title": f"task {done}"})], delay=1.0 if done else 0)

    with scripted(script) as model, running(postgres.dsn, LLM_MODEL="m", LLM_BASE_URL=model.url) as server:
        async with server.person(alice.subject) as person:
            headers = {"Accept": "text/event-stream"} if streamed else {}
            talking = asyncio.create_task(person.post("/chat", {"message": "hi"}, headers=headers))

            async def asked_again() -> bool:
                return len(model.asked) == 2

            async def kept() -> bool:
                (found,) = (await person.get("/conversations")).json()
                return len((await person.get(f"/conversations/{found['id']}/messages")).json()) == 2

            await eventually(asked_again)
            talking.cancel()
            await eventually(kept)
            await asyncio.sleep(1.5)
            assert len(model.asked) == 2
            assert await person.titles() == ["task 0"]


@pytest.mark.slow
async def test_shutdown_does_not_wait_for_the_model(postgres: ConnectOptions, migrated: str, alice: Person) -> None:
    with scripted(in_turn(Says("Hello.", delay=30))) as model:
        server = Server(postgres.dsn, LLM_MODEL="m", LLM_BASE_URL=model.url).start()
        async with server.person(alice.subject) as person:
            asking = asyncio.create_task(person.post("/chat", {"message": "hi"}))

            async def waits() -> bool:
                return bool(model.waiting)

            await eventually(waits)
            began = asyncio.get_running_loop().time()
            said = await asyncio.to_thread(server.stop)
            assert asyncio.get_running_loop().time() - began < 9
            assert_problem(await asking, 503, "unavailable")
            assert "Traceback" not in said


async def test_a_revoked_login_stops_a_running_message(talk: Talking, alice: Person) -> None:
    token = (await alice.call("POST", "/api/auth/tokens", json={"name": "x", "scope": "write"})).json()
    revoked: list[str] = []

    def script(request: Json) -> Says:
        revoked.append("now")
        return ADD

    talking = talk(script)
    mine = dict(alice.headers)

    async def ended(*_: Any) -> bool:
        return not revoked

    talking.app.state.auth.revocations.still_valid, kept = ended, talking.app.state.auth.revocations.still_valid
    try:
        alice.headers["Authorization"] = f"Bearer {token['token']}"
        assert_problem(await talking.send("add milk"), 401, "session_ended")
    finally:
        del talking.app.state.auth.revocations.still_valid
        assert talking.app.state.auth.revocations.still_valid == kept
        alice.headers = mine
    assert await alice.titles() == []


async def test_a_read_token_can_read_messages_and_not_send_them(talk: Talking) -> None:
    alice = talk(in_turn(Says("Hello.")))
    await alice.say("hello")
    answer = await alice.person.call("POST", "/api/auth/tokens", json={"name": "x", "scope": "read"})
    alice.person.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    assert_problem(await alice.send("hello"), 403, "insufficient_scope")
    assert len(await alice.messages()) == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_messages_are_limited_per_minute(talk: Talking, bob: Person, streamed: bool) -> None:
    """One message is refilled in half a minute, longer than even a slow machine takes for three messages."""
    alice = talk(in_turn(Says("Hello.")), rate_limit_chat_per_minute=2)
    headers = {"Accept": "text/event-stream"} if streamed else {}
    for left in (1, 0):
        answer = await alice.send("hello", headers=headers)
        assert answer.status_code == 200
        assert f'"chat";r={left};' in answer.headers["ratelimit"]
    asked, kept = len(alice.model.asked), await alice.messages()
    answer = await alice.send("hello", headers=headers)
    assert_problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert (len(alice.model.asked), await alice.messages()) == (asked, kept)  # reading does not count as a message
    await alice.as_other(bob).say("hello")
