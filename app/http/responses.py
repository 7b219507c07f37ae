"""Answers as bytes: encoded once, from rows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from app.json_codec import encode

SLICE_ROWS = 100  # that are encoded in one piece


async def encode_list(items: Sequence[Any]) -> msgspec.Raw:
    """Returns a JSON array. Others run in between: one write, and so one page of changes, can have many rows."""
    pieces = []
    for start in range(0, len(items), SLICE_ROWS):
        if start:
            await asyncio.sleep(0)
        pieces.append(encode(items[start : start + SLICE_ROWS])[1:-1])
    return msgspec.Raw(b"[%b]" % b",".join(pieces))


class Json(Response):
    """``content`` is anything msgspec encodes."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(encode(content), status_code, headers)


class ShownOnce(Json):
    """Holds a secret that no later response shows, so no Idempotency-Key keeps it.

    ``instead`` is a sentence for a client that repeats the request: how to come by a secret without this response.
    """

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None, *, instead: str
    ) -> None:
        super().__init__(content, status_code, headers)
        self.instead = instead


def header(name: str, description: str, type_: str = "string") -> dict[str, Any]:
    """A response header for the document."""
    return {name: {"description": description, "schema": {"type": type_}}}


LIMITED: dict[int | str, dict[str, Any]] = {429: {"description": "There were too many wrong attempts."}}
NOT_CACHED_ELSEWHERE = "private, no-cache"  # a client may keep it, and must ask before it uses it again
