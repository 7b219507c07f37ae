"""Replies in the shapes of compatible servers, whole and streamed, become one plain ``Reply``.

Every field that such servers leave out, repeat or send as another type stands here once, in answers of our own words.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.assistant.model.documents import DOCUMENT_MAX, STREAM_DONE, read_documents
from app.assistant.model.endpoint_errors import EndpointError, InvalidReply
from app.assistant.model.reply_reader import ReplyReader
from app.assistant.model.tool_arguments import read_tool_arguments
from app.assistant.reply import Finish, Reply

A, B = {"title": "a"}, {"title": "b"}
JSON_A, JSON_B = json.dumps(A), json.dumps(B)


async def read(body: bytes, *, size: int = 7) -> tuple[Reply, str]:
    """Reads a response that arrives in small pieces; returns the reply and the text as it was streamed."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    reader, shown = ReplyReader(16_000), ""
    async for document in read_documents(pieces()):
        if document is STREAM_DONE:
            reader.end_stream()
            break
        shown += reader.feed(document)
    return reader.finish(), shown


def whole(message: Any, reason: Any = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return json.dumps({"id": "r", "object": "chat.completion", "choices": [choice], **more}).encode()


def chunk(delta: Any, reason: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "r", "object": "chat.completion.chunk", "choices": [choice], **more}


def stream(*documents: Any, done: bool = True, end: str = "\n\n", data: str = "data: ") -> bytes:
    texts = [data + (each if isinstance(each, str) else json.dumps(each)) for each in documents]
    return "".join(text + end for text in [*texts, *(["data: [DONE]"] if done else [])]).encode()


def call(name: Any = "add_task", arguments: Any = JSON_A, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def part(name: Any = ..., arguments: Any = ..., **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"function": {key: value for key, value in function.items() if value is not ...}, **more}


def streamed_calls(*deltas: list[Any], reason: Any = "tool_calls") -> bytes:
    return stream(*(chunk({"tool_calls": delta}) for delta in deltas), chunk({}, reason))


WHOLE_TEXT = {
    "OpenAI": whole({"role": "assistant", "content": "Hi.", "refusal": None, "annotations": []}),
    "Ollama": whole({"role": "assistant", "content": "Hi."}, system_fingerprint="fp_ollama"),
    "llama.cpp": whole({"role": "assistant", "content": "Hi."}, timings={"predicted_ms": 3.5}),
    "vLLM": whole({"role": "assistant", "content": "Hi.", "tool_calls": [], "reasoning": "Greet."}, stop_reason=None),
    "TGI": whole({"role": "assistant", "content": "Hi."}, "eos_token"),
    "DeepSeek": whole({"role": "assistant", "content": "Hi.", "reasoning_content": "They greet."}),
    "Qwen in tags": whole({"content": "<think>\nThey greet.\n</think>\n\nHi."}),
    "tags twice": whole({"content": "<think>a</think><think>b</think>Hi."}),
    "closing tag only": whole({"content": "They greet.\n</think>\n\nHi."}),
    "Gemini's tags": whole({"content": "<thought>They greet.</thought>Hi."}),
    "Mistral parts": whole({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "They"}]},
                                        {"type": "text", "text": "Hi."}]}),
    "parts as texts": whole({"content": ["H", "i."]}),
    "part with a value": whole({"content": [{"type": "text", "text": {"value": "Hi.", "annotations": []}}]}),
    "one part": whole({"content": {"type": "output_text", "text": "Hi."}}),
    "OpenRouter": b"\n\n \n" + whole({"content": "Hi.", "reasoning": "x", "reasoning_details": [{"text": "x"}]},
                                     native_finish_reason="STOP"),
    "no role, no object": json.dumps({"choices": [{"message": {"content": "Hi."}}]}).encode(),
    "reason null": whole({"content": "Hi."}, None),
    "reason in capitals": whole({"content": "Hi."}, "STOP"),
    "reason unknown": whole({"content": "Hi."}, "end_turn"),
    "reason of calls without any": whole({"content": "Hi.", "tool_calls": None}, "tool_calls"),
    "choices as an object": json.dumps({"choices": {"message": {"content": "Hi."}}}).encode(),
    "choices after null": json.dumps({"choices": [None, {"message": {"content": "Hi."}}]}).encode(),
    "BOM": b"\xef\xbb\xbf" + whole({"content": "Hi."}),
    "error null": whole({"content": "Hi."}, error=None),
    "detail empty at the top": whole({"content": "Hi."}, detail=""),
    "message beside an empty delta": json.dumps({"choices": [{"delta": {}, "message": {"content": "Hi."}}]}).encode(),
}  # fmt: skip
STREAMED_TEXT = {
    "OpenAI": stream(chunk({"role": "assistant", "content": ""}), chunk({"content": "H"}), chunk({"content": "i."}),
                     chunk({}, "stop"), {"choices": [], "usage": {"total_tokens": 9}}),
    "Azure": stream({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, chunk({"content": "Hi."}),
                    {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]},
                    chunk({}, "stop")),
    "OpenRouter": b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + stream(
        chunk({"content": "", "reasoning": "They"}), chunk({"content": "Hi."}), chunk({"content": ""}, "stop")),
    "DeepSeek": b": keep-alive\n\n\n\n" + stream(
        chunk({"content": None, "reasoning_content": "They"}), chunk({"content": "Hi."}),
        chunk({"content": ""}, "stop")),
    "Qwen in tags": stream(chunk({"content": "<th"}), chunk({"content": "ink>They greet.</thi"}),
                           chunk({"content": "nk>\n\nH"}), chunk({"content": "i."}), chunk({}, "stop")),
    "tags alike": stream(chunk({"content": "Hi."}), chunk({"content": ""}, "stop")),
    "Mistral": stream(chunk({"content": [{"type": "text", "text": "H"}]}), chunk({"content": "i."}), chunk({}, "stop")),
    "Groq": stream(chunk({"content": "Hi."}), chunk({}, "stop", x_groq={"usage": {"total_tokens": 3}})),
    "no final event": stream(chunk({"content": "Hi."}), chunk({}, "stop"), done=False),
    "no reason": stream(chunk({"content": "Hi."}), chunk({}, None)),
    "reason with the text": stream(chunk({"content": "Hi."}, "stop"), done=False),
    "reason empty at first": stream(chunk({"content": "Hi."}, ""), chunk({}, "stop")),
    "reason null after it": stream(chunk({"content": "Hi."}, "stop"), chunk({}, None), done=False),
    "choices null and missing": stream({"choices": None}, {"id": "r"}, chunk({"content": "Hi."}), chunk({}, "stop")),
    "delta null at the end": stream(chunk({"content": "Hi."}), chunk(None, "stop")),
    "delta missing at the end": stream(chunk({"content": "Hi."}), {"choices": [{"finish_reason": "stop"}]}),
    "message in place of delta": stream(
        {"object": "chat.completion.chunk", "choices": [{"message": {"content": "H"}}]},
        {"object": "chat.completion.chunk", "choices": [{"message": {"content": "i."}, "finish_reason": "stop"}]}),
    "whole message at the end": stream(chunk({"content": "Hi."}),
                                       {"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]}),
    "more of the message at the end": stream(chunk({"content": "H"}),
                                             {"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]}),
    "CRLF": stream(chunk({"content": "Hi."}), chunk({}, "stop"), end="\r\n\r\n"),
    "CR": stream(chunk({"content": "Hi."}), chunk({}, "stop"), end="\r\r"),
    "BOM": b"\xef\xbb\xbf" + stream(chunk({"content": "Hi."}), chunk({}, "stop")),
    "no space after data": stream(chunk({"content": "Hi."}), chunk({}, "stop"), data="data:"),
    "event names and ids": stream(chunk({"content": "Hi."}), chunk({}, "stop"), data="id: 1\nevent: message\ndata: "),
    "data of several lines": stream(json.dumps(chunk({"content": "Hi."}), indent=1).replace("\n", "\ndata: "),
                                    chunk({}, "stop")),
    "no empty lines": stream(chunk({"content": "Hi."}), chunk({}, "stop"), end="\n"),
    "no end of the last line": stream(chunk({"content": "Hi."}), chunk({}, "stop"), done=False).rstrip(),
    "pings": stream(chunk({"content": "Hi."}), chunk({}, "stop")).replace(b"data", b"event: ping\ndata: \n\ndata", 1),
    "whole in place of a stream": whole({"content": "Hi."}),
    "a long line": stream(chunk({"content": "Hi."}, padding="x" * 500_000), chunk({}, "stop")),
    "usage null": stream(chunk({"content": "Hi."}, usage=None), chunk({}, "stop", usage=None)),
}  # fmt: skip


@pytest.mark.parametrize("body", [*WHOLE_TEXT.values(), *STREAMED_TEXT.values()],
                         ids=[*(f"whole {name}" for name in WHOLE_TEXT), *STREAMED_TEXT])  # fmt: skip
async def test_a_text_is_read_from_any_shape(body: bytes) -> None:
    reply, _ = await read(body, size=max(7, len(body) // 100))
    assert (reply.text.strip(), reply.calls, reply.finish, reply.refusal) == ("Hi.", [], Finish.STOP, "")


@pytest.mark.parametrize("name", STREAMED_TEXT)
async def test_the_streamed_parts_are_the_text(name: str) -> None:
    for size in (1, 4096) if len(STREAMED_TEXT[name]) < 10_000 else (4096,):
        reply, shown = await read(STREAMED_TEXT[name], size=size)
        assert shown.strip() == reply.text.strip() == "Hi."


ONE_CALL = {
    "OpenAI": whole({"content": None, "tool_calls": [call()]}, "tool_calls"),
    "reason stop": whole({"content": None, "tool_calls": [call()]}, "stop"),
    "arguments an object": whole({"tool_calls": [call(arguments=A)]}),
    "arguments encoded twice": whole({"tool_calls": [call(arguments=json.dumps(JSON_A))]}),
    "arguments with a bracket more": whole({"tool_calls": [call(arguments=JSON_A + "}")]}),
    "arguments with a token behind": whole({"tool_calls": [call(arguments=JSON_A + "\n</tool_call><|im_end|>")]}),
    "arguments in a fence": whole({"tool_calls": [call(arguments=f"```json\n{JSON_A}\n```")]}),
    "arguments after an empty object": whole({"tool_calls": [call(arguments="{}" + JSON_A)]}),
    "arguments twice": whole({"tool_calls": [call(arguments=JSON_A + JSON_A)]}),
    "id missing, type missing": whole({"tool_calls": [{"function": {"name": "add_task", "arguments": JSON_A}}]}),
    "id a number": whole({"tool_calls": [call(id=7)]}),
    "id null": whole({"tool_calls": [call(id=None)]}),
    "one call outside of a list": whole({"tool_calls": call()}),
    "name beside the id": whole({"tool_calls": [{"id": "c1", "name": "add_task", "arguments": A}]}),
    "legacy": whole({"content": None, "function_call": {"name": "add_task", "arguments": JSON_A}}, "function_call"),
    "streamed": streamed_calls([part("add_task", "", index=0, id="c1")], [part(..., '{"title"', index=0)],
                               [part(None, ': "a"}', index=0)]),
    "streamed whole": streamed_calls([part("add_task", JSON_A, index=0, id="c1")]),
    "without an index": streamed_calls([part("add_task", JSON_A, id="c1")], reason="stop"),
    "without index and id": streamed_calls([part("add_task", JSON_A)]),
    "in pieces without an index": streamed_calls([part("add_task", '{"tit', id="c1")], [part(..., 'le": "a"}')]),
    "index null": streamed_calls([part("add_task", '{"tit', index=None)], [part(..., 'le": "a"}', index=None)]),
    "index as text": streamed_calls([part("add_task", '{"tit', index="0")], [part(..., 'le": "a"}', index=0)]),
    "index from one": streamed_calls([part("add_task", '{"tit', index=1)], [part(..., 'le": "a"}', index=1)]),
    "name in each part": streamed_calls([part("add_task", '{"tit', index=0, id="c1")],
                                        [part("add_task", 'le": "a"}', index=0, id="c1")],
                                        [part("add_task", "", index=0, id="c1")]),
    "name and no index in each part": streamed_calls([part("add_task", '{"tit')], [part("add_task", 'le": "a"}')]),
    "name in pieces": streamed_calls([part("add_", "", index=0, id="c1")], [part("task", JSON_A, index=0)]),
    "name that grows": streamed_calls([part("add_", "", index=0)], [part("add_task", JSON_A, index=0)]),
    "name in a later part": streamed_calls([{"index": 0, "id": "c1", "function": None}],
                                           [part("add_task", ..., index=0)], [part(..., JSON_A, index=0)]),
    "arguments before the name": streamed_calls([part("", '{"title":', index=0, id="c1")],
                                                [part("add_task", ' "a"}', index=0)]),
    "id in a later part": streamed_calls([part("add_task", '{"tit', index=0)],
                                         [part(..., 'le": "a"}', index=0, id="c1")]),
    "arguments null first": streamed_calls([part("add_task", None, index=0, id="c1")], [part(..., JSON_A, index=0)]),
    "arguments an object, streamed": streamed_calls([part("add_task", A, index=0, id="c1")]),
    "an empty object first": streamed_calls([part("add_task", "{}", index=0, id="c1")], [part(..., JSON_A, index=0)]),
    "whole once more at the end": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                                 [part("add_task", JSON_A, index=0, id="c1")]),
    "arguments once more at the end": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                                     [part(None, JSON_A, index=0)]),
    "an empty part at the end": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                               [{"index": 0, "function": {"arguments": ""}}], [{"function": {}}]),
    "legacy, streamed": stream(chunk({"function_call": {"name": "add_task", "arguments": ""}}),
                               chunk({"function_call": {"arguments": '{"title": '}}),
                               chunk({"function_call": {"arguments": '"a"}'}}), chunk({}, "function_call")),
    "whole at the end of a stream": stream(
        chunk({"content": ""}), {"choices": [{"message": {"tool_calls": [call()]}, "finish_reason": "tool_calls"}]}),
    "in a message and in a delta": stream(
        chunk({"tool_calls": [part("add_task", JSON_A, index=0, id="c1")]}),
        {"choices": [{"delta": {}, "message": {"tool_calls": [call()]}, "finish_reason": "tool_calls"}]}),
    "thoughts before it": stream(chunk({"content": "<think>Hm.</think>"}),
                                 chunk({"tool_calls": [part("add_task", JSON_A)]}), chunk({}, "tool_calls")),
    "reason null": streamed_calls([part("add_task", JSON_A, index=0, id="c1")], reason=None),
}  # fmt: skip


@pytest.mark.parametrize("body", ONE_CALL.values(), ids=ONE_CALL)
async def test_a_call_is_read_from_any_shape(body: bytes) -> None:
    reply, shown = await read(body)
    assert [(each.name, each.arguments) for each in reply.calls] == [("add_task", A)]
    assert (reply.text, shown, reply.finish) == ("", "", Finish.STOP)
    assert reply.calls[0].id in ("c1", "", "7")


TWO_CALLS = {
    "whole": whole({"tool_calls": [call(), call(arguments=JSON_B, id="c2")]}),
    "whole, one id": whole({"tool_calls": [call(), call(arguments=JSON_B)]}),
    "streamed": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                               [part("add_task", JSON_B, index=1, id="c2")]),
    "interleaved": streamed_calls([part("add_task", '{"title"', index=0, id="c1")],
                                  [part("add_task", '{"title"', index=1, id="c2")],
                                  [part(..., ': "b"}', index=1)], [part(..., ': "a"}', index=0)]),
    "in one delta": streamed_calls([part("add_task", JSON_A, index=0, id="c1"),
                                    part("add_task", JSON_B, index=1, id="c2")]),
    "in one delta without index and id": streamed_calls([part("add_task", JSON_A), part("add_task", JSON_B)]),
    "one index, two ids": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                         [part("add_task", JSON_B, index=0, id="c2")]),
    "one index, two ids, in pieces": streamed_calls([part("add_task", '{"title"', index=0, id="c1")],
                                                    [part(..., ': "a"}', index=0)],
                                                    [part("add_task", "", index=0, id="c2")],
                                                    [part(..., JSON_B, index=0)]),
    "one index, no id": streamed_calls([part("add_task", JSON_A, index=0)], [part("add_task", JSON_B, index=0)]),
    "one index, empty ids": streamed_calls([part("add_task", JSON_A, index=0, id="")],
                                           [part("add_task", JSON_B, index=0, id="")]),
    "one id, two indexes": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                          [part("add_task", JSON_B, index=1, id="c1")]),
    "one id, one index": streamed_calls([part("add_task", JSON_A, index=0, id="c1")],
                                        [part("add_task", JSON_B, index=0, id="c1")]),
    "no index, two ids": streamed_calls([part("add_task", JSON_A, id="c1")], [part("add_task", JSON_B, id="c2")]),
    "no index, no id": streamed_calls([part("add_task", JSON_A)], [part("add_task", JSON_B)]),
    "no index, objects": streamed_calls([part("add_task", A)], [part("add_task", B)]),
    "no index, in pieces": streamed_calls([part("add_task", '{"title"', id="c1")], [part(..., ': "a"}')],
                                          [part("add_task", '{"title"', id="c2")], [part(..., ': "b"}')]),
}  # fmt: skip


