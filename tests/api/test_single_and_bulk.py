"""A verb means for one task what it means for many: each single route against a bulk write of that one task.

Two users get the same small world, drawn at random; then one of them sends the single request and the other the bulk
request, and whatever the two leave in the tables is compared. Where they may differ:

- A task that is so already (completed, open, or equal in every field sent) is written again by the single route, with a
  revision of its own; the bulk write returns ``unchanged`` and writes nothing. Restoring a task that is not in the
  trash writes nothing either way.
- A task that is not there is a 404, and ``not_found`` in a bulk write.
- An error names a field of ``body`` or of ``body.change``.
"""

import json
import random
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import update

from app.models.tasks import TASKS
from app.services.tasks.statements import OWN_TASKS, completion_values, joined_write
from tests.support import Person

Row = dict[str, Any]
WORLDS, MOST_WORLDS = 30, 120  # more of them only until each outcome of EXPECTED_OUTCOMES was one
NOWHERE = 2**62
LATE = "2026-01-02T08:00:00Z"  # a reminder of this moment waits to be fired
DUE = [None, "2031-01-06", "2031-01-06T09:00:00Z", "2031-01-06T09:00"]
RULES = [
    "FREQ=DAILY",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;COUNT=1",
    "FREQ=DAILY;COUNT=3",
    "FREQ=DAILY;UNTIL=20310106",
    "FREQ=MONTHLY;UNTIL=20310331",
]
REMINDERS = [[], ["-PT1H"], ["2031-03-01T08:00:00Z", "-P1D"], [LATE, "2031-03-01T08:00"], [LATE, "PT9H"]]
TAGS = [[], ["home"], ["home", "errands"]]
PROJECTS = 3  # the second is archived, the third is deleted at the end of some worlds
DEPTH = 5


class World(NamedTuple):
    """``tasks`` are bodies of requests, with the place of the parent and of the project in the world.

    ``target`` is the place of the task that the verb is for.
    """

    timezone: str
    tasks: list[Row]
    completed: list[int]
    deleted: list[int]
    project_goes: bool
    target: int


class Verb(NamedTuple):
    """The two requests that mean the same; ``bulk`` lacks the ids."""

    method: str
    path: str
    body: Row | None
    bulk: Row


class Outcome(NamedTuple):
    """Of a request: what was refused, what became of the task, and what is in the tables now."""

    problem: Any
    status: str
    rows: list[Row]
    changes: list[Any]


# ---- worlds and verbs


def draw_world(rng: random.Random) -> World:
    tasks: list[Row] = []
    depths: list[int] = []
    deep = rng.random() < 0.4
    for place in range(rng.randint(2, 7)):
        parents = [above for above in range(place) if depths[above] < DEPTH]
        parent = rng.choice(parents[-1:] if deep else parents) if parents and rng.random() < 0.75 else None
        task: Row = {"reminders": rng.choice(REMINDERS), "tags": rng.choice(TAGS), "parent": parent}
        if parent is None:
            task["project"] = rng.choice([None, *range(PROJECTS)])
        if rng.random() < (0.6 if parent is None else 0.2):
            task |= {"due_date": rng.choice(DUE[1:]), "recurrence": rng.choice(RULES), "deadline": "2031-01-31"}
            task["start_date"] = rng.choice([None, "2031-01-05", "2031-01-05T21:00"])
            task["recurrence_from"] = rng.choice(["due", "due", "completion"])
        else:
            task |= {"due_date": rng.choice(DUE), "completed": rng.random() < (0.3 if parent is None else 0.6)}
        tasks.append(task)
        depths.append(1 if parent is None else depths[parent] + 1)
    places = range(len(tasks))
    completed, deleted = rng.choices(places, k=rng.randint(0, 3)), rng.choices(places, k=rng.randint(0, 2))
    return World(
        rng.choice(["UTC", "Europe/Berlin"]),
        tasks,
        completed,
        deleted,
        rng.random() < 0.3,
        rng.choice([0, 0, *completed[:1], *deleted[:1], *places]),
    )


def one_place(rng: random.Random) -> Row:
    """Returns where a task goes: places in the world stand for ids, None for one that is not there."""
    kind = rng.choice(["project", "task"])
    place = rng.choice([*range(PROJECTS if kind == "project" else 7), "null", None])
    return {"project_id" if kind == "project" else "parent_id": None if place == "null" else {kind: place}}


