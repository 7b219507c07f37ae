"""Recurring tasks over HTTP: their rule, the step to the next due date, completed occurrences, and undo."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.domain.recurrence import Step, advance, parse_rule
from app.models.task_fields import RecurrenceFrom
from tests.api.test_subtasks import Task, get, last_write, patch, undo_last
from tests.support import Person, assert_problem
from tests.timing import assert_takes_less_than


async def complete(person: Person, task: Task, **body: Any) -> Task:
    answer = await person.patch(f"/tasks/{task['id']}/complete", body or None)
    assert answer.status_code == 200, answer.text
    found: Task = answer.json()
    return found


async def occurrences(person: Person, series: Task) -> list[Task]:
    found: list[Task] = (await person.get(f"/tasks?series_id={series['id']}&sort=created_at&order=asc")).json()
    return found


async def test_tasks_are_filtered_by_series(alice: Person, bob: Person) -> None:
    task = await alice.add("series", due_date="2031-01-06", recurrence="FREQ=DAILY")
    other = await alice.add("other", due_date="2031-01-06", recurrence="FREQ=DAILY")
    for each in (task, task, other):
        await complete(alice, each)
    query = f"?series_id={task['id']}"
    found = (await alice.get(f"/tasks{query}&sort=due_date&count=true")).json()
    assert [(done["series_id"], done["due_date"]) for done in found] == [
        (task["id"], "2031-01-06"), (task["id"], "2031-01-07"),
    ]  # fmt: skip
    assert sorted(await alice.titles("?series_id=none")) == ["other", "series"]
    assert await alice.titles(f"{query}&status=pending") == []
    assert await bob.titles(query) == []
    for value in ("0", "-1", "x", ""):
        assert_problem(await alice.get(f"/tasks?series_id={value}"), 422, "validation_error")
    view = (await alice.post("/views", {"name": "Done", "parameters": {"series_id": task["id"]}})).json()
    assert len((await alice.get(f"/views/{view['id']}/tasks")).json()) == 2
    bulk = {"filter": {"series_id": task["id"]}, "action": "delete"}
    assert (await alice.post("/tasks/bulk", bulk)).status_code == 200
    assert await occurrences(alice, task) == []


async def in_zone(person: Person, timezone: str) -> None:
    assert (await person.patch("/settings", {"timezone": timezone})).json() == {"timezone": timezone}


async def test_completing_a_recurring_task_keeps_the_occurrence_and_advances_in_one_write(alice: Person) -> None:
    task = await alice.add(
        "Water", description="all", tags=["home"], priority="low", due_date="2031-01-06", recurrence="rrule:freq=weekly"
    )
    assert (task["recurrence"], task["recurrence_from"]) == ("FREQ=WEEKLY", "due")
    series = await complete(alice, task)
    assert (series["id"], series["completed"], series["due_date"]) == (task["id"], False, "2031-01-13")
    (done,) = await occurrences(alice, task)
    assert await last_write(alice) == [("task", task["id"], "completed"), ("task", done["id"], "created")]
    kept = ("title", "description", "tags", "priority", "project_id", "due_date")
    assert {name: done[name] for name in kept} == {name: task[name] for name in kept}
    assert (done["completed"], done["recurrence"], done["version"]) == (True, None, series["version"])
    history = (await alice.get(f"/tasks/{task['id']}/history")).json()
    assert history[0]["action"] == "completed"
    assert history[0]["changes"] == [{"field": "due_date", "from": "2031-01-06", "to": "2031-01-13"}]
    await undo_last(alice)
    assert (await get(alice, task["id"]))["due_date"] == "2031-01-06"
    assert await occurrences(alice, task) == []
    assert [each["id"] for each in (await alice.get("/tasks/trash")).json()] == [done["id"]]
    await undo_last(alice)
    assert (await get(alice, task["id"]))["due_date"] == "2031-01-13"
    assert len(await occurrences(alice, task)) == 1


@pytest.mark.parametrize("how", ["toggle", "set", "patch", "put"])
async def test_a_recurring_task_advances_with_every_way_of_completing(alice: Person, how: str) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    path = f"/tasks/{task['id']}"
    if how == "toggle":
        answer = await alice.patch(path + "/complete")
    elif how == "set":
        answer = await alice.patch(path + "/complete", {"completed": True})
    else:
        answer = await alice.call(how.upper(), path, json={**task, "title": "Renamed", "completed": True})
    assert (answer.json()["due_date"], answer.json()["completed"]) == ("2031-01-07", False)
    (done,) = await occurrences(alice, task)
    assert done["title"] == answer.json()["title"]


BAD = [
    "", " ", "FREQ=HOURLY", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=2;UNTIL=20310101", "every day", "FREQ=DAILY;X=1",
    "DTSTART:20310101\nRRULE:FREQ=DAILY", "FREQ=WEEKLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYDAY=6MO", 3, [], "x" * 501,
]  # fmt: skip


@pytest.mark.parametrize("rule", BAD, ids=lambda rule: repr(rule)[:30])
async def test_an_invalid_recurrence_rule_is_refused(alice: Person, rule: Any) -> None:
    for answer in (
        await alice.post("/tasks", {"title": "x", "recurrence": rule}),
        await alice.patch(f"/tasks/{(await alice.add())['id']}", {"recurrence": rule}),
    ):
        body = assert_problem(answer, 422)
        assert body["errors"][0]["loc"] == ["body", "recurrence"]


async def test_a_recurring_task_without_a_due_date_starts_on_the_next_day_of_its_rule(alice: Person) -> None:
    await in_zone(alice, "Pacific/Kiritimati")  # UTC+14
    before = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    daily = await alice.add(recurrence="FREQ=DAILY")
    after = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    assert str(before) <= daily["due_date"] <= str(after)
    friday = date.fromisoformat((await alice.add(recurrence="FREQ=WEEKLY;BYDAY=FR"))["due_date"])
    assert friday.weekday() == 4
    assert before <= friday <= after + timedelta(days=6)
    later = await alice.add("set later")
    assert (await patch(alice, later["id"], recurrence="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"))["due_date"][
        5:
    ] == "02-29"
    assert_problem(
        await alice.post("/tasks", {"title": "x", "recurrence": "FREQ=DAILY;UNTIL=20200101"}), 422, "invalid_recurrence"
    )


async def test_a_recurring_task_requires_a_due_date(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    path = f"/tasks/{task['id']}"
    body = assert_problem(await alice.patch(path, {"due_date": None}), 422, "due_date_needed")
    assert body["errors"][0]["loc"] == ["body", "due_date"]
    assert_problem(await alice.patch(path, {"due_date": None, "recurrence": "FREQ=DAILY"}), 422, "due_date_needed")
    ended = await patch(alice, task["id"], due_date=None, recurrence=None)
    assert (ended["due_date"], ended["recurrence"]) == (None, None)
    await undo_last(alice)
    await patch(alice, task["id"], recurrence=None)
    assert (await complete(alice, task))["completed"]
    assert await occurrences(alice, task) == []


async def test_completing_the_last_occurrence_completes_the_task_itself(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY;COUNT=2")
    assert (await complete(alice, task))["due_date"] == "2031-01-07"
    last = await complete(alice, task)
    assert (last["completed"], last["due_date"]) == (True, "2031-01-07")
    assert len(await occurrences(alice, task)) == 1
    reopened = await complete(alice, task)
    assert not reopened["completed"]
    assert (await complete(alice, task))["completed"]


async def test_skipping_advances_without_a_completed_occurrence(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY;COUNT=2")
    path = f"/tasks/{task['id']}/skip"
    stale = await alice.post(path, headers={"If-Match": '"9"'})
    assert_problem(stale, 412, "version_conflict")
    answer = await alice.post(path, headers={"If-Match": '"1"'})
    assert (answer.json()["due_date"], answer.headers["etag"]) == ("2031-01-07", '"2"')
    assert await last_write(alice) == [("task", task["id"], "skipped")]
    assert await occurrences(alice, task) == []
    await undo_last(alice)
    assert (await get(alice, task["id"]))["due_date"] == "2031-01-06"
    await alice.post(path)
    assert (await alice.post(path)).json()["completed"]  # it was the last occurrence
    assert_problem(await alice.post(path), 409, "not_recurring")
    plain = await alice.add()
    assert_problem(await alice.post(f"/tasks/{plain['id']}/skip"), 409, "not_recurring")
    assert_problem(await alice.post("/tasks/999999/skip"), 404, "task_not_found")


async def test_completing_twice_makes_two_occurrences_unless_if_match_prevents_it(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    path = f"/tasks/{task['id']}/complete"
    answers = await asyncio.gather(*(alice.patch(path, headers={"If-Match": '"1"'}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]
    assert len(await occurrences(alice, task)) == 1
    answers = await asyncio.gather(*(alice.patch(path) for _ in range(4)))
    assert sorted(answer.json()["due_date"] for answer in answers) == [f"2031-01-{day:02}" for day in (8, 9, 10, 11)]
    assert sorted(done["due_date"] for done in await occurrences(alice, task)) == [
        f"2031-01-{day:02}" for day in (6, 7, 8, 9, 10)
    ]


async def test_subtasks_are_reopened_for_each_occurrence(alice: Person) -> None:
    task = await alice.add("weekly", due_date="2031-01-06", recurrence="FREQ=WEEKLY;COUNT=2")
    first = await alice.add("first", parent_id=task["id"])
    await alice.add("second", parent_id=task["id"])
    await complete(alice, first)
    await complete(alice, task)
    (done,) = await occurrences(alice, task)
    changes = [("task", task["id"], "completed"), ("task", first["id"], "reopened"), ("task", done["id"], "created")]
    assert sorted(await last_write(alice)) == sorted(changes)
    assert not (await get(alice, first["id"]))["completed"]
    await complete(alice, task)
    assert (await get(alice, first["id"]))["completed"]  # the series has ended


async def test_an_unchanged_rule_keeps_its_anchor_and_a_new_rule_starts_a_new_one(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-31", recurrence="FREQ=MONTHLY")
    dues = []
    for _ in range(3):
        task = (await alice.call("PUT", f"/tasks/{task['id']}", json=task)).json()  # as clients do
        dues.append((task := await complete(alice, task))["due_date"])
    assert dues == ["2031-02-28", "2031-03-31", "2031-04-30"]
    moved = await patch(alice, task["id"], due_date="2031-05-02")  # by hand, once
    assert (await complete(alice, moved))["due_date"] == "2031-05-31"
    await patch(alice, task["id"], due_date="2031-06-05", recurrence="FREQ=MONTHLY;INTERVAL=2")
    assert (await complete(alice, task))["due_date"] == "2031-08-05"


@pytest.mark.parametrize(
    ("due", "rule", "expected"),
    [
        ("2028-02-29", "FREQ=YEARLY", ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2030-12-31", "FREQ=MONTHLY", ["2031-01-31", "2031-02-28", "2031-03-31", "2031-04-30"]),
        ("2031-01-30", "FREQ=MONTHLY;BYMONTHDAY=30", ["2031-03-30", "2031-04-30"]),
        ("2031-01-03", "FREQ=MONTHLY;BYDAY=1FR", ["2031-02-07", "2031-03-07"]),
        ("2031-01-06", "FREQ=WEEKLY;BYDAY=MO,TH;INTERVAL=2", ["2031-01-09", "2031-01-20", "2031-01-23"]),
    ],
)
async def test_month_ends_and_leap_days_keep_the_day_of_the_anchor(
    alice: Person, due: str, rule: str, expected: list[str]
) -> None:
    task = await alice.add(due_date=due, recurrence=rule)
    assert [(await complete(alice, task))["due_date"] for _ in expected] == expected


async def test_the_local_time_of_day_is_kept_across_clock_changes(alice: Person) -> None:
    await in_zone(alice, "Europe/Berlin")
    task = await alice.add(due_date="2031-03-29T09:00", recurrence="FREQ=DAILY")
    assert task["due_date"] == "2031-03-29T08:00:00Z"
    assert (await complete(alice, task))["due_date"] == "2031-03-30T07:00:00Z"  # summer time began that night
    leapt = await alice.add(due_date="2031-03-29T02:30", recurrence="FREQ=DAILY")
    dues = [(await complete(alice, leapt))["due_date"] for _ in range(2)]
    # 02:30 does not exist that day; it exists again the day after
    assert dues == ["2031-03-30T01:30:00Z", "2031-03-31T00:30:00Z"]
    twice = await alice.add(due_date="2031-10-25T02:30", recurrence="FREQ=DAILY")
    assert (await complete(alice, twice))["due_date"] == "2031-10-26T00:30:00Z"  # the first of two
    days = await alice.add(due_date="2031-03-29", recurrence="FREQ=DAILY")
    assert (await complete(alice, days))["due_date"] == "2031-03-30"


async def test_completing_an_overdue_series_skips_the_missed_occurrences(alice: Person) -> None:
    old = await alice.add(due_date="1900-01-01", recurrence="FREQ=DAILY")
    before = datetime.now(UTC).date()
    due = date.fromisoformat((await complete(alice, old))["due_date"])
    assert before + timedelta(days=1) <= due <= datetime.now(UTC).date() + timedelta(days=1)
    assert len(await occurrences(alice, old)) == 1
    late = await alice.add(due_date="2020-01-01", recurrence="FREQ=WEEKLY", recurrence_from="completion")
    due = date.fromisoformat((await complete(alice, late))["due_date"])
    assert before + timedelta(days=7) <= due <= datetime.now(UTC).date() + timedelta(days=7)


def test_advancing_from_1900_takes_bounded_time() -> None:
    rule, berlin = parse_rule("FREQ=DAILY"), ZoneInfo("Europe/Berlin")

    def step() -> Step:
        return advance(
            rule, date(1900, 1, 1), timezone=berlin, completed_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
            recurrence_from=RecurrenceFrom.DUE, occurrences_done=0,
        )  # fmt: skip

    assert step().due == date(2026, 11, 21)
    assert_takes_less_than(0.005, step)


async def test_completed_occurrences_remain_when_the_series_is_deleted_permanently(alice: Person) -> None:
    task = await alice.add(due_date="2031-01-06", recurrence="FREQ=DAILY")
    for _ in range(2):
        await complete(alice, task)
    kept, gone = await occurrences(alice, task)
    await alice.delete(f"/tasks/{gone['id']}")
    await alice.delete(f"/tasks/{task['id']}")
    assert (await get(alice, kept["id"]))["series_id"] == task["id"]
    before = int((await alice.get("/tasks")).headers["x-revision"])
    assert (await alice.delete("/tasks/trash")).status_code == 204
    assert (await get(alice, kept["id"]))["series_id"] is None
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["revision"] - before, c["entity_id"], c["action"]) for c in changes] == [
        (1, gone["id"], "purged"), (2, task["id"], "purged"), (2, kept["id"], "updated"),
    ]  # fmt: skip
    assert (await alice.get("/tasks/trash")).json() == []


# ---- days, instants and the time zone


async def test_every_user_can_set_their_time_zone(alice: Person, bob: Person) -> None:
    assert (await alice.get("/settings")).json() == {"timezone": "UTC"}
    await in_zone(alice, "America/New_York")
    assert (await alice.get("/settings")).json() == {"timezone": "America/New_York"}
    assert (await bob.get("/settings")).json() == {"timezone": "UTC"}
    for body in ({}, {"timezone": "Mars/Base"}, {"timezone": None}, {"timezone": ""}, {"timezone": "UTC", "x": 1}):
        assert_problem(await alice.patch("/settings", body), 422, "validation_error")
    first = await alice.add()
    assert first["version"] == 1  # a setting takes no revision


async def test_a_time_zone_unknown_to_the_database_is_refused(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL has its own list of time zones, and it is the one that computes today's date."""
    monkeypatch.setattr("app.models.accounts.known_time_zones", lambda: {"Mars/Base", "Asia/Tokyo"})
    body = assert_problem(await alice.patch("/settings", {"timezone": "Mars/Base"}), 422, "unknown_time_zone")
    assert "does not know this time zone" in body["detail"]
    await in_zone(alice, "Asia/Tokyo")
    assert_problem(await alice.patch("/settings", {"timezone": "Mars/Base"}), 422, "unknown_time_zone")
    assert (await alice.get("/settings")).json() == {"timezone": "Asia/Tokyo"}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2031-03-30", "2031-03-30"),
        ("2031-03-30T09:00:00+02:00", "2031-03-30T07:00:00Z"),
        ("2031-03-30T01:30", "2031-03-30T00:30:00Z"),
        ("2031-03-30T03:30", "2031-03-30T01:30:00Z"),
        ("2031-10-26T12:00", "2031-10-26T11:00:00Z"),
        ("2031-07-01T12:00:00.5", "2031-07-01T10:00:00.500000Z"),
    ],
)
async def test_a_day_stays_a_day_and_a_local_time_is_in_the_users_zone(alice: Person, sent: str, stored: str) -> None:
    await in_zone(alice, "Europe/Berlin")
    task = await alice.add(due_date=sent)
    assert task["due_date"] == stored
    await in_zone(alice, "Asia/Tokyo")
    assert (await get(alice, task["id"]))["due_date"] == stored


async def test_overdue_uses_the_date_in_the_users_zone(alice: Person) -> None:
    """At every hour there are two dates between UTC-11 and UTC+14."""
    west, east = ZoneInfo("Pacific/Pago_Pago"), ZoneInfo("Pacific/Kiritimati")
    day = str(datetime.now(west).date())
    await alice.add("today in the west", due_date=day)
    await in_zone(alice, "Pacific/Kiritimati")
    overdue_in_east = await alice.titles("?overdue=true")
    assert datetime.now(east).date() > date.fromisoformat(day)
    assert overdue_in_east == ["today in the west"]
    await in_zone(alice, "Pacific/Pago_Pago")
    if str(datetime.now(west).date()) == day:
        assert await alice.titles("?overdue=true") == []
