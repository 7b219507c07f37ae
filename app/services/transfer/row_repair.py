"""Repairing rows of a file: what only describes a row never costs the row.

A value that its check refuses is read in another way or cut, else its field is left out; each of these is a warning.
Only a row without what it consists of is refused: a task's title, a project's name, a comment's body, a view's
parameters.
"""

import re
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from app.domain.written_dates import read_written_date
from app.errors.findings import describe_errors, locate_errors
from app.models.comments import BODY_MAX
from app.models.projects import COLOR_PATTERN, PROJECT_NAME_MAX
from app.models.task_fields import ESTIMATE_MAX, RECURRENCE_MAX, TAG_MAX, TAGS_MAX, TITLE_MAX, Priority, Tag, TaskStatus
from app.models.task_reminders import REMINDERS_MAX, Reminder
from app.models.types import RAW_FACTOR, clean_text
from app.models.views import VIEW_NAME_MAX
from app.services.transfer.import_row import Deviation, LoadedRow, RowRefused, RowWarning, ValidRow, make_warning

TOO_LONG = frozenset({"string_too_long", "too_long"})  # the second is Pydantic's for a limit after a validator
WARNINGS_OF_ROW_MAX = 50  # the last one says how many more there are
TRUE_WORDS = frozenset({"true", "yes", "y", "x", "1", "1.0", "t", "on", "done", "completed", "complete", "closed"})
FALSE_WORDS = frozenset(
    {"false", "no", "n", "0", "0.0", "f", "off", "open", "pending", "todo", "needs-action", "incomplete", ""}
)
FLAG_WORDS = TRUE_WORDS | {"starred", "flagged", "favorite", "favourite", "★", "*"}
PRIORITY_WORDS = {"normal": "medium", "med": "medium", "critical": "urgent", "highest": "urgent", "lowest": "low"}
STATUS_WORDS = {
    **dict.fromkeys(("todo", "to_do", "open", "new", "not_started", "needs_action", "backlog"), TaskStatus.PENDING),
    **dict.fromkeys(("doing", "in_process", "started", "active"), TaskStatus.IN_PROGRESS),
    **dict.fromkeys(("blocked", "on_hold", "deferred"), TaskStatus.WAITING),
    **dict.fromkeys(("canceled", "dropped", "wont_do", "won't_do", "abandoned"), TaskStatus.CANCELLED),
    **dict.fromkeys(("done", "complete", "closed", "finished"), TaskStatus.COMPLETED),
}
DATE_FIELDS = frozenset(
    {"due_date", "start_date", "deadline", "anchor_date"}
    | {"completed_at", "created_at", "updated_at", "deleted_at", "archived_at"}
)
STAMP_FIELDS = DATE_FIELDS - {"due_date", "start_date", "deadline", "anchor_date"}
TEXT_FIELDS = frozenset({"title", "description", "name", "body"})
EMPTY_FIELD_VALUES: tuple[Any, ...] = ("", [], {})
_ESTIMATE_TEXT = re.compile(
    r"p?(?:([0-9]{1,3}) ?d(?:ays?)?)?[ t]*(?:([0-9]{1,5}) ?h(?:ours?|rs?)?)? *(?:([0-9]{1,6}) ?m(?:in(?:ute)?s?)?)?"
)
COLOR_TEXT = re.compile(COLOR_PATTERN)
_LOCAL_UNTIL = re.compile(r"(?<=UNTIL=)[0-9]{8}T[0-9]{6}(?=;|$)")


class Repaired(NamedTuple):
    """Another value for a field, and warnings of the difference."""

    value: Any
    warnings: tuple[RowWarning, ...] = ()


class TableFields(NamedTuple):
    """The names of fields in the rows of a table: ``read_only`` are ignored, ``required`` the row consists of."""

    known: Collection[str]
    read_only: frozenset[str]
    required: frozenset[str]


