"""JSON objects without a name that stands in them twice, and with no more names than any shape has."""

from typing import Any

NAMES_MAX = 200  # of one object: each unknown one is a finding, and the largest shape has 20


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
