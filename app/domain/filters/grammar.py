"""The grammar of filters, and its reader: text in, tree of conditions out.

The parser is Lark's, in linear time and without recursion; nodes are made as it reduces.
"""

import re
from collections.abc import Collection
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain.filters.fields import FIELD_ALIASES, FILTER_FIELDS, FLAG_NAMES, IS_EQUAL, Value, WrongValue
from app.domain.filters.tree import (
    THE_END,
    Condition,
    FilterError,
    FilterTooLarge,
    FilterTree,
    Group,
    Inverse,
    conditions_of,
)

if TYPE_CHECKING:
    from lark import Lark, Token

FILTER_MAX = 1_000  # characters
FILTER_CONDITIONS_MAX = 40
FILTER_TEXTS_MAX = 5  # conditions on text, of which each reads all of it
FILTER_DEPTH_MAX = 10  # parentheses and negations within each other
FOUND_MAX = 30  # characters of the input in an error
FILTER_TEXT_FIELDS = frozenset({"text", "title", "description"})

FILTER_GRAMMAR = r"""
    ?start: either
    ?either: both (_OR both)*
    ?both: inverse (_AND? inverse)*
    ?inverse: _NOT inverse -> negated
        | "(" either ")" -> enclosed
        | condition
    ?condition: FIELD OPERATOR (WORDS | RELATIVE | VALUE) -> compared
        | MARK (WORDS | VALUE) -> marked
        | WORDS -> quoted
        | WORD -> word

    _OR.4: /or(?=[\s()"“]|$)|\|\|?/i
    _AND.4: /and(?=[\s()"“]|$)|&&?/i
    _NOT.4: /not(?=[\s()"“]|$)|!(?!=)|-(?=[^\s0-9])/i
    FIELD.3: /[a-z_]+(?=\s*(?::|[<>=]|!=))/i
    OPERATOR.2: /:?(?:<=|>=|<|>|!=)|==|:=|=|:/
    MARK.2: /[@#](?=[^\s()&|])/
    WORDS.2: /"(?:[^"\\]|\\.)*"|“[^”]*”/
    RELATIVE.2: /(?:(?:today|tomorrow|yesterday|now)\s*)?[+-]\s*[0-9]+\s*[a-z]+(?![^\s()])/i
    VALUE: /[^\s()"“”&|]+/
    WORD: /(?!(?:and|or|not)(?:[\s()"“]|$))(?:-(?=[0-9])|[^\s()"“”&|:<>=!@#-])[^\s()"“”&|:<>=]*/i
    %ignore /\s+/
"""
# In errors: the terminals that a reader may write, in words.
_BEGINNING_TERMINALS = frozenset({"FIELD", "MARK", "WORDS", "WORD", "_NOT", "LPAR"})
_VALUE_TERMINALS = frozenset({"RELATIVE", "VALUE"})
_ENDING_WORDS = {"RPAR": '")"', "$END": THE_END}
_OPERATOR_SPELLINGS = {
    "=": IS_EQUAL,
    "==": IS_EQUAL,
    ":=": IS_EQUAL,
    ":!=": "!=",
    ":<": "<",
    ":<=": "<=",
    ":>": ">",
    ":>=": ">=",
}


class _Part(NamedTuple):
    """A tree with its depth and the number of its conditions."""

    tree: FilterTree
    depth: int = 0
    size: int = 1


class _Actions:
    """Makes the nodes, in methods by the names of the grammar's rules."""

    def either(self, parts: "list[_Part]") -> _Part:
        return _join(parts, any_of=True)

    def both(self, parts: "list[_Part]") -> _Part:
        return _join(parts, any_of=False)

    def negated(self, parts: "list[_Part]") -> _Part:
        part = _deeper(parts[0])
        return part._replace(tree=Inverse(part.tree))

    def enclosed(self, parts: "list[_Part]") -> _Part:
        return _deeper(parts[0])

    def compared(self, tokens: "list[Token]") -> _Part:
        name, operator, value = tokens
        field = FIELD_ALIASES.get(name.lower(), name.lower())
        if field not in FILTER_FIELDS:
            raise FilterError(_column(name), _shorten(name), (*FILTER_FIELDS, "text in quotes"))
        spelling = _OPERATOR_SPELLINGS.get(operator, str(operator))
        if spelling not in FILTER_FIELDS[field].operators:
            raise FilterError(_column(operator), _shorten(operator), FILTER_FIELDS[field].operators)
        return _condition(field, spelling, value)

    def marked(self, tokens: "list[Token]") -> _Part:
        mark, value = tokens
        return _condition("tag" if mark == "@" else "project", IS_EQUAL, value)

    def quoted(self, tokens: "list[Token]") -> _Part:
        return _condition("text", IS_EQUAL, tokens[0])

    def word(self, tokens: "list[Token]") -> _Part:
        word = tokens[0].lower()
        if word in FLAG_NAMES:
            return _Part(Condition(word))
        return _condition("text", IS_EQUAL, tokens[0])


