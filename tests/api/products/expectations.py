"""Expectations of a file of another product: the rules of ``expected.json``, for an account in Europe/Berlin.

A list of values means that any of them is right (of tags and texts all of them), ``[low, high]`` is a range of counts.
Titles, tags and projects are compared without case, and with spaces, hyphens and underscores alike.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.support import Person

ZONE = ZoneInfo("Europe/Berlin")
Found = dict[str, Any]
_DURATION = re.compile(r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def plain(text: object) -> str:
    return re.sub(r"[\s_-]+", " ", str(text)).strip().casefold()


def any_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


class State:
    """The account after an import."""

    def __init__(self, tasks: list[Found], projects: list[Found], comments: list[Found], warnings: list[Found]) -> None:
        self.tasks, self.projects, self.comments, self.warnings = tasks, projects, comments, warnings
        self.by_id = {task["id"]: task for task in tasks}
        self.project_by_id = {project["id"]: project for project in projects}

    @classmethod
    async def read(cls, person: Person, report: Found) -> "State":
        document = (await person.get("/export")).json()
        live = {name: [row for row in document[name] if not row.get("deleted_at")] for name in ("tasks", "projects")}
        return cls(live["tasks"], live["projects"], document["comments"], report["warnings"])

    def task(self, title: str) -> Found:
        found = [task for task in self.tasks if plain(task["title"]) == plain(title)]
        assert found, f"no task {title!r} among {[task['title'] for task in self.tasks]}"
        return min(found, key=lambda task: task["completed"])

    def comments_of(self, task: Found) -> str:
        return "\n".join(each["body"] for each in self.comments if each["task_id"] == task["id"])

    def texts_of(self, task: Found) -> str:
        return f"{task['description'] or ''}\n{self.comments_of(task)}"

    @property
    def texts(self) -> str:
        return "\n".join(self.texts_of(task) for task in self.tasks)

    @property
    def warned(self) -> str:
        return "\n".join(f"{each['field']} {each['value']} {each['message']}" for each in self.warnings)

    def project_of(self, task: Found) -> str | None:
        project = self.project_by_id.get(task["project_id"])
        return project["name"] if project else None

    def reminders_of(self, task: Found) -> list[str]:
        return sorted(_moment(reminder, task["due_date"]) for reminder in task["reminders"])


def _moment(reminder: str, due: str | None) -> str:
    if (found := _DURATION.fullmatch(reminder)) is None:
        return reminder
    assert due, f"{reminder} without a due date"
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in found.groups()[1:])
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    begin = datetime.fromisoformat(due).replace(tzinfo=ZONE) if len(due) == 10 else datetime.fromisoformat(due)
    moment = begin + (-span if found[1] == "-" else span)
    return moment.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")


def faults(state: State, expected: Found) -> Iterator[str]:
    """Yields what is not as expected."""
    for name, number in (("tasks", len(state.tasks)), ("done", sum(task["completed"] for task in state.tasks))):
        low, high = (expected[name] * 2)[:2] if isinstance(expected[name], list) else [expected[name]] * 2
        if not low <= number <= high:
            yield f"{name}: {number}, expected {expected[name]}"
    for title, fields in expected["titles"].items():
        task = state.task(title)
        for field, value in fields.items():
            if not FIELD_CHECKS[field](state, task, value):
                yield f"{title}: {field} is not {value}: {task} {state.texts_of(task)!r}"
    yield from _file_faults(state, expected)


def _file_faults(state: State, expected: Found) -> Iterator[str]:
    names = [plain(project["name"]) for project in state.projects]
    for name in expected.get("projects", ()):
        if not any(plain(name) in found for found in names):
            yield f"no project {name}: {names}"
    for project in state.projects:
        if project["name"] in expected.get("archived", ()) and project["archived_at"] is None:
            yield f"project {project['name']} is not archived"
    for name, parent in expected.get("project_parent", {}).items():
        if not _is_within(state, name, parent):
            yield f"project {name} is not in {parent}: {names}"
    titles = [plain(task["title"]) for task in state.tasks]
    for title in expected.get("gone", ()):
        if plain(title) in titles:
            yield f"{title} was imported"
    for title in expected.get("gone_or_cancelled", ()):
        if any(plain(task["title"]) == plain(title) and task["status"] != "cancelled" for task in state.tasks):
            yield f"{title} is open"
    for title in expected.get("open_once", ()):
        if sum(plain(task["title"]) == plain(title) and not task["completed"] for task in state.tasks) != 1:
            yield f"{title} is not open once"
    for text in expected.get("kept", ()):
        if plain(text) not in titles and text.casefold() not in state.texts.casefold():
            yield f"{text} is not kept"
    held = f"{state.texts}\n{state.warned}".casefold()
    if expected.get("held") and not any(word.casefold() in held for word in expected["held"]):
        yield f"none of {expected['held']} is held"
    for warning in expected.get("warnings", ()):
        in_warnings = any(word.casefold() in state.warned.casefold() for word in warning["words"])
        if not in_warnings and not any(text in state.texts for text in warning["texts"]):
            yield f"no warning of {warning}"


def _is_within(state: State, name: str, parent: str) -> bool:
    project = next(each for each in state.projects if plain(each["name"]).endswith(plain(name)))
    outer = state.project_by_id.get(project["parent_id"])
    return outer is not None and plain(outer["name"]) == plain(parent)


def _one_of(field: str) -> Callable[[State, Found, Any], bool]:
    return lambda state, task, value: task.get(field) in any_of(value)


FIELD_CHECKS: dict[str, Callable[[State, Found, Any], bool]] = {
    "due": _one_of("due_date"),
    "start": _one_of("start_date"),
    "deadline": _one_of("deadline"),
    "estimate": _one_of("estimate_minutes"),
    "priority": _one_of("priority"),
    "recurrence": _one_of("recurrence"),
    "recurrence_from": _one_of("recurrence_from"),
    "done": _one_of("completed"),
    "status": lambda state, task, value: task["status"] in any_of(value) or None in any_of(value),
    "tags": lambda state, task, value: {*map(plain, value)} <= {*map(plain, task["tags"])},
    "not_tags": lambda state, task, value: {*map(plain, value)}.isdisjoint(map(plain, task["tags"])),
    "project": lambda state, task, value: (
        state.project_of(task) is None if value is None else plain(value) in plain(state.project_of(task))
    ),
    "parent": lambda state, task, value: (
        (task["parent_id"] is None)
        if value is None
        else task["parent_id"] is not None and plain(state.by_id[task["parent_id"]]["title"]) == plain(value)
    ),
    "reminders": lambda state, task, value: state.reminders_of(task) in [sorted(each) for each in value],
    "completed_on": lambda state, task, value: (
        datetime.fromisoformat(task["completed_at"]).astimezone(ZONE).date().isoformat().startswith(value)
    ),
    "text": lambda state, task, value: all(text in state.texts_of(task) for text in value),
    "kept": lambda state, task, value: value in state.texts_of(task),
    "comment": lambda state, task, value: value in state.texts_of(task),
    "favorite_or_priority": lambda state, task, value: task["favorite"] or task["priority"] != "none",
}
