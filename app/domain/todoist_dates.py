"""The dates of Todoist, as its help describes them ("Introduction to dates" and "... to recurring dates").

Each is written as quick add says it and then read by it. What means something else in a person's quick add is rewritten
here only: "every 3rd friday" is of the month, "every 27" a day of the month, "every weekend" a Saturday, "morning"
9:00. "every!" and "after" count from the completion. A date that is not understood as a whole is not read at all.
"""

import re
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from app.domain.quick_add import QUICK_ADD_TEXT_MAX, parse
from app.domain.quick_add.words import MONTH_NAMES, ORDINAL_WORDS, WEEKDAY_NAMES, WEEKDAY_PLURALS
from app.domain.todoist_languages import to_english
from app.domain.written_dates import read_written_date
from app.errors import AppError

_WEEKDAY_WORDS = "|".join(sorted({*WEEKDAY_NAMES, *WEEKDAY_PLURALS}, key=len, reverse=True))
_MONTH_WORDS = "|".join(sorted(MONTH_NAMES, key=len, reverse=True))
_ORDINAL_WORD = rf"(?:\d{{1,2}}(?:st|nd|rd|th)|{'|'.join(ORDINAL_WORDS)}|last)"
_NUMBER_FORM = r"\d{1,2}(?:st|nd|rd|th)?"
_WORKDAY_FORM = r"(?:workday|work day|weekday|working day|business day)"
_NAMED_CLOCK = re.compile(r"\b\d{1,2}:\d\d|\b\d{1,2} ?[ap]\.?m\b|\bat \d|\bnoon\b|\bmidnight\b")
_COMPLETION_FORM = re.compile(r"^(?:every|each|ev) ?!|^after (?=(?:\d+|an?|one|two|three) )")
_DURATION_FORM = re.compile(r"\bfor \d{1,4} ?(?:m|min|mins|minutes?|h|hr|hrs|hours?)\b")
_NUMERIC_DATE = re.compile(r"\b\d{1,4}([/.-])\d{1,2}\1\d{2,4}\b")
_BARE_NUMBERS = re.compile(
    rf"\bevery (?:the )?({_NUMBER_FORM}(?:(?: ?, ?(?:and )?| and | & ){_NUMBER_FORM})*)"
    r"(?= ?(?:$|,|of the month\b|at\b|starting\b|start\b|beginning\b|from\b|until\b|till\b|ending\b|for\b))"
)
# Words of Todoist and the words of quick add for them, in this order.
_TODOIST_WORDS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\b(?:ev|each)\b", "every"),
        (r" ?@ ?", " at "),
        (r"\btod\b", "today"),
        (r"\b(?:tom|tmr|tmrw)\b", "tomorrow"),
        (r"\bof month\b", "of the month"),
        (r"\b(?:eom|end of the month)\b", "at the end of the month"),
        (r"^(\d{1,2}) of every month\b", r"every \1"),
        (r"(?<=[a-z]) (?=\d:\d\d\b)", " at "),
        (r"\bmid[ -](" + _MONTH_WORDS + r")\b", r"\1 15"),
        (r"\bnew years? day\b", "january 1"),
        (r"\bnew years? eve\b", "december 31"),
        (r"\bvalentine(?:'?s day)?\b", "february 14"),
        (r"\bhalloween\b", "october 31"),
        (r"^\+(?=\d+ )", "in "),
        (r"\bevery weekends?\b", "every saturday"),
        (rf"\b({_ORDINAL_WORD}) ({_WEEKDAY_WORDS})\.? (?:of |in )?({_MONTH_WORDS})\b", r"\1 \2 of \3"),
        (rf"\bevery (?:the )?({_ORDINAL_WORD}) ({_WEEKDAY_WORDS})\b(?! of\b)", r"every \1 \2 of the month"),
        (rf"\bevery (?:the )?({_ORDINAL_WORD}) {_WORKDAY_FORM}\b(?! of\b)", r"every \1 workday of the month"),
        (r"\bevery (?:the )?last day\b(?! of\b)", "every last day of the month"),
        (r"\bstart(?:s|ing)? at\b", "at"),
        (r"\bends?\b(?= (?!of\b))", "ending"),
        (r"\bat at\b", "at"),
        (r"^(\d{1,2}(?:st|nd|rd|th))(?=$| at\b| \d)", r"on the \1"),
    ]
]
_DAY_PARTS = {"morning": "9am", "afternoon": "12pm", "evening": "7pm", "night": "10pm"}
_PART_FORM = re.compile(r"\b(every |in the |at |this )?(morning|afternoon|evening|night)\b")