class RowRepair:
    """The repair of one row of the table that has the fields of ``table``."""

    def __init__(
        self, loaded: LoadedRow, table: TableFields, *, now: datetime, zone: ZoneInfo, description_max: int
    ) -> None:
        self._now, self._zone, self._description_max = now, zone, description_max
        known, read_only, required = table
        self._required = required
        self._given = loaded.fields
        self._repaired: set[str] = set()
        self._warnings = [*loaded.warnings]
        # Null and empty values say nothing, so leaving them out loses nothing.
        self._fields = {
            name: value
            for name, value in loaded.fields.items()
            if value is not None
            and name not in read_only
            and (name in TEXT_FIELDS or name in required or value not in EMPTY_FIELD_VALUES)
        }
        for name in [name for name in self._fields if name not in known]:
            self._leave_out(name, "There is no such field here")

    def run(self, read: Callable[[dict[str, Any]], dict[str, Any]]) -> ValidRow:
        """Returns what ``read`` makes of the fields when all that it refuses are repaired. Raises RowRefused."""
        self._compare_completion()
        while True:
            try:
                columns = read(self._fields)
            except RowRefused as error:
                self._repair(error.errors)
            else:
                return ValidRow(columns, _bounded(self._warnings))

    def _repair(self, errors: list[dict[str, Any]]) -> None:
        """Changes or leaves out each field that has an error. Raises RowRefused if that cannot be."""
        refused = []
        by_field = {str(error["loc"][0]): error for error in reversed(errors) if error["loc"]}
        for name, error in reversed(by_field.items()):
            repaired = self._repair_field(name, error) if name in self._fields else None
            if repaired is not None:
                self._fields[name] = repaired.value
                self._warnings += repaired.warnings
                if name == "title":
                    return  # the description has changed with it
            elif name in self._required or name not in self._fields:
                refused.append(name)
            else:
                self._leave_out(name, error["msg"])
        if refused or not by_field:
            raise RowRefused([error for error in errors if not error["loc"] or str(error["loc"][0]) in refused])

    def _repair_field(self, name: str, error: dict[str, Any]) -> Repaired | None:
        value = self._fields[name]
        if name == "parameters" and isinstance(value, dict) and len(error["loc"]) > 1:
            return _without_parameter(value, str(error["loc"][1]), error["msg"])
        if name in self._repaired:
            return None
        self._repaired.add(name)
        if name in DATE_FIELDS:
            return self._date(name, value)
        if name == "recurrence":
            return self._recurrence(value)
        if name == "title" and error["type"] in TOO_LONG:
            return self._title(value)
        if name in TEXT_FIELDS:
            return _text(name, value, self._text_max(name), error["type"])
        reader = FIELD_REPAIRS.get(name)
        return reader(value) if reader else None

    def _text_max(self, name: str) -> int:
        if name == "name":
            names = {"parameters": VIEW_NAME_MAX, "color": TAG_MAX}
            return next((most for field, most in names.items() if field in self._required), PROJECT_NAME_MAX)
        return {"title": TITLE_MAX, "description": self._description_max, "body": BODY_MAX}[name]

    def _leave_out(self, name: str, reason: str) -> None:
        del self._fields[name]
        self._warnings.append(make_warning(name, f"{reason.rstrip('.')}: it was left out.", self._given.get(name, "")))

    def _compare_completion(self) -> None:
        """Reads words for yes and no, and for a status; a task with a stamp of its completion is completed otherwise.

        Where the two contradict each other, ``completed`` counts.
        """
        if "completed" in self._fields and not isinstance(word := self._fields["completed"], bool):
            if (found := _is_completed(word)) is None:
                self._leave_out("completed", "It is neither yes nor no")
            else:
                self._fields["completed"] = found
        if "status" in self._fields:
            self._compare_status(self._fields["status"])
        is_stamped = "title" in self._required and "completed_at" in self._fields
        if is_stamped and self._fields.setdefault("completed", True) is False:
            self._leave_out("completed_at", "The task is not completed")

    def _compare_status(self, value: Any) -> None:
        word = value.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(value, str) else ""
        status = word if word in {*TaskStatus} else STATUS_WORDS.get(word)
        if status is None:
            self._leave_out("status", "The status is not known")
        elif self._fields.setdefault("completed", status == TaskStatus.COMPLETED) != (status == TaskStatus.COMPLETED):
            self._leave_out("status", "It contradicts completed")
        else:
            self._fields["status"] = status
            if status != word:
                self._warnings.append(make_warning("status", f"Read as {status}.", value, Deviation.GUESSED))

    def _date(self, name: str, value: Any) -> Repaired | None:
        found = read_written_date(value)
        if found is None and name == "deleted_at":  # else the row would come back from the trash
            warning = make_warning(name, "No date that can be read: now was taken.", value, Deviation.GUESSED)
            return Repaired(self._now, (warning,))
        if found is None:
            return None
        moment: date | datetime = found.value
        if name == "deadline" and isinstance(moment, datetime):
            moment = (moment.astimezone(self._zone) if moment.tzinfo else moment).date()
            message = f"A deadline is a day: read as {moment.isoformat()}."
            return Repaired(moment, (make_warning(name, message, value, Deviation.CHANGED),))
        if name in STAMP_FIELDS and not isinstance(moment, datetime):
            warning = make_warning(name, "A day without a time: midnight was taken.", value, Deviation.GUESSED)
            return Repaired(datetime.combine(moment, time()), (warning,))
        if found.is_guess:
            return Repaired(moment, (make_warning(name, f"Read as {moment.isoformat()}.", value, Deviation.GUESSED),))
        return Repaired(moment)

    def _recurrence(self, value: Any) -> Repaired | None:
        """Reads a rule with punctuation after it, and a local UNTIL as a time in the owner's zone."""
        if not isinstance(value, str) or len(value) > RECURRENCE_MAX:
            return None

        def to_utc(found: re.Match[str]) -> str:
            local = datetime.strptime(found[0], "%Y%m%dT%H%M%S").replace(tzinfo=self._zone)
            return f"{local.astimezone(UTC):%Y%m%dT%H%M%SZ}"

        try:
            text = _LOCAL_UNTIL.sub(to_utc, value.strip().rstrip(";,. ").upper())
        except (ValueError, OverflowError):
            return None
        return Repaired(text) if text and text != value else None

    def _title(self, value: str) -> Repaired | None:
        """Cuts a title; the description then begins with the whole one."""
        if (found := _cut(value, TITLE_MAX)) is None:
            return None
        description = self._fields.get("description", "")
        if not isinstance(description, str):
            self._leave_out("description", "Expected text")
            description = ""
        self._fields["description"] = "\n\n".join(filter(None, [value.strip(), description]))
        message = f"A title has at most {TITLE_MAX} characters: it was cut, and the description begins with all of it."
        return Repaired(found, (make_warning("title", message, value, Deviation.CUT),))


