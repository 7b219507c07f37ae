"""Reading todo.txt: a task a line, with the words that most programs write.

The first ``+project`` is the project and further ones are tags, ``@context`` is a tag, ``due:``, ``t:`` (the start),
``rec:`` and ``pri:`` are fields, ``id:`` and ``p:`` name a parent. So are the words that ``task_lines`` writes. Another
``name:value`` is a line of the description.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from app.models.task_fields import TaskStatus
from app.services.transfer.formats.file_context import EntityRow, FileContext, FirstReading
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import is_on
from app.services.transfer.formats.products.moments import read_moment, simple_rule
from app.services.transfer.formats.products.projects import NamedProjects
from app.services.transfer.formats.task_lines import is_context_word, is_project_word, unescape_value
from app.services.transfer.import_row import Deviation, Fingerprints, ImportRow, LoadedRow, bounded_source_id

LETTER_PRIORITIES = {"A": "urgent", "B": "high", "C": "medium", "D": "low"}
_LINE_DAY_FORM = r"\d{4}-\d\d-\d\d"
_LINE_BEGIN = re.compile(
    rf"(?:(?P<done>x) (?:(?P<ended>{_LINE_DAY_FORM}) )?(?:\((?P<was>[A-Z])\) )?|\((?P<priority>[A-Z])\) )?"
    rf"(?:(?P<created>{_LINE_DAY_FORM}) )?"
)
# No metadata: a time of day, an address on the web, a name with nothing after its colon.
_PAIR_PATTERN = re.compile(r"([A-Za-z][\w-]{0,39}):(?!//)([^\s:/][^\s]*)")
_TITLE_PATTERN = re.compile(r"(?:^| )title:(\S+)$")
_CLOCK_PATTERN = re.compile(r"\d\d:\d\d(?::\d\d)?(?:[+-]\d\d:\d\d)?")
_ESTIMATE_PATTERN = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})(?:m|min)?)?", re.IGNORECASE)
_NO_NAMES = frozenset({"http", "https", "ftp", "mailto", "file", "tel", "urn", "obsidian", "message"})
_RULE_PATTERN = re.compile(r"(\+?)(\d{1,4})?([dbwmy])", re.IGNORECASE)
_DISTANCE_PATTERN = re.compile(r"([+-])(\d{1,4})([dwmy])?", re.IGNORECASE)
_UNIT_DAYS = {"d": 1, "w": 7}


class TodoLine:
    """The words of one line."""

    def __init__(self, line: str) -> None:
        self.text = line
        found = _LINE_BEGIN.match(line)
        self.begin = found.groupdict() if found else {}
        self.title: list[str] = []
        self.projects: list[str] = []
        self.contexts: list[str] = []
        self.pairs: dict[str, str] = {}
        self.others: list[str] = []
        words = line[found.end() if found else 0 :]
        self.whole_title, words = _split_title(words)
        for word in words.split(" "):
            self._take(word)

    def _take(self, word: str) -> None:
        if is_project_word(word):
            self.projects.append(word[1:])
        elif is_context_word(word):
            self.contexts.append(word[1:])
        elif (pair := _PAIR_PATTERN.fullmatch(word)) is not None and pair[1].lower() not in _NO_NAMES:
            name = pair[1].lower()
            if name in _READ_NAMES and name not in self.pairs:
                self.pairs[name] = pair[2]
            else:
                self.others.append(word)
        else:
            self.title.append(word)

    @property
    def project(self) -> str:
        """Returns the name of the project: in full, where the line has it so."""
        return unescape_value(self.pairs.get("project", "")) or "".join(self.projects[:1])

    @property
    def is_done(self) -> bool:
        return bool(self.begin.get("done"))


_READ_NAMES = frozenset(
    {
        "due", "t", "rec", "pri", "uid", "id", "p", "parent", "due_time", "t_time", "rrule", "deadline", "estimate",
        "status", "favorite", "remind", "tags", "project", "note",
    }
)  # fmt: skip


def _split_title(words: str) -> tuple[str, str]:
    """Returns the title of a line that has it once more as one word, and the words after it."""
    found = _TITLE_PATTERN.search(words)
    title = unescape_value(found[1]) if found else ""
    shown = " ".join(title.split())
    if found is None or not shown or not words.startswith(shown):
        return "", words
    return title, words[len(shown) : found.start()]


def read_todo_txt(lines: Iterable[str], context: FileContext, first: FirstReading) -> Iterator[EntityRow]:
    """Yields projects and tasks. ``first.sources`` has the ids of the first reading."""
    made, projects = Fingerprints("todo.txt"), NamedProjects("todo.txt")
    number = 0
    for line in lines:
        if not (text := line.strip("\r\n\0 \t\ufeff")):
            continue
        number += 1
        found = TodoLine(text)
        source = found.pairs.get("uid") or made.of(text)
        if name := found.pairs.get("uid") or found.pairs.get("id"):
            first.sources.setdefault(name, source)
        parent = found.pairs.get("parent") or found.pairs.get("p")
        rows, project = projects.refer(found.project, has_inbox="project" not in found.pairs)
        yield from rows
        yield "tasks", ImportRow(
            number, bounded_source_id(source), lambda found=found: _load(found, context),  # type: ignore[misc]
            parent=first.sources.get(parent or "", parent), project=project, uid=found.pairs.get("uid"),
            refers_by_uid="uid" in found.pairs,
        )  # fmt: skip


def _load(line: TodoLine, context: FileContext) -> LoadedRow:
    begin, pairs = line.begin, line.pairs
    title = line.whole_title or " ".join(line.title).strip() or line.text
    draft = Draft(context, title, unescape_value(pairs.get("note", "")))
    if line.is_done and pairs.get("status") == TaskStatus.CANCELLED:
        draft.cancel()
    elif line.is_done:
        draft.complete(read_moment(begin.get("ended"), context.timezone))
    else:
        draft.put("status", pairs.get("status"))
    draft.put("uid", pairs.get("uid"))
    draft.put_stamp("created_at", read_moment(begin.get("created"), context.timezone))
    _put_priority(draft, begin.get("priority") or begin.get("was") or pairs.get("pri", "").upper())
    tags = [unescape_value(tag) for tag in pairs.get("tags", "").split(",")]
    draft.put_tags(tags if "tags" in pairs else line.contexts)
    for project in line.projects[1:]:
        draft.put_tags([project])
        draft.note("project", "A task is in one project: another one is a tag.", f"+{project}", Deviation.CHANGED)
    draft.put_date("due_date", _with_time(pairs, "due"), "Due")
    _put_start(draft, _with_time(pairs, "t"))
    draft.put_date("deadline", pairs.get("deadline"), "Deadline")
    _put_others(draft, pairs)
    for word in line.others:
        draft.keep(word.partition(":")[0], word, "")
    return draft.loaded()


def _with_time(pairs: dict[str, str], name: str) -> str:
    day, clock = pairs.get(name, ""), pairs.get(f"{name}_time", "")
    return f"{day}T{clock}" if day and _CLOCK_PATTERN.fullmatch(clock) else day


def _put_others(draft: Draft, pairs: dict[str, str]) -> None:
    written, exact = pairs.get("rec", ""), pairs.get("rrule")
    if written or exact:
        rule, is_strict = _rule_of(written)
        text = f"rrule:{exact}" if exact else f"rec:{written}"
        draft.repeat(exact or rule, text, from_completion=bool(written) and not is_strict)
    if favorite := pairs.get("favorite"):
        draft.put("favorite", is_on(favorite) or None)
    estimate = pairs.get("estimate", "")
    if estimate and (found := _ESTIMATE_PATTERN.fullmatch(estimate)):
        draft.put_minutes(int(found[1] or 0) * 60 + int(found[2] or 0))
    elif estimate:
        draft.keep("estimate", f"estimate:{estimate}", "")
    for reminder in filter(None, pairs.get("remind", "").split(",")):
        draft.remind(reminder)


def _put_priority(draft: Draft, letter: str) -> None:
    if not letter:
        return
    draft.put("priority", LETTER_PRIORITIES.get(letter, "low"))
    if letter not in LETTER_PRIORITIES:
        draft.note("priority", "Read as low.", letter, Deviation.GUESSED)


def _put_start(draft: Draft, written: str) -> None:
    """Puts a start that is a date, or counts from the due date."""
    relative = _DISTANCE_PATTERN.fullmatch(written)
    due = draft.due
    unit = (relative[3] or "d").lower() if relative else ""
    if relative is None or unit not in _UNIT_DAYS or due is None:
        draft.put_date("start_date", written, "Start")
        return
    days = int(relative[2]) * _UNIT_DAYS[unit]
    start: date = due + timedelta(days=-days if relative[1] == "-" else days)
    draft.put_moment("start_date", start)


def _rule_of(written: str) -> tuple[str | None, bool]:
    """Returns a rule and whether it counts from the due date; working days only one at a time."""
    found = _RULE_PATTERN.fullmatch(written)
    if found is None:
        return None, False
    number, unit = int(found[2] or 1), found[3].lower()
    if unit == "b":
        return ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR" if number == 1 else None), bool(found[1])
    return simple_rule(number, unit), bool(found[1])
