"""Series of iCalendar files: dates that are completed, cancelled, moved or excluded, and rules in any spelling."""

from typing import Any

import pytest

from tests.api.ics.calendars import Imported, calendar, import_calendar, import_each, todo
from tests.support import Person

DAILY = "DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY"


def date_of(day: str, *lines: str, title: str = "Task", stamp: str = "") -> str:
    """Returns the to-do of one date of the series with the UID 1."""
    text = [f"RECURRENCE-ID;VALUE=DATE:{day}", f"DTSTART;VALUE=DATE:{day}", f"DUE;VALUE=DATE:{day}", *lines]
    return todo("\n".join(text + ([f"COMPLETED:{stamp}"] if stamp else [])), title=title)


def done(day: str) -> str:
    return date_of(day, "STATUS:COMPLETED", stamp=f"{day}T080000Z")


def series_of(found: Imported) -> dict[str, Any]:
    (series,) = [task for task in found.tasks if task["recurrence"]]
    return series


@pytest.mark.parametrize("first", ["series", "date", "date, in another calendar", "series, in another calendar"])
async def test_a_completed_date_is_an_occurrence_and_the_series_goes_on(alice: Person, first: str) -> None:
    parts = [todo(DAILY), done("20270104")]
    parts = parts[::-1] if first.startswith("date") else parts
    text = calendar(parts[0]) + calendar(parts[1]) if "another" in first else calendar(*parts)
    found = await import_calendar(alice, text)
    series = series_of(found)
    assert (series["due_date"], series["completed"]) == ("2027-01-05", False)
    (occurrence,) = [task for task in found.tasks if task is not series]
    assert (occurrence["series_id"], occurrence["due_date"]) == (series["id"], "2027-01-04")
    assert (occurrence["completed"], occurrence["completed_at"]) == (True, "2027-01-04T08:00:00Z")
    assert (occurrence["recurrence"], found.warned) == (None, [])


MOVED = todo("RECURRENCE-ID;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270106")

# the series, its dates, the due date of the series, the number of all tasks, and the warnings
ADVANCED: list[tuple[str, list[str], str, int, list[tuple[str, str]]]] = [
    (DAILY, [done("20270104"), done("20270105")], "2027-01-06", 3, []),
    (DAILY, [done("20270107")], "2027-01-08", 2, [("recurrence", "3")]),
    (DAILY, [done("20261231")], "2027-01-04", 2, []),  # before the first
    (f"{DAILY}\nEXDATE;VALUE=DATE:20270104,20270105", [], "2027-01-06", 1, []),
    (f"{DAILY}\nEXDATE;VALUE=DATE:20270105\nEXDATE;VALUE=DATE:20270106", [done("20270104")], "2027-01-07", 2, []),
    (f"{DAILY}\nEXDATE:20270104T000000", [], "2027-01-05", 1, []),
    (f"{DAILY}\nEXDATE;VALUE=DATE:20270109", [done("20270104")], "2027-01-05", 2, [("EXDATE", "20270109")]),
    (f"{DAILY}\nEXDATE:never", [], "2027-01-04", 1, [("EXDATE", "never")]),
    (f"{DAILY}\nRDATE;VALUE=DATE:20270110", [], "2027-01-04", 1, [("RDATE", "20270110")]),
    (f"{DAILY}\nEXRULE:FREQ=WEEKLY;BYDAY=MO", [], "2027-01-04", 1, [("EXRULE", "FREQ=WEEKLY;BYDAY=MO")]),
    (f"{DAILY}\nRRULE:FREQ=WEEKLY", [], "2027-01-04", 1, [("recurrence", "FREQ=WEEKLY")]),
    (DAILY, [date_of("20270104", "STATUS:CANCELLED")], "2027-01-05", 2, []),
    (f"{DAILY};COUNT=3", [done("20270104")], "2027-01-05", 2, []),
    (f"{DAILY};UNTIL=20270105", [done("20270104")], "2027-01-05", 2, []),
    # no date is left of it, and none is completed
    (f"{DAILY};COUNT=2\nEXDATE;VALUE=DATE:20270104,20270105", [], "2027-01-04", 1,
     [("EXDATE", "20270104"), ("EXDATE", "20270105")]),
    (f"{DAILY};COUNT=1", [date_of("20270104", title="Other")], "2027-01-04", 2,
     [("RECURRENCE-ID", "20270104"), ("RECURRENCE-ID", "20270104")]),
    (f"{DAILY};COUNT=2\nEXDATE;VALUE=DATE:20270105", [done("20270104")], "2027-01-04", 1, []),
    (DAILY, [date_of("20270106", "STATUS:CANCELLED")], "2027-01-04", 2, [("RECURRENCE-ID", "20270106")]),
    (DAILY.replace("DAILY", "WEEKLY;INTERVAL=2"), [done("20270104")], "2027-01-18", 2, []),
    ("DTSTART;VALUE=DATE:20270131\nRRULE:FREQ=MONTHLY", [done("20270131")], "2027-02-28", 2, []),
    # moved with nothing else changed: the series is due there
    (DAILY, [MOVED], "2027-01-06", 1, []),
    # of another title: a task of its own
    (DAILY, [date_of("20270104", title="Other")], "2027-01-05", 2, [("RECURRENCE-ID", "20270104")]),
    (DAILY, [date_of("20270108")], "2027-01-04", 2, [("RECURRENCE-ID", "20270108"), ("RECURRENCE-ID", "20270108")]),
]  # fmt: skip


