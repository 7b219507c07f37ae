"""The data of an account survive export and import as JSON completely."""

import json
import uuid
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.models.channels import DIGEST_WEEKDAYS
from app.models.comments import BODY_MAX
from app.models.task_fields import Priority
from app.models.types import BLANK_CHARACTERS, clean_text
from tests.api.test_transfer import JSON, content, exported, imported
from tests.support import Person

pytestmark = pytest.mark.slow

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
VISIBLE = st.characters(
    exclude_categories=["Cs", "Cc", "Cf", "Zs", "Zl", "Zp"], exclude_characters="".join(BLANK_CHARACTERS) + "\0"
)


def words(longest: int) -> st.SearchStrategy[str]:
    # In NFC a text may be three times as long.
    return st.builds("{}{}".format, VISIBLE, st.text(CHARACTERS, max_size=longest // 3 - 3))


DAYS = st.dates(date(1901, 1, 1), date(2198, 1, 1))
OTHER_STATUSES = st.sampled_from(["pending", "in_progress", "waiting", "cancelled"])
INSTANTS = st.builds("{}T{}Z".format, DAYS, st.times().map(lambda time: time.isoformat()))
REMINDERS = st.lists(st.one_of(INSTANTS, st.sampled_from(["-PT30M", "P1D", "-P1DT2H", "PT9H"])), max_size=3)


@st.composite
def tasks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draws tasks: some of them in projects, below others, completed, recurring or deleted."""
    made = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        due = draw(st.one_of(st.none(), DAYS.map(str), INSTANTS))
        done = draw(st.booleans())
        task = {
            "id": number,
            "title": draw(words(200)),
            "description": draw(st.none() | st.text(CHARACTERS, max_size=100)),
            "completed": done,
            "status": "completed" if done else draw(OTHER_STATUSES),
            "completed_at": draw(INSTANTS) if done else None,
            "priority": draw(st.sampled_from([*Priority])),
            "due_date": due,
            "start_date": draw(st.one_of(st.none(), DAYS.map(str), INSTANTS)),
            "deadline": draw(st.none() | DAYS.map(str)),
            "estimate_minutes": draw(st.none() | st.integers(1, 525_600)),
            "favorite": draw(st.booleans()),
            "tags": draw(st.lists(words(50), max_size=3)),
            "reminders": draw(REMINDERS),
            "recurrence": draw(st.sampled_from([None, "FREQ=DAILY", "FREQ=MONTHLY;BYMONTHDAY=31"])) if due else None,
            "recurrence_from": draw(st.sampled_from(["due", "completion"])),
            "parent_id": draw(st.sampled_from([None, number - 1])) if 1 < number < 5 else None,
            "project_id": draw(st.sampled_from([None, 1, 2])),
            "created_at": draw(INSTANTS),
            "updated_at": draw(INSTANTS),
            "deleted_at": draw(st.none() | INSTANTS),
        }
        made.append(task)
    return made


@st.composite
def views(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draws views with unique names: for each filter, some that name rows of the file."""
    filters = st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from(["all", "pending", "completed"]),
            "search": words(50),
            "priority": st.lists(st.sampled_from([*Priority]), max_size=5),
            "tag": st.lists(words(50), max_size=3),
            "project_id": st.sampled_from([1, 2, "none"]),
            "parent_id": st.sampled_from([1, "none"]),
            "due_before": DAYS.map(str) | INSTANTS,
            "overdue": st.booleans(),
            "deadline_after": DAYS.map(str),
            "available": st.booleans(),
            "favorite": st.booleans(),
            "sort": st.sampled_from(["title", "due_date"]),
        },
    )
    found = draw(st.lists(st.tuples(words(80), filters), max_size=3))
    return [{"id": n, "name": f"{n} {name}", "parameters": of} for n, (name, of) in enumerate(found, 1)]


@st.composite
def channels(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draws channels with unique names and no secrets."""
    times = st.none() | st.sampled_from(["00:00", "08:30", "23:59"])
    fields = st.fixed_dictionaries(
        {
            "kind": st.just("ntfy"),
            "url": st.just("https://ntfy.sh"),
            "topic": st.sampled_from(["a", "B-_9"]),
            "active": st.booleans(),
            "all_reminders": st.booleans(),
            "quiet_from": st.just("22:00"),
            "quiet_to": st.just("07:00"),
            "digest_time": times,
            "digest_days": st.lists(st.sampled_from(DIGEST_WEEKDAYS), min_size=1, unique=True),
        }
    )
    found = draw(st.lists(st.tuples(words(80), fields), max_size=3))
    return [{"id": n, "name": f"{n} {name}", **of} for n, (name, of) in enumerate(found, 1)]


PROJECTS = [
    {"id": 1, "name": "Home", "color": "#00ff00"},
    {"id": 2, "name": "=Work", "archived_at": "2020-01-01T00:00:00Z"},
    {"id": 3, "name": "Garden", "parent_id": 1, "favorite": True},
]


@given(
    rows=tasks(),
    comments=st.lists(st.tuples(words(100), INSTANTS), max_size=3),
    saved=views(),
    named=channels(),
    zone=st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
)
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_export_and_import_lose_no_data(
    client: httpx.AsyncClient,
    rows: list[dict[str, Any]],
    comments: list[tuple[str, str]],
    saved: list[dict[str, Any]],
    named: list[dict[str, Any]],
    zone: str,
) -> None:
    one, two = (Person(client, f"user-{uuid.uuid4().hex}") for _ in range(2))
    document = {"format": "todo/1", "user_id": "u", "settings": {"timezone": zone}, "projects": PROJECTS, "tasks": rows}
    document["views"], document["channels"] = saved, named
    document["tags"] = [{"name": name, "color": "#b4552d"} for name in ("home", "Home", "x y", "ﬃ")]
    for number, row in enumerate(rows):
        row["remind_channels"] = [None, [channel["id"] for channel in named]][number % 2]
    document["comments"] = [
        {"id": number, "task_id": rows[-number % len(rows)]["id"], "body": body, "created_at": at, "updated_at": at}
        for number, (body, at) in enumerate(comments, 1)
    ]
    report = await imported(one, json.dumps(document), JSON)
    assert report["failed"] == 0, report
    others = {"comments": len(comments), "views": len(saved), "channels": len(named), "tags": 4}
    assert report["created"] == {"projects": len(PROJECTS), "tasks": len(rows), **others}
    first = await exported(one)
    await imported(two, first, JSON)
    assert content(await exported(two)) == content(first)
    kept = json.loads(first)
    assert kept["settings"] == {"timezone": zone}
    assert sorted(row["body"] for row in kept["comments"]) == sorted(clean_text(body, BODY_MAX) for body, _ in comments)
    assert sorted(row["created_at"][:19] for row in kept["comments"]) == sorted(at[:19] for _, at in comments)
    assert [row["parameters"].keys() for row in kept["views"]] == [view["parameters"].keys() for view in saved]
