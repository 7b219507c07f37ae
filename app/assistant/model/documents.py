"""The JSON documents of a response: one, or those of a stream of server-sent events.

The first character tells which of the two it is, and not the request or Content-Type: servers send each in place of
the other.
"""

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from app.assistant.model.endpoint_errors import EndpointError, InvalidReply, endpoint_error
from app.assistant.model.json_values import parse_json_value

DOCUMENT_MAX = 4 * 1024 * 1024  # characters of one document, or of one event of a stream
STREAM_DONE = object()  # what ``read_documents`` yields for the final event of a complete stream
_LINE_END = re.compile(r"\r\n|\n|\r")


async def read_documents(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Any]:
    """Yields the documents. Raises InvalidReply, and EndpointError for an event named ``error``."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    events, text, whole = _Events(), "", None
    async for chunk in chunks:
        text += decoder.decode(chunk)
        if whole is None and (begin := text.lstrip()[:1]):
            whole = begin in "{["
        if len(text) + events.size > DOCUMENT_MAX:
            raise InvalidReply("a document is too long")
        if whole is False:
            held = "\r" if text.endswith("\r") else ""  # perhaps the first half of a line end
            *lines, text = _LINE_END.split(text.removesuffix("\r"))
            text += held
            for document in events.feed(lines):
                yield document
    text += decoder.decode(b"", final=True)
    if whole:
        yield _parse(text)
    else:
        for document in events.feed([*_LINE_END.split(text), ""]):
            yield document


class _Events:
    """The events of a stream (HTML Living Standard, 9.2.6), from its lines."""

    def __init__(self) -> None:
        self.data: list[str] = []
        self.name, self.size = "", 0

    def feed(self, lines: list[str]) -> Iterator[Any]:
        for line in lines:
            if not line:
                yield from self._end()
                continue
            name, _, value = line.partition(":")  # a comment has an empty name
            value = value.removeprefix(" ")
            if name in ("data", "error"):  # llama.cpp's server reports errors in a field of that name
                self.data.append(value)
                self.size += len(value)
            if name == "error" or (name == "event" and value.strip() == "error"):
                self.name = "error"

    def _end(self) -> Iterator[Any]:
        data, name = self.data, self.name
        self.data, self.name, self.size = [], "", 0
        text = "\n".join(data)
        if name == "error":
            raise _error_event(text)
        if not text.strip():
            return
        try:
            yield _parse(text)
        except InvalidReply:
            # Proxies that drop empty lines put several events into one.
            if len(data) < 2:
                raise
            for line in filter(str.strip, data):
                yield _parse(line)


def _error_event(text: str) -> EndpointError:
    try:
        document = parse_json_value(text)
    except ValueError:
        document = text
    return endpoint_error(document)


def _parse(text: str) -> Any:
    if text.strip() == "[DONE]":
        return STREAM_DONE
    try:
        return parse_json_value(text)
    except ValueError:
        raise InvalidReply("a document is not JSON, or nested too deeply") from None
