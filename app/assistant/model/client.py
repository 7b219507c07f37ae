"""The language model, over any OpenAI-compatible endpoint. Needs the ``assistant`` extra: imported by
``app.assistant.optional`` alone.

One request is all that the service uses of the endpoint. The client library of OpenAI would cost 19 MB and 0.3 s of CPU
for it, and does not read what other servers send.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from app.assistant.model.documents import STREAM_DONE, read_documents
from app.assistant.model.endpoint_errors import EndpointError, InvalidReply, error_of_body, log_line
from app.assistant.model.failures import error_for_user, is_filtered
from app.assistant.model.reply_reader import RETURNED_FIELDS, ReplyReader
from app.assistant.reply import Finish, Reply
from app.config import Settings
from app.errors import ModelFailed, ModelTimeout
from app.json_codec import encode
from app.version import VERSION

log = logging.getLogger(__name__)

DRAIN_SECONDS = 0.2
ERROR_BODY_MAX = 65_536  # bytes of an error response that are read
MAX_BYTES_PER_TOKEN = 16  # more than any tokenizer uses: a longer text exceeds the requested limit
LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
# Parameters without which a request means almost the same: one that an endpoint refuses is left out from then on.
OPTIONAL_PARAMETERS = ("stream_options", "tool_choice", "stream", *RETURNED_FIELDS)
REFUSING_STATUSES = {400, 404, 405, 415, 422, 500, 501}
TextCallback = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The request that the endpoint takes: the name of its limit of tokens, and the parameters that it has refused."""

    limit_name: str
    omitted: frozenset[str] = frozenset()


class Model:
    """The client of one process; its connections are shared, and so is what it learned about the endpoint."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
        self._url = _chat_url(settings.llm_base_url)
        headers = {"Accept": "application/json, text/event-stream", "User-Agent": f"todo/{VERSION}"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
            headers |= {"api-key": self._key} if "api-version=" in self._url else {}  # Azure's first API
        self._client = httpx2.AsyncClient(headers=headers, timeout=settings.chat_seconds, follow_redirects=True)
        self._tokens, self._name = settings.chat_answer_tokens, settings.llm_model
        self._fixed = settings.llm_max_tokens_name != "auto"
        self._dialect = Dialect(settings.llm_max_tokens_name if self._fixed else LIMIT_NAMES[0])

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(self, messages: list[Any], tools: list[Any], *, may_call: bool, emit: TextCallback | None) -> Reply:
        """Calls the model once. ``emit`` gets the text in parts. Raises ModelFailed, ModelTimeout, ModelBusy."""
        try:
            return await self._ask(messages, tools, may_call, emit)
        except EndpointError as error:
            log.warning("the model responded with status %s: %s", error.status or 200, self._line(error, messages))
            if is_filtered(error):
                return Reply(finish=Finish.FILTER)
            raise error_for_user(error) from None
        except httpx2.TimeoutException:
            log.warning("the model did not respond in time")
            raise ModelTimeout from None
        except InvalidReply as error:
            log.warning("the response of the model is invalid: %s", error)
            raise ModelFailed from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("the model cannot be reached: %s", log_line(f"{type(error).__name__}: {error}", [self._key]))
            raise ModelFailed from None

    async def _ask(self, messages: list[Any], tools: list[Any], may_call: bool, emit: TextCallback | None) -> Reply:
        """Calls the model, again without each parameter that it refuses; what works then is kept for later calls."""
        dialect = self._dialect
        while True:
            body = self._body(dialect, messages, tools, may_call=may_call, streamed=emit is not None)
            reader = ReplyReader(self._tokens * MAX_BYTES_PER_TOKEN)
            try:
                reply = await self._send(body, reader, emit)
            except EndpointError as error:
                adapted = None if reader.has_text else self._adapt(dialect, error, body)
                if adapted is None:
                    raise
                log.info("asking the model again without what it refused: %s", self._line(error, messages))
                dialect = adapted
            else:
                self._dialect = dialect
                return reply

    def _line(self, error: EndpointError, messages: list[Any]) -> str:
        """Returns the server's message for the log, without the key and the texts of the conversation."""
        sent = (message.get("content") or "" for message in messages)
        return log_line(error.message, [self._key, *sent]) or "no message"

    def _body(
        self, dialect: Dialect, messages: list[Any], tools: list[Any], *, may_call: bool, streamed: bool
    ) -> dict[str, Any]:
        """Returns the request. Nothing in it is sent for the sake of a default: each parameter may be refused."""
        omitted = dialect.omitted
        optional: dict[str, Any] = {} if may_call else {"tool_choice": "none"}
        if streamed and "stream" not in omitted:
            optional |= {"stream": True, "stream_options": {"include_usage": True}}
        optional = {name: value for name, value in optional.items() if name not in omitted}
        if unwanted := omitted & set(RETURNED_FIELDS):
            messages = [{name: value for name, value in each.items() if name not in unwanted} for each in messages]
        required = {"model": self._name, "messages": messages, "tools": tools, dialect.limit_name: self._tokens}
        return required | optional

    def _adapt(self, dialect: Dialect, error: EndpointError, body: dict[str, Any]) -> Dialect | None:
        """Returns what to do without the parameter that ``error`` names; None if it names none."""
        if error.status is not None and error.status not in REFUSING_STATUSES:
            return None
        first, second = LIMIT_NAMES
        if not self._fixed and dialect.limit_name == first and (_names(error, first) or _names(error, second)):
            return replace(dialect, limit_name=second)
        sent = body.keys() | {name for message in body["messages"] for name in message}
        refused = next((name for name in OPTIONAL_PARAMETERS if name in sent and _names(error, name)), None)
        return None if refused is None else replace(dialect, omitted=dialect.omitted | {refused})

    async def _send(self, body: dict[str, Any], reader: ReplyReader, emit: TextCallback | None) -> Reply:
        headers = {"Content-Type": "application/json"}
        async with self._client.stream("POST", self._url, content=encode(body), headers=headers) as response:
            if not response.is_success:
                raise error_of_body(
                    await _read_some(response), response.status_code, response.headers.get("retry-after", "")
                )
            chunks, document = response.aiter_bytes(), None
            async with aclosing(read_documents(chunks)) as documents:
                async for document in documents:
                    if document is STREAM_DONE:
                        break
                    if (text := reader.feed(document)) and emit is not None:
                        await emit(text)
            if document is STREAM_DONE:
                reader.end_stream()
                with suppress(
                    TimeoutError, httpx2.HTTPError
                ):  # a connection is used again after the end of its response
                    async with asyncio.timeout(DRAIN_SECONDS):
                        async for _ in chunks:
                            pass
        return reader.finish()


def _chat_url(base: str) -> str:
    """Returns the URL of the request; a query in the setting (Azure's ``api-version``) stays."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit(parts._replace(path=f"{path}/chat/completions"))


async def _read_some(response: httpx2.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= ERROR_BODY_MAX:
            break
    return body[:ERROR_BODY_MAX]


def _names(error: EndpointError, parameter: str) -> bool:
    """Returns whether an error is about a parameter: by its own field, or by a word of the message."""
    ending = "(?:ing)?" if parameter == "stream" else ""
    word = rf"(?<![a-z_]){parameter}{ending}(?![a-z_])"
    return error.parameter == parameter or re.search(word, error.message.lower()) is not None