FIELDS: dict[str, list[Any]] = {
    "description": [None, "two\nlines"],
    "priority": [None, "medium", "urgent"],
    "start_date": [None, "2031-01-05", "2031-01-05T09:00"],
    "deadline": [None, "2031-02-01"],
    "estimate_minutes": [None, 30],
    "favorite": [None, False, True],
    "due_date": [None, *DUE, "2031-05-01", "2026-01-01"],
    "tags": [None, *TAGS],
    "reminders": [None, *REMINDERS],
}


def updates(change: Row) -> Verb:
    return Verb("PATCH", "/tasks/{}", change, {"action": "update", "change": change})


def sets_completed(rng: random.Random, completed: bool) -> Verb:
    path = rng.choice(["/tasks/{}", "/tasks/{}/complete"])
    return Verb("PATCH", path, {"completed": completed}, {"action": "complete" if completed else "reopen"})


def moves(rng: random.Random) -> Verb:
    change = one_place(rng)
    return Verb("POST", "/tasks/{}/move", change, {"action": "move", "change": change})


def changes_one_field(rng: random.Random) -> Verb:
    name = rng.choice(list(FIELDS))
    return updates({name: rng.choice(FIELDS[name])})


def changes_fields(rng: random.Random) -> Verb:
    return updates({name: rng.choice(values) for name, values in FIELDS.items() if rng.random() < 0.4} | one_place(rng))


VERBS: dict[str, Callable[[random.Random], Verb]] = {
    "complete": lambda rng: sets_completed(rng, True),
    # Completes, or opens again what is completed: then against the other action.
    "toggle": lambda rng: Verb("PATCH", "/tasks/{}/complete", None, {"action": "complete"}),
    "reopen": lambda rng: sets_completed(rng, False),
    "delete": lambda rng: Verb("DELETE", "/tasks/{}", None, {"action": "delete"}),
    "restore": lambda rng: Verb("POST", "/tasks/{}/restore", None, {"action": "restore"}),
    "move": moves,
    "place": lambda rng: updates(one_place(rng)),
    "field": changes_one_field,
    "fields": changes_fields,
}
# What the worlds must have led to, or the comparison means little: the status of the task, and what was recorded.
ITSELF, ANOTHER = "itself", "another"
EXPECTED_OUTCOMES = {
    "complete": {"completed itself", "completed another", "created another", "reopened another", "unchanged"},
    "toggle": {"completed itself", "completed another", "created another", "reopened itself"},
    "reopen": {"reopened itself", "unchanged"},
    "delete": {"deleted itself", "deleted another"},
    "restore": {"restored itself", "restored another", "unchanged"},
    "move": {"moved", "updated itself", "updated another", "unknown_reference"},
    "place": {"updated itself", "updated another", "unknown_reference", "unchanged"},
    "field": {"updated itself", "unchanged"},
    "fields": {"updated itself", "updated another", "unknown_reference"},
}


