"""Reading a JSON body without the surprises of ``json.loads``."""

import json
from typing import Any

from starlette.requests import Request

from app.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType

LENGTH_DIGITS = 18


class _Duplicate(ValueError):
    """A name stands twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 8259, 4: what a duplicate name means is up to the parser, so two programs may read two things.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Duplicate
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode


async def read_body(request: Request, limit: int) -> bytes:
    """The body, counted while it streams. Raises BodyTooLarge past ``limit`` bytes."""
    length = request.headers.get("content-length")
    # A header is latin-1: isdigit() also holds for "\u00b2", and int() refuses more than 4300 digits.
    if length is not None and length.isdecimal() and (len(length) > LENGTH_DIGITS or int(length) > limit):
        raise BodyTooLarge
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


async def read_json(request: Request, limit: int) -> tuple[bool, Any]:
    """Whether a body was sent, and its value.

    Raises BodyTooLarge, UnsupportedMediaType, MalformedBody. Whether a missing body is
    an error is up to the caller.
    """
    body = await read_body(request, limit)
    if not body:
        return False, None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaType
    return True, parse_json(body)


def parse_json(body: bytes) -> Any:
    """The value of ``body``; MalformedBody when it is not one JSON text in UTF-8."""
    try:
        return _decode(body.decode("utf-8"))
    except _Duplicate:
        raise MalformedBody("The body names the same field twice.") from None
    except (ValueError, RecursionError):
        raise MalformedBody from None
