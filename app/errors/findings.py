"""Validation errors as responses list them: by the names that were sent, in one sentence each, without the input."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

FINDING_NAME_MAX = 100  # characters of a name in ``loc``, which a client may have made up
FINDING_MESSAGE_MAX = 300

# The library's types of errors: the type in responses, and what is expected, as the end of a sentence. All other
# types are raised by this service, with a sentence of their own.
EXPECTED_VALUES = {
    "bool_parsing": ("bool_parsing", "true or false"),
    "bool_type": ("bool_type", "true or false"),
    "dict_type": ("object_type", "an object, such as {{}}"),
    "enum": ("enum", "{expected}"),
    "float_parsing": ("number_type", "a number"),
    "float_type": ("number_type", "a number"),
    "greater_than": ("greater_than", "a number above {gt}"),
    "greater_than_equal": ("greater_than_equal", "a number of at least {ge}"),
    "int_from_float": ("int_type", "a whole number"),
    "int_parsing": ("int_parsing", "a whole number in digits, such as 7"),
    "int_parsing_size": ("int_parsing", "a whole number of at most 19 digits"),
    "int_type": ("int_type", "a whole number"),
    "less_than": ("less_than", "a number below {lt}"),
    "less_than_equal": ("less_than_equal", "a number of at most {le}"),
    "list_type": ("list_type", "a list, such as []"),
    "literal_error": ("enum", "{expected}"),
    "model_attributes_type": ("object_type", "an object, such as {{}}"),
    "model_type": ("object_type", "an object, such as {{}}"),
    "string_pattern_mismatch": ("string_pattern_mismatch", "text of the form {pattern}"),
    "string_sub_type": ("string_type", "text"),
    "string_too_long": ("string_too_long", "at most {max_length} character{plural}"),
    "string_too_short": ("string_too_short", "at least {min_length} character{plural}"),
    "string_type": ("string_type", "text"),
    "string_unicode": ("string_type", "text without half of a surrogate pair"),
    "too_long": ("too_long", "at most {max_length} item{plural}"),
    "too_short": ("too_short", "at least {min_length} item{plural}"),
}
# Types that expect no other value.
OTHER_SENTENCES = {
    "extra_forbidden": "Unknown name: check its spelling, or leave it out.",
    "missing": "This is required.",
}
# Members of a finding about a part of a text: the column, what is there and what may be.
PLACE_IN_TEXT = ("column", "found", "expected")
LIBRARY_TYPES = frozenset(get_args(ErrorType))
UNEXPLAINED_ERROR = ("invalid_value", "This value is not accepted.")

Error = Mapping[str, Any]
Aliases = Mapping[str, tuple[str, ...]]
NO_ALIASES: Aliases = {}


def locate_errors(error: ValidationError, sent: Any, *place: str | int) -> list[dict[str, Any]]:
    """Returns the errors of a validation, each with what was ``sent``: at its ``place`` in the request, if any."""
    for part in reversed(place):
        sent = {part: sent}
    return [{**each, "loc": (*place, *each["loc"]), "sent": sent} for each in error.errors(include_url=False)]


def make_findings(errors: Iterable[Error], aliases: Aliases = NO_ALIASES) -> list[dict[str, Any]]:
    """Returns ``loc``, ``msg`` and ``type`` for each place at which ``locate_errors`` found errors.

    One place has several errors where its type is a union. ``aliases`` has the other names under which a client may
    have sent a field.
    """
    places: dict[tuple[str | int, ...], list[Error]] = {}
    for error in errors:
        places.setdefault(_find_sent(error, aliases), []).append(error)
    return [_make_finding(loc, found) for loc, found in places.items()]


def describe_findings(findings: Iterable[Mapping[str, Any]], whole: str = "") -> str:
    """Returns all findings as one text; ``whole`` names what was sent where a finding has no name."""
    return " ".join(f"{'.'.join(map(str, each['loc'])) or whole}: {each['msg']}" for each in findings)


def _find_sent(error: Error, aliases: Aliases) -> tuple[str | int, ...]:
    """Returns the path of the error in what was sent, without Pydantic's names of validators and branches."""
    found: list[str | int] = []
    names: list[str | int] = []
    value, ctx = error["sent"], error.get("ctx", {})
    path = [*error["loc"], ctx["field"]] if "field" in ctx else error["loc"]
    for part in path:
        if isinstance(value, dict):
            names = [name for name in (part, *aliases.get(str(part), ())) if name in value]
        else:
            names = [part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else []
        if names:
            found.append(names[0])
            value = value[names[0]]
    if not names and (error["type"] == "missing" or "field" in ctx):  # it is named though it was not sent
        found.append(path[-1])
    return tuple(found)


def _make_finding(loc: tuple[str | int, ...], errors: list[Error]) -> dict[str, Any]:
    type_, message = describe_errors(errors)
    names = [part[:FINDING_NAME_MAX] if isinstance(part, str) else part for part in loc]
    context = errors[0].get("ctx", {})
    place = {name: context[name] for name in PLACE_IN_TEXT} if context.keys() >= {*PLACE_IN_TEXT} else {}
    return {"loc": names, "msg": message[:FINDING_MESSAGE_MAX], "type": type_, **place}


def describe_errors(errors: Sequence[Error]) -> tuple[str, str]:
    """Returns the type and the sentence for all errors at one place."""
    for error in errors:
        if error["type"] not in LIBRARY_TYPES:
            return error["type"], error["msg"]
        if error["type"] in OTHER_SENTENCES:
            return error["type"], OTHER_SENTENCES[error["type"]]
    expected = [_expectation(error) for error in errors if error["type"] in EXPECTED_VALUES]
    if not expected:
        return UNEXPLAINED_ERROR
    wanted = " or ".join(dict.fromkeys(text for _, text in expected))
    is_null = errors[0].get("input", ...) is None
    instead = ", not null" if is_null else ", once" if _is_repeated(errors[0]) else ""
    return expected[0][0], f"Expected {wanted}{instead}."


def _expectation(error: Error) -> tuple[str, str]:
    type_, ctx = error["type"], error.get("ctx", {})
    if isinstance(error.get("input"), str) and type_ in {"too_long", "too_short"}:
        type_ = f"string_{type_}"  # a length that is checked after a text was cleaned
    name, text = EXPECTED_VALUES[type_]
    count = ctx.get("min_length", ctx.get("max_length"))
    words = {"plural": "" if count == 1 else "s", "expected": str(ctx.get("expected", "")).replace("'", '"')}
    return name, text.format(**{**ctx, **words})


def _is_repeated(error: Error) -> bool:
    """Returns whether a parameter of a query, which takes one value, was sent several times."""
    return error["loc"][:1] == ("query",) and isinstance(error.get("input"), list) and len(error["loc"]) > 1