@pytest.mark.parametrize("case", ADVANCED)
async def test_a_series_moves_past_dates_that_are_not_open(
    alice: Person, case: tuple[str, list[str], str, int, list[tuple[str, str]]]
) -> None:
    series, dates, due, count, warned = case
    found = await import_calendar(alice, calendar(todo(series), *dates))
    assert (series_of(found)["due_date"], len(found.tasks)) == (due, count)
    assert sorted(found.warned) == sorted(warned)
    for task in found.tasks:
        assert task["status"] in {"completed", "cancelled"} or task["series_id"] is None


@pytest.mark.parametrize(
    ("series", "dates", "due"),
    [
        (f"{DAILY};COUNT=3", ["20270104", "20270105", "20270106"], "2027-01-06"),
        (f"{DAILY};UNTIL=20270105", ["20270104", "20270105"], "2027-01-05"),
    ],
)
async def test_a_series_whose_last_date_is_completed_has_ended(
    alice: Person, series: str, dates: list[str], due: str
) -> None:
    found = await import_calendar(alice, calendar(*map(done, dates), todo(series)))
    assert (len(found.tasks), found.warned) == (len(dates), [])
    ended = series_of(found)
    assert (ended["completed"], ended["due_date"]) == (True, due)
    assert ended["completed_at"] == f"{due}T08:00:00Z"


async def test_what_is_left_of_count_is_kept(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo(f"{DAILY};COUNT=3"), done("20270104")))
    series = series_of(found)
    for due, completed in (("2027-01-06", False), ("2027-01-06", True)):
        after = (await alice.call("POST", f"/tasks/{series['id']}/skip")).json()
        assert (after["due_date"], after["completed"]) == (due, completed)


async def test_a_moved_date_does_not_move_the_series(alice: Person) -> None:
    moved = MOVED.replace("20270106", "20270113")
    fortnightly = DAILY.replace("DAILY", "WEEKLY;INTERVAL=2")
    found = await import_calendar(alice, calendar(moved, todo(fortnightly)))
    assert found.task["due_date"] == "2027-01-13"
    after = (await alice.call("POST", f"/tasks/{found.task['id']}/skip")).json()
    assert after["due_date"] == "2027-01-18"


