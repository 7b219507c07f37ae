"""JSON objects without a name that stands in them twice."""

from typing import Any


class DuplicateName(ValueError):
    """A name stands twice in one object."""


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An ``object_pairs_hook``. RFC 8259, 4: what a duplicate means is up to the parser, so two may read two things."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise DuplicateName("duplicate name")
    return members
