"""One line of ``todo doctor``."""

from typing import NamedTuple


class Finding(NamedTuple):
    """The result of a check, with what to do in ``text`` if it is not ``ok``."""

    name: str
    ok: bool
    text: str
