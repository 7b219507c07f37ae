"""Digests: the text of a day's overview: what is overdue, what is due today, what was done yesterday."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.domain.notifications import LATE_AFTER, Notification, clip_text, describe_time

DIGEST_TITLES_MAX = 10  # of each part; the others are counted
DIGEST_TITLE_LENGTH = 80  # characters


class DigestTask(NamedTuple):
    """A task as a digest lists it."""

    title: str
    due: date | datetime | None


@dataclass(frozen=True, slots=True)
class DigestPart:
    """``tasks`` are the first of ``count``."""

    count: int = 0
    tasks: tuple[DigestTask, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestContents:
    """A task is in one part: one that was due earlier today is overdue."""

    today: date
    overdue: DigestPart
    due_today: DigestPart
    done: DigestPart

    @property
    def is_empty(self) -> bool:
        return not (self.overdue.count or self.due_today.count or self.done.count)


def digest_of(
    delivery_id: str, contents: DigestContents, *, due_at: datetime, moment: datetime, zone: ZoneInfo, url: str
) -> Notification:
    """Returns the notification of a digest that was due at ``due_at`` and is sent at ``moment``."""
    late = moment - due_at > LATE_AFTER
    paragraphs = [f"Late: this digest was for {describe_time(due_at, zone)}."] if late else []
    parts = (("Overdue", contents.overdue), ("Due today", contents.due_today), ("Done yesterday", contents.done))
    paragraphs += ["\n".join(_lines_of(name, part, contents.today, zone)) for name, part in parts if part.count]
    return Notification(
        id=delivery_id,
        kind="digest",
        title=_title_of(contents),
        text="\n\n".join(paragraphs),
        url=url,
        due_at=due_at,
        late=late,
    )


def _title_of(contents: DigestContents) -> str:
    """Returns the counts: "Mon 30 Nov: 2 due today, 1 overdue, 3 done yesterday"."""
    counts = (
        (contents.due_today.count, "due today"),
        (contents.overdue.count, "overdue"),
        (contents.done.count, "done yesterday"),
    )
    told = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"{contents.today:%a} {contents.today.day} {contents.today:%b}: {told}"


def _lines_of(name: str, part: DigestPart, today: date, zone: ZoneInfo) -> Iterator[str]:
    yield f"{name} ({part.count})"
    for task in part.tasks:
        title = clip_text(task.title, DIGEST_TITLE_LENGTH)
        due = "" if task.due is None else _describe_due(task.due, today, zone)
        yield f"- {title} ({due})" if due else f"- {title}"
    if more := part.count - len(part.tasks):
        yield f"- and {more} more"


def _describe_due(due: date | datetime, today: date, zone: ZoneInfo) -> str:
    """Returns the day and the time; of today the time alone."""
    local = due.astimezone(zone) if isinstance(due, datetime) else due
    if (local.date() if isinstance(local, datetime) else local) != today:
        return describe_time(due, zone)
    return f"{local:%H:%M}" if isinstance(local, datetime) else ""