@pytest.mark.parametrize("body", TWO_CALLS.values(), ids=TWO_CALLS)
async def test_two_calls_are_two(body: bytes) -> None:
    reply, _ = await read(body)
    assert [(each.name, each.arguments) for each in reply.calls] == [("add_task", A), ("add_task", B)]


async def test_calls_of_two_tools_without_arguments_are_two() -> None:
    for delta in (
        [part("list_tags", ""), part("undo_last", "")],
        [part("list_tags", None, id="c1"), part("undo_last", None, id="c1")],
        [part("list_tags", "{}", index=0), part("undo_last", "{}", index=0)],
    ):
        for body in (streamed_calls(delta), streamed_calls(*([each] for each in delta))):
            reply, _ = await read(body)
            assert [(each.name, each.arguments) for each in reply.calls] == [("list_tags", {}), ("undo_last", {})]


ARGUMENTS: list[tuple[Any, Any]] = [
    (None, {}), ("", {}), (" \n", {}), ("null", {}), ("{}", {}), ('""', {}), (A, A), (JSON_A, A),
    ('{"title": "a\nb"}', {"title": "a\nb"}), ('{"title": {"a": [1, null]}}', {"title": {"a": [1, None]}}),
    ('{"title": "a"', None), ('{"title": "a', None), ("{", None), ('{"title": "a"} and more', None),
    (JSON_A + JSON_B, None), (f"{JSON_A}, {JSON_B}", None), ("[1]", None), ("7", None), ("true", None),
    ([A], None), (7, None), (True, None), ("x", None), ('{"title": "a", "title": "b"}', None),
    ('"' * 3, None), ("[" * 100_000, None), ('{"title": ' + "[" * 600 + "]" * 600 + "}", None),
    (json.dumps(json.dumps(JSON_A)), A),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_arguments_are_one_object_or_none(value: Any, expected: Any) -> None:
    assert read_tool_arguments(value) == expected


CUT_CALLS = {
    "half": '{"title": "a ver',
    "none yet": "",
    "no brackets": '{"title": "a"',
    "encoded twice": '"{\\"title\\": \\"a',
}


@pytest.mark.parametrize("arguments", CUT_CALLS.values(), ids=CUT_CALLS)
@pytest.mark.parametrize("reason", ["length", "MAX_TOKENS", "model_length", None])
async def test_a_call_in_which_the_reply_ended_has_no_arguments(arguments: str, reason: str | None) -> None:
    bodies = [
        streamed_calls(
            [part("add_task", JSON_B, index=0, id="c1")], [part("add_task", arguments, index=1, id="c2")], reason=reason
        )
    ]
    if reason is not None:
        bodies.append(whole({"tool_calls": [call(arguments=JSON_B), call(arguments=arguments)]}, reason))
    for body in bodies:
        first, last = (await read(body))[0].calls
        assert (first.arguments, first.incomplete) == (B, False)
        assert (last.arguments, last.incomplete) == (None, True)


FINISHES = {
    "stop": Finish.STOP, "eos": Finish.STOP, "COMPLETE": Finish.STOP, "tool_calls": Finish.STOP, True: Finish.STOP,
    "length": Finish.LENGTH, "max_tokens": Finish.LENGTH, "MAX_TOKENS": Finish.LENGTH, "model_length": Finish.LENGTH,
    "content_filter": Finish.FILTER, "SAFETY": Finish.FILTER, "refusal": Finish.FILTER,
    "PROHIBITED_CONTENT": Finish.FILTER,
}  # fmt: skip


@pytest.mark.parametrize(("reason", "expected"), FINISHES.items())
async def test_the_reason_is_read_from_any_word(reason: Any, expected: Finish) -> None:
    for body in (whole({"content": "Hi."}, reason), stream(chunk({"content": "Hi."}), chunk({}, reason))):
        assert (await read(body))[0].finish is expected


async def test_a_refusal_is_read_from_a_field_or_a_part() -> None:
    for body in (
        whole({"content": None, "refusal": "I cannot."}),
        whole({"content": [{"type": "refusal", "refusal": "I cannot."}]}),
        stream(chunk({"content": None, "refusal": "I "}), chunk({"refusal": "cannot."}), chunk({}, "stop")),
    ):
        reply, shown = await read(body)
        assert (reply.text, reply.refusal, shown) == ("", "I cannot.", "")


async def test_a_thought_that_never_ends_is_no_answer() -> None:
    for reason in ("length", "stop"):
        reply, shown = await read(
            stream(chunk({"content": "<think>Let me"}), chunk({"content": " see"}), chunk({}, reason))
        )
        assert (reply.text, shown) == ("", "")


async def test_text_that_only_begins_like_a_tag_is_kept() -> None:
    for text in ("<thin", "<", "<b>Hi</b>", "a <think>b</think> c", "[THI"):
        reply, shown = await read(stream(*(chunk({"content": letter}) for letter in text), chunk({}, "stop")))
        assert reply.text == text
        assert text.startswith(shown)


USAGES: list[tuple[Any, int | None]] = [
    ({"total_tokens": 9}, 9), ({"prompt_tokens": 4, "completion_tokens": 5}, 9), (None, None), ({}, None), ([], None),
    ({"input_tokens": 4, "output_tokens": 5}, 9), ({"total_tokens": None}, None), ({"total_tokens": "9"}, None),
    ({"total_tokens": 10**40}, None),
    ({"total_tokens": True}, None), ({"total_tokens": -1}, None), ("9", None),
]  # fmt: skip


@pytest.mark.parametrize(("usage", "tokens"), USAGES, ids=range(len(USAGES)))
async def test_the_usage_is_a_positive_number_or_unknown(usage: Any, tokens: int | None) -> None:
    assert (await read(whole({"content": "Hi."}, usage=usage)))[0].tokens == tokens
    assert (await read(stream(chunk({"content": "Hi."}), chunk({}, "stop"), {"choices": [], "usage": usage})))[
        0
    ].tokens == tokens
    at_the_end = chunk({}, "stop", x_groq={"usage": usage})
    assert (await read(stream(chunk({"content": "Hi."}), at_the_end)))[0].tokens == tokens


async def test_fields_that_the_server_expects_back_are_kept() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "s1"}}}
    for body in (
        whole({"reasoning_content": "Let me see", "tool_calls": [call(**signed)]}),
        stream(chunk({"reasoning_content": "Let me "}), chunk({"reasoning_content": "see"}),
               chunk({"tool_calls": [part("add_task", JSON_A, index=0, id="c1", **signed)]}), chunk({}, "tool_calls")),
    ):  # fmt: skip
        reply, _ = await read(body)
        assert reply.extra == {"reasoning_content": "Let me see"}
        assert reply.calls[0].extra == signed
    details = stream(
        chunk({"reasoning_details": [{"text": "a"}]}), chunk({"reasoning_details": [{"text": "b"}]}), chunk({}, "stop")
    )
    assert (await read(details))[0].extra == {"reasoning_details": [{"text": "a"}, {"text": "b"}]}