class Side:
    """A user with a world of their own. Titles say which of its tasks a row is."""

    def __init__(self, http: httpx.AsyncClient, sql: Any) -> None:
        self.person, self.sql = Person(http, f"alike-{uuid.uuid4().hex}"), sql
        self.tasks: list[int] = []
        self.projects: list[int] = []
        self.begun: Any = None
        self.revision = 0

    async def build(self, world: World) -> None:
        if world.timezone != "UTC":
            await self.person.patch("/settings", {"timezone": world.timezone})
        for number in range(PROJECTS):
            self.projects.append((await self.person.post("/projects", {"name": f"project {number}"})).json()["id"])
        for number, task in enumerate(world.tasks):
            body = {name: value for name, value in task.items() if name not in ("parent", "project")}
            if task.get("parent") is not None:
                body["parent_id"] = self.tasks[task["parent"]]
            if task.get("project") is not None:
                body["project_id"] = self.projects[task["project"]]
            self.tasks.append((await self.person.add(f"task {number}", **body))["id"])
        await self.sql.execute(
            "update tasks set remind_at = $2 where user_id = $1 and not completed and $3 = any(reminders)",
            self.person.subject, datetime.fromisoformat(LATE), LATE,
        )  # fmt: skip
        for place in world.completed:
            await self.person.patch(f"/tasks/{self.tasks[place]}/complete", {"completed": True})
        for place in world.deleted:
            await self.person.delete(f"/tasks/{self.tasks[place]}")
        await self.person.patch(f"/projects/{self.projects[1]}", {"archived": True})
        if world.project_goes:
            await self.person.delete(f"/projects/{self.projects[2]}")
        self.revision = await self.sql.fetchval("select revision from users where id = $1", self.person.subject)
        self.begun = await self.sql.fetchval("select clock_timestamp()")

    def filled(self, body: Row | None) -> Row | None:
        """Ids in the places of places."""
        if body is None:
            return None
        found = {}
        for name, value in body.items():
            if isinstance(value, dict):
                kind, place = next(iter(value.items())) if len(value) == 1 else ("", None)
                if kind in ("task", "project"):
                    ids = self.tasks if kind == "task" else self.projects
                    found[name] = ids[place % len(ids)] if place is not None else NOWHERE
                    continue
                value = self.filled(value)
            found[name] = value
        return found

    async def single(self, verb: Verb, place: int) -> Outcome:
        path = verb.path.format(self.tasks[place])
        answer = await self.person.call(
            verb.method, path, **({} if verb.body is None else {"json": self.filled(verb.body)})
        )
        return await self._outcome(answer, place)

    async def bulk(self, verb: Verb, place: int) -> Outcome:
        answer = await self.person.post("/tasks/bulk", {"ids": [self.tasks[place]], **(self.filled(verb.bulk) or {})})
        return await self._outcome(answer, place)

    async def _outcome(self, answer: httpx.Response, place: int) -> Outcome:
        body = answer.json() if answer.content else {}
        problem, status = None, "done"
        if answer.status_code == 404:
            assert body["code"] == "task_not_found"
            status = "not_found"
        elif answer.status_code >= 400:
            errors = [[name for name in error["loc"] if name != "change"] for error in body.get("errors", [])]
            status = body["code"]
            problem = (answer.status_code, body["code"], body["detail"], errors)
        elif "results" in body:
            assert [item["id"] for item in body["results"]] == [self.tasks[place]]
            status = body["results"][0]["status"]
        return Outcome(problem, status, await self.rows(), await self._changes())

    async def rows(self) -> list[Row]:
        """Returns every column of every task, with names for ids, ranks for positions, and kinds of moments."""
        found = await self.sql.fetch(
            "select * from tasks where user_id = $1 order by position, id", self.person.subject
        )
        self.names = {row["id"]: self._name(row) for row in found}
        deleted = sorted({row["deleted_at"] for row in found if row["deleted_at"]})
        rows = []
        for rank, row in enumerate(found):
            own = {**self._plain(dict(row)), "position": rank, "moved_to": row["moved_to"] is not None}
            if row["deleted_at"]:  # what goes together comes back together
                own["deleted_at"] = (own["deleted_at"], deleted.index(row["deleted_at"]))
            rows.append(own)
        return sorted(rows, key=lambda row: str(row["id"]))

    async def _changes(self) -> list[Any]:
        found = await self.sql.fetch(
            "select revision - $2 as revision, entity, entity_id, action, data, through from changes "
            "where user_id = $1 and revision > $2 order by revision, entity, entity_id",
            self.person.subject, self.revision,
        )  # fmt: skip
        changes = []
        for row in found:
            data = self._plain(json.loads(row["data"]))
            data["moved_to"] = data["moved_to"] is not None
            del data["position"]
            changes.append(
                (row["revision"], row["entity"], self.names[row["entity_id"]], row["action"], data, row["through"])
            )
        return sorted(changes, key=lambda change: (change[0], str(change[2])))

    def _name(self, row: Any) -> Any:
        return row["title"] if row["series_id"] is None else (row["title"], str(row["due_on"] or row["due_at"]))

    def _plain(self, row: Row) -> Row:
        for name in ("id", "parent_id", "series_id"):
            row[name] = self.names.get(row[name], row[name])
        if row["project_id"] is not None:
            row["project_id"] = self.projects.index(row["project_id"])
        for name in ("created_at", "updated_at", "completed_at", "deleted_at"):
            if row[name] is not None:
                moment = row[name] if isinstance(row[name], datetime) else datetime.fromisoformat(row[name])
                row[name] = "then" if moment < self.begun else "now"
        del row["user_id"], row["uid"]
        row.pop("due_sort", None), row.pop("completed_sort", None)
        return row


