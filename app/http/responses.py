"""JSON responses, encoded once, from rows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from app.json_codec import encode

REVISION_HEADER = "X-Revision"
ENCODED_SLICE_ROWS = 100  # rows that are encoded without a pause for other requests


async def encode_list(items: Sequence[Any]) -> msgspec.Raw:
    """Returns a JSON array. Yields to the event loop in between: one write, so one page of changes, has many rows."""
    pieces = []
    for start in range(0, len(items), ENCODED_SLICE_ROWS):
        if start:
            await asyncio.sleep(0)
        pieces.append(encode(items[start : start + ENCODED_SLICE_ROWS])[1:-1])
    return msgspec.Raw(b"[%b]" % b",".join(pieces))


class Json(Response):
    """A JSON response; ``content`` is anything that msgspec encodes."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(encode(content), status_code, headers)


class ShownOnce(Json):
    """A response with a secret that no later response shows, so it is not stored under an Idempotency-Key.

    ``instead`` is a sentence for a client that repeats the request: how to get a new secret.
    """

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None, *, instead: str
    ) -> None:
        super().__init__(content, status_code, headers)
        self.instead = instead


def revision_header(revision: int | None) -> dict[str, str]:
    """Returns the header of a write that was not the transaction of its request; None: it wrote nothing."""
    return {} if revision is None else {REVISION_HEADER: str(revision)}


def header(name: str, description: str, type_: str = "string") -> dict[str, Any]:
    """Describes a response header for the document."""
    return {name: {"description": description, "schema": {"type": type_}}}


LOGIN_THROTTLED: dict[int | str, dict[str, Any]] = {429: {"description": "There were too many wrong attempts."}}
PRIVATE_NO_CACHE = "private, no-cache"  # a client may store it, and must revalidate it before each use