def _bounded(warnings: list[RowWarning]) -> list[RowWarning]:
    if len(warnings) <= WARNINGS_OF_ROW_MAX:
        return warnings
    left = len(warnings) - WARNINGS_OF_ROW_MAX + 1
    return [*warnings[: WARNINGS_OF_ROW_MAX - 1], make_warning("", f"The row has {left} more warnings.")]


def _cut(value: str, limit: int) -> str | None:
    """Returns the beginning of a text with an ellipsis; None for one that no length makes acceptable."""
    try:
        text = clean_text(value.strip()[: RAW_FACTOR * limit], limit)
    except ValueError:
        return None
    return text[: limit - 1].rstrip() + "…"


def _text(name: str, value: Any, limit: int, error: str) -> Repaired | None:
    """Cuts a text; of a description also removes what cannot be stored."""
    if not isinstance(value, str):
        return None
    if name == "description" and error == "nul_character":
        kept = value.replace("\0", "")
        if (cut := kept if len(kept) <= limit else _cut(kept, limit)) is None:
            return None
        return Repaired(cut, (make_warning(name, "NUL characters were removed.", value, Deviation.CHANGED),))
    if error not in TOO_LONG or (cut := _cut(value, limit)) is None:
        return None
    return Repaired(cut, (make_warning(name, f"It was cut to {limit} characters.", value, Deviation.CUT),))


