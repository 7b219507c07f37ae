"""CSV and iCalendar hold tasks as JSON does, but for what docs/formats.md lists: exactly that is lost.

Each loss is a function here, named by its sentence on that page. It changes a task of the JSON export into what the
format holds; whatever else differs after export and import is a fault. A series must also have the same next dates.
"""

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.domain.recurrence import Due, advance, parse_rule
from app.errors import InvalidRecurrence
from app.models.task_fields import Priority
from tests.api.test_transfer import CSV, ICS, JSON, exported, imported
from tests.api.test_transfer_round_trip import CHARACTERS, INSTANTS, OTHER_STATUSES, PROJECTS, REMINDERS, words
from tests.domain.test_recurrence import rule_texts
from tests.support import Person

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text()
STEPS_COMPARED = 4  # next due dates of a series
DAYS = st.dates(date(1971, 1, 1), date(2100, 1, 1))
DUES = st.one_of(DAYS.map(str), st.builds("{}T{}Z".format, DAYS, st.times().map(lambda at: at.isoformat())))
Task = dict[str, Any]
Loss = Callable[[Task, ZoneInfo], None]


def is_rule(text: str) -> bool:
    try:
        return bool(parse_rule(text))
    except InvalidRecurrence:
        return False


RULES = st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY", "FREQ=YEARLY"]) | rule_texts()
ENDS = st.sampled_from(["", "", ";COUNT=1", ";COUNT=5", ";UNTIL=20300101", ";UNTIL=20300101T120000Z"])


@st.composite
def series(draw: st.DrawFn) -> Task:
    """Draws a series: as it began, moved, skipped or half done."""
    due = draw(DUES)
    anchor = draw(st.one_of(st.just(due), st.integers(-40, 40).map(lambda days: moved(due, days)), DUES))
    return {
        "due_date": due,
        "anchor_date": anchor,
        "recurrence": draw(st.builds("{}{}".format, RULES, ENDS).filter(is_rule)),
        "recurrence_from": draw(st.sampled_from(["due", "due", "completion"])),
        "occurrences_done": draw(st.integers(0, 6)),
    }


def moved(due: str, days: int) -> str:
    """Returns a due date some days later, an instant also some hours."""
    if "T" not in due:
        return str(date.fromisoformat(due) + timedelta(days=days))
    return (datetime.fromisoformat(due) + timedelta(days=days, hours=days % 5)).isoformat()


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    """Draws tasks with everything that a task can have."""
    made: list[Task] = []
    for number in range(1, draw(st.integers(2, 7)) + 1):
        done = draw(st.booleans())
        task = {
            "id": number,
            "title": draw(words(200)),
            "description": draw(st.none() | st.text(CHARACTERS, max_size=100) | st.sampled_from(["", " ", "=a\r\nb"])),
            "completed": done,
            "status": "completed" if done else draw(OTHER_STATUSES),
            "completed_at": draw(INSTANTS) if done else None,
            "priority": draw(st.sampled_from([*Priority])),
            "due_date": draw(st.none() | DUES),
            "start_date": draw(st.none() | DUES),
            "deadline": draw(st.none() | DAYS.map(str)),
            "estimate_minutes": draw(st.none() | st.integers(1, 525_600)),
            "favorite": draw(st.booleans()),
            "tags": draw(st.lists(words(50), max_size=3)),
            "reminders": draw(REMINDERS),
            "parent_id": draw(st.sampled_from([None, number - 1])) if 1 < number < 5 else None,
            "project_id": draw(st.sampled_from([None, 1, 2])),
            "created_at": draw(INSTANTS),
            "updated_at": draw(INSTANTS),
        }
        if parent := task["parent_id"]:
            task["project_id"] = made[parent - 1]["project_id"]
        recurring = [other["id"] for other in made if "recurrence" in other]
        if draw(st.booleans()):
            task |= draw(series())
        elif done and recurring:
            task["series_id"] = draw(st.sampled_from(recurring))
        made.append(task)
    return made


INSTANT_FIELDS = ("due_date", "start_date", "anchor_date", "completed_at", "created_at", "updated_at")


def lose_fractions(task: Task, zone: ZoneInfo) -> None:
    def whole(text: Any) -> Any:
        return re.sub(r"\.\d+(?=Z)", "", text) if isinstance(text, str) else text

    task |= {name: whole(task[name]) for name in INSTANT_FIELDS}
    task["reminders"] = list(dict.fromkeys(map(whole, task["reminders"])))