@lru_cache(maxsize=256)
def parse_filter(text: str) -> FilterTree | None:
    """Returns the tree of a filter, None for an empty one. Raises FilterError and FilterTooLarge."""
    from lark import UnexpectedCharacters, UnexpectedToken

    if not text.strip():
        return None
    try:
        found: Any = _parser().parse(text)
    except UnexpectedToken as error:
        is_end = error.token.type == "$END"
        raise _syntax_error(text, len(text) if is_end else error.token.start_pos or 0, error.accepts) from None
    except UnexpectedCharacters as error:
        raise _syntax_error(text, error.pos_in_stream or 0, error.allowed) from None
    texts = [each for each in conditions_of(found.tree) if each.field in FILTER_TEXT_FIELDS]
    if len(texts) > FILTER_TEXTS_MAX:
        raise FilterTooLarge(f"{FILTER_TEXTS_MAX} conditions on text")
    tree: FilterTree = found.tree
    return tree


@cache
def _parser() -> "Lark":
    """Builds the parser: 90 ms with the import of the library, and 2 MB, for those who use it."""
    from lark import Lark

    return Lark(FILTER_GRAMMAR, parser="lalr", transformer=_Actions(), maybe_placeholders=False)


def _condition(field: str, operator: str, token: "Token") -> _Part:
    """Returns the condition of a value. Raises FilterError at its place."""
    is_quoted = token.type == "WORDS"
    text = re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token[1:-1] if is_quoted else str(token)
    try:
        tree = FILTER_FIELDS[field].read(field, operator, Value(text, is_quoted))
    except WrongValue as error:
        raise FilterError(_column(token), _shorten(token), error.expected) from None
    return _Part(tree)


def _join(parts: list[_Part], *, any_of: bool) -> _Part:
    size = sum(part.size for part in parts)
    if size > FILTER_CONDITIONS_MAX:
        raise FilterTooLarge(f"{FILTER_CONDITIONS_MAX} conditions")
    different: list[FilterTree] = []  # values are lists, which have no hash
    for part in parts:
        if part.tree not in different:
            different.append(part.tree)
    tree = Group(any_of, tuple(different)) if len(different) > 1 else different[0]
    return _Part(tree, max(part.depth for part in parts), size)


def _deeper(part: _Part) -> _Part:
    if part.depth >= FILTER_DEPTH_MAX:
        raise FilterTooLarge(f"{FILTER_DEPTH_MAX} parentheses and NOTs within each other")
    return part._replace(depth=part.depth + 1)


def _column(token: "Token") -> int:
    return (token.start_pos or 0) + 1


def _shorten(text: str) -> str:
    return str(text) if len(text) <= FOUND_MAX else f"{text[:FOUND_MAX]}..."


def _syntax_error(text: str, place: int, terminals: Collection[str]) -> FilterError:
    """Returns the error of a text that the grammar does not accept at ``place``, but ``terminals``."""
    if place >= len(text):
        found = THE_END
    elif text[place] in '"“':
        return FilterError(place + 1, text[place], ("a quotation mark also after the text",))
    else:
        rest = text[place:]
        found = _shorten(rest.split()[0] if rest[0] not in "()" else rest[0])
    expected = ["a condition"] if _BEGINNING_TERMINALS & set(terminals) > {"WORDS"} else []
    expected += ["a value"] if not _VALUE_TERMINALS.isdisjoint(terminals) else []
    expected += ["AND", "OR"] if not _ENDING_WORDS.keys().isdisjoint(terminals) else []  # a condition is complete
    expected += [words for terminal, words in _ENDING_WORDS.items() if terminal in terminals]
    return FilterError(place + 1, found, tuple(expected) or ("a condition",))