def _items(name: str, value: Any, one: TypeAdapter[Any], most: int, read: Callable[[Any], Any]) -> Repaired | None:
    """Keeps the items of a list that can be read, up to ``most``."""
    if not isinstance(value, list):
        return None
    kept: list[Any] = []
    warnings: list[RowWarning] = []
    for number, item in enumerate(value):
        if len(kept) == most or number == RAW_FACTOR * most:
            message = f"At most {most} are kept: {len(value) - number} were left out."
            left = [other for other in value[number : number + RAW_FACTOR * most] if other not in kept]
            warnings += [make_warning(name, message, ", ".join(map(str, left)))] if left else []
            break
        try:
            found, message = one.validate_python(read(item)), ""
        except ValidationError as error:
            type_, reason = describe_errors(locate_errors(error, item))
            found = _cut(item, TAG_MAX) if name == "tags" and type_ in TOO_LONG else None
            message = f"It was cut to {TAG_MAX} characters." if found else f"{reason.rstrip('.')}: it was left out."
        if message:
            warnings.append(make_warning(name, message, item, Deviation.CUT if found else Deviation.LEFT_OUT))
        if found is not None and found not in kept:
            kept.append(found)
    return Repaired(kept, tuple(warnings))


def _reminder(value: Any) -> Any:
    found = read_written_date(value)
    return found.value.isoformat() if found and isinstance(found.value, datetime) and not found.is_guess else value


_TAG_CHECK, _REMINDER_CHECK = TypeAdapter[Any](Tag), TypeAdapter[Any](Reminder)


def _tags(value: Any) -> Repaired | None:
    return _items("tags", value, _TAG_CHECK, TAGS_MAX, lambda item: item)


def _reminders(value: Any) -> Repaired | None:
    return _items("reminders", value, _REMINDER_CHECK, REMINDERS_MAX, _reminder)


def _is_completed(value: Any) -> bool | None:
    word = str(value).strip().lower() if isinstance(value, str | int | float) else None
    return word in TRUE_WORDS if word in TRUE_WORDS | FALSE_WORDS else None


def _priority(value: Any) -> Repaired | None:
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {*Priority}:
        return Repaired(word)
    if word not in PRIORITY_WORDS:
        return None
    message = f"Read as {PRIORITY_WORDS[word]}."
    return Repaired(PRIORITY_WORDS[word], (make_warning("priority", message, value, Deviation.GUESSED),))


def _lower(value: Any) -> Repaired | None:
    return Repaired(value.strip().lower()) if isinstance(value, str) else None


def _whole_number(value: Any) -> Repaired | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 8:
        return Repaired(int(value))
    return Repaired(int(value)) if isinstance(value, float) and value.is_integer() else None


def _estimate(value: Any) -> Repaired | None:
    """Reads minutes, also as text and with units ("1h 30m", "PT90M"); 0 is no estimate."""
    if value in (0, "0"):
        return Repaired(None)
    if (found := _whole_number(value)) is not None or not isinstance(value, str):
        return found
    parts = _ESTIMATE_TEXT.fullmatch(value.strip().lower())
    if parts is None or not any(parts.groups()):
        return None
    minutes = sum(int(number or 0) * unit for number, unit in zip(parts.groups(), (1440, 60, 1), strict=True))
    return Repaired(minutes) if 1 <= minutes <= ESTIMATE_MAX else None


def _flag(value: Any) -> Repaired | None:
    word = str(value).strip().lower()
    return Repaired(word in FLAG_WORDS) if word in FLAG_WORDS | FALSE_WORDS else None


def _without_parameter(parameters: dict[str, Any], name: str, reason: str) -> Repaired | None:
    if name not in parameters:
        return None
    message = f"{reason.rstrip('.')}: it was left out."
    kept = {other: value for other, value in parameters.items() if other != name}
    return Repaired(kept, (make_warning(f"parameters.{name}", message, parameters[name]),))


def _color(value: Any) -> Repaired | None:
    return Repaired(value.lower()) if isinstance(value, str) and COLOR_TEXT.fullmatch(value) else None


FIELD_REPAIRS: dict[str, Callable[[Any], Repaired | None]] = {
    "tags": _tags,
    "reminders": _reminders,
    "priority": _priority,
    "recurrence_from": _lower,
    "occurrences_done": _whole_number,
    "estimate_minutes": _estimate,
    "favorite": _flag,
    "color": _color,
}