async def test_a_change_of_all_later_dates_is_named(alice: Person) -> None:
    later = date_of("20270104", title="Changed").replace("RECURRENCE-ID;", "RECURRENCE-ID;RANGE=THISANDFUTURE;")
    found = await import_calendar(alice, calendar(todo(DAILY), later))
    assert [task["title"] for task in found.tasks] == ["Task", "Changed"]
    assert "all later dates" in found.report["warnings"][0]["message"]


async def test_dates_with_a_time_are_found_in_the_zone_of_the_series(alice: Person) -> None:
    series = "DTSTART;TZID=America/Chicago:20270104T200000\nRRULE:FREQ=DAILY"
    for uid, date in enumerate(("RECURRENCE-ID:20270105T020000Z", "RECURRENCE-ID;VALUE=DATE:20270104")):
        date = todo(f"{date}\nSTATUS:COMPLETED", uid=str(uid))
        found = await import_calendar(alice, calendar(todo(series, uid=str(uid)), date))
        assert found.tasks[-2]["due_date"] == "2027-01-06T02:00:00Z"
        assert found.tasks[-1]["series_id"] == found.tasks[-2]["id"]


async def test_a_date_of_a_series_that_is_not_in_the_file_is_a_task(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo("RECURRENCE-ID:20270105T020000Z", uid="a")))
    assert found.task["due_date"] == "2027-01-05T02:00:00Z"
    assert found.warned == [("RECURRENCE-ID", "20270105T020000Z")]


# lines of a series, its rule, its due date, and the next
RULES = [
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;", "FREQ=DAILY", "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:freq=daily; interval = 2", "FREQ=DAILY;INTERVAL=2", "2027-01-04", "2027-01-06"),
    ("DUE;VALUE=DATE:20270104\nRRULE:RRULE:FREQ=DAILY;;BYDAY=", "FREQ=DAILY", "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=WEEKLY;WKST=SU;BYDAY=MO,TH",
     "FREQ=WEEKLY;BYDAY=MO,TH;WKST=SU", "2027-01-04", "2027-01-07"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;COUNT=0", "FREQ=DAILY", "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;RSCALE=GREGORIAN;SKIP=OMIT", "FREQ=DAILY", "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;UNTIL=99991231", "FREQ=DAILY", "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;UNTIL=2027-03-01", "FREQ=DAILY;UNTIL=20270301",
     "2027-01-04", "2027-01-05"),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;UNTIL=20270301T120000", "FREQ=DAILY;UNTIL=20270301",
     "2027-01-04", "2027-01-05"),
    ("DTSTART:20270104T090000\nRRULE:FREQ=WEEKLY;UNTIL=20270301T000000", "FREQ=WEEKLY;UNTIL=20270228T230000Z",
     "2027-01-04T08:00:00Z", "2027-01-11T08:00:00Z"),
    ("DTSTART;TZID=America/Chicago:20270104T090000\nRRULE:FREQ=WEEKLY;UNTIL=20270301T000000",
     "FREQ=WEEKLY;UNTIL=20270301T060000Z", "2027-01-04T15:00:00Z", "2027-01-11T15:00:00Z"),
    ("DTSTART:20270104T090000\nRRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "FREQ=DAILY",
     "2027-01-04T08:00:00Z", "2027-01-05T08:00:00Z"),
    # UNTIL is the start of the last date, which is due later
    ("DTSTART;TZID=America/Chicago:20270104T090000\nDUE;TZID=America/Chicago:20270104T093000\n"
     "RRULE:FREQ=DAILY;UNTIL=20270105T150000Z",
     "FREQ=DAILY;UNTIL=20270105T153000Z", "2027-01-04T15:30:00Z", "2027-01-05T15:30:00Z"),
    ("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270106\nRRULE:FREQ=DAILY;UNTIL=20270105T000000Z",
     "FREQ=DAILY;UNTIL=20270107T000000Z", "2027-01-06", "2027-01-07"),
    # from Monday to Friday: due on Fridays
    ("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270108\nRRULE:FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=FR",
     "2027-01-08", "2027-01-15"),
    ("DTSTART;VALUE=DATE:20270102\nDUE;VALUE=DATE:20270104\nRRULE:FREQ=WEEKLY;BYDAY=SA,WE", "FREQ=WEEKLY;BYDAY=MO,FR",
     "2027-01-04", "2027-01-08"),
    ("DTSTART;VALUE=DATE:20270101\nDUE;VALUE=DATE:20270110\nRRULE:FREQ=MONTHLY", "FREQ=MONTHLY",
     "2027-01-10", "2027-02-10"),
    # the days of the rule are Mondays in Chicago, Tuesdays in Berlin
    ("DTSTART;TZID=America/Chicago:20270104T200000\nRRULE:FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=TU",
     "2027-01-05T02:00:00Z", "2027-01-12T02:00:00Z"),
    ("DTSTART;TZID=America/Chicago:20270104T200000\nRRULE:FREQ=DAILY;UNTIL=20270120", "FREQ=DAILY;UNTIL=20270121",
     "2027-01-05T02:00:00Z", "2027-01-06T02:00:00Z"),
]  # fmt: skip