UNFINISHED = {
    "text": stream(chunk({"content": "Hi"}), done=False),
    "call": stream(chunk({"tool_calls": [part("add_task", '{"tit', index=0, id="c1")]}), done=False),
    "whole call": stream(chunk({"tool_calls": [part("add_task", JSON_A, index=0, id="c1")]}), done=False),
    "half an event": stream(chunk({"content": "Hi."}), chunk({}, "stop"), done=False)[:-20],
    "half a whole answer": whole({"content": "Hi."})[:-9],
}
NO_REPLIES = {
    "nothing": b"",
    "empty lines": b"\n\n\n",
    "comments": b": a\n\n: b\n\n",
    "only the end": b"data: [DONE]\n\n",
    "no choices": b'{"choices": []}',
    "choices null": b'{"choices": null}',
    "message null": whole(None),
    "message a text": whole("Hi."),
    "delta a list": stream(chunk(["Hi."])),
    "content a number": whole({"content": 5}),
    "a list": b"[]",
    "a number": stream("5"),
    "words": stream("nonsense"),
    "a web page": b"<html><body>Welcome</body></html>",
    "nested too deeply": b"[" * 200_000,
    "nested deeply": whole({"content": "Hi.", "reasoning_details": [json.loads("[" * 600 + "]" * 600)]}),
    "arguments nested deeply": whole({"tool_calls": [call(arguments=json.loads("[" * 600 + "]" * 600))]}),
    "a call without a function": whole({"tool_calls": [{"id": "c1"}]}),
    "a call that is a text": whole({"tool_calls": ["add_task"]}),
    "a call without a name": streamed_calls([part(..., JSON_A, index=0, id="c1")]),
    "too long": whole({"content": "x" * DOCUMENT_MAX}),
}


