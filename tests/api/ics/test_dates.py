"""The due dates of to-dos, in every way in which files say them, and their stamps."""

from typing import Any

from tests.api.ics.calendars import calendar, import_calendar, import_each, todo
from tests.support import Person

DUE_FORMS = [
    ("DUE;VALUE=DATE:20270115", "2027-01-15"),
    ("DUE:20270115", "2027-01-15"),
    ("DUE;VALUE=DATE-TIME:20270115T090000Z", "2027-01-15T09:00:00Z"),
    ("DUE;TZID=America/New_York:20270115T090000Z", "2027-01-15T09:00:00Z"),
    ("DUE:20270115T090000", "2027-01-15T08:00:00Z"),
    ("DUE:20270115T0900", "2027-01-15T08:00:00Z"),
    ("DUE:20270115t090000z", "2027-01-15T09:00:00Z"),
    ("DUE:2027-01-15", "2027-01-15"),
    ("DUE:2027-01-15T09:00:00Z", "2027-01-15T09:00:00Z"),
    ("DUE:2027-01-15 09:00", "2027-01-15T08:00:00Z"),
    ("DUE:20270115T090000+0530", "2027-01-15T03:30:00Z"),
    ("DUE:20270115T090000.123Z", "2027-01-15T09:00:00Z"),
    ("DUE:20270115T235960Z", "2027-01-15T23:59:59Z"),
    ("DUE:20270115T240000Z", "2027-01-16T00:00:00Z"),
    ("DUE: 20270115T090000Z ", "2027-01-15T09:00:00Z"),
    ("DUE:20270328T023000", "2027-03-28T01:30:00Z"),  # in the gap: the offset before it
    ("DUE:20271031T023000", "2027-10-31T00:30:00Z"),  # twice: the first
    ("DTSTART;VALUE=DATE:20270115", "2027-01-15"),
    ("DTSTART:20270115T090000Z", "2027-01-15T09:00:00Z"),
    ("DTSTART:20270115T090000Z\nDURATION:PT90M", "2027-01-15T10:30:00Z"),
    ("DTSTART:20270115T090000\nDURATION:P1W", "2027-01-22T08:00:00Z"),
    ("DTSTART:20270327T090000\nDURATION:P1D", "2027-03-28T07:00:00Z"),  # a day keeps the time of day
    ("DTSTART:20270327T090000\nDURATION:PT24H", "2027-03-28T08:00:00Z"),
    ("DTSTART;VALUE=DATE:20270115\nDURATION:P2D", "2027-01-17"),
    ("DTSTART;VALUE=DATE:20270115\nDURATION:PT2H", "2027-01-15"),
    ("DTSTART:20270115T090000Z\nDUE;VALUE=DATE:20270117", "2027-01-17"),
    ("DTSTART;VALUE=DATE:20270115\nDUE:20270117T090000Z", "2027-01-17T09:00:00Z"),
    ("DTSTART:20270115T090000Z\nDUE:20270117T090000Z\nDURATION:P9D", "2027-01-17T09:00:00Z"),
    ("DUE:\nDTSTART:", None),
]


async def test_every_form_of_a_due_date_is_read(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _ in DUE_FORMS])
    assert [(lines, each.task["due_date"]) for (lines, _), each in zip(DUE_FORMS, found, strict=True)] == DUE_FORMS
    assert {field for each in found for field, _ in each.warned} <= {"start", "DURATION"}


