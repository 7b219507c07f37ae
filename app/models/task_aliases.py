"""Other names of parameters and fields of tasks, which existing front-ends send. docs/drop-in.md lists them."""

from collections.abc import Mapping

CONDITION_ALIASES = {"status_filter": "status", "completed": "status", "q": "search"}
FILTER_ALIASES = {**CONDITION_ALIASES, "sort_by": "sort", "sort_order": "order"}
PAGE_ALIASES = {**FILTER_ALIASES, "skip": "offset", "page": "offset"}


def _by_name(aliases: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(alias for alias, meant in aliases.items() if meant == name) for name in set(aliases.values())}


SENT_NAMES = _by_name(PAGE_ALIASES)  # of each name its aliases: an error names the one that was sent
