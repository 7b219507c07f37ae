"""The language model, over any OpenAI-compatible endpoint. Needs the ``assistant`` extra: imported by
``app.assistant.optional`` alone.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from app.assistant.reply import Reply, ToolCallRequest, plain_text
from app.config import Settings
from app.errors import ModelBusy, ModelFailed, ModelTimeout

log = logging.getLogger(__name__)

MODEL_RETRY_AFTER, LONGEST_RETRY = 5, 300  # seconds
MAX_BYTES_PER_TOKEN = 16  # more than any tokenizer uses: a longer text exceeds the requested limit
TextCallback = Callable[[str], Awaitable[None]]


class Model:
    """The client of one process; its connections are shared."""

    def __init__(self, settings: Settings) -> None:
        key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
        self._client = openai.AsyncOpenAI(
            api_key=key, base_url=settings.llm_base_url, max_retries=0, timeout=settings.chat_seconds
        )
        self._longest = settings.chat_answer_tokens * MAX_BYTES_PER_TOKEN
        # OpenAI's newer models refuse max_tokens, and other servers do not support max_completion_tokens.
        own = urlsplit(settings.llm_base_url).hostname == "api.openai.com"
        limit = {"max_completion_tokens" if own else "max_tokens": settings.chat_answer_tokens}
        self._options: dict[str, Any] = {"model": settings.llm_model, **limit}

    async def aclose(self) -> None:
        await self._client.close()

    async def ask(self, messages: list[Any], tools: list[Any], *, may_call: bool, emit: TextCallback | None) -> Reply:
        """Calls the model once. ``emit`` gets the text in parts. Raises ModelFailed, ModelTimeout, ModelBusy."""
        choice = {} if may_call else {"tool_choice": "none"}
        # In extra_body: the client would traverse each message and schema, a third of the cost of a call.
        options = {**self._options, "messages": [], "extra_body": {"messages": messages, "tools": tools, **choice}}
        try:
            return await (self._whole(options) if emit is None else self._streamed(options, emit))
        except openai.RateLimitError as error:
            raise ModelBusy(retry_after=_retry_after(error.response.headers.get("retry-after", ""))) from None
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise ModelTimeout from None
        except openai.APIStatusError as error:
            log.warning("the model responded with status %s", error.status_code)
            raise ModelFailed from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError, IndexError) as error:
            # the client does not validate responses: one with an unexpected structure also fails here
            log.warning("the response of the model is invalid: %s", type(error).__name__)
            raise ModelFailed from None

    async def _whole(self, options: dict[str, Any]) -> Reply:
        completion = await self._client.chat.completions.create(**options)
        message = completion.choices[0].message
        calls = [
            ToolCallRequest(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
        ]
        tokens = completion.usage.total_tokens if completion.usage else None
        return Reply(plain_text(message.content or "")[: self._longest], calls, tokens)

    async def _streamed(self, options: dict[str, Any], emit: TextCallback) -> Reply:
        reply, finished, size = Reply("", [], None), False, 0
        stream = await self._client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
        async with stream:
            async for chunk in stream:
                if chunk.usage:
                    reply.tokens = chunk.usage.total_tokens
                for choice in chunk.choices[:1]:
                    finished = finished or choice.finish_reason is not None
                    text = plain_text(choice.delta.content or "")
                    size += len(text) + _add_calls(reply.calls, choice.delta.tool_calls or ())
                    if text:
                        reply.text += text
                        await emit(text)
                if size > self._longest:
                    raise ValueError("longer than the requested limit")
        if not finished:
            raise ValueError("cut off")
        return reply


def _add_calls(calls: list[ToolCallRequest], deltas: Any) -> int:
    """Joins the deltas of calls by their index; returns the number of characters."""
    size = 0
    for delta in deltas:
        if delta.index == len(calls):
            calls.append(ToolCallRequest(delta.id or "", "", ""))
        call, function = calls[delta.index], delta.function
        name, arguments = function.name or "", function.arguments or ""
        call.name, call.arguments = call.name + name, call.arguments + arguments
        size += len(name) + len(arguments)
    return size


def _retry_after(header: str) -> int:
    return (
        min(int(header), LONGEST_RETRY)
        if header.isascii() and header.isdigit() and len(header) < 9
        else MODEL_RETRY_AFTER
    )