UNREADABLE_DATES: list[tuple[str, str | None, list[tuple[str, str]]]] = [
    ("DUE:someday", None, [("due_date", "someday")]),
    ("DUE:20270230", None, [("due_date", "20270230")]),
    ("DUE:00010101T000000Z", None, [("due_date", "00010101T000000Z")]),
    ("DUE:99991231T235959", None, [("due_date", "99991231T235959")]),
    ("DUE:20270115T250000Z", None, [("due_date", "20270115T250000Z")]),
    ("DTSTART:soon", None, [("due_date", "soon")]),
    ("DTSTART:20270115T090000Z\nDUE:someday", "2027-01-15T09:00:00Z", [("due_date", "someday")]),
    ("DTSTART:soon\nDUE;VALUE=DATE:20270115", "2027-01-15", [("start", "soon")]),
    ("DTSTART;VALUE=DATE:20270115\nDURATION:-P2D", "2027-01-15", [("due_date", "-P2D")]),
    ("DTSTART;VALUE=DATE:20270115\nDURATION:P", "2027-01-15", [("due_date", "P")]),
    ("DTSTART;VALUE=DATE:99990115\nDURATION:P9999W", None, [("DURATION", "P9999W"), ("due_date", "99990115")]),
    ("DTSTART;VALUE=DATE:20270115\nDURATION:P9999W", "2027-01-15", [("due_date", "P9999W")]),
    ("DTSTART:20270115T090000Z\nDURATION:PT9999999H", "2027-01-15T09:00:00Z", [("due_date", "PT9999999H")]),
    ("DUE;VALUE=DATE:20270115\nDURATION:PT2H", "2027-01-15", [("DURATION", "PT2H")]),
    ("DUE;VALUE=DATE:20270115\nDURATION:PT0S", "2027-01-15", []),
    ("DURATION:PT2H", None, [("DURATION", "PT2H")]),
    (
        "DTSTART;VALUE=DATE:20270115\nRDATE;VALUE=PERIOD:20270116T090000Z/PT1H",
        "2027-01-15",
        [("RDATE", "20270116T090000Z/PT1H")],
    ),
    ("DUE;VALUE=DATE:20270115\nEXDATE;VALUE=DATE:20270116", "2027-01-15", [("EXDATE", "20270116")]),
    ("DUE;VALUE=DATE:20270115\nRRULE:\nEXDATE:\nRDATE:\nDURATION:", "2027-01-15", []),
    ("DUE;VALUE=DATE:20270115\nDUE;VALUE=DATE:20270116", "2027-01-15", [("DUE", "20270116")]),
    (
        "DTSTART:99991231T235959\nRRULE:FREQ=DAILY",
        None,
        [("due_date", "99991231T235959"), ("recurrence", "FREQ=DAILY")],
    ),
    (
        "DUE:20270115T090000\nEXDATE:00010101T000000Z\nRRULE:FREQ=DAILY",
        "2027-01-15T08:00:00Z",
        [("EXDATE", "00010101T000000Z")],
    ),
    (
        "DUE:20270115T090000\nRRULE:FREQ=DAILY;UNTIL=00010101T000000",
        "2027-01-15T08:00:00Z",
        [("recurrence", "FREQ=DAILY;UNTIL=00010101T000000")],
    ),
]


async def test_a_date_that_cannot_be_read_costs_no_task(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _, _ in UNREADABLE_DATES])
    read = zip(UNREADABLE_DATES, found, strict=True)
    assert [(case[0], each.task["due_date"], each.warned) for case, each in read] == UNREADABLE_DATES


async def test_a_start_of_its_own_is_the_start_of_the_task(alice: Person) -> None:
    days = todo("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270108\nDESCRIPTION:text", uid="1")
    times = todo("DTSTART;TZID=Europe/Berlin:20270104T090000\nDUE;TZID=Europe/Berlin:20270104T160000", uid="2")
    same = todo("DTSTART;VALUE=DATE:20270104\nDUE:20270104T160000", uid="3")
    found = await import_calendar(alice, calendar(days, times, same))
    assert [task["start_date"] for task in found.tasks] == ["2027-01-04", "2027-01-04T08:00:00Z", None]
    assert [task["description"] for task in found.tasks] == ["text", None, None]
    assert found.warned == []


async def test_a_series_has_the_start_of_its_open_date(alice: Person) -> None:
    first = "DTSTART;TZID=Europe/Berlin:20270104T090000\nDUE;TZID=Europe/Berlin:20270106T160000\nRRULE:FREQ=WEEKLY"
    done = "RECURRENCE-ID;TZID=Europe/Berlin:20270104T090000\nSTATUS:COMPLETED"
    found = await import_calendar(alice, calendar(todo(first, uid="1"), todo(done, uid="1")))
    series = next(task for task in found.tasks if task["recurrence"])
    assert (series["start_date"], series["due_date"]) == ("2027-01-11T08:00:00Z", "2027-01-13T15:00:00Z")