async def test_rules_in_any_spelling_give_the_dates_of_the_file(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _, _, _ in RULES])
    read = []
    for (lines, *_), each in zip(RULES, found, strict=True):
        after = (await alice.call("POST", f"/tasks/{each.task['id']}/skip")).json()
        read.append((lines, each.task["recurrence"], each.task["due_date"], after["due_date"]))
        assert {field for field, _ in each.warned} <= {"start"}
    assert read == RULES


async def test_a_rule_from_the_completion_is_one(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo("DUE;VALUE=DATE:20270104\nRRULE:FREQ=DAILY;FROM=COMPLETION")))
    assert (found.task["recurrence"], found.task["recurrence_from"]) == ("FREQ=DAILY", "completion")


# lines of a series, the rule and the due date that are kept, and the warnings
LOST_RULES = [
    ("DUE:20270104T090000Z\nRRULE:FREQ=HOURLY;INTERVAL=4", None, "2027-01-04T09:00:00Z",
     [("recurrence", "FREQ=HOURLY;INTERVAL=4")]),
    ("DTSTART:20270104T090000\nRRULE:FREQ=DAILY;BYHOUR=9,17", None, "2027-01-04T08:00:00Z",
     [("recurrence", "FREQ=DAILY;BYHOUR=9,17")]),
    ("DUE;VALUE=DATE:20270104\nRRULE:FREQ=YEARLY;BYWEEKNO=20", None, "2027-01-04",
     [("recurrence", "FREQ=YEARLY;BYWEEKNO=20")]),
    ("DUE;VALUE=DATE:20270104\nRRULE:whenever", None, "2027-01-04", [("recurrence", "whenever")]),
    ("RRULE:FREQ=DAILY", None, None, [("recurrence", "FREQ=DAILY")]),
    ("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270106\nRRULE:FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYDAY=1MO",
     "2027-01-04", [("due_date", "2027-01-06")]),
    ("DTSTART;TZID=America/Chicago:20270104T200000\nRRULE:FREQ=MONTHLY;BYDAY=1MO", "FREQ=MONTHLY;BYDAY=1MO",
     "2027-01-05T02:00:00Z", [("recurrence", "FREQ=MONTHLY;BYDAY=1MO")]),
]  # fmt: skip


async def test_what_is_lost_of_a_rule_is_named(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, *_ in LOST_RULES])
    for (lines, recurrence, due, warned), each in zip(LOST_RULES, found, strict=True):
        assert (lines, each.task["recurrence"], each.task["due_date"]) == (lines, recurrence, due)
        assert each.warned == warned


async def test_a_completed_series_stays_completed(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo(f"{DAILY}\nSTATUS:COMPLETED\nEXDATE;VALUE=DATE:20270104")))
    assert (found.task["completed"], found.task["due_date"]) == (True, "2027-01-04")
