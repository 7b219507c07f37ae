"""Notifications: the text of a reminder, a digest or a test, and the forms in which receivers take it."""

import base64
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from app.json_codec import encode

LATE_AFTER = timedelta(seconds=60)  # a reminder that fires or is sent later than this is marked late
TEST_TITLE = "A test of your reminders"
DETAILS_MAX = 500  # characters of a task's description
NTFY_MESSAGE_MAX = 4_000  # bytes: a message of more than 4,096 becomes a file
PUSH_TEXT_MAX = 2_000  # bytes in JSON: the encrypted message has at most 4,096, its title and link included
NTFY_PRIORITIES = {"urgent": 5, "high": 4}  # else 3, the default
GOTIFY_PRIORITIES = {"urgent": 8, "high": 6}
GOTIFY_DEFAULT_PRIORITY = 5  # from which on Android shows a notification with sound


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. ``id`` is the same in each attempt to deliver it, so that a receiver can drop doubles."""

    id: str
    kind: str
    title: str
    text: str
    url: str = ""
    priority: str = "medium"
    task_id: int | None = None
    due_at: datetime | None = None
    late: bool = False

    @property
    def topic(self) -> str:
        """Returns the id as 32 characters of base64url, as RFC 8030, 5.4 has it."""
        return base64.urlsafe_b64encode(sha256(self.id.encode()).digest())[:32].decode()


@dataclass(frozen=True, slots=True)
class RemindedTask:
    """A task as a reminder shows it."""

    id: int
    title: str
    description: str | None
    due: date | datetime | None
    priority: str


def reminder_of(
    delivery_id: str,
    task: RemindedTask,
    *,
    due_at: datetime,
    moment: datetime,
    held: timedelta,
    zone: ZoneInfo,
    url: str,
) -> Notification:
    """Returns the notification of a reminder that was due at ``due_at`` and is sent at ``moment``.

    It is not late for the time for which quiet hours ``held`` it back.
    """
    late = moment - due_at - held > LATE_AFTER
    lines = []
    if late:
        lines.append(f"Late: this reminder was for {describe_time(due_at, zone)}.")
    elif held > LATE_AFTER:
        lines.append(f"Held back by quiet hours: this reminder was for {describe_time(due_at, zone)}.")
    if task.due is not None:
        lines.append(f"Due {describe_time(task.due, zone)}.")
    if task.description:
        lines.append(clip_text(task.description, DETAILS_MAX))
    return Notification(
        id=delivery_id,
        kind="reminder",
        title=task.title,
        text="\n".join(lines) or "A reminder of this task.",  # Gotify refuses an empty message
        url=url,
        priority=task.priority,
        task_id=task.id,
        due_at=due_at,
        late=late,
    )


def test_of(delivery_id: str, channel: str) -> Notification:
    """Returns the notification of a test."""
    return Notification(delivery_id, "test", TEST_TITLE, f"Reminders come here, to the channel {channel}.")


def describe_time(moment: date | datetime, zone: ZoneInfo) -> str:
    """Returns a day, or a time in ``zone``, as "Mon 30 Nov 2026, 09:00"."""
    local = moment.astimezone(zone) if isinstance(moment, datetime) else moment
    clock = f", {local:%H:%M}" if isinstance(local, datetime) else ""
    return f"{local:%a} {local.day} {local:%b %Y}{clock}"


def quiet_until(moment: datetime, begin: str | None, end: str | None, zone: ZoneInfo) -> datetime:
    """Returns ``moment``, or the end of the quiet hours that it is in. They may go over midnight.

    They are by the clock on the wall; where that skips their end, they end as much later as it does.
    """
    if begin is None or end is None or not _is_quiet(moment, begin, end, zone):
        return moment
    today = moment.astimezone(zone).date()
    local = [datetime.combine(today + timedelta(days=number), time.fromisoformat(end), zone) for number in range(3)]
    ends = sorted(each.replace(fold=fold).astimezone(UTC) for each in local for fold in (0, 1))
    return next(each for each in ends if each > moment and not _is_quiet(each, begin, end, zone))


def _is_quiet(moment: datetime, begin: str, end: str, zone: ZoneInfo) -> bool:
    clock = f"{moment.astimezone(zone):%H:%M}"
    return begin <= clock < end if begin < end else clock >= begin or clock < end


def clip_text(text: str, limit: int) -> str:
    """Returns at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clip_bytes(text: str, limit: int) -> str:
    """Returns the beginning of ``text`` that has at most ``limit`` bytes in UTF-8."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode(errors="ignore").rstrip() + "…"


def clip_encoded(text: str, limit: int) -> str:
    """Returns the beginning of ``text`` that has at most ``limit`` bytes in JSON, which escapes some characters."""
    while len(encode(text)) > limit:
        text = clip_text(text, len(text) * 4 // 5)
    return text


def ntfy_message(notification: Notification, topic: str) -> dict[str, Any]:
    """Returns the JSON form of a message, in which text needs no encoding of headers."""
    message: dict[str, Any] = {
        "topic": topic,
        "title": notification.title,
        "message": clip_bytes(notification.text, NTFY_MESSAGE_MAX),
        "priority": NTFY_PRIORITIES.get(notification.priority, 3),
        "tags": ["alarm_clock"],
        "sequence_id": notification.id,  # replaces an earlier one, from ntfy 2.16 on
    }
    return message | ({"click": notification.url} if notification.url else {})


def gotify_message(notification: Notification) -> dict[str, Any]:
    """Returns the JSON form of a message. Gotify itself knows no id against doubles."""
    extras: dict[str, Any] = {"todo::delivery": {"id": notification.id, "task_id": notification.task_id}}
    if notification.url:
        extras["client::notification"] = {"click": {"url": notification.url}}
    priority = GOTIFY_PRIORITIES.get(notification.priority, GOTIFY_DEFAULT_PRIORITY)
    return {"title": notification.title, "message": notification.text, "priority": priority, "extras": extras}


def apprise_message(notification: Notification, urls: list[str]) -> dict[str, Any]:
    """Returns the JSON form of a message; without ``urls`` the server sends it where its configuration says."""
    body = f"{notification.text}\n{notification.url}" if notification.url else notification.text
    message: dict[str, Any] = {"title": notification.title, "body": body, "type": "info", "format": "text"}
    return message | ({"urls": ",".join(urls)} if urls else {})


def push_message(notification: Notification) -> dict[str, Any]:
    """Returns what the service worker of the web client gets."""
    return {
        "id": notification.id,
        "kind": notification.kind,
        "title": notification.title,
        "text": clip_encoded(notification.text, PUSH_TEXT_MAX),
        "url": notification.url,
        "task_id": notification.task_id,
        "due_at": notification.due_at and notification.due_at.isoformat(),
        "late": notification.late,
    }
