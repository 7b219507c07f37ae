"""The chat with servers that are compatible in their own way: what is done, what the user reads, what is logged."""

import gzip
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr

from app.assistant.outcome import EMPTY_TEXT
from app.clock import now
from tests.assistant.conftest import Talking
from tests.assistant.scripted import Json, Says, in_turn, results
from tests.assistant.test_reply_reader import JSON_A, JSON_B, call, chunk, part, stream, streamed_calls, whole
from tests.support import assert_problem

ADD = Says(calls=[("add_task", {"title": "a"})])


def plain(body: bytes) -> Says:
    return Says(body=body)


def error(status: int, body: Any, **headers: str) -> Says:
    return Says(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        whole({"content": None, "tool_calls": [call(arguments={"title": "a"})]}, "tool_calls"),
        whole({"function_call": {"name": "add_task", "arguments": JSON_A}}, "function_call"),
        streamed_calls([part("add_task", JSON_A, id="c1")], reason="stop"),
        streamed_calls([part("add_task", JSON_A, index=0, id="c1")]),
    ],
    ids=range(4),
)
async def test_a_call_is_run_whatever_its_shape(talk: Talking, streamed: bool, body: bytes) -> None:
    """Also a whole answer to a request for a stream, and a stream in place of a whole answer."""
    alice = talk(in_turn(plain(body), Says("Added.")))
    said = (await alice.stream("add a"))[-1][1] if streamed else await alice.say("add a")
    assert [each["result"]["status"] for each in said["tool_calls"]] == ["created"]
    assert (said["response"], said["outcome"]) == ("Added.", "answered")
    assert await alice.person.titles() == ["a"]


async def test_two_streamed_calls_with_one_index_are_both_run(talk: Talking) -> None:
    body = streamed_calls(
        [part("add_task", JSON_A, index=0, id="c1")], [part("add_task", JSON_B, index=0, id="c2")], reason="stop"
    )
    alice = talk(in_turn(plain(body), Says("Added.")))
    await alice.stream("add a and b")
    assert await alice.person.titles() == ["b", "a"]
    sent = alice.model.asked[1]["messages"]
    assert [each["tool_call_id"] for each in sent if each["role"] == "tool"] == ["c1", "c2"]


async def test_ids_of_calls_are_unique_and_short(talk: Talking) -> None:
    """Repeated or missing ids are replaced by nine letters and digits, which is all that Mistral accepts."""
    body = whole({"tool_calls": [call(), call(), call(id=None)]})
    alice = talk(in_turn(plain(body), Says("Added."), Says("Hello.")))
    await alice.say("add a")
    await alice.say("hello")
    for request in alice.model.asked[1:]:
        asked = [each["id"] for message in request["messages"] for each in message.get("tool_calls", ())]
        answered = [message["tool_call_id"] for message in request["messages"] if message["role"] == "tool"]
        assert asked == answered
        assert len(set(asked)) == 3
    assert all(len(each) == 9 and each.isalnum() for each in asked)


async def test_fields_that_the_server_expects_back_are_sent_back_within_the_message(talk: Talking) -> None:
    signed = {"extra_content": {"google": {"thought_signature": "s1"}}}
    body = whole({"reasoning_content": "Let me see", "tool_calls": [call(**signed)]})
    alice = talk(in_turn(plain(body), Says("Added."), Says("Hello.")))
    await alice.say("add a")
    calling = alice.model.asked[1]["messages"][-2]
    assert calling["reasoning_content"] == "Let me see"
    assert calling["tool_calls"][0]["extra_content"] == signed["extra_content"]
    await alice.say("hello")
    assert "reasoning_content" not in json.dumps(alice.model.asked[2])


# -- an answer that is none


