"""JSON, stricter than ``json.loads``: unique names, no constants beyond RFC 8259, bounded objects."""

import json
from typing import Any

import msgspec

from app.errors import MalformedBody

NAMES_MAX = 200  # of one object: each unknown one is a finding, and the largest model has 20

encode = msgspec.json.Encoder().encode  # instants come out as RFC 3339 with Z


class DuplicateName(ValueError):
    """A name stands twice in one object."""


class TooManyNames(ValueError):
    """An object has more than NAMES_MAX names."""


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object (``object_pairs_hook``). Parsers differ in the meaning of duplicates (RFC 8259, 4)."""
    if len(pairs) > NAMES_MAX:
        raise TooManyNames("too many names")
    members = dict(pairs)
    if len(members) < len(pairs):
        raise DuplicateName("duplicate name")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decode = json.JSONDecoder(object_pairs_hook=unique_names, parse_constant=_no_constant).decode


def parse_json(body: bytes) -> Any:
    """Parses ``body``. Raises MalformedBody unless it is one JSON text in UTF-8."""
    try:
        return _decode(body.decode("utf-8"))
    except DuplicateName:
        raise MalformedBody("The body names the same field twice.") from None
    except TooManyNames:
        raise MalformedBody(f"An object has more than {NAMES_MAX} names.") from None
    except (ValueError, RecursionError):
        raise MalformedBody from None
