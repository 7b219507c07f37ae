"""JSON without the surprises of ``json.loads``: no name twice, no constants beyond RFC 8259, bounded objects."""

import json
from typing import Any

import msgspec

from app.errors import MalformedBody

NAMES_MAX = 200  # of one object: each unknown one is a finding, and the largest shape has 20

encode = msgspec.json.Encoder().encode  # instants come out as RFC 3339 with Z


class DuplicateName(ValueError):
    """A name stands twice in one object."""


class TooManyNames(ValueError):
    """An object has more than NAMES_MAX names."""


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An ``object_pairs_hook``. RFC 8259, 4: what a duplicate means is up to the parser, so two may read two things."""
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
    """The value of ``body``; MalformedBody when it is not one JSON text in UTF-8."""
    try:
        return _decode(body.decode("utf-8"))
    except DuplicateName:
        raise MalformedBody("The body names the same field twice.") from None
    except TooManyNames:
        raise MalformedBody(f"An object has more than {NAMES_MAX} names.") from None
    except (ValueError, RecursionError):
        raise MalformedBody from None
