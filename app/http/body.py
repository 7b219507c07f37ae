"""Request bodies: read within bounds, then parsed as JSON."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

from app.errors import BodyTooLarge, Unavailable, UnsupportedMediaType
from app.http.unfinished_bodies import unfinished_bodies
from app.json_codec import parse_json

LENGTH_DIGITS = 18
# Bytes that are parsed on the event loop. The worst text takes 110 ms a megabyte ("[[],[],...]"), so these take 7 ms.
ON_LOOP_BYTES = 65_536
WAITING_BODIES_MAX = 64  # large bodies; together they hold as much as unfinished bodies may


def check_content_length(request: Request, limit: int) -> str | None:
    """Returns Content-Length. Raises BodyTooLarge when it names more than ``limit`` bytes."""
    length = request.headers.get("content-length")
    # A header is latin-1: isdigit() also holds for "\u00b2", and int() refuses more than 4300 digits.
    if length is not None and length.isdecimal() and (len(length) > LENGTH_DIGITS or int(length) > limit):
        raise BodyTooLarge
    return length


async def read_body(request: Request, limit: int) -> bytes:
    """Reads the body and counts it as it streams. Raises BodyTooLarge past ``limit`` bytes, TooManyBodies."""
    length = check_content_length(request, limit)
    chunks = request.stream()
    first = await anext(chunks)
    if length != str(len(first)):
        return await unfinished_bodies.collect(first, chunks, limit)
    async for _ in chunks:
        pass  # the first chunk was the whole body, as for nearly all requests
    return first


async def read_json(request: Request, limit: int) -> tuple[bool, Any]:
    """Returns whether a body was sent, and its value.

    Raises BodyTooLarge, UnsupportedMediaType, MalformedBody. The caller decides whether a missing body is an error.
    """
    body = await read_body(request, limit)
    if not body:
        return False, None
    _check_type(request.headers.get("content-type", ""))
    # Decompression would let a small body become a large one, and bodies of this size do not need it.
    if any(
        coding not in {"", "identity"} for coding in _words(",".join(request.headers.getlist("content-encoding")), ",")
    ):
        raise UnsupportedMediaType("Send the body without Content-Encoding: compressed bodies are not read.")
    return True, parse_json(body) if len(body) <= ON_LOOP_BYTES else await _large_bodies.parse(body)


def _check_type(header: str) -> None:
    media_type, *parameters = _words(header, ";")
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaType
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip() == "charset" and value.strip(' "') not in {"utf-8", "utf8"}:  # RFC 8259, 8.1
            raise UnsupportedMediaType("Send the body in UTF-8: JSON has no other charset.")


def _words(header: str, separator: str) -> list[str]:
    return [word.strip().lower() for word in header.split(separator)]


class LargeBodies:
    """Parses in a thread, one body at a time, so that the event loop never waits for more than one."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="json")
        self._waiting = 0

    async def parse(self, body: bytes) -> Any:
        """Parses ``body`` in the thread. Raises Unavailable when WAITING_BODIES_MAX bodies wait already."""
        if self._waiting >= WAITING_BODIES_MAX:
            raise Unavailable(retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, parse_json, body)
        finally:
            self._waiting -= 1


_large_bodies = LargeBodies()
