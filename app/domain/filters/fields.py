"""The fields of the filter language: the values and the operators of each, and the conditions that they make."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.domain.filters.moments import FilterMoment, parse_moment
from app.domain.filters.tree import Condition, FilterTree, Inverse
from app.models.task_fields import Priority, TaskStatus
from app.models.types import MAX_ID, UID_PREFIX, is_uid

IS_EQUAL, NOT_EQUAL = ":", "!="
EQUALITY_OPERATORS = (IS_EQUAL, NOT_EQUAL)
COMPARISON_OPERATORS = (*EQUALITY_OPERATORS, "<", "<=", ">", ">=")
PRESENCE_WORDS = {"none": False, "any": True}
YES_OR_NO = {"true": True, "yes": True, "false": False, "no": False}
_MINUTES_PATTERN = re.compile(r"([0-9]{1,6})(h|min)?")
TEXT_SEPARATORS = dict.fromkeys(map(ord, "\x01\x02\t\n\r"), " ")  # which the searched text has as spaces
LONG_PRIORITIES = {each.value: each for each in Priority}
PRIORITY_ORDER = tuple(Priority)  # the lowest first
SHORT_PRIORITIES = dict(zip(("p1", "p2", "p3", "p4"), reversed(PRIORITY_ORDER), strict=False))


class Value(NamedTuple):
    """A value as it was written. A quoted one is text, whatever it looks like."""

    text: str
    quoted: bool = False

    @property
    def word(self) -> str:
        """Returns the value in lower case; an empty string for a quoted one, which is no word of the language."""
        return "" if self.quoted else self.text.lower()


class WrongValue(ValueError):
    """A value that the field does not have."""

    def __init__(self, *expected: str) -> None:
        self.expected = expected


Read = Callable[[str, str, Value], FilterTree]


class FilterField(NamedTuple):
    """One field. ``read`` makes a condition of the field's name, an operator and a value; it may raise WrongValue."""

    read: Read
    operators: tuple[str, ...] = EQUALITY_OPERATORS


def _equality(read: Callable[[str, Value], FilterTree]) -> Read:
    """Returns a reader for fields that are compared by ``:`` and ``!=``."""

    def read_either(name: str, operator: str, value: Value) -> FilterTree:
        condition = read(name, value)
        return condition if operator == IS_EQUAL else Inverse(condition)

    return read_either


def _presence(name: str, value: Value) -> FilterTree | None:
    """Returns the condition of ``none`` and ``any``; None for other values."""
    if value.word not in PRESENCE_WORDS:
        return None
    return Inverse(nothing(name)) if PRESENCE_WORDS[value.word] else nothing(name)


def nothing(name: str) -> Condition:
    """Returns the condition that a task has no value in the field."""
    return Condition(name, ("none",))


def _text(name: str, value: Value) -> FilterTree:
    if not (text := value.text.translate(TEXT_SEPARATORS).strip()):
        raise WrongValue("text")
    return Condition(name, (), (text,))


def _tag(name: str, value: Value) -> FilterTree:
    return _presence(name, value) or Condition(name, ("one",), ([value.text],))


def _row(name: str, value: Value) -> FilterTree:
    """Reads a row that a task refers to, by its id, its uid or its name."""
    word = value.word
    if word == "inbox" and name == "project":
        return nothing(name)
    if found := _presence(name, value):
        return found
    if word.isascii() and word.isdigit():
        if len(word) > len(str(MAX_ID)) or int(word) > MAX_ID:
            raise WrongValue("an id", "a name in quotes")
        return Condition(name, ("id",), (int(word),))
    if word.startswith(UID_PREFIX):
        uid = value.text[len(UID_PREFIX) :]
        if not is_uid(uid):
            raise WrongValue("a uid", "a name in quotes")
        return Condition(name, ("uid",), (uid,))
    return Condition(name, ("name",), (value.text,))


def _choice(choices: Mapping[str, FilterTree]) -> Callable[[str, Value], FilterTree]:
    def read(name: str, value: Value) -> FilterTree:
        if value.text.lower() not in choices:
            raise WrongValue(*choices)
        return choices[value.text.lower()]

    return read


def _flag(name: str, value: Value) -> FilterTree:
    if value.text.lower() not in YES_OR_NO:
        raise WrongValue("true", "false")
    return Condition(name) if YES_OR_NO[value.text.lower()] else Inverse(Condition(name))


def _priority(name: str, operator: str, value: Value) -> FilterTree:
    word = value.text.lower()
    if (priority := LONG_PRIORITIES.get(word) or SHORT_PRIORITIES.get(word)) is None:
        raise WrongValue(*LONG_PRIORITIES)
    place = PRIORITY_ORDER.index(priority)
    chosen = {
        IS_EQUAL: PRIORITY_ORDER[place : place + 1],
        NOT_EQUAL: PRIORITY_ORDER[:place] + PRIORITY_ORDER[place + 1 :],
        "<": PRIORITY_ORDER[:place],
        "<=": PRIORITY_ORDER[: place + 1],
        ">": PRIORITY_ORDER[place + 1 :],
        ">=": PRIORITY_ORDER[place:],
    }
    return Condition(name, (), ([each.value for each in chosen[operator]],))