EMPTY_ANSWERS: dict[str, tuple[bytes, str, str]] = {
    "empty": (whole({"content": ""}), "empty", EMPTY_TEXT),
    "null": (whole({"content": None}), "empty", EMPTY_TEXT),
    "calls without any": (whole({"content": None, "tool_calls": []}, "tool_calls"), "empty", EMPTY_TEXT),
    "only thoughts": (whole({"content": "<think>Hm.</think>"}), "empty", EMPTY_TEXT),
    "streamed": (stream(chunk({"content": ""}), chunk({}, "stop")), "empty", EMPTY_TEXT),
    "length": (whole({"content": ""}, "length"), "cut_off", "limit of one answer"),
    "length in a thought": (
        stream(chunk({"content": "<think>H"}), chunk({}, "length")), "cut_off", "limit of one answer"),
    "length in a text": (whole({"content": "You have"}, "length"), "cut_off", "You have\n\nThe answer ends here"),
    "filter": (whole({"content": None}, "content_filter"), "refused", "filter"),
    "filter in a text": (
        stream(chunk({"content": "You"}), chunk({}, "content_filter")), "refused", "You\n\nThe filter"),
    "refusal": (whole({"content": None, "refusal": "I cannot."}), "refused", "I cannot."),
    "refusal streamed": (stream(chunk({"refusal": "I cannot."}), chunk({}, "stop")), "refused", "I cannot."),
}  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("body", "outcome", "text"), EMPTY_ANSWERS.values(), ids=EMPTY_ANSWERS)
async def test_an_answer_that_is_none_says_so(
    talk: Talking, streamed: bool, body: bytes, outcome: str, text: str
) -> None:
    alice = talk(in_turn(plain(body)))
    events = await alice.stream("hello") if streamed else []
    said = events[-1][1] if streamed else await alice.say("hello")
    assert said["outcome"] == outcome
    assert text in said["response"]
    assert "Done" not in said["response"]
    if streamed:
        assert "".join(data["text"] for name, data in events if name == "delta") == said["response"]
    assert (await alice.messages())[-1]["content"] == said["response"]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_an_empty_answer_after_calls_says_what_was_done(talk: Talking, reason: str) -> None:
    alice = talk(in_turn(ADD, plain(whole({"content": ""}, reason))))
    said = await alice.say("add a")
    task = said["tool_calls"][0]["result"]["task_id"]
    assert f'Done before that: add_task "a" ({task}).' in said["response"]
    assert said["outcome"] != "answered"

    alice.model.script = in_turn(Says(calls=[("list_tasks", {}), ("empty_trash", {})]), plain(whole({"content": ""})))
    said = await alice.say("clean up")
    assert said["response"] == f'{EMPTY_TEXT} Not done, waiting for your "yes": empty_trash.'


async def test_a_call_cut_at_the_limit_is_not_run_and_the_model_may_repeat_it(talk: Talking) -> None:
    cut = '{"title": "a very long'
    for streamed in (False, True):
        body = streamed_calls(
            [part("add_task", JSON_B, index=0, id="c1")], [part("add_task", cut, index=1, id="c2")], reason="length"
        )
        body = body if streamed else whole({"tool_calls": [call(arguments=JSON_B), call(arguments=cut)]}, "length")
        alice = talk(in_turn(plain(body), Says("One was too long.")))
        said = (await alice.stream("add"))[-1][1] if streamed else await alice.say("add")
        assert [each["result"].get("error") for each in said["tool_calls"]] == [None, "bad_arguments"]
        assert "limit" in results(alice.model.asked[1])[-1]["detail"]
        assert await alice.person.titles() == ["b"] * (1 + streamed)


async def test_calls_of_a_filtered_reply_are_not_run(talk: Talking) -> None:
    alice = talk(in_turn(plain(whole({"tool_calls": [call()]}, "content_filter"))))
    said = await alice.say("add a")
    assert (said["outcome"], said["tool_calls"], await alice.person.titles()) == ("refused", [], [])


@pytest.mark.parametrize("half", [1, 2])
async def test_calls_of_a_stream_that_breaks_off_are_not_run(talk: Talking, half: int) -> None:
    """The connection ends without the end of the body, in or after a call's arguments."""
    pieces = [stream(chunk({"tool_calls": [part("add_task", JSON_A, index=0, id="c1")]}), done=False)]
    pieces.append(stream(chunk({"tool_calls": [part("add_task", '{"ti', index=1, id="c2")]}), done=False))
    alice = talk(in_turn(Says(pieces=pieces[:half], cut=True)))
    assert (await alice.stream("add a"))[-1][1]["code"] == "model_failed"
    assert await alice.person.titles() == []


async def test_a_compressed_answer_is_read(talk: Talking) -> None:
    for streamed in (False, True):
        body = stream(chunk({"content": "Hi."}), chunk({}, "stop")) if streamed else whole({"content": "Hi."})
        alice = talk(in_turn(Says(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})))
        said = (await alice.stream("hello"))[-1][1] if streamed else await alice.say("hello")
        assert said["response"] == "Hi."


async def test_a_connection_is_used_again_after_a_stream(talk: Talking) -> None:
    body = stream(chunk({"content": "Hi."}), chunk({}, "stop"))
    alice = talk(in_turn(Says(pieces=[body])))
    for _ in range(3):
        assert (await alice.stream("hello"))[-1][1]["response"] == "Hi."
    assert len(set(alice.model.ports)) == 1


# -- errors of the server


