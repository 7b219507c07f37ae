"""The fate of each property of a to-do: read, kept in the description, named in a warning, or technical."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.services.transfer.formats.ics.todo import PROPERTY_EFFECTS, Effect, effect_of
from tests.api.ics.calendars import calendar, import_calendar, import_each, todo
from tests.support import Person

PAGE = (Path(__file__).parents[3] / "docs/formats.md").read_text()
# The properties that a VTODO can have, by RFC 5545, 7986, 9073 and 9253.
STANDARD_PROPERTIES = """
ATTACH ATTENDEE CATEGORIES CLASS COMMENT COMPLETED CONTACT CREATED DESCRIPTION DTSTAMP DTSTART DUE DURATION EXDATE GEO
LAST-MODIFIED LOCATION ORGANIZER PERCENT-COMPLETE PRIORITY RDATE RECURRENCE-ID RELATED-TO REQUEST-STATUS RESOURCES RRULE
SEQUENCE STATUS SUMMARY UID URL COLOR CONFERENCE IMAGE STRUCTURED-DATA STYLED-DESCRIPTION CONCEPT LINK REFID
"""


def test_every_standard_property_has_an_effect() -> None:
    assert [name for name in STANDARD_PROPERTIES.split() if effect_of(name) is None] == []


def test_the_page_lists_what_is_kept() -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| kept in the description")]
    kept = {name for name, effect in PROPERTY_EFFECTS.items() if effect is Effect.KEPT}
    assert set(re.findall("`([A-Z-]+)`", row)) == kept


@pytest.mark.parametrize("name", ["X-APPLE-SORT-ORDER", "X-MOZ-GENERATION", "X-OC-HIDESUBTASKS", "SEQUENCE", "COLOR"])
def test_properties_of_programs_are_technical(name: str) -> None:
    assert effect_of(name) is Effect.TECHNICAL


# lines, the description, and the warnings
KEPT_PROPERTIES: list[tuple[str, str | None, list[tuple[str, str]]]] = [
    ("LOCATION;LANGUAGE=en:Room 4\\, left", "Location: Room 4, left", [("LOCATION", "Room 4, left")]),
    ("URL:https://example.org/a", "URL: https://example.org/a", [("URL", "https://example.org/a")]),
    ("COMMENT:one\nCOMMENT:two", "Comment: one\nComment: two", [("COMMENT", "one"), ("COMMENT", "two")]),
    ("DESCRIPTION:text\nCONTACT:Q. Sample", "text\n\nContact: Q. Sample", [("CONTACT", "Q. Sample")]),
    ("GEO:48.2;16.37", "Coordinates: 48.2;16.37", [("GEO", "48.2;16.37")]),
    ("RESOURCES:projector,chairs", "Resources: projector,chairs", [("RESOURCES", "projector,chairs")]),
    ("ATTACH:https://example.org/f.pdf", "Attachment: https://example.org/f.pdf",
     [("ATTACH", "https://example.org/f.pdf")]),
    ("ATTACH;FILENAME=a.txt;VALUE=BINARY;ENCODING=BASE64:aGFsbG8=", None, [("ATTACH", "a.txt")]),
    ("ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED:mailto:ann@example.org", "Attendee: Ann <mailto:ann@example.org>",
     [("ATTENDEE", "Ann <mailto:ann@example.org>")]),
    ("X-STATUS:Waiting", "Status: Waiting", [("X-STATUS", "Waiting")]),
    ("LOCATION:\nURL:\nCOMMENT:", None, []),
    ("DESCRIPTION:one\nDESCRIPTION:two", "one\n\ntwo", []),
    ("X-ALT-DESC;FMTTYPE=text/html:<p>a &amp; b</p><p>c<br>d</p>", "a & b\nc\nd", []),
    ("DESCRIPTION:plain\nX-ALT-DESC;FMTTYPE=text/html:<b>plain</b>", "plain", []),
    ("CLASS:PRIVATE\nCOLOR:red\nSEQUENCE:3\nX-APPLE-SORT-ORDER:1", None, []),
    ("STRUCTURED-DATA;VALUE=TEXT:{}", None, [("STRUCTURED-DATA", "{}")]),
    ("NOTES:typed", None, [("NOTES", "typed")]),
    ("BEGIN:VLOCATION\nNAME:Hall\nEND:VLOCATION", None, [("VLOCATION", "VLOCATION")]),
]  # fmt: skip


async def test_what_has_no_field_is_kept_in_the_description_or_named(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _, _ in KEPT_PROPERTIES])
    assert [
        (case[0], each.task["description"], each.warned) for case, each in zip(KEPT_PROPERTIES, found, strict=True)
    ] == KEPT_PROPERTIES


@pytest.mark.parametrize("limit", [16_384, 500])
async def test_what_is_kept_stands_before_a_text_that_is_cut(
    app: FastAPI, alice: Person, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(app.state.settings, "description_max", limit)
    found = await import_calendar(alice, calendar(todo(f"DESCRIPTION:{'x' * limit}\nLOCATION:Room 4")))
    assert found.task["description"].startswith("Location: Room 4\n\nxxx")
    assert [(warning["field"], warning["type"]) for warning in found.report["warnings"]] == [
        ("LOCATION", "kept_as_text"), ("description", "cut"),
    ]  # fmt: skip


# lines, the status of the task, and the warnings
STATES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("STATUS:COMPLETED", "completed", []),
    ("status:completed", "completed", []),
    ("COMPLETED:20261101T101500Z", "completed", []),
    ("PERCENT-COMPLETE:100", "completed", []),
    ("PERCENT_COMPLETE:100\nSTATUS:COMPLETED\nPERCENT-COMPLETE:0", "completed", []),
    ("STATUS:COMPLETED\nPERCENT-COMPLETE:0", "completed", []),
    ("STATUS:COMPLETED\nX-TODO-STATUS:WAITING", "completed", []),
    ("STATUS:CANCELLED", "cancelled", []),
    ("STATUS:CANCELLED\nPERCENT-COMPLETE:100\nCOMPLETED:20261101T101500Z", "cancelled",
     [("completed_at", "20261101T101500Z"), ("PERCENT-COMPLETE", "100")]),
    ("STATUS:NEEDS-ACTION", "pending", []),
    ("STATUS:NEEDS-ACTION\nX-TODO-STATUS:WAITING", "waiting", []),
    ("STATUS:NEEDS-ACTION\nPERCENT-COMPLETE:0", "pending", []),
    ("STATUS:NEEDS ACTION\nPERCENT-COMPLETE:100", "pending", [("PERCENT-COMPLETE", "100")]),  # vCalendar 1.0
    ("STATUS:IN-PROCESS", "in_progress", []),
    ("STATUS:IN-PROCESS\nPERCENT-COMPLETE:35", "in_progress", [("PERCENT-COMPLETE", "35")]),
    ("PERCENT-COMPLETE:35", "pending", [("PERCENT-COMPLETE", "35")]),
    ("STATUS:NEEDS-ACTION\nCOMPLETED:20261101T101500Z\nPERCENT-COMPLETE:100", "pending",
     [("completed_at", "20261101T101500Z"), ("PERCENT-COMPLETE", "100")]),
    ("STATUS:DRAFT", "pending", [("STATUS", "DRAFT")]),
]  # fmt: skip


async def test_the_status_decides_whether_a_task_is_completed(alice: Person) -> None:
    found = await import_each(alice, [lines for lines, _, _ in STATES])
    read = [(case[0], each.task["status"], each.warned) for case, each in zip(STATES, found, strict=True)]
    assert read == STATES


PRIORITIES = {
    "0": "none",
    "1": "urgent",
    "2": "urgent",
    "3": "high",
    "4": "high",
    "5": "medium",
    "6": "low",
    "9": "low",
}


async def test_priorities_are_read_and_a_task_without_one_has_none(alice: Person) -> None:
    found = await import_each(alice, ["", *(f"PRIORITY:{number}" for number in PRIORITIES), "PRIORITY:high"])
    assert [each.task["priority"] for each in found] == ["none", *PRIORITIES.values(), "none"]
    assert [each.warned for each in found if each.warned] == [[("priority", "high")]]


async def test_texts_are_unescaped_unfolded_and_decoded(alice: Person) -> None:
    folded = "DESCRIPTION:long\\n and \n folded\\; \\\\ back\nCATEGORIES:a\\,b,c\nCATEGORIES;LANGUAGE=de:d,,"
    quoted = "DESCRIPTION;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:H=C3=A4user=0Aund B=C3=A4ume"
    found = await import_each(alice, [folded, quoted])
    assert found[0].task["description"] == "long\n and folded; \\ back"
    assert found[0].task["tags"] == ["a,b", "c", "d"]
    assert found[1].task["description"] == "Häuser\nund Bäume"


async def test_a_todo_without_a_title_takes_the_first_line_of_its_text(alice: Person) -> None:
    found = await import_calendar(alice, calendar(todo("DESCRIPTION:Call Ann\\nabout the key", title=None)))
    assert (found.task["title"], found.task["description"]) == ("Call Ann", "Call Ann\nabout the key")
    assert [(warning["field"], warning["type"]) for warning in found.report["warnings"]] == [("title", "guessed")]


async def test_relations_are_parents_in_either_direction(alice: Person) -> None:
    todos = [
        todo("RELATED-TO:p", uid="c1", title="by default"),
        todo("RELATED-TO;RELTYPE=PARENT:p", uid="c2", title="by type"),
        todo("RELATED-TO;RELTYPE=CHILD:c3\nRELATED-TO;RELTYPE=SIBLING:s", uid="p", title="parent"),
        todo("", uid="c3", title="by its parent"),
        todo("RELATED-TO:p\nRELATED-TO:s", uid="c4", title="of two"),
        todo("RELATED-TO;RELTYPE=FINISHTOSTART:p", uid="s", title="dependent"),
        todo("RELATED-TO:gone", uid="o", title="orphan"),
    ]
    found = await import_calendar(alice, calendar(*todos))
    parent = next(task["id"] for task in found.tasks if task["title"] == "parent")
    below = {task["title"] for task in found.tasks if task["parent_id"] == parent}
    assert below == {"by default", "by type", "by its parent", "of two"}
    assert len(found.tasks) == 7
    warned = {(warning["uid"], warning["value"]) for warning in found.report["warnings"]}
    assert warned == {("c4", "s"), ("s", "p"), ("o", "gone")}


async def test_unknown_properties_of_programs_are_listed_once_for_the_file(alice: Person) -> None:
    todos = [todo("X-MOOD:fine\nX-APPLE-SORT-ORDER:1", uid=str(number)) for number in range(3)]
    found = await import_calendar(alice, calendar(*todos, todo("X-SIZE:XL\nX-EMPTY:", uid="last")))
    assert sorted(found.warned) == [("X-MOOD", "3"), ("X-SIZE", "1")]
    assert {warning["entity"] for warning in found.report["warnings"]} == {"file"}


async def test_the_name_of_a_calendar_is_the_project_of_its_tasks(alice: Person) -> None:
    text = calendar(todo("", uid="1"), head="X-WR-CALNAME:Garden\\, jobs") + calendar(todo("", uid="2"), head="NAME:B")
    found = await import_calendar(alice, text + calendar(todo("", uid="3")))
    names = {project["id"]: project["name"] for project in (await alice.get("/projects")).json()}
    assert [names.get(task["project_id"]) for task in found.tasks] == ["Garden, jobs", "B", None]
