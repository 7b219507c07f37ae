"""A sample row of each entity that a user can edit, for tests that create, change and delete every entity."""

from typing import Any, NamedTuple

import httpx

from tests.support import Person


class Sample(NamedTuple):
    """A sample. ``path`` may name ``{task}``, a task that is created first."""

    path: str
    body: dict[str, Any]
    change: dict[str, Any]


SAMPLES = {
    "project": Sample(
        "/projects",
        {"name": "Home", "color": "#00ff00", "favorite": True},
        {"name": "House", "favorite": False, "archived": True},
    ),
    "channel": Sample(
        "/channels",
        {
            "kind": "ntfy",
            "name": "Phone",
            "url": "https://ntfy.sh",
            "topic": "alice-8f3a1c",
            "active": True,
            "all_reminders": False,
            "quiet_from": "22:00",
            "quiet_to": "07:00",
            "digest_time": "08:00",
            "digest_days": ["mon", "fri"],
        },
        {"topic": "other", "active": False, "quiet_from": None, "quiet_to": None, "digest_time": None},
    ),
    "tag": Sample("/tags", {"name": "errands", "color": "#00ff00"}, {"color": "#0000ff"}),
    "task": Sample(
        "/tasks",
        {
            "title": "Buy milk",
            "description": "The oat one",
            "status": "in_progress",
            "priority": "high",
            "due_date": "2090-01-02",
            "start_date": "2090-01-01T08:00:00Z",
            "deadline": "2090-01-31",
            "estimate_minutes": 15,
            "favorite": True,
            "tags": ["errands"],
            "reminders": ["-P1D"],
            "recurrence": "FREQ=DAILY",
            "recurrence_from": "completion",
        },
        {
            "title": "Buy bread",
            "description": None,
            "due_date": "2090-02-03",
            "start_date": "2090-02-01",
            "deadline": None,
            "estimate_minutes": 30,
            "favorite": False,
            "tags": [],
            "status": "waiting",
        },
    ),
    "comment": Sample("/tasks/{task}/comments", {"body": "The oat one"}, {"body": "The other one"}),
    "view": Sample(
        "/views", {"name": "Urgent", "parameters": {"priority": ["urgent"]}}, {"parameters": {"tag": ["home"]}}
    ),
}


async def make_sample(person: Person, entity: str) -> tuple[str, dict[str, Any]]:
    """Returns the path of the new row, and the row."""
    sample = SAMPLES[entity]
    if entity == "tag":  # which tasks have; it has a row while it has a colour
        await person.add("stays", tags=[sample.body["name"]])
        path = f"/tags/{sample.body['name']}"
        assert (await person.patch(path, {"color": sample.body["color"]})).status_code == 200
        made = await find_sample(person, entity, path)
        assert made is not None
        return path, made
    path = sample.path.format(task=(await person.add("stays"))["id"]) if "{task}" in sample.path else sample.path
    answer = await person.post(path, sample.body)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return f"{path}/{row['id']}", row


async def find_sample(person: Person, entity: str, path: str) -> dict[str, Any] | None:
    """Returns the row of a path; None if there is none."""
    if entity == "tag":
        rows = (await person.get("/changes?snapshot=true")).json()["changes"]
        return next((row["data"] for row in rows if row["entity"] == entity), None)
    answer = await person.get(path)
    assert answer.status_code in (200, 404), answer.text
    return answer.json() if answer.status_code == 200 else None


async def delete_sample(person: Person, entity: str, path: str) -> httpx.Response:
    """Deletes the row of a path, and no other one."""
    return await (person.patch(path, {"color": None}) if entity == "tag" else person.delete(path))
