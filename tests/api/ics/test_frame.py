"""Damaged and joined iCalendar files: what can be read is read, and what is wrong is named."""

import pytest

from tests.api.ics.calendars import calendar, import_calendar, todo
from tests.api.test_transfer import ICS
from tests.support import Person, assert_problem

ONE, TWO = todo("", uid="1", title="one"), todo("", uid="2", title="two")


@pytest.mark.parametrize(
    "text",
    [
        calendar(ONE) + calendar(TWO),
        calendar(ONE) + "\n\n" + calendar(TWO),
        calendar() + calendar(ONE, TWO),
        calendar(ONE, TWO).replace("\n", "\r\n"),
        calendar(ONE, TWO).replace("\n", "\r"),
        "\ufeff" + calendar(ONE, TWO),
        "\n \n" + calendar(ONE, TWO),
        calendar(ONE, TWO).lower().replace("summary", "Summary"),
        calendar(ONE, TWO).replace("END:VTODO", "END:VTODO  "),
    ],
)
async def test_every_calendar_of_a_file_is_read_without_a_warning(alice: Person, text: str) -> None:
    found = await import_calendar(alice, text)
    assert [task["title"] for task in found.tasks] == ["one", "two"]
    assert found.warned == []


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (calendar(ONE).replace("END:VCALENDAR\n", "") + calendar(TWO), "BEGIN:VCALENDAR"),
        (calendar(ONE, TWO).replace("END:VCALENDAR\n", ""), "END:VCALENDAR"),
        (calendar(ONE) + "HTTP/1.1 200 OK\n" + calendar(TWO), "HTTP/1.1 200 OK"),
        ("Subject: tasks\n" + calendar(ONE, TWO), "Subject: tasks"),
        (calendar(ONE) + TWO, "BEGIN:VTODO"),
        (ONE + "\n" + TWO, "BEGIN:VTODO"),
        (calendar(ONE, "END:VEVENT", TWO), "END:VEVENT"),
        (calendar(ONE, "BEGIN:VEVENT\nSUMMARY:no end", TWO), "BEGIN:VEVENT"),
        (calendar(ONE, "END:VCALENDAR", TWO), "BEGIN:VTODO"),
    ],
)
async def test_what_is_wrong_with_the_frame_is_named_and_costs_no_task(alice: Person, text: str, warned: str) -> None:
    found = await import_calendar(alice, text)
    assert [task["title"] for task in found.tasks] == ["one", "two"]
    assert ("VCALENDAR", warned) in found.warned
    assert {(warning["entity"], warning["row"]) for warning in found.report["warnings"]} == {("file", 0)}


@pytest.mark.parametrize(
    "text",
    [
        calendar(ONE.replace("\nEND:VTODO", ""), TWO),
        calendar(TWO, ONE)[: -len("END:VTODO\nEND:VCALENDAR\n")],
        calendar(ONE.replace("END:VTODO", "BEGIN:VALARM\nTRIGGER:-PT5M\nEND:VTODO"), TWO),
    ],
)
async def test_a_todo_without_an_end_is_read_as_far_as_it_goes(alice: Person, text: str) -> None:
    found = await import_calendar(alice, text)
    assert sorted(task["title"] for task in found.tasks) == ["one", "two"]
    assert found.report["warned"] == 2 or found.report["warned"] == 1
    assert {warning["entity"] for warning in found.report["warnings"]} >= {"file"}


async def test_a_line_that_is_no_property_continues_the_text_before_it(alice: Person) -> None:
    text = todo("DESCRIPTION:first\nsecond line\nthird\\, escaped\nPRIORITY:1\n!lost")
    found = await import_calendar(alice, calendar(text))
    assert found.task["description"] == "first\nsecond line\nthird, escaped"
    assert found.task["priority"] == "urgent"
    assert found.warned == [("VTODO", "second line"), ("VTODO", "third\\, escaped"), ("VTODO", "!lost")]


async def test_components_that_are_no_todos_are_counted(alice: Person) -> None:
    event = "BEGIN:VEVENT\nUID:e\nSUMMARY:Party\nBEGIN:VALARM\nTRIGGER:PT0S\nEND:VALARM\nEND:VEVENT"
    journal = "BEGIN:VJOURNAL\nUID:j\nSUMMARY:Diary\nEND:VJOURNAL"
    found = await import_calendar(alice, calendar(event, ONE, event, journal))
    assert found.warned == [("VEVENT", "2"), ("VJOURNAL", "1")]
    assert found.task["title"] == "one"


@pytest.mark.parametrize("text", ["", "x: y\n", "BEGIN:VCARD\nEND:VCARD\n", "BEGIN:VEVENT\nEND:VEVENT\n"])
async def test_a_file_without_calendar_and_todo_is_refused(alice: Person, text: str) -> None:
    assert_problem(await alice.call("POST", "/import", content=text.encode(), headers=ICS), 422, "import_format")


async def test_unquoted_and_unreadable_parameters_lose_no_value(alice: Person) -> None:
    lines = 'DUE;TZID=(GMT+01:00) Berlin:20270115T090000\nDESCRIPTION;ALTREP=a"b:text: more\nPERCENT_COMPLETE:100'
    found = await import_calendar(alice, calendar(todo(lines)))
    assert found.task["due_date"] == "2027-01-15T08:00:00Z"
    assert found.task["description"] == "text: more"
    assert found.task["completed"]


@pytest.mark.parametrize("begin", ["BEGIN:VCALENDAR\n" * 5_000, "END:VTODO\n" * 20_000 + "BEGIN:VCALENDAR\n"])
async def test_a_frame_that_is_made_to_be_expensive_is_read(alice: Person, begin: str) -> None:
    found = await import_calendar(alice, begin + ONE)
    assert found.task["title"] == "one"
    assert len(found.report["warnings"]) < 5
