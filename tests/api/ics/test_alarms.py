"""Alarms of to-dos as reminders."""

import pytest

from tests.api.ics.calendars import calendar, import_calendar, import_each, todo
from tests.support import Person

DUE = "DUE:20270108T160000Z"
APART = "DTSTART:20270104T080000Z\nDUE:20270108T160000Z"
WEEKLY = "DTSTART:20270104T080000\nDUE:20270104T160000\nRRULE:FREQ=WEEKLY"


def alarm(*lines: str) -> str:
    return "\n".join(["", "BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Reminder", *lines, "END:VALARM"])


ALARMS = [
    (DUE, "TRIGGER:-PT15M", "-PT15M"),
    (DUE, "TRIGGER;RELATED=START:-PT15M", "-PT15M"),
    (DUE, "TRIGGER;VALUE=DURATION;RELATED=END:PT15M", "PT15M"),
    (DUE, "TRIGGER:-P1W2D", "-P9D"),
    (DUE, "TRIGGER:-P1WT3H", "-P7DT3H"),
    (DUE, "TRIGGER:+PT15M", "PT15M"),
    (DUE, "TRIGGER:PT0S", "PT0S"),
    (DUE, "TRIGGER:-PT0M", "PT0S"),
    (DUE, "TRIGGER:-pt90m", "-PT1H30M"),
    (DUE, "TRIGGER:-P50D", "-P50D"),
    (DUE, "TRIGGER;VALUE=DATE-TIME:20270107T090000Z", "2027-01-07T09:00:00Z"),
    (DUE, "TRIGGER:20270107T090000Z", "2027-01-07T09:00:00Z"),
    (DUE, "TRIGGER;VALUE=DATE-TIME:20270107T090000", "2027-01-07T08:00:00Z"),
    (DUE, "TRIGGER;VALUE=DATE-TIME;TZID=Asia/Tokyo:20270107T090000", "2027-01-07T00:00:00Z"),
    (APART, "TRIGGER:PT0S", "2027-01-04T08:00:00Z"),
    (APART, "TRIGGER:-P1D", "2027-01-03T08:00:00Z"),
    (APART, "TRIGGER;RELATED=start:PT1H", "2027-01-04T09:00:00Z"),
    (APART, "TRIGGER;RELATED=END:-PT1H", "-PT1H"),
    ("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270108", "TRIGGER:PT9H", "2027-01-04T08:00:00Z"),
    ("DTSTART;VALUE=DATE:20270104\nDUE;VALUE=DATE:20270104", "TRIGGER:PT9H", "PT9H"),
    ("DTSTART:20270104T080000Z\nDURATION:PT2H", "TRIGGER:-PT1H", "2027-01-04T07:00:00Z"),
    ("DTSTART:20270104T080000Z\nDURATION:PT2H", "TRIGGER;RELATED=END:-PT1H", "-PT1H"),
    ("DTSTART:20270104T080000Z", "TRIGGER:-PT1H", "-PT1H"),
    ("DTSTART:20270104T080000Z\nDUE:20270104T080000Z", "TRIGGER:-PT1H", "-PT1H"),
    (WEEKLY, "TRIGGER:-PT1H", "-PT9H"),
    (WEEKLY, "TRIGGER;RELATED=END:-PT1H", "-PT1H"),
    (WEEKLY, "TRIGGER;VALUE=DATE-TIME:20270104T150000Z", "2027-01-04T15:00:00Z"),
    (DUE, "TRIGGER:-PT15M\nACKNOWLEDGED:20270108T154500Z\nREPEAT:0", "-PT15M"),
]


async def test_an_alarm_fires_when_the_file_says(alice: Person) -> None:
    found = await import_each(alice, [dates + alarm(trigger) for dates, trigger, _ in ALARMS])
    read = [(*case[:2], *each.task["reminders"]) for case, each in zip(ALARMS, found, strict=True)]
    assert read == ALARMS
    assert {field for each in found for field, _ in each.warned} <= {"start"}


async def test_alarms_of_all_kinds_remind(alice: Person) -> None:
    kinds = [alarm(f"TRIGGER:-PT{n}M").replace("DISPLAY", kind) for n, kind in enumerate(("AUDIO", "EMAIL", "X-A"), 1)]
    found = await import_calendar(alice, calendar(todo(DUE + "".join(kinds))))
    assert found.task["reminders"] == ["-PT1M", "-PT2M", "-PT3M"]


LOST_ALARMS: list[tuple[str, list[str], list[tuple[str, str]]]] = [
    ("", [], [("reminders", "VALARM")]),
    ("TRIGGER:", [], [("reminders", "VALARM")]),
    ("TRIGGER:soon", [], [("reminders", "soon")]),
    ("TRIGGER:-PT15", [], [("reminders", "-PT15")]),
    ("TRIGGER:-P400D", [], [("reminders", "-P400D")]),
    ("TRIGGER:-PT15M\nREPEAT:3\nDURATION:PT5M", ["-PT15M"], [("reminders", "3")]),
]


async def test_what_is_lost_of_an_alarm_is_named(alice: Person) -> None:
    found = await import_each(alice, [DUE + alarm(trigger) for trigger, _, _ in LOST_ALARMS])
    read = zip(LOST_ALARMS, found, strict=True)
    assert [(case[0], each.task["reminders"], each.warned) for case, each in read] == LOST_ALARMS


async def test_without_a_date_an_instant_reminds_and_a_duration_waits(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo(alarm("TRIGGER:20900107T090000Z") + alarm("TRIGGER:-PT15M"))))
    assert found.task["reminders"] == ["2090-01-07T09:00:00Z", "-PT15M"]
    assert found.task["remind_at"] == "2090-01-07T09:00:00Z"
    assert [(warning["value"], warning["type"]) for warning in found.report["warnings"]] == [("-PT15M", "changed")]


@pytest.mark.parametrize("line_end", ["\\n", "\\\\n"])
@pytest.mark.parametrize("name", ["X-APPLE-PROXIMITY:DEPART", "PROXIMITY:ARRIVE"])
async def test_an_alarm_at_a_place_is_kept_as_text(alice: Person, name: str, line_end: str) -> None:
    place = f'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-ADDRESS="Lane 2{line_end}Town";X-TITLE=Library:geo:51.5,-0.1'
    text = alarm("TRIGGER;VALUE=DATE-TIME:19760401T005545Z", name, place) + alarm("TRIGGER:-PT15M")
    found = await import_calendar(alice, calendar(todo(DUE + text)))
    assert found.task["reminders"] == ["-PT15M"]
    assert found.task["description"] == "Place: Library, Lane 2, Town"
    assert found.warned == [("reminders", f"{name.partition(':')[2]} Library, Lane 2, Town")]


async def test_apples_mark_for_no_alarm_is_none(alice: Person) -> None:
    mark = alarm("TRIGGER;VALUE=DATE-TIME:19760401T005545Z").replace("DISPLAY", "NONE")
    found = await import_calendar(alice, calendar(todo(DUE + mark)))
    assert (found.task["reminders"], found.warned) == ([], [])


async def test_alarms_of_a_series_of_apple_recur_with_it(alice: Person) -> None:
    series = "DTSTART:20270104T180000\nDUE:20270104T180000\nRRULE:FREQ=WEEKLY" + alarm("TRIGGER:20270104T163000Z")
    text = calendar(todo(series)).replace("-//Example//EN", "-//Apple Inc.//iOS 26.5//EN")
    found = await import_calendar(alice, text)
    assert found.task["reminders"] == ["-PT30M"]