FAILURES: dict[str, tuple[Says, str, str]] = {
    "no access": (error(401, {"error": {"message": "Incorrect API key"}}), "LLM_API_KEY", "Incorrect API key"),
    "forbidden": (error(403, {"detail": "no access to model"}), "LLM_API_KEY", "no access to model"),
    "no credit": (error(402, {"error": {"message": "Insufficient Balance"}}), "credit", "Insufficient Balance"),
    "no quota": (error(429, {"error": {"message": "exceeded", "code": "insufficient_quota"}}), "credit", "exceeded"),
    "Ollama's model": (
        error(404, {"error": {"message": 'model "x" not found, try pulling it first'}}),
        "LLM_MODEL", "try pulling it first"),
    "another address": (error(404, b"404 page not found"), "LLM_BASE_URL", "404 page not found"),
    "no tools": (
        error(400, {"error": {"message": "gemma does not support tools"}}), "tools", "gemma does not support tools"),
    "no tools, vLLM": (
        error(400, {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice to be set'}),
        "tools", "--enable-auto-tool-choice"),
    "too long": (
        error(400, {"error": {"message": "maximum context length is 4096 tokens"}}),
        "too long", "maximum context length"),
    "FastAPI": (
        error(422, {"detail": [{"loc": ["body", "messages", 0], "msg": "wrong role", "input": "my diary"}]}),
        "did not answer", "body.messages.0: wrong role"),
    "Pydantic's text": (
        error(400, {"message": "1 error\nmessages\n  wrong role [type=enum, input_value='my diary', input_type=str]"}),
        "did not answer", "messages wrong role [type=enum,"),
    "another text on input": (
        error(400, {"message": "Invalid input: expected string, received null"}), "did not answer", "expected string"),
    "a text": (error(500, {"error": "out of memory"}), "did not answer", "out of memory"),
    "a web page": (
        error(502, b"<html><head><style>p {}</style></head><body><h1>Bad gateway</h1></body></html>"),
        "did not answer", "502: Bad gateway"),
    "nothing": (error(500, b""), "did not answer", "500: no message"),
    "within 200": (plain(b'{"error": {"message": "upstream died", "code": 500}}'), "did not answer", "upstream died"),
    "many lines": (
        error(500, {"error": "one\ntwo\r\n\x1b[31mthree" + "x" * 5000}), "did not answer", "one two [31mthree"),
}  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("says", "sentence", "logged"), FAILURES.values(), ids=FAILURES)
async def test_the_operator_reads_the_servers_message_and_the_user_a_sentence(
    talk: Talking, caplog: pytest.LogCaptureFixture, streamed: bool, says: Says, sentence: str, logged: str
) -> None:
    alice = talk(in_turn(says))
    problem = (await alice.stream("hello"))[-1][1] if streamed else assert_problem(await alice.send("hello"), 502)
    assert (problem["status"], problem["code"]) == (502, "model_failed")
    assert sentence in problem["detail"]
    assert "kept" in problem["detail"]
    (line,) = [each.getMessage() for each in caplog.records if each.name.startswith("app.assistant")]
    assert logged in line
    assert logged not in problem["detail"]
    assert "\n" not in line
    assert "my diary" not in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("says", "status", "code"),
    [
        (error(503, {"error": {"message": "Loading model"}}, **{"Retry-After": "7"}), 503, "model_busy"),
        (error(529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}), 503, "model_busy"),
        (plain(b'{"error": {"code": 429, "message": "slow down"}}'), 503, "model_busy"),
        (plain(stream({"error": {"message": "Rate limit reached", "type": "rate_limit"}})), 503, "model_busy"),
        (error(504, b"gateway timeout"), 504, "model_timeout"),
        (error(408, {"error": "took too long"}), 504, "model_timeout"),
    ],
    ids=range(6),
)
async def test_a_server_that_is_busy_or_slow_is_worth_another_try(
    talk: Talking, says: Says, status: int, code: str
) -> None:
    answer = await talk(in_turn(says)).send("hello")
    assert_problem(answer, status, code)
    if status == 503:
        assert answer.headers["retry-after"] == ("7" if says.headers else "5")


@pytest.mark.parametrize(("seconds", "low", "high"), [(90, 80, 90), (-5, 5, 5), (86_400, 300, 300)])
async def test_retry_after_may_be_a_date(talk: Talking, seconds: int, low: int, high: int) -> None:
    when = format_datetime(now() + timedelta(seconds=seconds), usegmt=True)
    for header in (when, f"{seconds}.0"):
        answer = await talk(in_turn(error(429, {}, **{"Retry-After": header}))).send("hello")
        assert low <= int(answer.headers["retry-after"]) <= high


async def test_a_filter_of_the_prompt_is_a_refusal(talk: Talking) -> None:
    """Azure's: status 400 with a code."""
    refused = {"error": {"code": "content_filter", "message": "triggering the content management policy"}}
    said = await talk(in_turn(error(400, refused))).say("hello")
    assert said["outcome"] == "refused"


