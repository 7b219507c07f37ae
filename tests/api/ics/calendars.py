"""Calendars for tests of the import, and what becomes of them."""

from typing import Any

from tests.api.test_transfer import ICS, imported
from tests.support import Person

ZONE = "Europe/Berlin"  # of the owner


def calendar(*components: str, head: str = "") -> str:
    """Returns a calendar with these components; lines end with LF, as in many files."""
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//EN", *head.splitlines(), *components,
                      "END:VCALENDAR", ""])  # fmt: skip


def todo(lines: str, *, uid: str = "1", title: str | None = "Task") -> str:
    summary = [] if title is None else [f"SUMMARY:{title}"]
    return "\n".join(["BEGIN:VTODO", f"UID:{uid}", *summary, *lines.splitlines(), "END:VTODO"])


class Imported:
    """The report of an import, and the tasks that there are then."""

    def __init__(self, report: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
        self.report, self.tasks = report, tasks

    @property
    def task(self) -> dict[str, Any]:
        (found,) = self.tasks
        return found

    @property
    def warned(self) -> list[tuple[str, str]]:
        """Returns field and value of each warning."""
        return [(found["field"], found["value"]) for found in self.report["warnings"]]


async def import_calendar(person: Person, text: str | bytes, *, zone: str = ZONE, failed: int = 0) -> Imported:
    """Imports a file, first as a dry run, which reports the same, then again, which creates nothing."""
    await person.call("PATCH", "/settings", json={"timezone": zone})
    dry = await imported(person, text, ICS, "?dry_run=true")
    report = await imported(person, text, ICS)
    assert report == dry | {"dry_run": False, "revision": report["revision"]}
    assert report["failed"] == failed, report
    again = await imported(person, text, ICS)
    assert (again["created"]["tasks"], again["failed"], again["warned"]) == (0, failed, dry_warned(again))
    tasks = (await person.get("/tasks?status=all&sort=created_at&limit=200")).json()
    return Imported(report, sorted(tasks, key=lambda task: task["id"]))


def dry_warned(report: dict[str, Any]) -> int:
    """Returns 1 if there are warnings of the file itself, which are also reported of a file that is known."""
    return int(any(found["entity"] == "file" for found in report["warnings"]))


async def import_each(person: Person, todos: list[str], *, zone: str = ZONE) -> list[Imported]:
    """Imports the to-dos with these lines in one file; returns for each its task and its warnings."""
    components = [todo(lines, uid=f"uid-{number}", title=str(number)) for number, lines in enumerate(todos)]
    found = await import_calendar(person, calendar(*components), zone=zone)
    tasks = {task["title"]: task for task in found.tasks}
    each = []
    for number in range(len(todos)):
        warnings = [warning for warning in found.report["warnings"] if warning["uid"] == f"uid-{number}"]
        each.append(Imported({"warnings": warnings}, [tasks[str(number)]]))
    return each
