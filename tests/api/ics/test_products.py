"""Files as widespread programs write them, made anew: each imports whole, with the warnings that one would expect."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.ics.calendars import import_calendar
from tests.support import Person

FILES = Path(__file__).parent / "files"
Expected = tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]

# Of each file the tasks by title, of equal titles the open one, with some of their fields, and the warnings.
PRODUCTS: dict[str, Expected] = {
    "nextcloud": (
        {
            "Descale the kettle": {"due_date": "2027-01-12T18:00:00Z", "priority": "urgent", "project": "Household",
                                   "created_at": "2026-11-03T06:15:22Z"},
            "Buy citric acid": {"completed": True, "completed_at": "2026-11-03T06:16:40Z",
                                "parent": "Descale the kettle"},
            "Water the ferns": {"due_date": "2026-11-27", "recurrence": "FREQ=WEEKLY;BYDAY=FR",
                                "tags": ["plants", "balcony"], "occurrences": ["2026-11-20"]},
            "Plan the flea market": {"status": "in_progress",
                                     "description": "Location: Town hall\nURL: https://market.example"},
        },
        [("LOCATION", "Town hall"), ("URL", "https://market.example"),
         ("PERCENT-COMPLETE", "40")],
    ),
    "owncloud": (
        {
            "Print the set list": {"due_date": "2027-01-03T15:00:00Z", "project": "Personal", "priority": "none"},
            "Send the invoice": {"project": "Work", "priority": "medium"},
        },
        [("VEVENT", "1")],
    ),
    "thunderbird": (
        {
            "Take the vitamins": {"due_date": "2026-12-18T01:10:00Z", "recurrence": "FREQ=DAILY;COUNT=10",
                                  "reminders": ["-PT5M"], "occurrences": ["2026-12-16T01:10:00Z"]},
            "Write the report": {"due_date": "2027-01-08T23:00:00Z", "reminders": ["2027-01-04T15:00:00Z"],
                                 "priority": "low", "description": None, "start_date": "2027-01-04T15:00:00Z"},
        },
        [],
    ),
    "emclient": (
        {"Empty the inbox": {"due_date": "2027-01-04T23:00:00Z", "occurrences": ["2027-01-03T23:00:00Z"]}},
        [],
    ),
    "outlook": (
        {
            "Anruf beim Großhandel": {
                "due_date": "2027-07-05T07:00:00Z", "reminders": ["-PT15M"], "priority": "medium",
                "description": "Ask for the new price list.\n\n\nOrganizer: Q. Sample <mailto:q@example.org>",
            },
        },
        [("ORGANIZER", "Q. Sample <mailto:q@example.org>")],
    ),
    "evolution": (
        {"Read the gas meter": {"due_date": "2027-02-04T18:00:00Z", "reminders": ["-P1D"], "priority": "low"}},
        [],
    ),
    "jtx": (
        {
            "Organise the tournament": {"due_date": "2027-01-20", "priority": "urgent", "tags": ["sports", "club"],
                                        "status": "in_progress", "start_date": "2027-01-10"},
            "Print the posters": {"status": "cancelled", "parent": "Organise the tournament"},
        },
        [("LOCATION", "Hall 2"), ("GEO", "47.07;15.43"), ("X-STATUS", "Waiting for the hall"),
         ("RESOURCES", "whistles"), ("COMMENT", "called twice"), ("CONTACT", "P. Example"),
         ("URL", "https://example.org/cup"), ("ATTACH", "list.txt"), ("PERCENT-COMPLETE", "60"),
         ("VJOURNAL", "1")],
    ),
    "tasks_org": (
        {
            "Sharpen the skates": {"due_date": "2027-01-06T16:00:00Z", "recurrence": "FREQ=MONTHLY;BYDAY=1WE",
                                   "reminders": ["PT0S", "-P7DT1H"], "description": "both pairs; the blue ones first"},
            "Find the guards": {"completed": True, "parent": "Sharpen the skates"},
        },
        [],
    ),
    "synology": (
        {"Swap the disks": {"completed": True, "due_date": "2027-07-12T06:00:00Z", "description": None,
                            "updated_at": "2026-11-12T07:55:21Z"}},
        [],
    ),
    "apple": (
        {
            "Put the bins out": {"due_date": "2027-01-11T17:00:00Z", "reminders": ["PT0S"], "priority": "urgent",
                                 "recurrence": "FREQ=WEEKLY;BYDAY=MO", "project": "Errands"},
            "Bring back the books": {"parent": "Put the bins out", "reminders": [],
                                     "description": "Place: Public library, Mill Street 4, Smalltown"},
            "Fetch the parcel": {"completed": True, "completed_at": "2026-11-20T10:15:00Z", "due_date": "2026-11-20"},
        },
        [("reminders", "ARRIVE Public library, Mill Street 4, Smalltown")],
    ),
}  # fmt: skip


def test_every_file_has_its_expectations() -> None:
    assert {path.stem for path in FILES.iterdir()} == PRODUCTS.keys()


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
async def test_a_file_of_a_widespread_program_imports_whole(alice: Person, name: str, line_end: str) -> None:
    expected, warned = PRODUCTS[name]
    text = (FILES / f"{name}.ics").read_text().replace("\n", line_end)
    found = await import_calendar(alice, text)
    assert len(found.tasks) == text.count("BEGIN:VTODO")
    projects = {row["id"]: row["name"] for row in (await alice.get("/projects")).json()}
    series: dict[int, list[str]] = {task["id"]: [] for task in found.tasks if task["recurrence"]}
    for task in found.tasks:
        if task["series_id"]:
            series[task["series_id"]].append(task["due_date"])
    titles = {task["id"]: task["title"] for task in found.tasks}
    tasks = {
        task["title"]: task
        | {"project": projects.get(task["project_id"]), "parent": titles.get(task["parent_id"])}
        | {"occurrences": series.get(task["id"], [])}
        for task in found.tasks
        if not task["series_id"]
    }
    assert {title: {name: tasks[title][name] for name in fields} for title, fields in expected.items()} == expected
    assert sorted(found.warned) == sorted(warned)