@pytest.mark.parametrize("body", [*UNFINISHED.values(), *NO_REPLIES.values()], ids=[*UNFINISHED, *NO_REPLIES])
async def test_what_is_no_whole_reply_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidReply):
        await read(body, size=4096)


ERRORS: dict[str, tuple[bytes, str, int | None]] = {
    "an object": (b'{"error": {"message": "no such model", "type": "x", "code": 404}}', "no such model", 404),
    "a text": (b'{"error": "no such model"}', "no such model", None),
    "a list": (b'[{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}]', "bad", 400),
    "vLLM": (b'{"object": "error", "message": "too long", "code": 400}', "too long", 400),
    "FastAPI": (
        b'{"detail": [{"loc": ["body", "tools"], "msg": "field required"}]}', "body.tools: field required", None),
    "detail": (b'{"detail": "not found"}', "not found", None),
    "code as text": (b'{"error": {"message": "slow down", "code": "429"}}', "slow down", 429),
    "OpenRouter": (
        b'{"error": {"code": 502, "message": "Provider error", "metadata": {"raw": "out of memory"}}, "user_id": "u"}',
        "Provider error: out of memory", 502),
    "in a choice": (
        b'{"choices": [{"error": {"code": 502, "message": "gone"}, "message": {"content": ""}}]}', "gone", 502),
    "beside choices": (stream(chunk({"content": ""}, "error", error={"code": 502, "message": "gone"})), "gone", 502),
    "in the middle": (stream(chunk({"content": "Hi"}), {"error": {"message": "gone"}}), "gone", None),
    "an error event": (b'event: error\ndata: {"error": {"message": "crashed"}}\n\n', "crashed", None),
    "an error event of text": (b"event: error\ndata: crashed\n\n", "crashed", None),
    "llama.cpp": (b'error: {"code": 500, "message": "slot unavailable"}\n\n', "slot unavailable", 500),
    "a reason": (whole({"content": "Hi"}, "error"), "finish_reason error", None),
    "abort": (stream(chunk({"content": "Hi"}), chunk({}, "abort")), "finish_reason abort", None),
    "Gemini": (whole({}, "function_call_filter: MALFORMED_FUNCTION_CALL"), "finish_reason", None),
    "DeepSeek": (whole({"content": ""}, "insufficient_system_resource"), "finish_reason", None),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message", "status"), ERRORS.values(), ids=ERRORS)
async def test_an_error_within_a_response_is_an_error(body: bytes, message: str, status: int | None) -> None:
    with pytest.raises(EndpointError) as raised:
        await read(body)
    assert raised.value.message.startswith(message)
    assert raised.value.status == status
