"""Statistics over HTTP, by the dates in the user's time zone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import Person, assert_problem

ZONES = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"]


async def stats(person: Person, query: str = "") -> dict[str, Any]:
    answer = await person.get(f"/stats{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def done_on(sql: Any, person: Person, zone: str, day: date, hour: int = 12) -> None:
    """Creates a task completed at an hour of a day in a zone."""
    task = await person.add("done", completed=True)
    moment = datetime(day.year, day.month, day.day, hour, 30, tzinfo=ZoneInfo(zone))
    await sql.execute("update tasks set completed_at = $1 where id = $2", moment, task["id"])


async def move_to_zone(sql: Any, person: Person, zone: str) -> date:
    """Sets the user's time zone, and returns today's date there."""
    await sql.execute("update users set timezone = $1 where id = $2", zone, person.subject)
    return datetime.now(ZoneInfo(zone)).date()


async def test_statistics_are_zero_without_tasks(alice: Person, bob: Person) -> None:
    await bob.add(completed=True, tags=["a"])
    found = await stats(alice, "?days=3")
    today = date.fromisoformat(found["today"])
    assert found["timezone"] == "UTC"
    names = ("open", "completed", "cancelled", "overdue", "due_today", "estimate_minutes", "trash")
    assert found["totals"] == dict.fromkeys(names, 0)
    assert found["per_day"] == [{"on": str(today - timedelta(n)), "done": 0} for n in (2, 1, 0)]
    assert {week["done"] for week in found["per_week"]} == {0}
    assert found["streak"] == {"current": 0, "longest": 0}
    assert (found["projects"], found["tags"]) == ([], [])


@pytest.mark.parametrize("zone", ZONES)
async def test_completions_are_counted_by_day_of_the_users_zone(alice: Person, sql: Any, zone: str) -> None:
    await alice.add("open")
    today = await move_to_zone(sql, alice, zone)
    for back, hour in ((0, 0), (1, 0), (1, 23), (2, 23), (9, 0), (10, 23), (11, 1), (12, 0), (40, 5)):
        await done_on(sql, alice, zone, today - timedelta(back), hour)
    found = await stats(alice, "?days=14")
    assert (found["timezone"], found["today"]) == (zone, str(today))
    done = {0: 1, 1: 2, 2: 1, 9: 1, 10: 1, 11: 1, 12: 1}
    assert found["per_day"] == [
        {"on": str(today - timedelta(back)), "done": done.get(back, 0)} for back in range(13, -1, -1)
    ]
    assert found["streak"] == {"current": 3, "longest": 4}
    monday = today - timedelta(today.weekday())
    first = (today - timedelta(13)) - timedelta((today - timedelta(13)).weekday())
    weeks = [first + timedelta(7 * n) for n in range((monday - first).days // 7 + 1)]
    assert found["per_week"] == [
        {
            "on": str(week),
            "done": sum(n for back, n in done.items() if week <= today - timedelta(back) < week + timedelta(7)),
        }
        for week in weeks
    ]


@pytest.mark.parametrize("zone", ZONES)
async def test_due_and_overdue_tasks_are_counted_by_day_of_the_users_zone(alice: Person, sql: Any, zone: str) -> None:
    await alice.add("no date")
    today = await move_to_zone(sql, alice, zone)
    tomorrow = today + timedelta(1)
    for due in (
        today - timedelta(1),
        today,
        f"{today}T00:00:00",
        f"{today}T23:59:59",
        tomorrow,
        f"{tomorrow}T00:00:00",
    ):
        await alice.add("due", due_date=str(due))
        await alice.add("done", due_date=str(due), completed=True)
    gone = await alice.add("gone", due_date=str(today))
    await alice.delete(f"/tasks/{gone['id']}")
    totals = (await stats(alice))["totals"]
    late = len((await alice.get("/tasks?overdue=true")).json())
    assert late in {2, 3}
    assert totals == {"open": 7, "completed": 6, "cancelled": 0, "overdue": late, "due_today": 3} | {
        "estimate_minutes": 0,
        "trash": 1,
    }


async def test_a_streak_ends_only_after_a_full_day_without_completion(alice: Person, sql: Any) -> None:
    await alice.add()
    today = await move_to_zone(sql, alice, "UTC")
    for back in (1, 2):
        await done_on(sql, alice, "UTC", today - timedelta(back))
    assert (await stats(alice))["streak"] == {"current": 2, "longest": 2}
    older = "(completed_at at time zone 'UTC' - interval '1 day') at time zone 'UTC'"  # immutable
    await sql.execute(f"update tasks set completed_at = {older} where user_id = $1", alice.subject)
    assert (await stats(alice))["streak"] == {"current": 0, "longest": 2}


async def test_statistics_count_tasks_by_project_and_tag(alice: Person, sql: Any) -> None:
    project = await sql.fetchval(
        "with owner as (insert into users (id) values ($1)) "
        "insert into projects (user_id, name, version) values ($1, 'Home', 1) returning id", alice.subject,
    )  # fmt: skip
    for tags, completed in ((["a", "b"], False), (["a"], True), ([], False)):
        task = await alice.add(tags=tags, completed=completed)
        if tags:
            await sql.execute("update tasks set project_id = $1 where id = $2", project, task["id"])
    found = await stats(alice)
    assert found["projects"] == [
        {"project_id": project, "name": "Home", "open": 1, "done": 1},
        {"project_id": None, "name": None, "open": 1, "done": 0},
    ]
    assert found["tags"] == [{"name": "a", "open": 1, "done": 1}, {"name": "b", "open": 1, "done": 0}]


@pytest.mark.parametrize("query", ["?days=0", "?days=367", "?days=x", "?weeks=2"])
async def test_the_number_of_days_is_limited(alice: Person, query: str) -> None:
    assert_problem(await alice.get(f"/stats{query}"), 422, "validation_error")
    assert len((await stats(alice, "?days=366"))["per_day"]) == 366


async def test_statistics_are_304_until_a_write_the_clock_or_the_zone_changes_them(alice: Person, sql: Any) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    task = await alice.add(due_date=soon.isoformat())
    first = await alice.get("/stats")

    async def ask() -> Any:
        return await alice.get("/stats", headers={"If-None-Match": first.headers["etag"]})

    assert (await ask()).status_code == 304
    assert (await ask()).headers["x-revision"] == first.headers["x-revision"]
    assert (await alice.get("/stats?days=7", headers={"If-None-Match": first.headers["etag"]})).status_code == 200
    # Without a write: an hour passes. The task becomes overdue.
    await sql.execute("update tasks set due_at = now() - interval '1 second' where id = $1", task["id"])
    late = await ask()
    assert (late.status_code, late.json()["totals"]["overdue"]) == (200, 1)
    await sql.execute("update tasks set due_at = $2 where id = $1", task["id"], soon)
    assert (await ask()).status_code == 304
    await move_to_zone(sql, alice, "Pacific/Kiritimati")
    assert (await ask()).status_code == 200
    await move_to_zone(sql, alice, "UTC")
    await alice.patch(f"/tasks/{task['id']}", {"completed": True})
    assert (await ask()).json()["totals"]["completed"] == 1
