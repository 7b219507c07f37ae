"""Trees of conditions, and the error for a text that is none."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias


class Condition(NamedTuple):
    """One condition. The text of a statement depends on ``field`` and ``form``; ``values`` are its parameters."""

    field: str
    form: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()


class Group(NamedTuple):
    """Parts of which all must hold; with ``any_of`` at least one."""

    any_of: bool
    parts: "tuple[FilterTree, ...]"


class Inverse(NamedTuple):
    """The opposite: it holds where the part does not, also where the task lacks what is compared."""

    part: "FilterTree"


THE_END = "the end"  # of a text: what is found there
FilterTree: TypeAlias = Condition | Group | Inverse


class FilterError(ValueError):
    """A text that is no filter. ``column`` counts characters from 1."""

    def __init__(self, column: int, found: str, expected: tuple[str, ...]) -> None:
        self.column, self.found, self.expected = column, found, expected
        super().__init__(column, found, expected)


class FilterTooLarge(ValueError):
    """A filter with more conditions, or deeper parentheses, than one statement should have: ``limit`` says which."""

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(limit)


def conditions_of(tree: FilterTree) -> Iterator[Condition]:
    """Yields all conditions of a tree, from left to right."""
    if isinstance(tree, Condition):
        yield tree
    else:
        for part in tree.parts if isinstance(tree, Group) else (tree.part,):
            yield from conditions_of(part)
