"""Start, deadline, estimate and star of a task: written, listed, moved on with a series."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.test_subtasks import get, patch, undo_last
from tests.support import Person, assert_problem

NAMES = ("start_date", "deadline", "estimate_minutes", "favorite")
EMPTY: dict[str, Any] = {"start_date": None, "deadline": None, "estimate_minutes": None, "favorite": False}
FULL = {"start_date": "2031-01-05", "deadline": "2031-02-01", "estimate_minutes": 90, "favorite": True}
Row = dict[str, Any]


def fields_of(task: Row) -> Row:
    return {name: task[name] for name in NAMES}


def day(days: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=days))


def instant(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def add_all(person: Person, rows: dict[str, Row]) -> None:
    for title, fields in rows.items():
        await person.add(title, **fields)


async def found(person: Person, query: str) -> list[str]:
    return sorted(await person.titles(query))


async def test_each_is_written_alone_and_cleared_by_null(alice: Person) -> None:
    assert fields_of(await alice.add("full", **FULL)) == FULL
    task = await alice.add("empty")
    for name, value in FULL.items():
        task = await patch(alice, task["id"], **{name: value})
        assert fields_of(task) == EMPTY | {name: value}
        assert task == await get(alice, task["id"])
        assert fields_of(await patch(alice, task["id"], **{name: None})) == EMPTY
        await undo_last(alice)
        assert (await get(alice, task["id"]))[name] == value
        await patch(alice, task["id"], **{name: None})


async def test_a_start_without_an_offset_is_in_the_users_zone(alice: Person) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "Asia/Tokyo"})
    task = await alice.add("a", start_date="2031-01-05T09:00")
    assert task["start_date"] == "2031-01-05T00:00:00Z"
    assert (await patch(alice, task["id"], start_date="2031-01-05"))["start_date"] == "2031-01-05"
    assert (await patch(alice, task["id"], start_date="2031-01-05T10:00+09:00"))["start_date"] == "2031-01-05T01:00:00Z"


async def test_a_start_after_the_due_date_is_kept(alice: Person) -> None:
    """Other products allow it, so files bring it."""
    task = await alice.add("a", due_date="2031-01-05", start_date="2031-01-06", deadline="2031-01-04")
    assert (task["start_date"], task["deadline"]) == ("2031-01-06", "2031-01-04")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("start_date", "deadline")
            for value in ("soon", 1, "", "2031-02-30", "0001-01-01")
        ),
        ("deadline", "2031-01-05T09:00:00Z"),
        ("deadline", "2031-01-05T00:00:00"),
        *(("estimate_minutes", value) for value in (0, -1, 525_601, 1.5, "30", True, 2**70)),
        *(("favorite", value) for value in (1, "yes", "true")),
    ],
)
async def test_other_values_are_refused_by_name(alice: Person, name: str, value: Any) -> None:
    task = await alice.add("a", **FULL)
    for answer in (
        await alice.post("/tasks", {"title": "b", name: value}),
        await alice.patch(f"/tasks/{task['id']}", {name: value}),
        await alice.post("/tasks/bulk", {"ids": [task["id"]], "action": "update", "change": {name: value}}),
    ):
        assert_problem(answer, 422)
        assert answer.json()["errors"][0]["loc"][-1] == name, answer.text
    assert fields_of(await get(alice, task["id"])) == FULL


async def test_a_bulk_write_sets_and_selects_by_them(alice: Person) -> None:
    ids = [(await alice.add(f"t{number}"))["id"] for number in range(2)]
    await alice.add("other", favorite=True)
    answer = await alice.post("/tasks/bulk", {"ids": ids, "action": "update", "change": FULL})
    assert [result["status"] for result in answer.json()["results"]] == ["updated", "updated"]
    assert [fields_of(await get(alice, row_id)) for row_id in ids] == [FULL, FULL]
    answer = await alice.post("/tasks/bulk", {"ids": ids, "action": "update", "change": FULL})
    assert [result["status"] for result in answer.json()["results"]] == ["unchanged", "unchanged"]
    wanted = {"filter": {"favorite": True, "deadline_after": "2031-01-01"}, "action": "complete"}
    answer = await alice.post("/tasks/bulk", wanted)
    assert [result["id"] for result in answer.json()["results"]] == ids


async def test_available_hides_open_tasks_that_start_later(alice: Person) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "UTC"})
    rows: dict[str, Row] = {
        "no start": {},
        "begun": {"start_date": day(-1)},
        "today": {"start_date": day(0)},
        "an hour ago": {"start_date": instant(-1)},
        "in an hour": {"start_date": instant(1)},
        "next week": {"start_date": day(7)},
        "done": {"start_date": day(7), "completed": True},
        "cancelled": {"start_date": day(7), "status": "cancelled"},
    }
    await add_all(alice, rows)
    later = ["in an hour", "next week"]
    assert await found(alice, "?available=false") == later
    assert await found(alice, "?available=true") == sorted(set(await alice.titles()) - set(later))
    assert await found(alice, "?available=true&status=pending") == ["an hour ago", "begun", "no start", "today"]
    answer = await alice.get("/tasks?available=true")
    assert "etag" not in answer.headers  # it changes with the clock
    assert (await alice.get("/tasks?available=1&count=true&limit=1")).headers["x-total-count"] == "6"
    assert_problem(await alice.get("/tasks?available=soon"), 422)


async def test_the_day_of_a_start_is_that_of_the_users_zone(alice: Person) -> None:
    """Between the zones there is always a day of difference, so that one of them has begun the day."""
    await alice.call("PATCH", "/settings", json={"timezone": "Pacific/Kiritimati"})
    today = (await alice.get("/stats")).json()["today"]
    await alice.add("a", start_date=today)
    assert await alice.titles("?available=true") == ["a"]
    await alice.call("PATCH", "/settings", json={"timezone": "Pacific/Pago_Pago"})
    assert await alice.titles("?available=true") == []


async def test_lists_filter_by_deadline_and_favorite(alice: Person) -> None:
    rows: dict[str, Row] = {
        "none": {},
        "early": {"deadline": "2031-01-04", "favorite": True},
        "on it": {"deadline": "2031-01-05"},
        "late": {"deadline": "2031-01-06", "favorite": True},
    }
    await add_all(alice, rows)
    assert await found(alice, "?deadline_before=2031-01-05") == ["early"]
    assert await found(alice, "?deadline_after=2031-01-05") == ["late", "on it"]
    assert await found(alice, "?deadline_after=2031-01-05&deadline_before=2031-01-06") == ["on it"]
    assert await found(alice, "?favorite=true") == ["early", "late"]
    assert await found(alice, "?favorite=false") == ["none", "on it"]
    assert_problem(await alice.get("/tasks?deadline_before=2031-01-05T09:00:00Z"), 422)
    view = (await alice.post("/views", {"name": "v", "parameters": {"favorite": True, "available": True}})).json()
    assert sorted(row["title"] for row in (await alice.get(f"/views/{view['id']}/tasks")).json()) == ["early", "late"]


async def test_a_passed_deadline_is_overdue_whatever_the_due_date(alice: Person) -> None:
    rows: dict[str, Row] = {
        "due later": {"due_date": day(30), "deadline": day(-2)},
        "never due": {"deadline": day(-2)},
        "both": {"due_date": day(-2), "deadline": day(-2)},
        "due": {"due_date": day(-2), "deadline": day(30)},
        "at its end": {"deadline": day(2)},
        "neither": {},
        "done": {"deadline": day(-2), "completed": True},
        "cancelled": {"deadline": day(-2), "status": "cancelled"},
    }
    await add_all(alice, rows)
    late = ["both", "due", "due later", "never due"]
    for sort in ("created_at", "due_date", "title", "position"):
        assert await found(alice, f"?overdue=true&sort={sort}") == late
        assert len(await alice.titles(f"?overdue=false&sort={sort}")) == 4
    assert await alice.titles("?overdue=true&sort=due_date&limit=3") == ["both", "due", "due later"]
    assert (await alice.get("/stats")).json()["totals"]["overdue"] == 4


async def test_statistics_add_up_the_estimates_of_open_tasks(alice: Person) -> None:
    rows: dict[str, Row] = {
        "a": {"estimate_minutes": 30},
        "b": {"estimate_minutes": 45, "status": "waiting"},
        "c": {"estimate_minutes": 500, "completed": True},
        "d": {},
    }
    await add_all(alice, rows)
    deleted = await alice.add("a", estimate_minutes=500)
    await alice.call("DELETE", f"/tasks/{deleted['id']}")
    assert (await alice.get("/stats")).json()["totals"]["estimate_minutes"] == 75


@pytest.mark.parametrize(
    ("due", "start", "next_due", "next_start"),
    [
        ("2031-03-28", "2031-03-25", "2031-04-04", "2031-04-01"),
        ("2031-03-28", "2031-03-25T07:30", "2031-04-04", "2031-04-01T05:30:00Z"),  # the clocks change on the 30th
        ("2031-03-28T09:00", "2031-03-27T22:00", "2031-04-04T07:00:00Z", "2031-04-03T20:00:00Z"),
        ("2031-03-28T09:00", "2031-03-27", "2031-04-04T07:00:00Z", "2031-04-03"),
        ("2031-03-28", "2031-03-30", "2031-04-04", "2031-04-06"),
        ("2031-03-28", None, "2031-04-04", None),
    ],
)
@pytest.mark.parametrize("verb", ["complete", "skip", "bulk", "patch"])
async def test_the_start_of_a_series_moves_with_its_due_date_and_the_deadline_stays(
    alice: Person, due: str, start: str | None, next_due: str, next_start: str | None, verb: str
) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "Europe/Berlin"})
    task = await alice.add(
        "a",
        due_date=due,
        start_date=start,
        recurrence="FREQ=WEEKLY",
        deadline="2031-06-30",
        estimate_minutes=30,
        favorite=True,
    )
    path = f"/tasks/{task['id']}"
    await {
        "complete": lambda: alice.patch(f"{path}/complete"),
        "skip": lambda: alice.post(f"{path}/skip"),
        "bulk": lambda: alice.post("/tasks/bulk", {"ids": [task["id"]], "action": "complete"}),
        "patch": lambda: alice.patch(path, {"completed": True}),
    }[verb]()
    moved = await get(alice, task["id"])
    assert (moved["due_date"], moved["start_date"]) == (next_due, next_start)
    assert (moved["deadline"], moved["estimate_minutes"], moved["favorite"]) == ("2031-06-30", 30, True)
    if verb != "skip":
        (kept,) = (await alice.get(f"/tasks?series_id={task['id']}")).json()
        assert fields_of(kept) == fields_of(task) | {"favorite": False}
        assert kept["due_date"] == task["due_date"]
    await undo_last(alice)
    assert fields_of(await get(alice, task["id"])) == fields_of(task)


async def test_a_due_date_that_moves_alone_leaves_the_start(alice: Person) -> None:
    task = await alice.add("a", due_date="2031-01-06", start_date="2031-01-05", recurrence="FREQ=DAILY")
    assert (await patch(alice, task["id"], due_date="2031-01-09"))["start_date"] == "2031-01-05"


async def test_many_series_with_and_without_a_start_are_completed_at_once(alice: Person) -> None:
    ids = []
    for number, start in enumerate((None, "2031-01-05", "2031-01-05T09:00:00Z")):
        ids.append(
            (await alice.add(f"{number}", due_date="2031-01-06", start_date=start, recurrence="FREQ=DAILY"))["id"]
        )
    await alice.post("/tasks/bulk", {"ids": ids, "action": "complete"})
    starts = [(await get(alice, row_id))["start_date"] for row_id in ids]
    assert starts == [None, "2031-01-06", "2031-01-06T09:00:00Z"]
    occurrences = (await alice.get("/tasks?status=completed&sort=title")).json()
    assert [row["start_date"] for row in occurrences] == [None, "2031-01-05", "2031-01-05T09:00:00Z"]
