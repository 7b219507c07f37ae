"""The one step between the wire and the turn: the documents of a response, whole or streamed, become a ``Reply``.

Compatible servers leave out, repeat, or change the type of almost every field; tests/assistant/test_reply_reader.py
lists what they send.
"""

import re
from collections.abc import Callable
from typing import Any

from app.assistant.model.call_deltas import CallDeltas, PartialCall, finish_calls, read_call_parts
from app.assistant.model.endpoint_errors import EndpointError, InvalidReply, endpoint_error, find_error
from app.assistant.model.thoughts import ThoughtFilter, drop_unopened_thought
from app.assistant.reply import Finish, Reply, plain_text, plain_value

# Values of ``finish_reason``, without punctuation and in lower case. Any other word is a normal end.
LENGTH_REASONS = {"length", "maxtokens", "maxoutputtokens", "maxcompletiontokens", "modellength"}
LENGTH_REASONS |= {"modelcontextwindowexceeded", "contextlengthexceeded"}
FILTER_REASONS = {
    "contentfilter",
    "contentfiltered",
    "safety",
    "refusal",
    "recitation",
    "prohibitedcontent",
    "blocklist",
}
FILTER_REASONS |= {"blocked", "spii", "sensitive", "guardrailintervened"}
FAILURE_REASONS = {"error", "abort", "aborted", "cancelled", "canceled", "failed", "networkerror"}
FAILURE_REASONS |= {"insufficientsystemresource", "malformedfunctioncall", "functioncallfiltermalformedfunctioncall"}
NO_REASONS = {"", "null", "none"}
USAGE_MAX = 10_000_000  # tokens of one call; a larger number is an error of the server, and counts as none
CHUNK_OBJECT = "chat.completion.chunk"
DELTA_FIELDS = ("content", "tool_calls", "function_call", "refusal")
# Fields of a message that their servers expect back with the results of its calls: the model's thoughts (DeepSeek,
# OpenRouter), without which they refuse the next request.
RETURNED_FIELDS = ("reasoning_content", "reasoning_details")