async def test_the_log_holds_no_key_and_no_text_of_the_user(talk: Talking, caplog: pytest.LogCaptureFixture) -> None:
    echo = error(401, {"error": {"message": "Bearer sk-very-secret may not ask: buy a ring for Eve"}})
    await talk(in_turn(echo), llm_api_key=SecretStr("sk-very-secret")).send("buy a ring for Eve")
    lines = "".join(each.getMessage() for each in caplog.records)
    assert "Bearer *** may not ask" in lines
    assert "sk-very-secret" not in lines
    assert "Eve" not in lines


# -- what the endpoint refuses is left out


def picky(*refused: str, status: int = 400, message: str = "Unsupported parameter: '{}' is not supported.") -> Any:
    def script(request: Json) -> Says:
        sent = {*request, *(name for each in request["messages"] for name in each)}
        wrong = next((name for name in refused if name in sent), None)
        return Says("Hello.") if wrong is None else error(status, {"error": {"message": message.format(wrong)}})

    return script


MESSAGES = [
    "Unsupported parameter: '{}' is not supported with this model. Use another instead.",
    'Invalid JSON payload received. Unknown name "{}": Cannot find field.',
    "Unrecognized request argument supplied: {}",
    "body.{}: Extra inputs are not permitted",
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
async def test_the_other_name_of_the_limit_is_tried_and_remembered(talk: Talking, streamed: bool, message: str) -> None:
    alice = talk(picky("max_tokens", message=message))
    for count in (2, 3):
        said = (await alice.stream("hello"))[-1][1] if streamed else await alice.say("hello")
        assert said["response"] == "Hello."
        assert len(alice.model.asked) == count
    assert [sorted(each.keys() & {"max_tokens", "max_completion_tokens"}) for each in alice.model.asked] == [
        ["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"],
    ]  # fmt: skip


async def test_the_name_of_the_limit_can_be_set(talk: Talking) -> None:
    alice = talk(picky("max_tokens"), llm_max_tokens_name="max_completion_tokens")
    await alice.say("hello")
    assert len(alice.model.asked) == 1
    alice = talk(picky("max_completion_tokens"), llm_max_tokens_name="max_completion_tokens")
    assert_problem(await alice.send("hello"), 502)
    assert len(alice.model.asked) == 1


async def test_a_refused_value_of_the_limit_changes_nothing_for_later_calls(talk: Talking) -> None:
    """Both names are refused: the first is asked with again, and the server's message is in the log."""
    alice = talk(picky("max_tokens", "max_completion_tokens", message="{} is too large: 1000"))
    for _ in range(2):
        assert_problem(await alice.send("hello"), 502, "model_failed")
    assert ["max_tokens" in each for each in alice.model.asked] == [True, False] * 2


@pytest.mark.parametrize("refused", ["stream_options", "stream"])
async def test_optional_parameters_are_left_out_once_refused(talk: Talking, refused: str) -> None:
    alice = talk(picky(refused, status=422))
    for _ in range(2):
        events = await alice.stream("hello")
        assert "".join(data["text"] for name, data in events if name == "delta") == "Hello."
    assert [refused in each for each in alice.model.asked] == [True, False, False]
    assert all("temperature" not in each and "parallel_tool_calls" not in each for each in alice.model.asked)


async def test_all_refusals_of_an_endpoint_are_learned_within_one_message(talk: Talking) -> None:
    alice = talk(picky("max_tokens", "stream_options", "tool_choice", status=422), chat_turns=1)
    assert (await alice.stream("hello"))[-1][1]["response"] == "Hello."
    assert len(alice.model.asked) == 4


async def test_returned_fields_are_left_out_once_refused(talk: Talking) -> None:
    def script(request: Json) -> Says:
        if request["messages"][-1]["role"] == "tool":
            found = picky("reasoning_content")(request)
            assert isinstance(found, Says)
            return found
        return plain(whole({"reasoning_content": "Let me see", "tool_calls": [call()]}))

    alice = talk(script)
    assert (await alice.say("add a"))["response"] == "Hello."
    assert await alice.person.titles() == ["a"]
    assert len(alice.model.asked) == 3


@pytest.mark.parametrize("message", ["Something else is wrong with tools[0]", "max_tokensx", "the maximum of tokens"])
async def test_other_refusals_are_not_repeated(talk: Talking, message: str) -> None:
    alice = talk(in_turn(error(400, {"error": {"message": message}})))
    assert_problem(await alice.send("hello"), 502)
    assert len(alice.model.asked) == 1


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/deployments/d?api-version=2024-10-21", "/v1/deployments/d/chat/completions?api-version=2024-10-21"),
    ],
)
async def test_the_address_may_be_written_in_several_ways(talk: Talking, base: str, path: str) -> None:
    alice = talk(in_turn(Says("Hello.")), llm_api_key=SecretStr("k"))
    alice.app.state.chat._settings.llm_base_url += base
    await alice.say("hello")
    assert alice.model.paths == [path]
    assert alice.model.keys == ["Bearer k"]