def lose_controls(task: Task, zone: ZoneInfo) -> None:
    def clean(text: str) -> str:
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)

    task["title"] = clean(task["title"]).strip()
    task["tags"] = list(dict.fromkeys(clean(tag).strip() for tag in task["tags"]))
    task["description"] = task["description"] and clean(task["description"])


def lose_empty_descriptions(task: Task, zone: ZoneInfo) -> None:
    task["description"] = task["description"] or None


def lose_spelling_of_series(task: Task, zone: ZoneInfo) -> None:
    """Leaves nothing of the spelling, on either side: the next due dates are compared."""
    if task["recurrence"]:
        task |= {"recurrence": "", "anchor_date": None, "occurrences_done": 0}
    else:
        task["occurrences_done"] = 0


def lose_source_id(task: Task, zone: ZoneInfo) -> None:
    task["source_id"] = task["uid"]


CSV_LOSSES: dict[str, Loss] = {
    "An empty description is none.": lose_empty_descriptions,
}
ICS_LOSSES: dict[str, Loss] = {
    "Source ids are lost: `UID` is the uid.": lose_source_id,
    "Fractions of a second are cut.": lose_fractions,
    "Control characters other than tabs and line ends are removed from texts.": lose_controls,
    "An empty description is none.": lose_empty_descriptions,
    "A series begins at its current date, with the days of its rule and the rest of `COUNT`.": lose_spelling_of_series,
}


@pytest.mark.parametrize("sentence", sorted({*CSV_LOSSES, *ICS_LOSSES}))
def test_each_loss_is_documented(sentence: str) -> None:
    assert sentence in " ".join(PAGE.split())


@given(rows=tasks(), zone=st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "UTC"]))
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_csv_and_icalendar_lose_only_what_is_documented(
    client: httpx.AsyncClient, rows: list[Task], zone: str
) -> None:
    one = Person(client, f"user-{uuid.uuid4().hex}")
    document = {"format": "todo/1", "user_id": "u", "settings": {"timezone": zone}, "projects": PROJECTS, "tasks": rows}
    report = await imported(one, json.dumps(document), JSON)
    assert (report["created"]["tasks"], report["failed"], report["warnings"]) == (len(rows), 0, [])
    original = read_export(await exported(one))
    for kind, headers, losses in (("csv", CSV, CSV_LOSSES), ("ics", ICS, ICS_LOSSES)):
        other = Person(client, f"user-{uuid.uuid4().hex}")
        await other.call("PATCH", "/settings", json={"timezone": zone})
        report = await imported(other, await exported(one, kind), headers)
        assert (report["created"]["tasks"], report["failed"], report["warnings"]) == (len(rows), 0, [])
        found = read_export(await exported(other))
        assert found.keys() == original.keys()
        for uid, task in original.items():
            if task["recurrence"]:
                assert next_dates(found[uid], ZoneInfo(zone)) == next_dates(task, ZoneInfo(zone))
            both = [dict(task), dict(found[uid])]
            for lose in losses.values():
                for each in both if lose is lose_spelling_of_series else both[:1]:
                    lose(each, ZoneInfo(zone))
            assert both[1] == both[0], kind


def read_export(document: str) -> dict[str, Task]:
    """Returns the tasks of a JSON export by uid; they refer to others by uids and to projects by name."""
    found = json.loads(document)
    projects = {row["id"]: row["name"] for row in found["projects"]} | {None: None}
    sources = {row["id"]: row["uid"] for row in found["tasks"]} | {None: None}
    for row in found["tasks"]:
        row["project"] = projects[row.pop("project_id")]
        row["parent"], row["series"] = sources[row.pop("parent_id")], sources[row.pop("series_id")]
        for name in ("id", "position"):
            row.pop(name, None)
    return {row["uid"]: row for row in found["tasks"]}


def next_dates(task: Task, zone: ZoneInfo) -> list[str]:
    """Returns the next due dates of a series, each completed when it is due, to the second."""
    due, done = due_of(task["due_date"]), task["occurrences_done"]
    assert due is not None
    anchor = due_of(task["anchor_date"])
    dates: list[str] = []
    while due is not None and len(dates) <= STEPS_COMPARED:
        dates.append(f"{due:%Y-%m-%dT%H:%M:%S}")
        at = due if isinstance(due, datetime) else datetime.combine(due, time(12), zone).astimezone(UTC)
        due, done = advance(
            parse_rule(task["recurrence"]), due, timezone=zone, completed_at=at,
            recurrence_from=task["recurrence_from"], occurrences_done=done, anchor=anchor,
        )  # fmt: skip
    return dates


def due_of(text: str | None) -> Due | None:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