class ReplyReader:
    """The reader of one response. ``longest`` is the maximum of characters."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._text, self._size = "", 0
        self._thoughts, self._deltas = ThoughtFilter(), CallDeltas()
        self._whole_calls: list[PartialCall] | None = None
        self._reply = Reply()
        self._reason = ""
        self._seen = self._complete = self._in_messages = False

    def feed(self, document: Any) -> str:
        """Reads a document and returns the text that it adds. Raises EndpointError and InvalidReply."""
        if error := find_error(document):
            raise error
        if not isinstance(document, dict):
            raise InvalidReply("a document is not an object")
        self._read_usage(document)
        choice = _first_choice(document.get("choices"))
        if choice is None:  # the usage; before it, Azure's filter results of the prompt
            return ""
        if error := choice.get("error"):
            raise endpoint_error({"error": error})
        self._read_reason(choice.get("finish_reason"))
        delta, message = choice.get("delta"), choice.get("message")
        if any(part is not None and not isinstance(part, dict) for part in (delta, message)):
            raise InvalidReply("a message is not an object")
        self._seen = self._seen or delta is not None or message is not None
        if delta and (not message or any(delta.get(name) for name in DELTA_FIELDS)):
            return self._read_delta(delta)
        if message and (self._in_messages or (document.get("object") == CHUNK_OBJECT and not self._reason)):
            self._in_messages = True  # of a server that sends its deltas under this name
            return self._read_delta(message)
        return self._read_message(message) if message else ""

    @property
    def has_text(self) -> bool:
        return bool(self._text)

    def end_stream(self) -> None:
        """Notes that the stream said that it is complete, which some do in place of a reason."""
        self._complete = True

    def finish(self) -> Reply:
        """Returns the reply after the last document. Raises EndpointError and InvalidReply."""
        if not self._seen:
            raise InvalidReply("no message")
        if not (self._complete or self._reason):
            raise InvalidReply("the stream ended before the reply did")
        reply, reason = self._reply, self._reason
        if reason in FAILURE_REASONS:
            raise EndpointError(f"finish_reason {reason}")
        reply.finish = (
            Finish.LENGTH if reason in LENGTH_REASONS else Finish.FILTER if reason in FILTER_REASONS else Finish.STOP
        )
        reply.text = plain_text(drop_unopened_thought(self._text + self._thoughts.end()))[: self._longest]
        reply.refusal = plain_text(reply.refusal).strip()
        reply.extra = plain_value(reply.extra)
        calls = self._deltas.calls if self._whole_calls is None else self._whole_calls
        # Without a reason the stream may have ended anywhere.
        reply.calls = finish_calls(calls, cut=reply.finish is Finish.LENGTH or not (reason or self._whole_calls))
        return reply

    def _read_delta(self, delta: dict[str, Any]) -> str:
        text = self._read_content(delta)
        self._size += len(text) + self._deltas.feed(delta.get("tool_calls") or _legacy_call(delta))
        if self._size > self._longest:
            raise InvalidReply("longer than the requested limit")
        self._keep_returned(delta, lambda old, new: old + new)
        added = plain_text(self._thoughts.feed(text))
        self._text += added
        return added

    def _read_message(self, message: dict[str, Any]) -> str:
        """Reads a whole message. After deltas it is the same reply once more, and may have more text."""
        shown, self._reply.refusal = self._text, ""
        thoughts, self._thoughts = ThoughtFilter(), ThoughtFilter()
        text = thoughts.feed(self._read_content(message)[: self._longest])
        whole = plain_text(text + thoughts.end())
        calls = read_call_parts(message.get("tool_calls") or _legacy_call(message))
        if sum(call.size for call in calls) > self._longest:
            raise InvalidReply("longer than the requested limit")
        self._whole_calls = calls or self._whole_calls or (None if self._deltas.calls else [])
        self._keep_returned(message, lambda _, new: new)
        self._complete = True
        if whole.startswith(shown):
            self._text = whole
        return self._text[len(shown) :]

    def _read_content(self, message: dict[str, Any]) -> str:
        text, refusal = _read_parts(message.get("content"))
        own = message.get("refusal")
        self._reply.refusal += refusal + (own if isinstance(own, str) else "")
        return text

    def _keep_returned(self, message: dict[str, Any], join: Callable[[Any, Any], Any]) -> None:
        for name in RETURNED_FIELDS:
            if new := message.get(name):
                old = self._reply.extra.get(name)
                self._reply.extra[name] = join(old, new) if type(old) is type(new) else new

    def _read_reason(self, value: Any) -> None:
        reason = re.sub(r"[\W_]+", "", str(value)).lower() if value is not None else ""
        if reason not in NO_REASONS:
            self._reason = reason

    def _read_usage(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        if not isinstance(usage, dict) and isinstance(groq := document.get("x_groq"), dict):
            usage = groq.get("usage")
        if not isinstance(usage, dict):
            return
        names = ("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")
        sums = [_count(usage.get(one)) + _count(usage.get(two)) for one, two in names]
        self._reply.tokens = _count(usage.get("total_tokens")) or max(sums) or self._reply.tokens


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= USAGE_MAX else 0


def _first_choice(choices: Any) -> dict[str, Any] | None:
    """Returns the first choice; requests ask for one only."""
    listed = choices if isinstance(choices, list) else [choices]
    return next((choice for choice in listed if isinstance(choice, dict)), None)


def _legacy_call(message: dict[str, Any]) -> Any:
    """Returns the call in the field that came before ``tool_calls``."""
    call = message.get("function_call")
    return {"function": call} if isinstance(call, dict) else None


def _read_parts(content: Any) -> tuple[str, str]:
    """Returns the text and the refusal of ``content``: text, or a list of parts of which some are no text."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list | dict):
        raise InvalidReply("content is neither text nor a list of parts")
    text, refusal = "", ""
    for part in [content] if isinstance(content, dict) else content:
        if isinstance(part, str):
            text += part
        elif isinstance(part, dict) and part.get("type") in (None, "text", "output_text"):
            found = part.get("text")
            found = found.get("value") if isinstance(found, dict) else found
            text += found if isinstance(found, str) else ""
        elif isinstance(part, dict) and isinstance(part.get("refusal"), str):
            refusal += part["refusal"]
    return text, refusal