def without_writing_again(single: Outcome) -> list[Row]:
    """Returns the rows without the columns that a write changes even if no value differs."""
    return [{**row, "version": None, "updated_at": None} for row in single.rows]


def compare(single: Outcome, bulk: Outcome, before: list[Row]) -> None:
    assert bulk.problem == single.problem
    if bulk.status == "unchanged":
        assert bulk.rows == before
        assert bulk.changes == []
        assert len(single.changes) <= 1, "restoring what is not in the trash writes nothing"
        assert {change[3] for change in single.changes} <= {"updated"}
        assert without_writing_again(single) == without_writing_again(bulk)
        return
    assert (bulk.status == "not_found") == (single.status == "not_found")
    assert bulk.rows == single.rows
    assert bulk.changes == single.changes


async def compare_in(world: World, verb: Verb, one: Side, many: Side) -> set[str]:
    """Returns the status and the actions that were recorded."""
    await one.build(world)
    await many.build(world)
    before = await many.rows()
    assert before == await one.rows()
    target = next(row for row in before if row["id"] == f"task {world.target}")
    if verb.body is None and verb.bulk["action"] == "complete" and target["completed"]:
        verb = verb._replace(bulk={"action": "reopen"})
    bulk = await many.bulk(verb, world.target)
    compare(await one.single(verb, world.target), bulk, before)
    recorded = {f"{change[3]} {ITSELF if change[2] == target['id'] else ANOTHER}" for change in bulk.changes}
    return {bulk.status, *recorded}


async def compare_all(client: httpx.AsyncClient, sql: Any, name: str) -> set[str]:
    """Compares in many worlds, and returns what was seen."""
    seen: set[str] = set()
    for number in range(MOST_WORLDS):
        if number >= WORLDS and EXPECTED_OUTCOMES[name] <= seen:
            break
        rng = random.Random(f"{name} {number}")  # the same worlds each time
        world, verb = draw_world(rng), VERBS[name](rng)
        try:
            seen |= await compare_in(world, verb, Side(client, sql), Side(client, sql))
        except AssertionError as error:
            error.add_note(f"{verb}\nin {world}")
            raise
    return seen


@pytest.mark.parametrize("name", VERBS)
async def test_a_single_write_leaves_what_a_bulk_write_of_that_task_leaves(
    client: httpx.AsyncClient, sql: Any, name: str
) -> None:
    assert EXPECTED_OUTCOMES[name] - await compare_all(client, sql, name) == set()


def chain(length: int, **last: Any) -> World:
    """Returns a world of ``length`` tasks, each below the one before, and next to them one more: the target."""
    tasks: list[Row] = [{"parent": place - 1 if place else None} for place in range(length)]
    return World("UTC", [*tasks, {"parent": None, **last}], [], [], False, length)


@pytest.mark.parametrize(
    ("world", "verb", "code"),
    [
        (chain(5), updates({"parent_id": {"task": 4}}), "too_deep"),
        (chain(2), updates({"parent_id": {"task": 2}}), "unknown_reference"),
        (chain(3)._replace(target=0), updates({"parent_id": {"task": 2}}), "unknown_reference"),
        (chain(1), updates({"parent_id": {"task": None}}), "unknown_reference"),
        (chain(1), updates({"project_id": {"project": None}}), "unknown_reference"),
        (chain(1, due_date="2031-01-06", recurrence="FREQ=DAILY"), updates({"due_date": None}), "due_date_needed"),
    ],
)
async def test_a_single_write_is_refused_as_a_bulk_write_is(
    client: httpx.AsyncClient, sql: Any, world: World, verb: Verb, code: str
) -> None:
    assert await compare_in(world, verb, Side(client, sql), Side(client, sql)) == {code}


async def test_a_difference_would_be_found(
    client: httpx.AsyncClient, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: value for name, value in completion_values(False).items() if name != "remind_at"}
    forgetful = joined_write(update(TASKS).where(*OWN_TASKS, TASKS.c.completed), "reopened", **values)
    monkeypatch.setattr("app.services.tasks.completion.REOPEN_TASKS", forgetful)
    with pytest.raises(AssertionError):
        await compare_all(client, sql, "reopen")