def _date(name: str, operator: str, value: Value) -> FilterTree:
    """Reads a range: ``form`` names its bounds, at most one from which and one before which it is."""
    if operator in EQUALITY_OPERATORS and (found := _presence(name, value)):
        return found if operator == IS_EQUAL else Inverse(found)
    if (start := parse_moment(value.text)) is None:
        words = ("a day such as 2026-12-01", "an instant such as 2026-12-01T09:00", "today+7d")
        raise WrongValue(*words, *(PRESENCE_WORDS if operator in EQUALITY_OPERATORS else ()))
    return _range(name, operator, start, start._replace(after=True))


def _minutes(name: str, operator: str, value: Value) -> FilterTree:
    """Reads a number of minutes, or one of hours: ``90``, ``90min``, ``2h``."""
    if operator in EQUALITY_OPERATORS and (found := _presence(name, value)):
        return found if operator == IS_EQUAL else Inverse(found)
    if (written := _MINUTES_PATTERN.fullmatch(value.text.lower())) is None:
        raise WrongValue("minutes such as 30", "2h", *(PRESENCE_WORDS if operator in EQUALITY_OPERATORS else ()))
    minutes = int(written[1]) * (60 if written[2] == "h" else 1)
    return _range(name, operator, minutes, minutes + 1)


def _range(name: str, operator: str, start: Any, after: Any) -> FilterTree:
    """Returns the condition of a comparison with ``start``; ``after`` is the next value there can be."""
    bounds = {
        IS_EQUAL: {"from": start, "before": after},
        "<": {"before": start},
        "<=": {"before": after},
        ">": {"from": after},
        ">=": {"from": start},
    }
    chosen = bounds[IS_EQUAL if operator == NOT_EQUAL else operator]
    condition = Condition(name, tuple(chosen), tuple(chosen.values()))
    return Inverse(condition) if operator == NOT_EQUAL else condition


TEXT_FIELD = FilterField(_equality(_text))
ROW_FIELD = FilterField(_equality(_row))
FLAG_FIELD = FilterField(_equality(_flag))
DATE_FIELD = FilterField(_date, COMPARISON_OPERATORS)

STATUS_CHOICES: dict[str, FilterTree] = {each.value: Condition("status", (each.value,)) for each in TaskStatus}
STATUS_CHOICES |= {"open": STATUS_CHOICES["pending"], "done": STATUS_CHOICES["completed"]}
# Alone, such a word is a condition: to find the word itself, write it in quotes.
FLAG_NAMES = ("completed", "overdue", "available", "favorite", "recurring")
HAS_CHOICES: dict[str, FilterTree] = {
    **{name: Condition("has", (name,)) for name in ("description", "reminders", "comments", "subtasks")},
    **{name: Inverse(nothing(name)) for name in ("due", "start", "deadline", "estimate", "project", "parent")},
    "tags": Inverse(nothing("tag")),
}
IS_CHOICES: dict[str, FilterTree] = {
    **{name: Condition(name) for name in FLAG_NAMES},
    "open": STATUS_CHOICES["open"],
    "done": STATUS_CHOICES["done"],
    "subtask": Inverse(nothing("parent")),
}
FILTER_FIELDS: dict[str, FilterField] = {
    "text": TEXT_FIELD,
    "title": TEXT_FIELD,
    "description": TEXT_FIELD,
    "tag": FilterField(_equality(_tag)),
    "project": ROW_FIELD,
    "parent": ROW_FIELD,
    "status": FilterField(_equality(_choice(STATUS_CHOICES))),
    "priority": FilterField(_priority, COMPARISON_OPERATORS),
    "due": DATE_FIELD,
    "start": DATE_FIELD,
    "deadline": DATE_FIELD,
    "created": DATE_FIELD,
    "updated": DATE_FIELD,
    "completed_at": DATE_FIELD,
    "estimate": FilterField(_minutes, COMPARISON_OPERATORS),
    **dict.fromkeys(FLAG_NAMES, FLAG_FIELD),
    "has": FilterField(_equality(_choice(HAS_CHOICES))),
    "is": FilterField(_equality(_choice(IS_CHOICES))),
}
# Other names: those of the API's fields.
FIELD_ALIASES = {
    "tags": "tag",
    "due_date": "due",
    "start_date": "start",
    "estimate_minutes": "estimate",
    "created_at": "created",
    "updated_at": "updated",
    "search": "text",
}
# Conditions that the clock decides, as it does about moments that count from today or now.
CLOCK_FLAGS = frozenset({"overdue", "available"})


def depends_on_clock(condition: Condition) -> bool:
    moments = (value for value in condition.values if isinstance(value, FilterMoment))
    return condition.field in CLOCK_FLAGS or any(each.is_relative for each in moments)


def has_moments(condition: Condition) -> bool:
    """Returns whether it compares a date, which depends on the owner's time zone."""
    return any(isinstance(value, FilterMoment) for value in condition.values)
