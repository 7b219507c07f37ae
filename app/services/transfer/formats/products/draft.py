"""A task of another product while it is read: its fields, the lines of its description, and what differs.

What has a field here is put; what has none is kept as a line of the description. Both name what they cannot do.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from app.domain.date_shift import day_in
from app.domain.recurrence import Due, parse_rule, shifted
from app.errors import AppError
from app.models.task_fields import ESTIMATE_MAX, TAGS_MAX, TaskStatus
from app.models.task_reminders import REMINDERS_MAX
from app.models.types import RAW_FACTOR
from app.services.transfer.formats.file_context import FileContext
from app.services.transfer.formats.ics.rules import normalize_rule
from app.services.transfer.formats.ics.values import NominalDuration
from app.services.transfer.formats.products.moments import (
    Moment,
    means_no_date,
    read_moment,
    spell_moment,
    spell_seconds,
    start_of,
)
from app.services.transfer.import_row import Deviation, LoadedRow, RowWarning, make_warning

NO_FIELD_HERE = "There is no such field here"
_LINE_ENDS = re.compile(r"[\n\t\v\f]+")
ONLY_NAME = "Tasks have no attachments, so only the name stays"
ONLY_LINK = "Only the link of an attachment stays"


class Draft:
    """One task. Dates are put before the rule and the reminders that count from them."""

    def __init__(self, context: FileContext, title: object, text: object = "") -> None:
        self.zone, self._now = context.timezone, context.now
        self.fields: dict[str, Any] = {}
        self.due: Moment | None = None
        self.warnings: list[RowWarning] = []
        self._title = _plain(title)
        self._texts = [_plain(text).strip()]
        self._lines: list[str] = []

    def note(self, field: str, message: str, value: object = "", kind: Deviation = Deviation.LEFT_OUT) -> None:
        """Warns of a difference that ``keep`` does not cover."""
        self.warnings.append(make_warning(field, message, value, kind))

    def keep(self, field: str, value: object, label: str, reason: str = NO_FIELD_HERE) -> None:
        """Keeps a value as a line of the description, with a warning; an empty one is none."""
        if text := _plain(value).strip():
            self._lines.append(f"{label}: {text}" if label else text)
            self.note(field, f"{reason}: it was kept in the description.", text, Deviation.KEPT_AS_TEXT)

    def put(self, field: str, value: object) -> None:
        if value not in (None, "", [], {}):
            self.fields[field] = value

    def put_tags(self, tags: Iterable[object]) -> None:
        found = [text for tag in tags if (text := " ".join(_plain(tag).split()))]
        self.fields["tags"] = [*dict.fromkeys([*self.fields.get("tags", []), *found])][: RAW_FACTOR * TAGS_MAX]

    def put_section(self, field: str, name: object) -> None:
        """Makes a tag of a section, column or list within a project."""
        if text := " ".join(_plain(name).split()):
            self.put_tags([text])
            self.note(field, "A section of a project is a tag here.", text, Deviation.CHANGED)

    def put_date(
        self, field: str, written: object, label: str, *, zone: tzinfo | None = None, day_first: bool | None = None
    ) -> Moment | None:
        """Puts and returns a day or an instant; what cannot be read is kept as text. A local time is in ``zone``."""
        if means_no_date(written):
            return None
        moment = read_moment(written, zone or self.zone, day_first=day_first)
        if moment is None:
            self.keep(field, written, label, "The date cannot be read")
            return None
        self.put_moment(field, moment)
        return moment

    def put_moment(self, field: str, moment: Moment | None) -> None:
        if moment is not None:
            self.fields[field] = spell_moment(day_in(moment, self.zone) if field == "deadline" else moment)
            if field == "due_date":
                self.due = moment

    def put_day(self, field: str, moment: Moment | None, zone: tzinfo | None = None) -> None:
        """Puts the day of a moment in ``zone``."""
        if moment is not None:
            self.put_moment(field, day_in(moment, zone or self.zone))

    def put_stamp(self, field: str, moment: Moment | None) -> None:
        """Puts an instant; of a day its midnight."""
        if moment is not None:
            self.put_moment(field, start_of(moment, self.zone))

    def put_minutes(self, minutes: float) -> None:
        """Puts an estimate, which is a minute at least."""
        if 0 < minutes <= ESTIMATE_MAX:
            self.fields["estimate_minutes"] = max(1, round(minutes))
        elif minutes > 0:
            self.keep("estimate_minutes", f"{minutes:.0f}", "Estimate in minutes", "It is longer than a year")

    def complete(self, at: Moment | None = None) -> None:
        self.fields["completed"] = True
        self.put_stamp("completed_at", at)

    def cancel(self) -> None:
        self.fields |= {"completed": False, "status": TaskStatus.CANCELLED}

    @property
    def is_closed(self) -> bool:
        return bool(self.fields.get("completed")) or self.fields.get("status") == TaskStatus.CANCELLED

    def remind(self, reminder: str | Moment) -> None:
        """Adds a reminder: an instant, or a duration from the due date; without one it is kept as text."""
        text = reminder if isinstance(reminder, str) else spell_moment(start_of(reminder, self.zone))
        if "P" in text and self.due is None:
            self.keep("reminders", text, "Reminder", "The task has no due date, from which its reminder counts")
        elif len(found := self.fields.setdefault("reminders", [])) <= RAW_FACTOR * REMINDERS_MAX and text not in found:
            found.append(text)

    def repeat(
        self, rule: str | None, written: object, *, zone: tzinfo | None = None, from_completion: bool = False
    ) -> bool:
        """Puts a rule whose days are days in ``zone``; one that cannot be held is kept as written."""
        if (reason := self._put_rule(rule, zone or self.zone)) != "":
            self.keep("recurrence", written, "Repeats", reason)
            return False
        if from_completion:
            self.fields["recurrence_from"] = "completion"
        return True

    def _put_rule(self, rule: str | None, zone: tzinfo) -> str:
        """Returns why the rule cannot be held, empty if it is."""
        if rule is None:
            return "The repetition has no such form here"
        if self.is_closed:
            return "A closed task does not repeat"
        if self.due is None:
            return "A recurring task needs a due date"
        due: Due = self.due.astimezone(zone) if isinstance(self.due, datetime) else self.due
        try:
            found = parse_rule(normalize_rule(rule, due))
        except AppError as error:
            return error.detail.rstrip(".")
        if isinstance(due, datetime):
            days = (day_in(due, self.zone) - due.date()).days
            if (moved := shifted(found, days)) is None:
                message = f"The days of the rule are another day in {self.zone.key}: they were kept as they are."
                self.note("recurrence", message, rule, Deviation.GUESSED)
            found = moved or found
        self.fields["recurrence"] = str(found)
        return ""

    def remind_from(self, start: Moment, span: NominalDuration) -> None:
        """Adds a reminder that counts from another moment than the due date, as one that counts from there."""
        if self.due is None:
            self.remind(str(span))
            return
        local = start_of(start, self.zone).astimezone(self.zone) + timedelta(days=span.days)
        offset = local + timedelta(seconds=span.seconds) - start_of(self.due, self.zone)
        self.remind(spell_seconds(round(offset.total_seconds())))

    def loaded(self) -> LoadedRow:
        """Returns the row."""
        fields = dict(self.fields)
        title = " ".join(part.strip() for part in _LINE_ENDS.split(self._title.replace("\0", ""))).strip()
        if not title and (title := next((line.strip() for line in self._texts[0].split("\n") if line.strip()), "")):
            self.note("title", "There is no title: it is the first line of the text.", title, Deviation.GUESSED)
        if title:
            fields["title"] = title
        fields.setdefault("priority", "none")
        lines = "\n".join(self._lines)
        if text := "\n\n".join(filter(None, [*self._texts, lines])):
            fields["description"] = text
        return LoadedRow(fields, self.warnings)


def _plain(value: object) -> str:
    """Returns text of a value that should be one, with one kind of line ends."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, date):
        return spell_moment(value)
    return (value if isinstance(value, str) else str(value)).replace("\r\n", "\n").replace("\r", "\n")
