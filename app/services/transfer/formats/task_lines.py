"""Writing and reading what todo.txt has no words for: values that have spaces, and times of day, as ``name:value``.

A line is readable as it stands. Where a title, a tag or a project has spaces or signs that the format reads otherwise,
the line has it once more, with %20 for a space.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import unquote

from app.domain.recurrence import parse_rule
from app.models.task_fields import CLOSED_STATUSES, TaskStatus
from app.models.task_rows import due_of, status_of
from app.services.transfer.formats.products.projects import is_inbox

PRIORITY_LETTERS = {"urgent": "A", "high": "B", "medium": "C", "low": "D"}
RECUR_UNITS = {"DAILY": "d", "WEEKLY": "w", "MONTHLY": "m", "YEARLY": "y"}
_UNSAFE_PATTERN = re.compile(r"[\s%\x00-\x1f\x7f\x85\u2028\u2029]")
_UNSAFE_SIGNS = [chr(code) for code in range(0x3001) if _UNSAFE_PATTERN.match(chr(code))]  # there are none above
# A table: a description has thousands of spaces.
ESCAPED_SIGNS = {ord(sign): "".join(f"%{byte:02X}" for byte in sign.encode()) for sign in _UNSAFE_SIGNS}
SPACED_SIGNS = {ord(sign): " " for sign in _UNSAFE_SIGNS if sign != "%"}
# What a word of a title must not be like: it would be read as something else.
_READ_WORD = re.compile(r"(?:^| )(?:[+@]\S|[A-Za-z][\w-]*:\S)|^(?:[xX] |\([A-Z]\) |\d{4}-\d\d-\d\d )| {2}|^ | $")
_HAS_LETTER = re.compile(r"[^\W\d_]")


def escape_value(text: str) -> str:
    """Returns a text as the value of a ``name:value``."""
    return text.translate(ESCAPED_SIGNS)


def unescape_value(value: str) -> str:
    return unquote(value, errors="strict") if _is_escaped(value) else value


def _is_escaped(value: str) -> bool:
    try:
        unquote(value, errors="strict")
    except UnicodeDecodeError:
        return False
    return "%" in value


def is_project_word(word: str) -> bool:
    """Returns whether a word names a project: ``2+2`` and ``+1`` do not."""
    return word[:1] == "+" and word[1:2] != "+" and _HAS_LETTER.search(word) is not None


def is_context_word(word: str) -> bool:
    return word[:1] == "@" and word[1:2] not in {"", "@"}


def task_line(row: Any, projects: Mapping[int, str], zone: tzinfo) -> bytes:
    """Returns the line of a task. Times are local ones of ``zone``, to the second."""
    status, letter = status_of(row), PRIORITY_LETTERS.get(row.priority)
    is_closed, created = status in CLOSED_STATUSES, _day(row.created_at, zone)
    begin = [f"({letter})"] if letter and not is_closed else []
    if is_closed:
        begin = ["x", _day(row.completed_at or row.updated_at, zone)]
    title = " ".join(row.title.translate(SPACED_SIGNS).split())
    places = _place_words(row, projects)
    words = [*begin, created, title, *places, *_pairs(row, status, letter, zone)]
    # The title is also whole where the name of a project or a tag would be read as a part of it.
    if title != row.title or _READ_WORD.search(title) or not all(map(_is_no_title, places)):
        words.append(f"title:{escape_value(row.title)}")
    return (" ".join(words) + "\n").encode()


def _place_words(row: Any, projects: Mapping[int, str]) -> list[str]:
    words = []
    if (project := projects.get(row.project_id)) is not None:
        word = _as_word(project)
        words += [f"+{word}"] + ([f"project:{escape_value(project)}"] if not _is_plain(project, word) else [])
    words += [f"@{_as_word(tag)}" for tag in row.tags]
    if any(not _is_plain(tag, _as_word(tag)) or "," in tag for tag in row.tags):
        words.append("tags:" + ",".join(escape_value(tag).replace(",", "%2C") for tag in row.tags))
    return words


def _is_no_title(word: str) -> bool:
    return word[0] not in "+@" or is_project_word(word) or is_context_word(word)


def _as_word(name: str) -> str:
    return "_".join(name.translate(SPACED_SIGNS).replace("%", " ").split()) or "_"


def _is_plain(name: str, word: str) -> bool:
    return name == word and name[0] not in "+@" and any(map(str.isalpha, name)) and not is_inbox(name)


def _pairs(row: Any, status: TaskStatus | str, letter: str | None, zone: tzinfo) -> list[str]:
    pairs: list[tuple[str, str]] = []
    if letter and status in CLOSED_STATUSES:
        pairs.append(("pri", letter))
    pairs += [*_date_pairs("due", due_of(row), zone), *_date_pairs("t", due_of(row, "start"), zone)]
    if row.deadline:
        pairs.append(("deadline", row.deadline.isoformat()))
    if row.estimate_minutes:
        pairs.append(("estimate", f"{row.estimate_minutes}m"))
    if row.favorite:
        pairs.append(("favorite", "yes"))
    if row.recurrence:
        rule = parse_rule(row.recurrence)
        sign = "" if row.recurrence_from == "completion" else "+"
        recur = f"{rule.interval}{RECUR_UNITS[rule.frequency]}"
        pairs.append(("rec", sign + recur))
        if str(rule) not in {f"FREQ={rule.frequency}", f"FREQ={rule.frequency};INTERVAL={rule.interval}"}:
            pairs.append(("rrule", str(rule)))
    if row.reminders:
        pairs.append(("remind", ",".join(row.reminders)))
    if status not in {TaskStatus.PENDING, TaskStatus.COMPLETED}:
        pairs.append(("status", status))
    if row.description:
        pairs.append(("note", escape_value(row.description)))
    if row.parent_id is not None:
        pairs.append(("parent", row.parent_uid))
    pairs.append(("uid", row.uid))
    return [f"{name}:{value}" for name, value in pairs]


def _date_pairs(name: str, moment: date | datetime | None, zone: tzinfo) -> Iterable[tuple[str, str]]:
    """Returns the day of a date, and its time of day, which other programs do not read.

    Of two times that clocks show the same the later one has its offset.
    """
    if moment is None:
        return []
    if not isinstance(moment, datetime):
        return [(name, moment.isoformat())]
    local = moment.astimezone(zone)
    clock = f"{local:%H:%M:%S}".removesuffix(":00")
    if local.fold:
        clock += local.replace(microsecond=0).isoformat()[19:]
    return [(name, local.date().isoformat()), (f"{name}_time", clock)]


def _day(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).date().isoformat()
