"""A sample row of each entity that a user can edit, for tests that create, change and delete every entity."""

from typing import Any, NamedTuple

from tests.support import Person


class Sample(NamedTuple):
    """A sample. ``path`` may name ``{task}``, a task that is created first."""

    path: str
    body: dict[str, Any]
    change: dict[str, Any]


SAMPLES = {
    "project": Sample("/projects", {"name": "Home", "color": "#00ff00"}, {"name": "House", "archived": True}),
    "task": Sample(
        "/tasks",
        {
            "title": "Buy milk",
            "description": "The oat one",
            "priority": "high",
            "due_date": "2090-01-02",
            "tags": ["errands"],
            "reminders": ["-P1D"],
            "recurrence": "FREQ=DAILY",
            "recurrence_from": "completion",
        },
        {"title": "Buy bread", "description": None, "due_date": "2090-02-03", "tags": [], "completed": False},
    ),
    "comment": Sample("/tasks/{task}/comments", {"body": "The oat one"}, {"body": "The other one"}),
    "view": Sample(
        "/views", {"name": "Urgent", "parameters": {"priority": ["urgent"]}}, {"parameters": {"tag": ["home"]}}
    ),
}


async def make_sample(person: Person, entity: str) -> tuple[str, dict[str, Any]]:
    """Returns the path of the new row, and the row."""
    sample = SAMPLES[entity]
    path = sample.path.format(task=(await person.add("stays"))["id"]) if "{task}" in sample.path else sample.path
    answer = await person.post(path, sample.body)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return f"{path}/{row['id']}", row