PLANS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("X-TODO-START;VALUE=DATE:20270104", {"start_date": "2027-01-04", "due_date": None}, []),
    ("DTSTART:20270104T080000Z\nX-TODO-START:20270104T080000Z",
     {"start_date": "2027-01-04T08:00:00Z", "due_date": None}, []),
    ("DTSTART:20270104T080000Z", {"start_date": None, "due_date": "2027-01-04T08:00:00Z"}, []),
    ("DUE;VALUE=DATE:20270104\nX-TODO-START;VALUE=DATE:20270108",
     {"start_date": "2027-01-08", "due_date": "2027-01-04"}, []),
    ("X-TODO-DEADLINE;VALUE=DATE:20270131", {"deadline": "2027-01-31"}, []),
    ("X-TODO-DEADLINE:20270131T230000Z", {"deadline": "2027-02-01"}, [("deadline", "2027-01-31T23:00:00+00:00")]),
    ("X-TODO-DEADLINE:soon", {"deadline": None}, [("deadline", "soon")]),
    ("X-TODO-START:soon", {"start_date": None}, [("start_date", "soon")]),
    ("ESTIMATED-DURATION:PT1H30M", {"estimate_minutes": 90}, []),
    ("ESTIMATED-DURATION:P2D", {"estimate_minutes": 2880}, []),
    ("ESTIMATED-DURATION:PT90S", {"estimate_minutes": 1}, [("estimate_minutes", "PT90S")]),
    ("ESTIMATED-DURATION:PT0S", {"estimate_minutes": None}, [("estimate_minutes", "PT0S")]),
    ("ESTIMATED-DURATION:-PT1H", {"estimate_minutes": None}, [("estimate_minutes", "-PT1H")]),
    ("ESTIMATED-DURATION:P4000D", {"estimate_minutes": None}, [("estimate_minutes", "P4000D")]),
    ("ESTIMATED-DURATION:long", {"estimate_minutes": None}, [("estimate_minutes", "long")]),
    ("X-TODO-FAVORITE:TRUE", {"favorite": True}, []),
    ("X-TODO-FAVORITE:perhaps", {"favorite": False}, [("favorite", "perhaps")]),
]  # fmt: skip


async def test_start_deadline_estimate_and_star_are_read(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _, _ in PLANS])
    for (lines, fields, warned), each in zip(PLANS, found, strict=True):
        assert (lines, {name: each.task[name] for name in fields}, each.warned) == (lines, fields, warned)


STAMP_FORMS = [
    ("CREATED:20261101T101500\nLAST-MODIFIED:20261102T080000Z", ("2026-11-01T09:15:00Z", "2026-11-02T08:00:00Z")),
    ("CREATED:20261101\nLAST-MODIFIED:2026-11-02T08:00:00Z", ("2026-10-31T23:00:00Z", "2026-11-02T08:00:00Z")),
    ("DTSTAMP:20261103T080000Z", ("2026-11-03T08:00:00Z", "2026-11-03T08:00:00Z")),
    ("CREATED:20261101T101500Z\nLAST-MOD:20261102T080000Z", ("2026-11-01T10:15:00Z", "2026-11-02T08:00:00Z")),
    (
        "CREATED;TZID=Asia/Tokyo:20261101T101500\nDTSTAMP:20261103T080000Z",
        ("2026-11-01T01:15:00Z", "2026-11-03T08:00:00Z"),
    ),
]


async def test_stamps_are_read_in_any_form(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _ in STAMP_FORMS])
    for (lines, stamps), each in zip(STAMP_FORMS, found, strict=True):
        assert (lines, (each.task["created_at"], each.task["updated_at"])) == (lines, stamps)
        assert each.warned == []


async def test_a_stamp_that_cannot_be_read_is_left_out(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo("CREATED:long ago\nSTATUS:COMPLETED\nCOMPLETED:just now")))
    assert found.task["completed"]
    assert found.warned == [("completed_at", "just now"), ("created_at", "long ago")]