class TodoistDate(NamedTuple):
    """A due date and its recurrence; ``duration`` is the text of one, such as "for 45 min", which is no date."""

    due: date | datetime
    recurrence: str | None
    from_completion: bool
    duration: str


def read_todoist_date(
    written: str, *, now: datetime, timezone: tzinfo, language: str, day_first: bool | None = None
) -> TodoistDate | None:
    """Returns what a DATE means, or None. ``day_first`` settles 01/12/2026; without it that is not read."""
    text = " ".join(written.casefold().split()).rstrip(".,;")
    if not text or len(text) > QUICK_ADD_TEXT_MAX:
        return None
    day_first = True if day_first is None and language not in {"", "en"} else day_first
    if (english := to_english(text, language)) is None:
        return None
    text = english
    is_after = bool(_COMPLETION_FORM.search(text))
    text = _COMPLETION_FORM.sub("every ", text)
    duration = found[0] if (found := _DURATION_FORM.search(text)) else ""
    text = _DURATION_FORM.sub(" ", text)
    if (dated := _with_iso_dates(text, day_first)) is None:
        return None
    text = _in_words_of_quick_add(dated)
    try:
        task = parse(f"x {text}"[:QUICK_ADD_TEXT_MAX], now=now, timezone=timezone)
    except AppError:
        return None
    if task.title != "x" or task.due is None or task.project or task.tags or task.priority:
        return None
    return TodoistDate(task.due, task.recurrence, is_after and task.recurrence is not None, duration)


def _with_iso_dates(text: str, day_first: bool | None) -> str | None:
    """Returns the text with its numeric dates as ISO 8601; None if one can be read in two ways."""
    unread = False

    def replace(found: re.Match[str]) -> str:
        nonlocal unread
        numbers = found[0].split(found[1])
        if len(numbers[-1]) == 2 and len(numbers[0]) < 3:
            numbers[-1] = f"20{numbers[-1]}"
        day = read_written_date(found[1].join(numbers), day_first=day_first)
        unread = unread or day is None
        return day.value.isoformat() if day else ""

    text = _NUMERIC_DATE.sub(replace, text)
    return None if unread else text


def _in_words_of_quick_add(text: str) -> str:
    text = " ".join(text.split())
    for pattern, replacement in _TODOIST_WORDS:
        text = pattern.sub(replacement, text)
    text = _BARE_NUMBERS.sub(_with_ordinals, " ".join(text.split()))
    has_clock = bool(_NAMED_CLOCK.search(text))

    def part(found: re.Match[str]) -> str:
        day = {"every ": "every day ", "this ": "today "}.get(found[1] or "", "")
        return found[0] if has_clock and not day else day + ("" if has_clock else f"at {_DAY_PARTS[found[2]]}")

    return " ".join(_PART_FORM.sub(part, text.replace("tonight", "this night")).split())


def _with_ordinals(found: re.Match[str]) -> str:
    """Writes "every 2, 15" as "every 2nd, 15th"."""
    return "every " + re.sub(r"\b(\d{1,2})\b(?!st|nd|rd|th)", lambda number: ordinal_of(int(number[1])), found[1])


def ordinal_of(number: int) -> str:
    """Returns 1st, 2nd, 3rd, 4th ..."""
    suffix = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
